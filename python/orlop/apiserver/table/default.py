"""Kinds without columns of their own: name and time of creation, as upstream's default convertor shows them."""

from typing import Any

from orlop.apiserver.table.printer import NAME, Column, Metadata, Object, Printer


def _cells(obj: Object, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, metadata.creation_timestamp]


DEFAULT = Printer(Object, _cells, NAME, Column("Created At", "date", description="Time at which it was created."))
