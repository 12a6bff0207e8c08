"""Random schemas, objects and edits, on Kubernetes' own kube-apiserver and on orlop's: each must be answered alike.

A definition takes anything at first. When some objects are stored, it is given its schema, and they are changed: which
is where what did not change may stay wrong.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.support import go
from tests.support.bothservers import NAMESPACE, Answer, Both, differences
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
PATCHED = re.compile(
    r'("message": "(?:[^"]*patch: )?Invalid value: )(?:[^"\\]|\\.)*(strict decoding|json: cannot|must be a string)'
)
EMBEDDED = "x-kubernetes-embedded-resource"
"""What is in such upstream compares before it is read and after, and counts as changed what is not."""
STRAY = 100
"""One answer in so many may differ: where data that had been there before is of no type that its schema knows, each
server has its own way of not comparing it."""
STRANGE = re.compile("invalid data, expected|no such overload|unhashable|spec in body must be of type object")
"""Rules that see values of other types than they were made for, which had been there before: each server words its own
trouble with them."""
RATCHETED = re.compile(r"spec[.\[][^ ]*: [A-Z]")
FREE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def shown(answer: Answer) -> Answer:
    """Without the object that a patch made, whose fields stand in another order, and without the rules that upstream
    warns of because they fail as they did before."""
    warnings = [warning for warning in answer.warnings if not RATCHETED.match(warning)]
    message = str(answer.body.get("message", ""))
    if "errors:\n" in message or "field not declared" in message:
        # The first undeclared field ends the look at a map, whose order is Go's.
        answer.body["message"] = message.partition("): ")[0]
    body = json.loads(PATCHED.sub(r"\1patched\2", json.dumps(answer.body)))
    return answer._replace(body=body, warnings=warnings)


def definition(plural: str, schema: Schema) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "kind": plural.title()}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
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
        if any(STRANGE.search(json.dumps(answer.body)) for answer in answers):
            return False
        if EMBEDDED in about:
            for answer in answers:
                answer.body.get("metadata", {}).pop("generation", None)
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
        objects = []
        for draw, plural, schema in made:
            await self._until(plural, lambda answer: answer.status == 201)
            for j in range(OBJECTS):
                objects.append(await self._stored(draw, plural, schema, f"o{j}"))
        for _, plural, schema in made:
            change = {"spec": definition(plural, schema)["spec"]}
            path = f"{DEFINITIONS}/{plural}.{GROUP}"
            answers = await self.servers.ask("PATCH", path, change, media="application/merge-patch+json")
            self.compare("the schema comes", answers, schema)
        for _, plural, _ in made:
            await self._until(plural, lambda answer: "probe" not in answer.body.get("spec", {}))
        for one in objects:
            await self._changed(*one)
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
        loose = {"type": "object", "properties": {"spec": FREE}}
        answers = await self.servers.ask("POST", DEFINITIONS, definition(plural, loose))
        return schema if all(answer.status == 201 for answer in answers) else None

    async def _until(self, plural: str, met: Callable[[Answer], bool]) -> None:
        """Returns when both servers answer so to an object with an unknown field."""
        body = whole(plural, "probe", {"probe": 1})
        async with asyncio.timeout(SERVED_SECONDS):
            while not all(map(met, await self.servers.ask("POST", path_of(plural), body, dry=True))):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def _stored(self, draw: Draw, plural: str, schema: Schema, name: str) -> tuple[Any, ...]:
        """Half of the objects are there before their schema is."""
        spec = schema["properties"]["spec"]
        part = draw.lot.choice(sorted(spec["properties"]))
        of = {"type": "object", "properties": {part: spec["properties"][part]}}
        loose = draw.often(0.5)
        value = _map(draw.value(of, right=0.75 if loose else 0.95))
        if loose:
            answers = await self.servers.ask("POST", path_of(plural), whole(plural, name, value))
            self.compare("create without a schema", answers, value)
        return draw, plural, of, part, name, value, loose

    async def _changed(
        self, draw: Draw, plural: str, of: Schema, part: str, name: str, value: Any, loose: bool
    ) -> None:
        about = f"seed {self.seed} {plural} {json.dumps(of['properties'][part])[:1500]}\n  "
        path = f"{path_of(plural)}/{name}"
        validation = draw.lot.choice(["", "?fieldValidation=Strict", "?fieldValidation=Ignore"])
        if not loose:
            sent = whole(plural, name, value)
            answers = await self.servers.ask("POST", path_of(plural) + validation, sent)
            if not self.compare(f"{about}create{validation}", answers, sent):
                return
        for _ in range(3):
            value = _map(draw.edit(of, value))
            sent = whole(plural, name, value)
            how = draw.lot.choice(["put", "put", "merge", "apply"])
            was = await self.servers.ask("GET", path, None)
            match how:
                case "put":
                    revisions = [{"name": name, "resourceVersion": a.body["metadata"]["resourceVersion"]} for a in was]
                    bodies = [{**sent, "metadata": metadata} for metadata in revisions]
                    answers = await self.servers.ask("PUT", f"{path}{validation}", *bodies)
                case "merge":
                    media = "application/merge-patch+json"
                    answers = await self.servers.ask("PATCH", f"{path}{validation}", {"spec": value}, media=media)
                case _:
                    media, query = "application/apply-patch+yaml", "?fieldManager=me&force=true"
                    sent = _without_nulls(sent)
                    answers = await self.servers.ask("PATCH", f"{path}{query}", sent, media=media)
            self.compare(f"{about}{how}{validation}, was {was[0].body.get('spec')}", answers, sent)
        await self.servers.ask("DELETE", path, {})


def path_of(plural: str) -> str:
    return f"/apis/{GROUP}/v1/namespaces/{NAMESPACE}/{plural}"


def whole(plural: str, name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": plural.title(), "metadata": {"name": name}, "spec": spec}


def _without_nulls(value: Any) -> Any:
    """Upstream keeps the nulls of what is applied, which its other ways to write do not, nor orlop."""
    if isinstance(value, dict):
        return {name: _without_nulls(below) for name, below in value.items() if below is not None}
    return [_without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


async def test_random_schemas_are_held_alike(servers: Both) -> None:
    wrong, compared, taken = [], 0, 0
    for number in range(ROUNDS):
        one = Round(servers, SEED + number)
        await one.run()
        wrong += one.wrong
        compared += one.compared
        taken += one.taken
        print(f"seed {one.seed}: {one.compared} compared, {one.taken} taken, {len(one.wrong)} differ")
    assert len(wrong) <= compared // STRAY, "\n".join([f"{len(wrong)} of {compared} differ", *wrong])
    assert taken > compared / 5, f"{taken} of {compared} were taken: too few to tell"
