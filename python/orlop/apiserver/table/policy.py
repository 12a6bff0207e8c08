"""What limits and guards: quotas, admission policies, webhooks, flow control, certificates, extensions."""

from collections.abc import Callable
from typing import Any

import msgspec

from orlop.apiserver.table.duration import human, since
from orlop.apiserver.table.printer import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    Loose,
    Metadata,
    Object,
    Printer,
    age,
    labels,
)


def _quota(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    hard, used = obj.status.get("hard") or {}, obj.status.get("used") or {}
    asked: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        (limits if name.startswith("limits.") else asked).append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [metadata.name, ", ".join(asked), ", ".join(limits), age(metadata, now)]


RESOURCE_QUOTA = Printer(
    Loose,
    _quota,
    NAME,
    Column("Request", description="Requests and counts: used and hard."),
    Column("Limit", description="Limits: used and hard."),
    AGE,
)


class _Webhooks(Object):
    webhooks: tuple[msgspec.Raw, ...] = ()


def _webhooks(obj: _Webhooks, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, len(obj.webhooks), age(metadata, now)]


WEBHOOKS = Printer(
    _Webhooks, _webhooks, NAME, Column("Webhooks", "integer", description="How many webhooks it names."), AGE
)


def _policy(field: str) -> Callable[[Loose, Metadata, float], list[Any]]:
    def cells(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
        kind = obj.spec.get("paramKind")
        shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [metadata.name, len(obj.spec.get(field) or ()), shown, age(metadata, now)]

    return cells


_PARAM_KIND = Column("ParamKind", description="The kind of its parameters.")
VALIDATING_POLICY = Printer(
    Loose,
    _policy("validations"),
    NAME,
    Column("Validations", "integer", description="How many rules it has."),
    _PARAM_KIND,
    AGE,
)
MUTATING_POLICY = Printer(
    Loose,
    _policy("mutations"),
    NAME,
    Column("Mutations", "integer", description="How many mutations it has."),
    _PARAM_KIND,
    AGE,
)


def _go_selector(value: dict[str, Any]) -> str:
    """A label selector as Go prints the struct: what upstream shows of parameters chosen by one."""
    labels = value.get("matchLabels") or {}
    wanted = "".join(f"{key}: {labels[key]}," for key in sorted(labels))
    terms = "".join(
        f"LabelSelectorRequirement{{Key:{t.get('key', '')},Operator:{t.get('operator', '')},"
        f"Values:[{' '.join(t.get('values') or ())}],}},"
        for t in value.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{wanted}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{terms}}},}}"
    )


