"""Webhooks that are slow, dead, wrong, recursive or change things in a circle: what comes of each on Kubernetes' own
kube-apiserver and on orlop's.

All are configured at once; each is asked about objects with its label alone.
"""

import asyncio
import base64
import json
import re
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.webhooks.conftest import (
    MUTATING,
    VALIDATING,
    Answer,
    HookServer,
    allow,
    annotate,
    configuration,
    deny,
    patch,
)
from tests.support import go
from tests.support.bothservers import NAMESPACE, Both, differences

from orlop.client.client import Client

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(2 * go.COMMAND_SECONDS)]

MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
IN_FORCE_SECONDS = 30
DEPTH = 30
"""Bytes of a name that one after the other adds to."""
DEAD = "https://127.0.0.1:1/x"
_PORTS = re.compile(r"127\.0\.0\.1:\d+->127\.0\.0\.1:\d+|recursive-\d")


def raw(text: str, status: int = 200, media: str = "application/json") -> Answer:
    async def answer(_: dict[str, Any]) -> Any:
        return web.Response(body=text.encode(), status=status, content_type=media)

    return answer


def patched(text: str, **more: Any) -> Answer:
    return allow(**{"patchType": "JSONPatch", "patch": base64.b64encode(text.encode()).decode(), **more})


async def slow(_: dict[str, Any]) -> Any:
    await asyncio.sleep(5)
    return {"allowed": True}


def review(**response: Any) -> str:
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})


ANSWERS: dict[str, Answer] = {
    "deny": deny(),
    "deny-words": deny(message="no", reason="Invalid", code=422, details={"causes": [{"message": "c", "field": "f"}]}),
    "deny-code": deny(code=409),
    "deny-success": deny(status="Success", code=302, message="m"),
    "warnings": allow(warnings=["one", "", "x" * 300]),
    "no-json": raw("hello"),
    "nothing": raw(""),
    "fault": raw("boom", 500, "text/plain"),
    "missing": raw("404 page not found", 404, "text/plain"),
    "moved": raw("", 302),
    "no-review": raw("{}"),
    "no-response": raw('{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}'),
    "other-uid": raw(review(uid="?", allowed=True)),
    "list": raw("[]"),
    "cut-off": raw('{"apiVersion":"admission.k8s.io/v1"'),
    "other-kind": raw('{"apiVersion":"admission.k8s.io/v1","kind":"X","response":{}}'),
    "yaml": raw("apiVersion: admission.k8s.io/v1\nkind: AdmissionReview", 200, "application/yaml"),
}
"""What validating and mutating webhooks may both say."""
PATCHES: dict[str, Answer] = {
    "no-type": patched("[]", patchType=None),
    "type-alone": allow(patchType="JSONPatch"),
    "bad-type": patched("[]", patchType="X"),
    "no-patch": patched("x"),
    "an-object": patched("{}"),
    "test-fails": patched('[{"op":"test","path":"/data/a","value":"z"}]'),
    "removes-nothing": patched('[{"op":"remove","path":"/zz"}]'),
    "unknown-operation": patched('[{"op":"zip","path":"/zz"}]'),
    "wrong-type": patched('[{"op":"replace","path":"/data/a","value":5}]'),
    "another-kind": patched('[{"op":"replace","path":"/kind","value":"Secret"}]'),
    "renames": patched('[{"op":"replace","path":"/metadata/name","value":"zz"}]'),
    "moves": patched('[{"op":"replace","path":"/metadata/namespace","value":"x"}]'),
    "unknown-field": patched('[{"op":"add","path":"/zz","value":5}]'),
    "makes-it-wrong": patched('[{"op":"add","path":"/data/a b","value":"x"}]'),
    "good": patched('[{"op":"copy","from":"/data/a","path":"/data/c"}]'),
}
"""What a mutating webhook may say besides."""


def flip(value: str) -> Answer:
    """Changes what another webhook has just changed back: a circle."""

    async def answer(asked: dict[str, Any]) -> Any:
        if asked["object"]["data"]["a"] == value:
            return {"allowed": True}
        text = json.dumps([{"op": "replace", "path": "/data/a", "value": value}])
        return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(text.encode()).decode()}

    return answer


def recursive(client: Client, label: str) -> Answer:
    """Makes another object of the same kind before it answers: which asks it again, until nobody answers in time."""

    async def answer(asked: dict[str, Any]) -> Any:
        name = asked["object"]["metadata"]["name"] + "x"
        if len(name) > DEPTH:
            return await slow(asked)
        body = {"metadata": {"name": name, "labels": {"case": label}}, "data": {"a": "aGk="}}
        await client.request("POST", MAPS, body=json.dumps(body).encode(), query={"dryRun": "All"})
        return {"allowed": True}

    return answer


