"""storagemigration.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class StorageVersionMigrationSpec(ApiStruct):
    resource: meta_v1.GroupResource = _f(default_factory=lambda: meta_v1.GroupResource())


class StorageVersionMigrationStatus(ApiStruct):
    conditions: list[meta_v1.Condition] = _f(default_factory=list)
    resource_version: str = ""


class StorageVersionMigration(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storagemigration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "StorageVersionMigration")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: StorageVersionMigrationSpec = _f(default_factory=lambda: StorageVersionMigrationSpec())
    status: StorageVersionMigrationStatus = _f(default_factory=lambda: StorageVersionMigrationStatus())


class StorageVersionMigrationList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storagemigration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "StorageVersionMigrationList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[StorageVersionMigration] = _f(default_factory=lambda: list())
