"""Kinds that are none of Kubernetes' own: what a program declares of a custom resource it works with."""

from typing import Any, ClassVar

from msgspec import field

from orlop.api.kind import Kind
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct

Struct = ApiStruct
"""The base of what is within an object: attributes are snake_case, JSON is camelCase, what is empty is left out."""


def kind(api_version: str, kind: str, *, plural: str, namespaced: bool = True) -> Kind:
    """The row of a kind: `kind("example.com/v1", "Site", plural="sites")`, as its CustomResourceDefinition says."""
    group, _, version = api_version.rpartition("/")
    return Kind(group=group, version=version, kind=kind, plural=plural, folder=group, namespaced=namespaced)


class Object(ApiStruct):
    """The base of a custom resource's struct; `__kind__` says what it is. Name only the fields that you read."""

    __kind__: ClassVar[Any]

    api_version: str = ""
    kind: str = ""
    metadata: meta_v1.ObjectMeta = field(default_factory=meta_v1.ObjectMeta)

    def __post_init__(self) -> None:
        self.api_version = self.api_version or self.__kind__.api_version
        self.kind = self.kind or self.__kind__.kind
