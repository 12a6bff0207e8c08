from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from orlop.api import scheme
from orlop.api.kind import Kind
from orlop.apiserver import table

NOW = 1_767_225_600.0
"""2026-01-01T00:00:00Z"""

Show = Callable[..., list[Any]]


@pytest.fixture
def show() -> Show:
    """The cells of one object, given as a document, an hour after it was created."""

    def cells(document: dict[str, Any]) -> list[Any]:
        kind = scheme.by_kind(document["apiVersion"], document["kind"]) or _optional(document)
        metadata = {"name": "x", "creationTimestamp": "2025-12-31T23:00:00Z", **document.get("metadata", {})}
        shown = msgspec.json.decode(table.rows(kind, [msgspec.json.encode({**document, "metadata": metadata})], NOW))
        row: list[Any] = shown["rows"][0]["cells"]
        assert len(row) == len(shown["columnDefinitions"])
        return row

    return cells


def _optional(document: dict[str, Any]) -> Kind:
    """A kind that is served on demand."""
    named = document["apiVersion"], document["kind"]
    return next(kind for kind in scheme.OPTIONAL if (kind.api_version, kind.kind) == named)
