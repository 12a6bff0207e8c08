"""ConfigMaps, Secrets and ServiceAccounts: what they hold is counted, never shown."""

from typing import Any

import msgspec

from orlop.apiserver.table.printer import AGE, NAME, Column, Metadata, Object, Printer, age

_Data = dict[str, msgspec.Raw]


class _ConfigMap(Object):
    data: _Data = msgspec.field(default_factory=dict)
    binary_data: _Data = msgspec.field(default_factory=dict)


def _config_map(obj: _ConfigMap, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, len(obj.data) + len(obj.binary_data), age(metadata, now)]


CONFIG_MAP = Printer(_ConfigMap, _config_map, NAME, Column("Data", description="How many values it holds."), AGE)


class _Secret(Object):
    type: str = ""
    data: _Data = msgspec.field(default_factory=dict)


def _secret(obj: _Secret, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.type, len(obj.data), age(metadata, now)]


SECRET = Printer(
    _Secret,
    _secret,
    NAME,
    Column("Type", description="What the secret is for."),
    Column("Data", description="How many values it holds."),
    AGE,
)


def _service_account(obj: Object, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, age(metadata, now)]


SERVICE_ACCOUNT = Printer(Object, _service_account, NAME, AGE)
