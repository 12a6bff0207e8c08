"""authentication.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class BoundObjectReference(ApiStruct):
    kind: str = ""
    api_version: str = ""
    name: str = ""
    uid: str = ""


class UserInfo(ApiStruct):
    username: str = ""
    uid: str = ""
    groups: list[str] = _f(default_factory=list)
    extra: dict[str, list[str]] = _f(default_factory=dict)


class SelfSubjectReviewStatus(ApiStruct):
    user_info: UserInfo = _f(default_factory=lambda: UserInfo())


class SelfSubjectReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authentication.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "SelfSubjectReview")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    status: SelfSubjectReviewStatus = _f(default_factory=lambda: SelfSubjectReviewStatus())


class TokenRequestSpec(ApiStruct):
    audiences: list[str] = _f(default_factory=lambda: list())
    expiration_seconds: int | None = _f(default_factory=_none)
    bound_object_ref: BoundObjectReference | None = _f(default_factory=_none)
    attestations: dict[str, list[str]] = _f(default_factory=dict)


class TokenRequestStatus(ApiStruct):
    token: str = _f(default_factory=str)
    expiration_timestamp: str | None = _f(default_factory=_none)


class TokenRequest(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authentication.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "TokenRequest")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: TokenRequestSpec = _f(default_factory=lambda: TokenRequestSpec())
    status: TokenRequestStatus = _f(default_factory=lambda: TokenRequestStatus())


class TokenReviewSpec(ApiStruct):
    token: str = ""
    audiences: list[str] = _f(default_factory=list)


class TokenReviewStatus(ApiStruct):
    authenticated: bool = False
    user: UserInfo = _f(default_factory=lambda: UserInfo())
    audiences: list[str] = _f(default_factory=list)
    error: str = ""


class TokenReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authentication.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "TokenReview")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: TokenReviewSpec = _f(default_factory=lambda: TokenReviewSpec())
    status: TokenReviewStatus = _f(default_factory=lambda: TokenReviewStatus())
