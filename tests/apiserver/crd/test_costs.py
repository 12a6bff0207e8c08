"""What rules are estimated at is what kube-apiserver says: a definition that is taken there is taken here."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orlop import native

CASES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("costs.yaml").read_text())
FACTOR = re.compile(r"estimated rule cost exceeds budget by factor of ((?:more than )?[\d.]+)x")


@pytest.mark.parametrize(("rule", "times", "told"), CASES["rules"], ids=lambda value: str(value)[:60])
def test_estimate(rule: str, times: int, told: str) -> None:
    item = {**CASES["schema"], "x-kubernetes-validations": [{"rule": rule}]}
    if "oldSelf" in rule:
        part = {"type": "object", "maxProperties": times, "additionalProperties": item}
    else:
        part = {"type": "array", "maxItems": times, "items": item}
    schema = {"type": "object", "properties": {"spec": part}}
    problems, _ = native.schema_check(json.dumps(schema).encode(), "schema")
    found = [match.group(1) for problem in problems if (match := FACTOR.search(problem[3]))]
    if told == "taken":
        assert problems == []
    else:
        assert found[:1] == [told], problems
