"""flowcontrol.apiserver.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ExemptPriorityLevelConfiguration(ApiStruct):
    nominal_concurrency_shares: int | None = None
    lendable_percent: int | None = None


class FlowDistinguisherMethod(ApiStruct):
    type: str = _f(default_factory=str)


class NonResourcePolicyRule(ApiStruct):
    verbs: list[str] = _f(default_factory=lambda: list())
    non_resource_urls: list[str] = _f(default_factory=lambda: list(), name="nonResourceURLs")


class ResourcePolicyRule(ApiStruct):
    verbs: list[str] = _f(default_factory=lambda: list())
    api_groups: list[str] = _f(default_factory=lambda: list())
    resources: list[str] = _f(default_factory=lambda: list())
    cluster_scope: bool = False
    namespaces: list[str] = _f(default_factory=lambda: list())


class GroupSubject(ApiStruct):
    name: str = _f(default_factory=str)


class ServiceAccountSubject(ApiStruct):
    namespace: str = _f(default_factory=str)
    name: str = _f(default_factory=str)


class UserSubject(ApiStruct):
    name: str = _f(default_factory=str)


class Subject(ApiStruct):
    kind: str = _f(default_factory=str)
    user: UserSubject | None = None
    group: GroupSubject | None = None
    service_account: ServiceAccountSubject | None = None


class PolicyRulesWithSubjects(ApiStruct):
    subjects: list[Subject] = _f(default_factory=lambda: list())
    resource_rules: list[ResourcePolicyRule] = _f(default_factory=list)
    non_resource_rules: list[NonResourcePolicyRule] = _f(default_factory=list)


class PriorityLevelConfigurationReference(ApiStruct):
    name: str = _f(default_factory=str)


class FlowSchemaSpec(ApiStruct):
    priority_level_configuration: PriorityLevelConfigurationReference = _f(
        default_factory=lambda: PriorityLevelConfigurationReference()
    )
    matching_precedence: int = _f(default_factory=int)
    distinguisher_method: FlowDistinguisherMethod | None = None
    rules: list[PolicyRulesWithSubjects] = _f(default_factory=list)


class FlowSchemaCondition(ApiStruct):
    type: str = ""
    status: str = ""
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class FlowSchemaStatus(ApiStruct):
    conditions: list[FlowSchemaCondition] = _f(default_factory=list)


class FlowSchema(ApiStruct):
    api_version: str = _f(default_factory=lambda: "flowcontrol.apiserver.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "FlowSchema")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: FlowSchemaSpec = _f(default_factory=lambda: FlowSchemaSpec())
    status: FlowSchemaStatus = _f(default_factory=lambda: FlowSchemaStatus())


class FlowSchemaList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "flowcontrol.apiserver.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "FlowSchemaList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[FlowSchema] = _f(default_factory=lambda: list())


class QueuingConfiguration(ApiStruct):
    queues: int = _f(default_factory=int)
    hand_size: int = _f(default_factory=int)
    queue_length_limit: int = _f(default_factory=int)


class LimitResponse(ApiStruct):
    type: str = _f(default_factory=str)
    queuing: QueuingConfiguration | None = None


class LimitedPriorityLevelConfiguration(ApiStruct):
    nominal_concurrency_shares: int | None = _f(default_factory=_none)
    limit_response: LimitResponse = _f(default_factory=lambda: LimitResponse())
    lendable_percent: int | None = None
    borrowing_limit_percent: int | None = None


class PriorityLevelConfigurationSpec(ApiStruct):
    type: str = _f(default_factory=str)
    limited: LimitedPriorityLevelConfiguration | None = None
    exempt: ExemptPriorityLevelConfiguration | None = None


class PriorityLevelConfigurationCondition(ApiStruct):
    type: str = ""
    status: str = ""
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class PriorityLevelConfigurationStatus(ApiStruct):
    conditions: list[PriorityLevelConfigurationCondition] = _f(default_factory=list)


class PriorityLevelConfiguration(ApiStruct):
    api_version: str = _f(default_factory=lambda: "flowcontrol.apiserver.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "PriorityLevelConfiguration")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PriorityLevelConfigurationSpec = _f(default_factory=lambda: PriorityLevelConfigurationSpec())
    status: PriorityLevelConfigurationStatus = _f(default_factory=lambda: PriorityLevelConfigurationStatus())


class PriorityLevelConfigurationList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "flowcontrol.apiserver.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "PriorityLevelConfigurationList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PriorityLevelConfiguration] = _f(default_factory=lambda: list())
