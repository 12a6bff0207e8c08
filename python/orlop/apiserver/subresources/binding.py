"""pods/binding: gives a pod its node, once."""

from typing import Any

from msgspec.structs import replace

from orlop.api import errors, scheme
from orlop.api.errors import FieldError, not_supported, required
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.update import attributes
from orlop.apiserver.registry.deletion import check_stored
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, of_status
from orlop.clock import rfc3339

BINDING = Kind(group="", version="v1", kind="Binding", plural="bindings", folder="core", namespaced=True)


def _validate(binding: core_v1.Binding) -> None:
    wrong: list[FieldError] = []
    if binding.target.kind not in ("", "Node"):
        wrong.append(not_supported("target.kind", binding.target.kind, ["Node", "<empty>"]))
    if not binding.target.name:
        wrong.append(required("target.name"))
    if wrong:
        raise errors.invalid("Binding", "", binding.metadata.name, wrong)


async def bind_named(core: Core, request: Request, kind: Kind) -> Response:
    """POST of a Binding to the collection: the pod is the one that it is named after."""
    binding: core_v1.Binding = await body.decode(core, request, BINDING)
    request.info = request.info._replace(resource="pods", name=binding.metadata.name, subresource="binding")
    pods = scheme.by_resource("", "v1", "pods")
    assert pods is not None
    return await bind(core, request, pods)


async def bind(core: Core, request: Request, kind: Kind) -> Response:
    """Sets spec.nodeName, and PodScheduled in the same write. Raises Conflict for a pod that has its node."""
    dry_run = body.options(request, "CreateOptions")
    binding: core_v1.Binding = await body.decode(core, request, BINDING)
    await assign(core, request, kind, binding, dry_run)
    return of_status(meta_v1.Status(status="Success", code=201), request)


async def assign(core: Core, request: Request, kind: Kind, binding: core_v1.Binding, dry_run: bool) -> None:
    """Admits a binding and does what it says to the pod that `request.info` names. Raises ApiError."""
    info = request.info
    if binding.metadata.name != info.name:
        raise errors.BadRequest("name in URL does not match name in Binding object")
    _validate(binding)

    async def change(pod: core_v1.Pod) -> core_v1.Pod:
        why = _refusal(pod)
        if why:
            raise errors.conflict("pods/binding", "", info.name, why)
        wanted = binding.metadata
        check_stored("pods/binding", "", pod.metadata, wanted.uid or None, wanted.resource_version or None)
        new = _apart(pod)
        new.spec.node_name = binding.target.name
        new.metadata.annotations.update(binding.metadata.annotations)
        new.metadata.labels.update(binding.metadata.labels)
        new.status.nominated_node_name = ""
        set_scheduled(new, rfc3339(core.clock.now()))
        return new

    a = attributes(request, kind, binding, None, dry_run, BINDING)
    await core.admission.admit(a)
    await core.admission.validate(a)
    binding = a.object
    await core.objects.update(
        core.strategies[kind.type_key],
        info.namespace,
        info.name,
        change,
        by=body.attribution(request),
        subresource="binding",
        before=_nothing,
        dry_run=dry_run,
    )


def _apart(pod: core_v1.Pod) -> core_v1.Pod:
    """A pod of which all that a binding writes may be changed; the rest is shared with the other one."""
    meta, status = pod.metadata, pod.status
    return replace(
        pod,
        metadata=replace(meta, annotations={**meta.annotations}, labels={**meta.labels}),
        spec=replace(pod.spec),
        status=replace(status, conditions=[replace(condition) for condition in status.conditions]),
    )


def _nothing(new: Any, old: Any) -> list[FieldError]:
    return []


def _refusal(pod: core_v1.Pod) -> str:
    name = pod.metadata.name
    if pod.metadata.deletion_timestamp is not None:
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if pod.spec.node_name:
        return f'pod {name} is already assigned to node "{pod.spec.node_name}"'
    if pod.spec.scheduling_gates:
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""


def set_scheduled(pod: core_v1.Pod, now: str) -> None:
    """PodScheduled=True, its time moved only when it was not so before."""
    conditions = pod.status.conditions
    for condition in conditions:
        if condition.type == "PodScheduled":
            if condition.status != "True":
                condition.last_transition_time = now
            condition.status, condition.reason, condition.message = "True", "", ""
            condition.observed_generation = 0  # as upstream: it is the scheduler's word, not on a generation
            return
    conditions.append(core_v1.PodCondition(type="PodScheduled", status="True", last_transition_time=now))
