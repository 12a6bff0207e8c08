"""Bytes to structs and back. Decoders are made at a type's first use and kept."""

from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct
from orlop.client.transport import Response

T = TypeVar("T")

encode = msgspec.json.Encoder().encode
"""The JSON of a struct, written as Go would."""


class Meta(ApiStruct):
    """The metadata that a cache cannot do without. Projections start here."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class Head(ApiStruct):
    """What identifies an object and its state: the smallest projection."""

    metadata: Meta = msgspec.field(default_factory=Meta)


class RawList(ApiStruct):
    """A list whose items are left as bytes."""

    metadata: meta_v1.ListMeta = msgspec.field(default_factory=meta_v1.ListMeta)
    items: list[msgspec.Raw] | None = None


class Frame(msgspec.Struct, gc=False):
    """One watch event; the object is left as bytes."""

    type: str
    object: msgspec.Raw


class Listed(msgspec.Struct, Generic[T]):
    """A page of a list (the whole list when `continue_` is empty)."""

    items: list[T]
    resource_version: str
    continue_: str = ""
    remaining: int | None = None


@cache
def decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """The decoder of a type."""
    return msgspec.json.Decoder(kind)


_NO_OWNERS = meta_v1.ObjectMeta().managed_fields


def decode(kind: type[T], body: bytes | msgspec.Raw) -> T:
    """The struct in `body`, without managedFields: they are bytes that would keep the whole answer in memory, and a
    server takes an update without them as one that leaves them alone.

    Servers other than ours may write null where a plain field is empty (`creationTimestamp: null`); Go takes that for
    the zero value, so such bodies are cleaned and read again. Raises InternalError if that does not help.
    """
    try:
        obj: T = decoder(kind).decode(body)  # type: ignore[arg-type]
        metadata = getattr(obj, "metadata", None)
        if isinstance(metadata, meta_v1.ObjectMeta):
            metadata.managed_fields = _NO_OWNERS
        return obj
    except msgspec.ValidationError:
        try:
            return msgspec.convert(_without_nulls(msgspec.json.decode(body)), kind, str_keys=True)
        except msgspec.MsgspecError as error:
            raise errors.InternalError(f"cannot read {kind.__name__} from the server's answer: {error}") from error
    except msgspec.DecodeError as error:
        raise errors.InternalError(f"cannot read {kind.__name__} from the server's answer: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None and k != "managedFields"}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value


def copy(obj: T) -> T:
    """A deep copy: objects from caches are shared and must not be changed."""
    return decode(type(obj), encode(obj))


def error_of(response: Response) -> errors.ApiError:
    """The error that an unsuccessful answer stands for; a body that is no Status becomes one, as in client-go."""
    try:
        status = decoder(meta_v1.Status).decode(response.body)
        if status.kind == "Status" and status.code:
            return errors.from_status(status)
    except msgspec.MsgspecError:
        pass
    text = response.body[:2048].decode("utf-8", "replace").strip()
    message = f"the server responded with the status code {response.status}"
    status = meta_v1.Status(status="Failure", code=response.status, message=f"{message}: {text}" if text else message)
    error = errors.from_status(status)
    error.status.reason = error.reason if type(error) is not errors.ApiError else "Unknown"
    return error
