"""Admission of objects that a webhook converts: whoever asks for another version is shown that one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.conftest import Api
from tests.apiserver.crd.test_conversion import V1, V2, Hook, hook, link
from tests.apiserver.policies import conftest as policies
from tests.apiserver.webhooks.conftest import MUTATING, VALIDATING, HookServer, allow, configuration, patching, serve

from orlop.pki.identities import Names

__all__ = ["hook"]
FIRST = {"rule": {"apiVersions": ["v1"]}, "groups": ["example.com"]}
"""A webhook's rule of v1 alone: by matchPolicy Equivalent, which is the default, it is asked about v2 too."""
MERGE = "application/merge-patch+json"


@pytest.fixture
async def admission(tmp_path: Path) -> AsyncIterator[HookServer]:
    server = HookServer(Names.of(("127.0.0.1",)))
    runner = await serve(server, tmp_path)
    yield server
    await runner.cleanup()


def only_v1(expression: str, **spec: Any) -> dict[str, Any]:
    rule = {**policies.rule("links", operations=("CREATE", "UPDATE", "DELETE")), "apiVersions": ["v1"]}
    return {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}], **spec}


async def test_webhooks_see_their_own_version_and_change_it(api: Api, hook: Hook, admission: HookServer) -> None:
    async def elsewhere(asked: dict[str, Any]) -> Any:
        return patching({"op": "replace", "path": "/spec/address", "value": "moved:81"})

    admission.answers["/m"], admission.answers["/v"] = elsewhere, allow()
    every = {"operations": ["CREATE", "UPDATE", "DELETE"], **FIRST}
    await api.made(MUTATING, configuration("m", admission.hook("/m", "links", **{**every, "operations": ["CREATE"]})))
    await api.made(VALIDATING, configuration("v", admission.hook("/v", "links", **every)))
    made = await api.made(V2, link("v2", host="a", port="80"))
    assert made["spec"] == {"host": "moved", "port": "81"}
    (first,), (second,) = admission.of("/m"), admission.of("/v")
    assert first["object"]["apiVersion"] == "example.com/v1"
    assert first["object"]["spec"] == {"address": "a:80"}
    assert (first["kind"]["version"], first["requestKind"]["version"]) == ("v1", "v2")
    assert (first["resource"]["version"], first["requestResource"]["version"]) == ("v1", "v2")
    assert second["object"]["spec"] == {"address": "moved:81"}
    # There, back as the mutating webhook left it, there for the validating one, to be stored, and to be answered.
    assert [r["request"]["desiredAPIVersion"][-2:] for r in hook.reviews] == ["v1", "v2", "v1", "v1", "v2"]
    await api("PATCH", f"{V2}/l", {"spec": {"port": "82"}}, MERGE)
    told = admission.of("/v")[-1]
    assert (told["object"]["spec"], told["oldObject"]["spec"]) == ({"address": "moved:82"}, {"address": "moved:81"})
    await api("DELETE", f"{V2}/l")
    told = admission.of("/v")[-1]
    assert (told["object"], told["oldObject"]["spec"]) == (None, {"address": "moved:82"})


async def test_who_is_asked_about_the_version_that_came_converts_nothing(
    api: Api, hook: Hook, admission: HookServer
) -> None:
    admission.answers["/v"] = allow()
    await api.made(VALIDATING, configuration("v", admission.hook("/v", "links")))
    await api.made(V1, link(address="a:80"))
    assert not hook.reviews
    exact = admission.hook("/v", "links", matchPolicy="Exact", **FIRST)
    await api.put(f"{VALIDATING}/v", configuration("v", exact))
    await api.made(V2, link("v2", "two", host="b", port="80"))
    assert len(admission.of("/v")) == 1


