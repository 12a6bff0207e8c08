"""authorization.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class FieldSelectorAttributes(ApiStruct):
    raw_selector: str = ""
    requirements: list[meta_v1.FieldSelectorRequirement] = _f(default_factory=list)


class LabelSelectorAttributes(ApiStruct):
    raw_selector: str = ""
    requirements: list[meta_v1.LabelSelectorRequirement] = _f(default_factory=list)


class NonResourceAttributes(ApiStruct):
    path: str = ""
    verb: str = ""


class ResourceAttributes(ApiStruct):
    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    field_selector: FieldSelectorAttributes | None = None
    label_selector: LabelSelectorAttributes | None = None


class SubjectAccessReviewSpec(ApiStruct):
    resource_attributes: ResourceAttributes | None = None
    non_resource_attributes: NonResourceAttributes | None = None
    user: str = ""
    groups: list[str] = _f(default_factory=list)
    extra: dict[str, list[str]] = _f(default_factory=dict)
    uid: str = ""


class SubjectAccessReviewStatus(ApiStruct):
    allowed: bool = _f(default_factory=bool)
    denied: bool = False
    reason: str = ""
    evaluation_error: str = ""


class LocalSubjectAccessReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "LocalSubjectAccessReview")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: SubjectAccessReviewSpec = _f(default_factory=lambda: SubjectAccessReviewSpec())
    status: SubjectAccessReviewStatus = _f(default_factory=lambda: SubjectAccessReviewStatus())


class NonResourceRule(ApiStruct):
    verbs: list[str] = _f(default_factory=lambda: list())
    non_resource_urls: list[str] = _f(default_factory=list, name="nonResourceURLs")


class ResourceRule(ApiStruct):
    verbs: list[str] = _f(default_factory=lambda: list())
    api_groups: list[str] = _f(default_factory=list)
    resources: list[str] = _f(default_factory=list)
    resource_names: list[str] = _f(default_factory=list)


class SelfSubjectAccessReviewSpec(ApiStruct):
    resource_attributes: ResourceAttributes | None = None
    non_resource_attributes: NonResourceAttributes | None = None


class SelfSubjectAccessReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "SelfSubjectAccessReview")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: SelfSubjectAccessReviewSpec = _f(default_factory=lambda: SelfSubjectAccessReviewSpec())
    status: SubjectAccessReviewStatus = _f(default_factory=lambda: SubjectAccessReviewStatus())


class SelfSubjectRulesReviewSpec(ApiStruct):
    namespace: str = ""


class SubjectRulesReviewStatus(ApiStruct):
    resource_rules: list[ResourceRule] = _f(default_factory=lambda: list())
    non_resource_rules: list[NonResourceRule] = _f(default_factory=lambda: list())
    incomplete: bool = _f(default_factory=bool)
    evaluation_error: str = ""


class SelfSubjectRulesReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "SelfSubjectRulesReview")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: SelfSubjectRulesReviewSpec = _f(default_factory=lambda: SelfSubjectRulesReviewSpec())
    status: SubjectRulesReviewStatus = _f(default_factory=lambda: SubjectRulesReviewStatus())


class SubjectAccessReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "SubjectAccessReview")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: SubjectAccessReviewSpec = _f(default_factory=lambda: SubjectAccessReviewSpec())
    status: SubjectAccessReviewStatus = _f(default_factory=lambda: SubjectAccessReviewStatus())
