"""AdmissionReview: what a webhook is asked, and what its answer must be.

As k8s.io/apiserver's pkg/admission/plugin/webhook/{request,errors}.
"""

from typing import Any

import msgspec
import yaml

from orlop.api import errors
from orlop.api.types import admission_v1, meta_v1
from orlop.apiserver import gojson
from orlop.apiserver.admission.shown import Shown, Version
from orlop.apiserver.registry.objects import encode

VERSIONS = ("v1", "v1beta1")
"""Of AdmissionReview: what this server speaks."""
GROUP = "admission.k8s.io"
JSON_PATCH = "JSONPatch"


NO_ANSWER = 503
"""The status that counts where a webhook gave none, or no answer to the question."""


LEAST_REFUSAL = 400
"""The status of a refusal that names none, or one that is none."""


class Denied(errors.ApiError):
    """The webhook refuses the write."""


class CallFailed(Exception):
    """The webhook could not be asked, or what it said is no answer: its failurePolicy says what follows."""

    def __init__(self, hook: str, reason: str, code: int = NO_ANSWER) -> None:
        super().__init__(f'failed calling webhook "{hook}": {reason}')
        self.code = code
        """The HTTP status of its answer, as metrics tell it."""

    def error(self) -> errors.ApiError:
        """As the client is told of it."""
        why = str(self)
        details = meta_v1.StatusDetails(causes=[meta_v1.StatusCause(message=why)])
        return errors.InternalError(f"Internal error occurred: {why}", details=details)


def _kind(gvk: tuple[str, str, str]) -> meta_v1.GroupVersionKind:
    return meta_v1.GroupVersionKind(group=gvk[0], version=gvk[1], kind=gvk[2])


def _resource(gvr: tuple[str, str, str]) -> meta_v1.GroupVersionResource:
    return meta_v1.GroupVersionResource(group=gvr[0], version=gvr[1], resource=gvr[2])


def _raw(value: bytes | None) -> msgspec.Raw:
    return msgspec.Raw(b"null" if value is None else value)


def request(shown: Shown, version: Version, uid: str) -> admission_v1.AdmissionRequest:
    """The question; `version` is the one that the webhook matches."""
    a = shown.a
    return admission_v1.AdmissionRequest(
        uid=uid,
        kind=_kind(shown.kind(version)),
        resource=_resource(version.resource),
        sub_resource=a.subresource,
        request_kind=_kind(shown.kind(shown.version)),
        request_resource=_resource(shown.version.resource),
        request_sub_resource=a.subresource,
        name=a.given,
        namespace=shown.namespace,
        operation=a.operation,
        user_info=a.user.info(),
        object=_raw(shown.object(version)),
        old_object=_raw(shown.old(version)),
        dry_run=a.dry_run,
        options=shown.options(),
    )


def question(shown: Shown, version: Version, uid: str, review_version: str) -> bytes:
    """The body that the webhook is sent."""
    asked = request(shown, version, uid)
    return encode(admission_v1.AdmissionReview(api_version=f"{GROUP}/{review_version}", request=asked))


class _Review(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    response: admission_v1.AdmissionResponse | None = None


class Unreadable(Exception):
    """What came back is no AdmissionReview."""


_decoder = msgspec.json.Decoder(_Review)
_NO_KIND = "couldn't get version/kind; json parse error: "
_TYPED = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def _read(data: bytes, review_version: str) -> _Review:
    """Raises Unreadable."""
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        tree = _yaml(data)
        if not isinstance(tree, dict):
            why = "unexpected end of JSON input" if data.lstrip()[:1] in (b"{", b"[") else _no_struct("string")
            raise Unreadable(_NO_KIND + why) from None
        data = msgspec.json.encode(tree)
    if not isinstance(tree, dict):
        raise Unreadable(_NO_KIND + _no_struct(gojson.type_of(tree)))
    try:
        review = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise Unreadable(f"couldn't read the answer as an AdmissionReview: {error}") from None
    version, kind = review.api_version, review.kind
    if not version and not kind:
        return review
    group, _, named = version.rpartition("/")
    if group != GROUP or named not in VERSIONS or kind != "AdmissionReview":
        raise Unreadable(
            f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:111"'
        )
    if named != review_version:
        raise Unreadable(
            f"converting ({named}.AdmissionReview) to ({review_version}.AdmissionReview): unknown conversion"
        )
    return review


def _yaml(data: bytes) -> Any:
    """What does not look like JSON is read as YAML; None for what is neither."""
    if data.lstrip()[:1] in (b"{", b"["):
        return None
    try:
        return yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError):
        return None


def _no_struct(what: str) -> str:
    return f"json: cannot unmarshal {what} into Go value of type {_TYPED}"


def answer(data: bytes, uid: str, review_version: str, mutating: bool) -> admission_v1.AdmissionResponse:
    """The webhook's answer, checked. Raises Unreadable, ValueError in upstream's words."""
    review = _read(data, review_version)
    response = review.response
    if response is None:
        raise ValueError("webhook response was absent")
    if review_version == "v1beta1":
        response.patch_type = JSON_PATCH if response.patch else None
        return response
    if response.uid != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.uid}"')
    if (review.api_version, review.kind) != (f"{GROUP}/v1", "AdmissionReview"):
        got = _gvk(review.api_version, review.kind)
        raise ValueError(f"expected webhook response of {_gvk(f'{GROUP}/v1', 'AdmissionReview')}, got {got}")
    if not mutating:
        if response.patch:
            raise ValueError("validating webhook may not return response.patch")
        if response.patch_type is not None:
            raise ValueError("validating webhook may not return response.patchType")
    elif response.patch and response.patch_type is None:
        raise ValueError("webhook returned response.patch but not response.patchType")
    elif not response.patch and response.patch_type is not None:
        raise ValueError("webhook returned response.patchType but not response.patch")
    elif response.patch_type == "":
        raise ValueError('webhook returned invalid response.patchType of ""')
    return response


def _gvk(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"


def denied(hook: str, given: meta_v1.Status | None) -> errors.ApiError:
    """The refusal as the client is told of it."""
    said = meta_v1.Status() if given is None else given
    by = f'admission webhook "{hook}" denied the request'
    if said.message:
        message = f"{by}: {said.message}"
    elif said.reason:
        message = f"{by}: {said.reason}"
    else:
        message = f"{by} without explanation"
    more: dict[str, Any] = {"code": max(said.code, LEAST_REFUSAL), "reason": said.reason, "details": said.details}
    error = Denied(message, **more)
    error.status.metadata = said.metadata
    error.status.status = "Failure" if said.status in ("", "Success") else said.status
    return error


def without_dry_run(hook: str) -> errors.BadRequest:
    """A webhook with side effects is not asked about a dry run."""
    return errors.BadRequest(f'admission webhook "{hook}" does not support dry run')
