"""admission.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import field as _f

from orlop.api.types import authentication_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class AdmissionRequest(ApiStruct):
    uid: str = _f(default_factory=str)
    kind: meta_v1.GroupVersionKind = _f(default_factory=lambda: meta_v1.GroupVersionKind())
    resource: meta_v1.GroupVersionResource = _f(default_factory=lambda: meta_v1.GroupVersionResource())
    sub_resource: str = ""
    request_kind: meta_v1.GroupVersionKind | None = None
    request_resource: meta_v1.GroupVersionResource | None = None
    request_sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    operation: str = _f(default_factory=str)
    user_info: authentication_v1.UserInfo = _f(default_factory=lambda: authentication_v1.UserInfo())
    object: Any = None
    old_object: Any = None
    dry_run: bool | None = None
    options: Any = None


class AdmissionResponse(ApiStruct):
    uid: str = _f(default_factory=str)
    allowed: bool = _f(default_factory=bool)
    status: meta_v1.Status | None = None
    patch: bytes = b""
    patch_type: str | None = None
    audit_annotations: dict[str, str] = _f(default_factory=dict)
    warnings: list[str] = _f(default_factory=list)


class AdmissionReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admission.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "AdmissionReview")
    request: AdmissionRequest | None = None
    response: AdmissionResponse | None = None
