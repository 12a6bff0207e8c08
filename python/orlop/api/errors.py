"""The one tree of API errors: the server renders an error as a `Status`, the client raises it from one.

Words, reasons and codes are those of apimachinery's pkg/api/errors and pkg/util/validation/field.
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from orlop.api.types import meta_v1


class ApiError(Exception):
    """An answer of the API that is not a success. `status` is what travels."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: meta_v1.StatusDetails | None = None,
        code: int | None = None,
        reason: str | None = None,
        continue_: str = "",
    ) -> None:
        super().__init__(message)
        self.status = meta_v1.Status(
            metadata=meta_v1.ListMeta(continue_=continue_),
            status="Failure",
            message=message,
            reason=self.reason if reason is None else reason,
            details=details,
            code=code or self.code,
        )

    @property
    def message(self) -> str:
        return self.status.message


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", **more: Any) -> None:
        super().__init__(message, **more)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotSupported(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(Gone):
    code, reason = 410, "Expired"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


class ServerTimeout(ApiError):
    code, reason = 500, "ServerTimeout"


class InsufficientStorage(ApiError):
    """The store's disk is full: writes are refused, reads go on."""

    code, reason = 507, "InsufficientStorage"


_BY_REASON: dict[str, type[ApiError]] = {
    c.reason: c
    for c in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotSupported,
        NotAcceptable,
        AlreadyExists,
        Conflict,
        Gone,
        Expired,
        RequestEntityTooLarge,
        UnsupportedMediaType,
        Invalid,
        TooManyRequests,
        InternalError,
        ServiceUnavailable,
        Timeout,
        ServerTimeout,
        InsufficientStorage,
    )
}
_BY_CODE = {c.code: c for c in reversed([*_BY_REASON.values()])}


def from_status(status: meta_v1.Status) -> ApiError:
    """The error that a Status of an answer stands for."""
    cls = _BY_REASON.get(status.reason) or _BY_CODE.get(status.code, ApiError)
    error = cls(status.message)
    error.status = status
    return error


def qualified(resource: str, group: str) -> str:
    """`deployments.apps`, `pods`: how messages name a resource."""
    return f"{resource}.{group}" if group else resource


def _details(resource: str, group: str, name: str, **more: Any) -> meta_v1.StatusDetails:
    return meta_v1.StatusDetails(name=name, group=group, kind=resource, **more)


def not_found(resource: str, group: str, name: str) -> NotFound:
    """`pods "x" not found`."""
    return NotFound(f'{qualified(resource, group)} "{name}" not found', details=_details(resource, group, name))


def already_exists(resource: str, group: str, name: str, ends: bool = False) -> AlreadyExists:
    """`pods "x" already exists`, and where it `ends` that it is being deleted."""
    why = "object is being deleted: " if ends else ""
    message = f'{why}{qualified(resource, group)} "{name}" already exists'
    return AlreadyExists(message, details=_details(resource, group, name))


def conflict(resource: str, group: str, name: str, why: str) -> Conflict:
    """`Operation cannot be fulfilled on pods "x": why`."""
    return Conflict(
        f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}',
        details=_details(resource, group, name),
    )


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(resource: str, group: str, name: str, why: str) -> Forbidden:
    """`pods "x" is forbidden: why`."""
    subject = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    return Forbidden(f"{subject} is forbidden: {why}", details=_details(resource, group, name))


def expired(oldest: str = "") -> Expired:
    """410 for a revision that is no longer there."""
    return Expired(oldest or "The resourceVersion for the provided watch is too old.")


OMITTED: Any = object()
"""As a FieldError's value: the value is too big or too secret to show."""


class FieldError(NamedTuple):
    """One thing wrong with one field. `type` is a CauseType: FieldValueInvalid, FieldValueRequired, …"""

    type: str
    field: str
    value: Any
    detail: str

    @property
    def message(self) -> str:
        """The body as upstream words it: `Invalid value: "x": must be …`."""
        if self.type == "FieldValueRequired":
            return f"Required value: {self.detail}" if self.detail else "Required value"
        if self.type == "FieldValueForbidden":
            return f"Forbidden: {self.detail}" if self.detail else "Forbidden"
        if self.type == "InternalError":
            return f"Internal error: {self.detail}"
        if self.type == "FieldValueTooLong":
            return f"Too long: {self.detail}"
        if self.type == "FieldValueTooMany":
            return f"Too many: {self.value}: {self.detail}"
        label = {
            "FieldValueNotFound": "Not found",
            "FieldValueDuplicate": "Duplicate value",
            "FieldValueNotSupported": "Unsupported value",
            "FieldValueTypeInvalid": "Invalid value",
        }.get(self.type, "Invalid value")
        if self.value is OMITTED:
            return f"{label}: {self.detail}"
        shown = _shown(self.value)
        return f"{label}: {shown}: {self.detail}" if self.detail else f"{label}: {shown}"

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return str(value)
    import msgspec

    return msgspec.json.encode(value).decode()


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, None, detail)


def invalid_value(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, value, detail)


def forbidden_field(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, None, detail)


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, value, "")


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    quoted = ", ".join(f'"{s}"' for s in supported)
    return FieldError("FieldValueNotSupported", field, value, f"supported values: {quoted}")


def too_long(field: str, limit: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, None, f"may not be more than {limit} bytes")


def too_many(field: str, count: int, limit: int) -> FieldError:
    return FieldError("FieldValueTooMany", field, count, f"must have at most {limit} item{'s' * (limit != 1)}")


IMMUTABLE = "field is immutable"


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> Invalid:
    """422 with a cause for each field, worded as upstream: one error plain, several in brackets."""
    lines = list(dict.fromkeys(str(e) for e in errors))
    joined = lines[0] if len(lines) == 1 else "[" + ", ".join(lines) + "]"
    causes = [meta_v1.StatusCause(reason=e.type, message=e.message, field=e.field) for e in errors]
    return Invalid(
        f'{qualified(kind, group)} "{name}" is invalid: {joined}',
        details=meta_v1.StatusDetails(name=name, group=group, kind=kind, causes=causes),
    )
