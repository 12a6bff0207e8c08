"""What upstream answers, word for word: tests/fixtures/answers has the requests and the answers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.apiserver.conftest import Api
from tests.support.answers import dug, evened, filled

FIXTURES = Path(__file__).parent.parent / "fixtures" / "answers"
CASES = [
    pytest.param(case["steps"], case.get("owners", False), id=f"{path.stem}-{name}")
    for path in sorted(FIXTURES.glob("*.yaml"))
    for name, case in yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)).items()
]
NAMESPACE = "place"


async def made(api: Api, step: dict[str, Any], kept: dict[str, str]) -> Any:
    """Sends a step's request; keeps what later steps need."""
    method, _, path = filled(step["request"], kept).partition(" ")
    headers = {k.replace("-", "_"): v for k, v in step.get("headers", {}).items()}
    media = headers.pop("content_type", "application/json")
    body = filled(step["body"], kept) if "body" in step else bytes.fromhex(step["hex"]) if "hex" in step else None
    body = body.encode() if isinstance(body, str) else body
    answer = await api(method, path.replace(" ", "%20"), body, media, **headers)
    for name, where in step.get("keep", {}).items():
        kept[name] = dug(answer.body, where)
    return answer


@pytest.mark.parametrize(("steps", "owners"), CASES)
async def test_answers_are_upstreams(api: Api, steps: list[dict[str, Any]], owners: bool) -> None:
    await api.made("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    await api.made(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    kept = {"ns": NAMESPACE}
    wrong: list[str] = []

    async def check(step: dict[str, Any]) -> None:
        answer = await made(api, step, kept)
        shown = evened(answer.status, [*answer.headers.items()], answer.raw, kept, owners)
        if "answer" in step and shown != step["answer"]:
            expected = json.dumps(step["answer"], sort_keys=True)
            wrong.append(f"{step['request']}\n  expected {expected}\n  answered {json.dumps(shown, sort_keys=True)}")

    reads: list[dict[str, Any]] = []
    for step in [*steps, None]:
        # What only reads goes out together: a watch takes its second, and there are many.
        if step is not None and step["request"].startswith("GET") and "keep" not in step:
            reads.append(step)
            continue
        await asyncio.gather(*map(check, reads))
        reads.clear()
        if step is not None:
            await check(step)
    assert not wrong, "\n".join(wrong)
