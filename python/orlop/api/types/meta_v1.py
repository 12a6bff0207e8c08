"""v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import Raw, field as _f

from orlop.api.types.base import ApiStruct, _none


class GroupVersionForDiscovery(ApiStruct):
    group_version: str = _f(default_factory=str)
    version: str = _f(default_factory=str)


class ServerAddressByClientCIDR(ApiStruct):
    client_cidr: str = _f(default_factory=str, name="clientCIDR")
    server_address: str = _f(default_factory=str)


class APIGroup(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "APIGroup")
    name: str = _f(default_factory=str)
    versions: list[GroupVersionForDiscovery] = _f(default_factory=lambda: list())
    preferred_version: GroupVersionForDiscovery = _f(default_factory=lambda: GroupVersionForDiscovery())
    server_address_by_client_cidrs: list[ServerAddressByClientCIDR] = _f(
        default_factory=list, name="serverAddressByClientCIDRs"
    )


class APIGroupList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "APIGroupList")
    groups: list[APIGroup] = _f(default_factory=lambda: list())


class APIResource(ApiStruct):
    name: str = _f(default_factory=str)
    singular_name: str = _f(default_factory=str)
    namespaced: bool = _f(default_factory=bool)
    group: str = ""
    version: str = ""
    kind: str = _f(default_factory=str)
    verbs: list[str] = _f(default_factory=lambda: list())
    short_names: list[str] = _f(default_factory=list)
    categories: list[str] = _f(default_factory=list)
    storage_version_hash: str = ""


class APIResourceList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "APIResourceList")
    group_version: str = _f(default_factory=str)
    resources: list[APIResource] = _f(default_factory=lambda: list())


class APIVersions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "APIVersions")
    versions: list[str] = _f(default_factory=lambda: list())
    server_address_by_client_cidrs: list[ServerAddressByClientCIDR] = _f(
        default_factory=lambda: list(), name="serverAddressByClientCIDRs"
    )


class ApplyOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ApplyOptions")
    dry_run: list[str] = _f(default_factory=list)
    force: bool = _f(default_factory=bool)
    field_manager: str = _f(default_factory=str)


class Condition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    observed_generation: int = 0
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = _f(default_factory=str)
    message: str = _f(default_factory=str)


class CreateOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "CreateOptions")
    dry_run: list[str] = _f(default_factory=list)
    field_manager: str = ""
    field_validation: str = ""


class Preconditions(ApiStruct):
    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "DeleteOptions")
    grace_period_seconds: int | None = None
    preconditions: Preconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    dry_run: list[str] = _f(default_factory=list)
    ignore_store_read_error_with_cluster_breaking_potential: bool | None = None


class FieldSelectorRequirement(ApiStruct):
    key: str = _f(default_factory=str)
    operator: str = _f(default_factory=str)
    values: list[str] = _f(default_factory=list)


class GetOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "GetOptions")
    resource_version: str = ""


class GroupKind(ApiStruct):
    group: str = _f(default_factory=str)
    kind: str = _f(default_factory=str)


class GroupResource(ApiStruct):
    group: str = _f(default_factory=str)
    resource: str = _f(default_factory=str)


class GroupVersion(ApiStruct):
    group: str = _f(default_factory=str)
    version: str = _f(default_factory=str)


class GroupVersionKind(ApiStruct):
    group: str = _f(default_factory=str)
    version: str = _f(default_factory=str)
    kind: str = _f(default_factory=str)


class GroupVersionResource(ApiStruct):
    group: str = _f(default_factory=str)
    version: str = _f(default_factory=str)
    resource: str = _f(default_factory=str)


class LabelSelectorRequirement(ApiStruct):
    key: str = _f(default_factory=str)
    operator: str = _f(default_factory=str)
    values: list[str] = _f(default_factory=list)


class LabelSelector(ApiStruct):
    match_labels: dict[str, str] = _f(default_factory=dict)
    match_expressions: list[LabelSelectorRequirement] = _f(default_factory=list)


class ShardInfo(ApiStruct):
    selector: str = _f(default_factory=str)


class ListMeta(ApiStruct):
    self_link: str = ""
    resource_version: str = ""
    continue_: str = ""
    remaining_item_count: int | None = None
    shard_info: ShardInfo | None = None


class List(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "List")
    metadata: ListMeta = _f(default_factory=lambda: ListMeta())
    items: list[Any] = _f(default_factory=lambda: list())


class ListOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ListOptions")
    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    allow_watch_bookmarks: bool = False
    resource_version: str = ""
    resource_version_match: str = ""
    timeout_seconds: int | None = None
    limit: int = 0
    continue_: str = ""
    send_initial_events: bool | None = None
    shard_selector: str = ""


class ManagedFieldsEntry(ApiStruct):
    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: str | None = None
    fields_type: str = ""
    fields_v1: Any = None
    subresource: str = ""


class OwnerReference(ApiStruct):
    api_version: str = _f(default_factory=str)
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    uid: str = _f(default_factory=str)
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(ApiStruct):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    self_link: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = _f(default_factory=dict)
    annotations: dict[str, str] = _f(default_factory=dict)
    owner_references: list[OwnerReference] = _f(default_factory=list)
    finalizers: list[str] = _f(default_factory=list)
    managed_fields: Raw = Raw()


class PartialObjectMetadata(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PartialObjectMetadata")
    metadata: ObjectMeta = _f(default_factory=lambda: ObjectMeta())


class PartialObjectMetadataList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PartialObjectMetadataList")
    metadata: ListMeta = _f(default_factory=lambda: ListMeta())
    items: list[PartialObjectMetadata] = _f(default_factory=lambda: list())


class PatchOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PatchOptions")
    dry_run: list[str] = _f(default_factory=list)
    force: bool | None = None
    field_manager: str = ""
    field_validation: str = ""


class RootPaths(ApiStruct):
    paths: list[str] = _f(default_factory=lambda: list())


class StatusCause(ApiStruct):
    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(ApiStruct):
    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: list[StatusCause] = _f(default_factory=list)
    retry_after_seconds: int = 0


class Status(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Status")
    metadata: ListMeta = _f(default_factory=lambda: ListMeta())
    status: str = ""
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None
    code: int = 0


class TableColumnDefinition(ApiStruct):
    name: str = _f(default_factory=str)
    type: str = _f(default_factory=str)
    format: str = _f(default_factory=str)
    description: str = _f(default_factory=str)
    priority: int = _f(default_factory=int)


class TableRowCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    reason: str = ""
    message: str = ""


class TableRow(ApiStruct):
    cells: list[Any] = _f(default_factory=lambda: list())
    conditions: list[TableRowCondition] = _f(default_factory=list)
    object: Any = None


class Table(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Table")
    metadata: ListMeta = _f(default_factory=lambda: ListMeta())
    column_definitions: list[TableColumnDefinition] = _f(default_factory=lambda: list())
    rows: list[TableRow] = _f(default_factory=lambda: list())


class TableOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "TableOptions")
    include_object: str = ""


class Timestamp(ApiStruct):
    seconds: int = _f(default_factory=int)
    nanos: int = _f(default_factory=int)


class TypeMeta(ApiStruct):
    kind: str = ""
    api_version: str = ""


class UpdateOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "UpdateOptions")
    dry_run: list[str] = _f(default_factory=list)
    field_manager: str = ""
    field_validation: str = ""


class WatchEvent(ApiStruct):
    type: str = _f(default_factory=str)
    object: Any = _f(default_factory=_none)