class Cases:
    """The configurations, theirs and ours, and the cases in the order in which they are tried."""

    def __init__(self, hooks: HookServer, servers: Both) -> None:
        self.hooks = hooks
        self.names: list[str] = []
        self.made: dict[str, list[list[dict[str, Any]]]] = {MUTATING: [[], []], VALIDATING: [[], []]}
        for mutating, plural in ((False, VALIDATING), (True, MUTATING)):
            for name, answer in (ANSWERS | PATCHES if mutating else ANSWERS).items():
                self.add(plural, f"{'m' if mutating else 'v'}-{name}", answer)
            for policy in ("Fail", "Ignore"):
                more = {"failurePolicy": policy}
                mark = f"{'m' if mutating else 'v'}-{policy.lower()}"
                self.add(plural, f"{mark}-slow", slow, timeoutSeconds=1, **more)
                self.add(plural, f"{mark}-dead", allow(), clientConfig={"url": DEAD, "caBundle": hooks.ca}, **more)
                strange = {"url": f"https://127.0.0.1:{hooks.port}/x"}
                self.add(plural, f"{mark}-unknown-authority", allow(), clientConfig=strange, **more)
                other = {"url": f"https://localhost:{hooks.port}/x", "caBundle": hooks.ca}
                self.add(plural, f"{mark}-other-name", allow(), clientConfig=other, **more)
                service = {"service": {"namespace": "default", "name": "none"}, "caBundle": hooks.ca}
                self.add(plural, f"{mark}-no-service", allow(), clientConfig=service, **more)
                condition = [{"name": "c", "expression": "object.data.zz == 'x'"}]
                self.add(plural, f"{mark}-condition", deny(), matchConditions=condition, **more)
        for which, client in enumerate(servers.clients):
            self.add(VALIDATING, "recursive", recursive(client, "recursive"), which, timeoutSeconds=2)
        again = {"reinvocationPolicy": "IfNeeded"}
        self.add(MUTATING, "circle", flip("one"), name="one.example.com", path="/one", **again)
        self.add(MUTATING, "circle", flip("two"), name="two.example.com", path="/two", **again)
        self.add(MUTATING, "twice", annotate("first"), name="first.example.com", path="/first", **again)
        self.add(MUTATING, "twice", patch({"op": "add", "path": "/data/n", "value": "1"}), path="/second")
        self.add(VALIDATING, "last", deny(message="all are in force"))

    def add(self, plural: str, case: str, answer: Answer, only: int | None = None, **more: Any) -> None:
        path = more.pop("path", f"/{case}") + ("" if only is None else f"-{only}")
        self.hooks.answers[path] = answer
        selector = {"matchLabels": {"case": case}}
        more.setdefault("name", f"{case}.example.com")
        hook = self.hooks.hook(path, "configmaps", objectSelector=selector, **more)
        for which, hooks in enumerate(self.made[plural]):
            if only in (None, which):
                hooks.append(hook)
        if case not in self.names:
            self.names.append(case)

    async def put(self, servers: Both) -> None:
        """Configures them, and waits until they are in force."""
        for plural, hooks in self.made.items():
            answers = await servers.ask("POST", plural, *(configuration("all", *these) for these in hooks))
            assert [answer.status for answer in answers] == [201, 201], answers
        async with asyncio.timeout(IN_FORCE_SECONDS):
            for case in ("last", "m-unknown-operation"):
                while any(a.status < 400 for a in await servers.ask("POST", MAPS, about(case), dry=True)):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)


def about(case: str) -> dict[str, Any]:
    return {"metadata": {"name": case, "labels": {"case": case}}, "data": {"a": "aGk="}}


async def test_trouble_with_webhooks_ends_alike(servers: Both, hooks: HookServer) -> None:
    cases = Cases(hooks, servers)
    await cases.put(servers)
    wrong = []
    for case in cases.names:
        answers = await servers.ask("POST", MAPS, about(case), dry=True)
        even = [answer._replace(body=json.loads(_PORTS.sub("PORTS", json.dumps(answer.body)))) for answer in answers]
        if found := differences(even[0], even[1]):
            wrong.append("\n  ".join([case, *found]))
        plain = await servers.ask("POST", MAPS, about("none"), dry=True)
        assert [answer.status for answer in plain] == [201, 201], f"others wait after {case}"
    assert not wrong, "\n".join([f"{len(wrong)} of {len(cases.names)} differ", *wrong])