async def test_several_share_what_is_converted(api: Api, hook: Hook, admission: HookServer) -> None:
    """Conditions and two webhooks look at one conversion, a policy at it too; two more are for storage and answer."""
    admission.answers["/a"], admission.answers["/b"] = allow(), allow()
    condition = {"name": "c", "expression": "object.spec.address.startsWith('a')"}
    hooks = [admission.hook(f"/{name}", "links", matchConditions=[condition], **FIRST) for name in "ab"]
    await api.made(VALIDATING, configuration("v", *hooks))
    await policies.validating(api, "p", only_v1("object.spec.address != 'a:1'"))
    await api.made(V2, link("v2", host="a", port="80"))
    assert (len(admission.of("/a")), len(admission.of("/b"))) == (1, 1)
    assert len(hook.reviews) == 3
    refused = await api("POST", V2, link("v2", "other", host="a", port="1"))
    assert refused.status == 422
    assert "failed expression: object.spec.address != 'a:1'" in refused.message
    await api.made(V2, link("v2", "third", host="b", port="80"))
    assert len(admission.of("/a")) == 1


async def test_a_mutating_policy_of_the_other_version(api: Api, hook: Hook) -> None:
    rule = {**policies.rule("links"), "apiVersions": ["v1"]}
    expression = "Object{spec: Object.spec{address: object.spec.address + '0'}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    await policies.mutating(api, "m", {"matchConstraints": {"resourceRules": [rule]}, "mutations": [mutation] * 2})
    made = await api.made(V2, link("v2", host="a", port="8"))
    assert made["spec"] == {"host": "a", "port": "800"}


async def test_parameters_are_converted(api: Api, hook: Hook) -> None:
    """A policy that asks for its parameters in v2, which are stored as v1."""
    await api.made(V1, link(address="a:80"))
    spec = {
        "paramKind": {"apiVersion": "example.com/v2", "kind": "Link"},
        "matchConstraints": {"resourceRules": [policies.rule("configmaps")]},
        "validations": [{"expression": "object.data.host == params.spec.host"}],
    }
    reference = {"name": "l", "parameterNotFoundAction": "Deny"}
    await policies.validating(api, "p", spec, paramRef=reference)
    maps = "/api/v1/namespaces/default/configmaps"
    assert (await api("POST", maps, {"metadata": {"name": "m"}, "data": {"host": "a"}})).status == 201
    assert (await api("POST", maps, {"metadata": {"name": "n"}, "data": {"host": "b"}})).status == 422


WORDS = "conversion webhook for example.com/v2, Kind=Link failed: no more"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        ("validating", f"Internal error occurred: {WORDS}"),
        ("mutating", f"Internal error occurred: Internal error occurred: {WORDS}"),
        ("policy", f"failed to configure policy: failed to convert object version: {WORDS}"),
    ],
)
async def test_a_conversion_that_fails_is_told(
    api: Api, hook: Hook, admission: HookServer, make: str, message: str
) -> None:
    def spoil(answer: dict[str, Any]) -> None:
        answer["response"]["result"] = {"status": "Failure", "message": "no more"}

    hook.spoil = spoil
    makers: dict[str, Callable[[], Awaitable[Any]]] = {
        "validating": lambda: api.made(VALIDATING, configuration("v", admission.hook("/v", "links", **FIRST))),
        "mutating": lambda: api.made(MUTATING, configuration("v", admission.hook("/v", "links", **FIRST))),
        "policy": lambda: policies.validating(api, "p", only_v1("true")),
    }
    await makers[make]()
    answer = await api("POST", V2, link("v2", host="a", port="8"))
    assert not admission.asked
    assert answer.status == (500 if make != "policy" else 422)
    assert message in answer.message


async def test_a_webhook_that_makes_no_object_of_it(api: Api, hook: Hook, admission: HookServer) -> None:
    async def text(_: dict[str, Any]) -> Any:
        return web.Response(text="hello")

    admission.answers["/m"] = text
    await api.made(MUTATING, configuration("m", admission.hook("/m", "links", failurePolicy="Ignore", **FIRST)))
    assert (await api("POST", V2, link("v2", host="a", port="8"))).status == 201
