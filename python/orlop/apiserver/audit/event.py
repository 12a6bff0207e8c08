"""audit.k8s.io/v1 Event, as it is written."""

from typing import Any

import msgspec

from orlop.api.types import authentication_v1, meta_v1
from orlop.clock import rfc3339_micro


class ObjectReference(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """What a request is about."""

    resource: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_group: str = ""
    api_version: str = ""
    resource_version: str = ""
    subresource: str = ""


class ResponseStatus(msgspec.Struct, omit_defaults=True):
    """How it was answered: the code, and of a Status what it says."""

    metadata: dict[str, str] = msgspec.field(default_factory=lambda: dict[str, str]())
    status: str = ""
    message: str = ""
    reason: str = ""
    details: meta_v1.StatusDetails | None = None
    code: int = 0


class Event(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """One request at one stage."""

    kind: str = msgspec.field(default_factory=lambda: "Event")
    api_version: str = msgspec.field(default_factory=lambda: "audit.k8s.io/v1")
    level: str
    audit_id: str = msgspec.field(name="auditID")
    stage: str
    request_uri: str = msgspec.field(name="requestURI")
    verb: str
    user: authentication_v1.UserInfo
    impersonated_user: authentication_v1.UserInfo | None = None
    source_ips: list[str] = msgspec.field(name="sourceIPs", default_factory=list)
    user_agent: str = ""
    object_ref: ObjectReference | None = None
    response_status: ResponseStatus | None = None
    request_object: msgspec.Raw | None = None
    response_object: msgspec.Raw | None = None
    request_received_timestamp: str
    stage_timestamp: str
    annotations: dict[str, str] = {}


_encoder = msgspec.json.Encoder()


def as_json(event: Event) -> bytes:
    """One line. Annotations are ordered by key, as Go writes maps."""
    if event.annotations:
        event.annotations = dict(sorted(event.annotations.items()))
    return _encoder.encode(event)


def as_text(event: Event) -> bytes:
    """The line of `--audit-log-format=legacy`, in upstream's form."""
    user, other = event.user, event.impersonated_user
    shown: list[tuple[str, str]] = [
        ("id", event.audit_id),
        ("stage", event.stage),
        ("ip", event.source_ips[0] if event.source_ips else "<unknown>"),
        ("method", event.verb),
        ("user", user.username or "<none>"),
        ("groups", _listed(user.groups) if user.username and user.groups else "<none>"),
        ("as", "<self>" if other is None else other.username),
        ("asgroups", "<lookup>" if other is None else _listed(other.groups)),
        ("user-agent", event.user_agent),
        ("namespace", (event.object_ref and event.object_ref.namespace) or "<none>"),
        ("uri", event.request_uri),
    ]
    told = " ".join(f"{name}={_quoted(value)}" for name, value in shown)
    code = "<deferred>" if event.response_status is None else event.response_status.code
    return f'{event.request_received_timestamp} AUDIT: {told} response="{code}"'.encode()


def _listed(texts: list[str]) -> str:
    return ",".join(map(_quoted, texts))


def _quoted(text: str) -> str:
    """As Go's %q."""
    return msgspec.json.encode(text).decode()


def moment(seconds: float) -> str:
    """A time as events show it."""
    return rfc3339_micro(seconds)


def without_managed_fields(value: bytes) -> bytes:
    """An object, a list or a Table, without the owners of its fields."""
    tree = msgspec.json.decode(value)
    if isinstance(tree, dict):
        _strip(tree)
        for item in tree.get("items") or []:
            _strip(item)
        for row in tree.get("rows") or []:
            _strip(row.get("object"))
    return msgspec.json.encode(tree)


def _strip(obj: Any) -> None:
    if isinstance(obj, dict) and isinstance(obj.get("metadata"), dict):
        obj["metadata"].pop("managedFields", None)