def _binding(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    ref = obj.spec.get("paramRef") or {}
    shown = UNSET
    if ref.get("name"):
        # Without a namespace nobody can tell from here whether the parameters have one.
        shown = f"{ref.get('namespace') or '*'}/{ref['name']}"
    elif ref.get("selector") is not None:
        shown = _go_selector(ref["selector"])
    return [metadata.name, obj.spec.get("policyName", ""), shown, age(metadata, now)]


POLICY_BINDING = Printer(
    Loose,
    _binding,
    NAME,
    Column("PolicyName", description="The policy that is bound."),
    Column("ParamRef", description="The parameters it is given."),
    AGE,
)


def _flow_schema(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    method = spec.get("distinguisherMethod") or {}
    dangling = next((c.get("status") for c in obj.status.get("conditions") or () if c.get("type") == "Dangling"), "?")
    return [
        metadata.name,
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        method.get("type", NONE),
        age(metadata, now),
        dangling,
    ]


FLOW_SCHEMA = Printer(
    Loose,
    _flow_schema,
    NAME,
    Column("PriorityLevel", description="The priority level of its requests."),
    Column("MatchingPrecedence", description="Which schema is tried first."),
    Column("DistinguisherMethod", description="How flows are told apart."),
    AGE,
    Column("MissingPL", description="Whether its priority level is missing."),
    order=lambda obj, metadata: (obj.spec.get("matchingPrecedence", 0), metadata.name),
)


def _priority_level(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    limited = obj.spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    return [
        metadata.name,
        obj.spec.get("type", ""),
        limited.get("nominalConcurrencyShares", NONE),
        *(queuing.get(name, NONE) for name in ("queues", "handSize", "queueLengthLimit")),
        age(metadata, now),
    ]


PRIORITY_LEVEL = Printer(
    Loose,
    _priority_level,
    NAME,
    Column("Type", description="Limited or exempt."),
    Column("NominalConcurrencyShares", description="Its share of what runs at once."),
    Column("Queues", description="How many queues it has."),
    Column("HandSize", description="How many queues a flow may be put into."),
    Column("QueueLengthLimit", description="How many requests wait in a queue."),
    AGE,
)


def _signing_request(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    spec, status = obj.spec, obj.status
    seconds = spec.get("expirationSeconds")
    return [
        metadata.name,
        age(metadata, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else human(seconds),
        _approval({c.get("type") for c in status.get("conditions") or ()}, bool(status.get("certificate"))),
    ]


def _approval(types: set[str | None], issued: bool) -> str:
    shown = ["Denied" if "Denied" in types else "Approved"] if types & {"Approved", "Denied"} else []
    shown = shown or ["Pending"]
    if "Failed" in types:
        shown.append("Failed")
    if issued:
        shown.append("Issued")
    return ",".join(shown)


SIGNING_REQUEST = Printer(
    Loose,
    _signing_request,
    NAME,
    AGE,
    Column("SignerName", description="Who shall sign."),
    Column("Requestor", description="Who asks."),
    Column("RequestedDuration", description="How long the certificate shall last."),
    Column("Condition", description="Whether it is approved and signed."),
)


def _trust_bundle(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.spec.get("signerName") or NONE]


TRUST_BUNDLE = Printer(Loose, _trust_bundle, NAME, Column("SignerName", description="Whose roots they are."))


def _pod_certificate(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    types = [c.get("type", "") for c in obj.status.get("conditions") or () if c.get("status") == "True"]
    state = next((t for t in ("Issued", "Denied", "Failed") if t in types), "Pending")
    return [
        metadata.name,
        spec.get("podName", ""),
        spec.get("serviceAccountName", ""),
        spec.get("nodeName", ""),
        spec.get("signerName", ""),
        state,
        labels(spec.get("unverifiedUserAnnotations") or {}),
    ]


POD_CERTIFICATE = Printer(
    Loose,
    _pod_certificate,
    NAME,
    Column("PodName", description="The pod that asks."),
    Column("ServiceAccountName", description="The pod's service account."),
    Column("NodeName", description="The pod's node."),
    Column("SignerName", description="Who shall sign."),
    Column("State", description="Whether it is signed."),
    Column("UnverifiedUserAnnotations", description="What the pod's author tells the signer."),
)


def _taint_rule(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    taint = obj.spec.get("taint") or {}
    added = since(taint.get("timeAdded"), now)
    return [
        metadata.name,
        taint.get("key", ""),
        taint.get("value", ""),
        taint.get("effect", ""),
        added,
        age(metadata, now),
    ]


DEVICE_TAINT_RULE = Printer(
    Loose,
    _taint_rule,
    NAME,
    Column("Key", description="The taint's key."),
    Column("Value", description="The taint's value."),
    Column("Effect", description="What it does to claims that do not tolerate it."),
    Column("TimeAdded", description="Time since the taint was added."),
    AGE,
)


class _RuntimeClass(Object):
    handler: str = ""


def _runtime_class(obj: _RuntimeClass, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.handler, age(metadata, now)]


RUNTIME_CLASS = Printer(
    _RuntimeClass, _runtime_class, NAME, Column("Handler", description="What the runtime calls it."), AGE
)


def _api_service(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    service = obj.spec.get("service")
    shown = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    found = next((c for c in obj.status.get("conditions") or () if c.get("type") == "Available"), None)
    status = "Unknown"
    if found is not None:
        status = found.get("status", "")
        if status != "True" and found.get("reason"):
            status = f"{status} ({found['reason']})"
    return [metadata.name, shown, status, age(metadata, now)]


API_SERVICE = Printer(
    Loose,
    _api_service,
    NAME,
    Column("Service", description="The service that answers, or Local."),
    Column("Available", description="Whether it answers."),
    AGE,
)


def _claim(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    states = []
    if metadata.deletion_timestamp:
        states.append("deleted")
    if obj.status.get("allocation"):
        states.append("allocated")
        if obj.status.get("reservedFor"):
            states.append("reserved")
    elif not metadata.deletion_timestamp:
        states.append("pending")
    return [metadata.name, ",".join(states), age(metadata, now)]


RESOURCE_CLAIM = Printer(Loose, _claim, NAME, Column("State", description="Whether it has its devices."), AGE)


def _plain(obj: Object, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, age(metadata, now)]


PLAIN = Printer(Object, _plain, NAME, AGE)
"""Name and age."""


def _slice(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    pool = (spec.get("pool") or {}).get("name", "")
    return [metadata.name, spec.get("nodeName") or UNSET, spec.get("driver", ""), pool, age(metadata, now)]


RESOURCE_SLICE = Printer(
    Loose,
    _slice,
    NAME,
    Column("Node", description="The node that has the devices."),
    Column("Driver", description="Whose devices they are."),
    Column("Pool", description="The pool that they belong to."),
    AGE,
)


class _Component(Object):
    conditions: tuple[dict[str, Any], ...] = ()


def _component(obj: _Component, metadata: Metadata, now: float) -> list[Any]:
    for condition in obj.conditions:
        if condition.get("type") == "Healthy":
            status = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [metadata.name, status, condition.get("message", ""), condition.get("error", "")]
    return [metadata.name, "Unknown", "", ""]


COMPONENT_STATUS = Printer(
    _Component,
    _component,
    NAME,
    Column("Status", description="Status of the component conditions"),
    Column("Message", description="Message of the component conditions"),
    Column("Error", description="Error of the component conditions"),
)
