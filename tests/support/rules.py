"""Fixtures of each kind's rules, `tests/apiserver/rules/*.yaml`: `tests/apiserver/test_rules.py` tells their form."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from orlop.api import scheme
from orlop.api.scheme import Kind

RULES = Path(__file__).parent.parent / "apiserver" / "rules"


def told() -> list[tuple[str, dict[str, Any]]]:
    """Every case with what it is called."""
    files = sorted(RULES.glob("*.yaml"))
    return [(f"{path.stem}: {case['about']}", case) for path in files for case in yaml.safe_load(path.read_text())]


def cases() -> list[Any]:
    """The cases as parameters of a test."""
    return [pytest.param(case, id=about) for about, case in told()]


def kind_of(tree: dict[str, Any]) -> Kind:
    """The kind of an object, served or not."""
    named = (tree["apiVersion"], tree["kind"])
    return next(k for k in (*scheme.KINDS, *scheme.OPTIONAL) if (k.api_version, k.kind) == named)


def tree(case: dict[str, Any], whole: str, spec: str) -> dict[str, Any] | None:
    """A case's new or old object as written out."""
    if spec in case:
        said = {"containers": [{"name": "c", "image": "i"}], **case[spec]}
        return {"apiVersion": "v1", "kind": "Pod", "spec": said}
    found: dict[str, Any] | None = case.get(whole)
    return found
