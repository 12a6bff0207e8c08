"""A stored CustomResourceDefinition, read for serving: schemas stay the JSON that they are."""

from typing import Any

import msgspec

from orlop.api.types import apiextensions_v1, meta_v1
from orlop.api.types.base import ApiStruct
from orlop.api.versions import age


class Validation(ApiStruct):
    open_apiv3_schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="openAPIV3Schema")


class Version(ApiStruct):
    """One of spec.versions."""

    name: str
    served: bool
    storage: bool
    deprecated: bool = False
    deprecation_warning: str | None = None
    schema: Validation | None = None
    subresources: apiextensions_v1.CustomResourceSubresources | None = None
    additional_printer_columns: list[apiextensions_v1.CustomResourceColumnDefinition] = msgspec.field(
        default_factory=list
    )
    selectable_fields: list[apiextensions_v1.SelectableField] = msgspec.field(default_factory=list)

    @property
    def has_status(self) -> bool:
        return self.subresources is not None and self.subresources.status is not None

    @property
    def scale(self) -> apiextensions_v1.CustomResourceSubresourceScale | None:
        return None if self.subresources is None else self.subresources.scale

    def schema_json(self) -> msgspec.Raw | None:
        """The schema; None where there is none."""
        if self.schema is None or not bytes(self.schema.open_apiv3_schema):
            return None
        return self.schema.open_apiv3_schema


class Spec(ApiStruct):
    group: str
    names: apiextensions_v1.CustomResourceDefinitionNames
    scope: str
    versions: list[Version]
    conversion: apiextensions_v1.CustomResourceConversion | None = None
    preserve_unknown_fields: bool = False


class Definition(ApiStruct):
    """What of a definition serving depends on."""

    metadata: meta_v1.ObjectMeta
    spec: Spec
    status: apiextensions_v1.CustomResourceDefinitionStatus = msgspec.field(
        default_factory=apiextensions_v1.CustomResourceDefinitionStatus
    )

    @property
    def established(self) -> bool:
        return condition(self.status, "Established") == "True"

    @property
    def terminating(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def resource(self) -> str:
        """The name in the store and the hub."""
        return f"{self.spec.group}/{self.spec.names.plural}"

    def storage_version(self) -> Version:
        """The one in which objects are stored."""
        return next((v for v in self.spec.versions if v.storage), self.spec.versions[0])


def deprecation(spec: Spec, version: Version) -> str:
    """The warning to users of a version: its author's, or one that names the newest version to go to."""
    if not version.deprecated:
        return ""
    if version.deprecation_warning:
        return version.deprecation_warning
    words = f"{spec.group}/{version.name} {spec.names.kind} is deprecated"
    own = age(version.name)
    newer = [v.name for v in spec.versions if v.served and not v.deprecated and age(v.name) > own]
    return f"{words}; use {spec.group}/{max(newer, key=age)} {spec.names.kind}" if newer else words


def condition(status: Any, type_: str) -> str:
    """A condition's status; "" where it is not there."""
    return next((c.status for c in status.conditions if c.type == type_), "")


decode = msgspec.json.Decoder(Definition).decode
