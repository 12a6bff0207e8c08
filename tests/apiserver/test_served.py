"""What is served of each kind: short names, categories, subresources, selectable fields and columns (`served.yaml`)."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.apiserver.conftest import Api

from orlop.api import scheme
from orlop.apiserver.registry import strategy_of

SERVED = yaml.safe_load(Path(__file__).with_name("served.yaml").read_text())
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
KINDS = {kind.type_key: kind for kind in scheme.KINDS if kind.stored}


def test_no_kind_is_left_out() -> None:
    assert SERVED.keys() == KINDS.keys()


@pytest.mark.parametrize("key", KINDS)
async def test_served(api: Api, key: str) -> None:
    kind, expected = KINDS[key], SERVED[key]
    group = f"/apis/{kind.api_version}" if kind.group else "/api/v1"
    resources = {r["name"]: r for r in (await api("GET", group)).body["resources"]}
    one = resources[kind.plural]
    shown: dict[str, Any] = {
        "scope": "Namespaced" if one["namespaced"] else "Cluster",
        "short": one.get("shortNames", []),
        "categories": one.get("categories", []),
        "subresources": sorted(n.partition("/")[2] for n in resources if n.startswith(f"{kind.plural}/")),
        "fields": [] if kind.storage else sorted(name for name, _ in strategy_of(kind).fields),
        "columns": [
            _column(c) for c in (await api("GET", kind.path("default"), accept=TABLE)).body["columnDefinitions"]
        ],
    }
    assert {name: value for name, value in shown.items() if value} == expected
    assert one["singularName"] == kind.kind.lower()


def _column(column: dict[str, Any]) -> str:
    """`Name`, `Age`; another type than text and another priority than 0 behind it."""
    words = [column["name"]]
    if column["type"] != "string":
        words.append(f"({column['type']})")
    return " ".join(words + (["wide"] if column["priority"] else []))
