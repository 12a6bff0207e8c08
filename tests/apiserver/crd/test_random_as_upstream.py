"""Random schemas, objects and edits, on Kubernetes' own kube-apiserver and on orlop's: each must be answered alike.

A definition has its schema in two versions of one storage: `v1` takes anything, `v2` has the schema. What was stored by
`v1` is changed by `v2`, which is where what did not change may stay wrong.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import go
from tests.support.bothservers import NAMESPACE, Answer, Both, both, differences
from tests.support.campaign import CAMPAIGN
from tests.support.schemas import Draw, Schema

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(go.COMMAND_SECONDS * max(2, CAMPAIGN))]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "random.example.com"
PARTS = 6
"""Schemas in each definition: a definition takes longer to be served than an object to be judged."""
AT_ONCE = 8
"""Definitions made together."""
OBJECTS = 60
"""Objects for each of them."""
ROUNDS = int(os.environ.get("ORLOP_ROUNDS", "0")) or max(1, CAMPAIGN // 2)
SEED = int(os.environ.get("ORLOP_SEED", "1"))
SERVED_SECONDS = 60
FILLED = re.compile(r'"default"')
PATCHED = re.compile(
    r'("message": "(?:[^"]*patch: )?Invalid value: )(?:[^"\\]|\\.)*(strict decoding|json: cannot|must be a string)'
)
RATCHETED = re.compile(r"spec[.\[][^ ]*: [A-Z]")
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Both]:
    try:
        async with both(tmp_path) as servers:
            yield servers
    except go.NoGo as error:
        pytest.skip(str(error))


def shown(answer: Answer) -> Answer:
    """Without the object that a patch made, whose fields stand in another order, and without the rules that upstream
    warns of because they fail as they did before."""
    warnings = [warning for warning in answer.warnings if not RATCHETED.match(warning)]
    body = json.loads(PATCHED.sub(r"\1patched\2", json.dumps(answer.body)))
    return answer._replace(body=body, warnings=warnings)


def definition(plural: str, schema: Schema) -> dict[str, Any]:
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": of}}
        for name, of in (("v1", {"type": "object", "properties": {"spec": FREE}}), ("v2", schema))
    ]
    names = {"plural": plural, "kind": plural.title()}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": spec,
    }


class Round:
    """Definitions made together, and what is done with their objects."""

    def __init__(self, servers: Both, seed: int) -> None:
        self.servers = servers
        self.seed = seed
        self.wrong: list[str] = []
        self.compared = 0
        self.taken = 0

    def compare(self, about: str, answers: tuple[Answer, Answer], sent: Any) -> bool:
        """Whether both took it."""
        self.compared += 1
        if found := differences(*map(shown, answers)):
            self.wrong.append("\n  ".join([f"{about}: {json.dumps(sent)[:1500]}", *found]))
        taken = all(answer.status in (200, 201) for answer in answers)
        self.taken += taken
        return taken

    async def run(self) -> None:
        made = []
        for i in range(AT_ONCE):
            draw = Draw(self.seed * 1000 + i)
            if (schema := await self._define(draw, f"r{self.seed}x{i}s")) is not None:
                made.append((draw, f"r{self.seed}x{i}s", schema))
        for draw, plural, schema in made:
            await self._served(plural)
            for j in range(OBJECTS):
                await self._object(draw, plural, schema, f"o{j}")
        for _, plural, _ in made:
            await self.servers.ask("DELETE", f"{DEFINITIONS}/{plural}.{GROUP}", {})

    async def _define(self, draw: Draw, plural: str) -> Schema | None:
        """Makes a definition of parts that both servers take; what one refuses both must, in the same words."""
        parts: dict[str, Schema] = {}
        while len(parts) < PARTS:
            part = draw.schema()
            properties = {**parts, f"p{len(parts)}": part}
            schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}
            body = definition(plural, schema)
            answers = await self.servers.ask("POST", DEFINITIONS, body, dry=True)
            if self.compare("definition", answers, part):
                parts = properties
            elif answers[0].status != answers[1].status:
                return None
        answers = await self.servers.ask("POST", DEFINITIONS, body)
        return schema if all(answer.status == 201 for answer in answers) else None

    async def _served(self, plural: str) -> None:
        path = f"/apis/{GROUP}/v2/namespaces/{NAMESPACE}/{plural}"
        async with asyncio.timeout(SERVED_SECONDS):
            while any(a.status != 200 for a in await self.servers.ask("GET", path, None)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _object(self, draw: Draw, plural: str, schema: Schema, name: str) -> None:
        spec = schema["properties"]["spec"]
        part = draw.lot.choice(sorted(spec["properties"]))
        of = {"type": "object", "properties": {part: spec["properties"][part]}}
        loose = draw.often(0.5)
        value = draw.value(of, right=0.75 if loose else 0.95)
        if not isinstance(value, dict):
            value = {}
        version = "v1" if loose else "v2"
        base = f"/apis/{GROUP}/{{}}/namespaces/{NAMESPACE}/{plural}"
        validation = draw.lot.choice(["", "?fieldValidation=Strict", "?fieldValidation=Ignore"])

        def whole(version: str, spec: Any) -> dict[str, Any]:
            return {
                "apiVersion": f"{GROUP}/{version}",
                "kind": plural.title(),
                "metadata": {"name": name},
                "spec": spec,
            }

        about = f"seed {self.seed} {plural}.{part} {json.dumps(spec['properties'][part])[:1500]}\n  "
        sent = whole(version, value)
        answers = await self.servers.ask("POST", base.format(version) + validation, sent)
        if not self.compare(f"{about}create {version}{validation}", answers, sent):
            return
        for _ in range(3):
            value = draw.edit(of, value)
            if not isinstance(value, dict):
                value = {}
            sent = whole("v2", value)
            # Of what is stored by another version orlop fills in what is missing as it is read, upstream when it is
            # changed by anything but an apply.
            ways = ["put", "put", "merge", *(["apply"] * (not FILLED.search(json.dumps(spec))))]
            match draw.lot.choice(ways):
                case "put":
                    path = f"{base.format('v2')}/{name}{validation}"
                    answers = await self.servers.ask("PUT", path, *(await self._newest(base, name, sent)))
                    how = "update"
                case "merge":
                    answers = await self._patch(base, name, {"spec": value}, "merge-patch+json", validation)
                    how = "merge"
                case _:
                    answers = await self._patch(base, name, sent, "apply-patch+yaml", "?fieldManager=me&force=true")
                    how = "apply"
            was = await self.servers.ask("GET", f"{base.format('v1')}/{name}", None)
            if not self.compare(f"{about}{how}{validation}, is now {was[0].body.get('spec')}", answers, sent):
                break
        await self.servers.ask("DELETE", f"{base.format('v1')}/{name}", {})

    async def _newest(self, base: str, name: str, sent: dict[str, Any]) -> list[dict[str, Any]]:
        found = await self.servers.ask("GET", f"{base.format('v1')}/{name}", None)
        revisions = [answer.body["metadata"]["resourceVersion"] for answer in found]
        return [{**sent, "metadata": {**sent["metadata"], "resourceVersion": revision}} for revision in revisions]

    async def _patch(
        self, base: str, name: str, patch: dict[str, Any], media: str, query: str
    ) -> tuple[Answer, Answer]:
        path = f"{base.format('v2')}/{name}{query}"
        return await self.servers.ask("PATCH", path, patch, media=f"application/{media}")


async def test_random_schemas_are_held_alike(servers: Both) -> None:
    wrong, compared, taken = [], 0, 0
    for number in range(ROUNDS):
        one = Round(servers, SEED + number)
        await one.run()
        wrong += one.wrong
        compared += one.compared
        taken += one.taken
        print(f"seed {one.seed}: {one.compared} compared, {one.taken} taken, {len(one.wrong)} differ")
    assert not wrong, "\n".join([f"{len(wrong)} of {compared} differ", *wrong])
    assert taken > compared / 5, f"{taken} of {compared} were taken: too few to tell"
