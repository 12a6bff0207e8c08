"""Webhooks that are slow, dead, wrong, recursive or at odds: what is documented happens, and nobody else waits."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.conftest import MAPS, Api, config_map
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
    patching,
    serve,
)

from orlop.clock import SystemClock
from orlop.pki.authority import Authority, certificate_pem, new_key
from orlop.pki.identities import Names

FAILED = 'Internal error occurred: failed calling webhook "v.example.com": '
CALLED = FAILED + "failed to call webhook: "


async def test_a_slow_webhook_ends_by_its_timeout_and_holds_up_nobody(
    api: Api, hooks: HookServer, validating: Any
) -> None:
    reached, leave = asyncio.Event(), asyncio.Event()

    async def slow(_: dict[str, Any]) -> Any:
        reached.set()
        await leave.wait()
        return {"allowed": True}

    hooks.answers["/v"] = slow
    await validating("v", hooks.hook("/v", "configmaps", timeoutSeconds=1))
    waiting = asyncio.create_task(api("POST", MAPS, config_map("m")))
    await reached.wait()
    assert (await api("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}})).status == 201
    assert (await api("GET", MAPS)).status == 200
    assert not waiting.done()
    answer = await waiting
    leave.set()
    url = f"https://127.0.0.1:{hooks.port}/v?timeout=1s"
    assert (answer.status, answer.message) == (500, f'{CALLED}Post "{url}": context deadline exceeded')
    assert (await api("GET", f"{MAPS}/m")).status == 404


async def test_the_requests_own_time_counts(api: Api, hooks: HookServer, validating: Any) -> None:
    leave = asyncio.Event()

    async def slow(_: dict[str, Any]) -> Any:
        await leave.wait()
        return {"allowed": True}

    hooks.answers["/v"] = slow
    await validating("v", hooks.hook("/v", "configmaps", failurePolicy="Ignore"))
    answer = await api("POST", f"{MAPS}?timeout=300ms", config_map("m"))
    leave.set()
    assert (answer.status, answer.message) == (504, "Timeout: request did not complete within requested timeout")


async def test_a_dead_webhook_counts_as_its_policy_says(api: Api, hooks: HookServer, validating: Any) -> None:
    hook = hooks.hook("/v", "configmaps", clientConfig={"url": "https://127.0.0.1:1/v", "caBundle": hooks.ca})
    await validating("v", hook)
    answer = await api("POST", MAPS, config_map("m"))
    words = 'Post "https://127.0.0.1:1/v?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
    assert (answer.status, answer.message) == (500, CALLED + words)
    assert answer.body["details"]["causes"] == [{"message": answer.message.removeprefix("Internal error occurred: ")}]
    await api.put(f"{VALIDATING}/v", configuration("v", hook | {"failurePolicy": "Ignore"}))
    assert (await api("POST", MAPS, config_map("m"))).status == 201


async def test_certificates_are_checked(api: Api, hooks: HookServer, validating: Any, tmp_path: Path) -> None:
    hooks.answers["/v"] = allow()
    other = base64.b64encode(certificate_pem(Authority.create(new_key(), SystemClock()).certificate)).decode()
    url = f"https://127.0.0.1:{hooks.port}/v"
    await validating("v", hooks.hook("/v", "configmaps", clientConfig={"url": url, "caBundle": other}))
    answer = await api("POST", MAPS, config_map("m"))
    words = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert (answer.status, answer.message) == (500, f'{CALLED}Post "{url}?timeout=10s": {words}')
    (tmp_path / "other").mkdir()
    misnamed = HookServer(Names(("elsewhere.default.svc",), ()))
    runner = await serve(misnamed, tmp_path / "other")
    url = f"https://127.0.0.1:{misnamed.port}/v"
    where = {"url": url, "caBundle": misnamed.ca}
    await api.put(f"{VALIDATING}/v", configuration("v", misnamed.hook("/v", "configmaps", clientConfig=where)))
    answer = await api("POST", MAPS, config_map("m"))
    assert "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs" in answer.message
    assert not hooks.asked
    assert not misnamed.asked
    await runner.cleanup()


async def _text(_: dict[str, Any]) -> Any:
    return web.Response(text="hello")


async def _redirect(_: dict[str, Any]) -> Any:
    return web.Response(status=302, headers={"location": "/elsewhere"})


async def _status(_: dict[str, Any]) -> Any:
    return web.Response(status=500, text="out of ink")


async def _nothing(asked: dict[str, Any]) -> Any:
    return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"})


async def _other_uid(asked: dict[str, Any]) -> Any:
    return {"allowed": True, "uid": "other"}


async def _other_kind(asked: dict[str, Any]) -> Any:
    response = {"uid": asked["uid"], "allowed": True}
    return web.json_response(
        {"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "response": response}
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_text, "failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal string"),
        (_redirect, "failed to call webhook: the server responded with the status code 302 but did not return more"),
        (_status, 'an error on the server ("out of ink") has prevented the request from succeeding'),
        (_nothing, "received invalid webhook response: webhook response was absent"),
        (_other_uid, 'got "other"'),
        (
            _other_kind,
            "failed to call webhook: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
        ),
        (patch({"op": "add"}), "received invalid webhook response: validating webhook may not return response.patch"),
    ],
)
async def test_a_wrong_answer_is_none(api: Api, hooks: HookServer, validating: Any, answer: Answer, words: str) -> None:
    hooks.answers["/v"] = answer
    await validating("v", hooks.hook("/v", "configmaps"))
    told = await api("POST", MAPS, config_map("m"))
    assert told.status == 500
    assert told.message.startswith(FAILED)
    assert words in told.message
    assert len(hooks.asked) == 1  # a redirect is not followed


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ({"patch": "W10="}, "webhook returned response.patch but not response.patchType"),
        ({"patchType": "JSONPatch"}, "webhook returned response.patchType but not response.patch"),
        ({"patchType": "", "patch": "W10="}, 'webhook returned invalid response.patchType of ""'),
        ({"patchType": "Merge", "patch": "W3sib3AiOiJhZGQifV0="}, 'unsupported patch type "Merge"'),
        ({"patchType": "JSONPatch", "patch": "e30="}, "received undecodable patch in webhook response: "),
    ],
)
async def test_a_wrong_patch_is_none(
    api: Api, hooks: HookServer, mutating: Any, response: dict[str, Any], words: str
) -> None:
    hooks.answers["/v"] = allow(**response)
    await mutating("m", hooks.hook("/v", "configmaps"))
    answer = await api("POST", MAPS, config_map("m"))
    assert answer.status == 500
    assert words in answer.message


async def test_mutating_webhooks_come_by_name_and_see_each_others_work(
    api: Api, hooks: HookServer, mutating: Any
) -> None:
    for name in "abc":
        hooks.answers[f"/{name}"] = annotate(name)
    await mutating("2", hooks.hook("/c", "configmaps"))
    await mutating("1", hooks.hook("/a", "configmaps"), hooks.hook("/b", "configmaps"))
    made = await api.made(MAPS, config_map("m"))
    assert [path for path, _ in hooks.asked] == ["/a", "/b", "/c"]
    assert hooks.of("/c")[0]["object"]["metadata"]["annotations"] == {"a": "yes", "b": "yes"}
    assert made["metadata"]["annotations"] == {"a": "yes", "b": "yes", "c": "yes"}


async def test_what_came_before_a_change_is_asked_again_once_if_it_wants(
    api: Api, hooks: HookServer, mutating: Any
) -> None:
    async def count(asked: dict[str, Any]) -> Any:
        """In a circle: it changes the object whenever it sees it."""
        seen = int(asked["object"].get("data", {}).get("count", "0"))
        return patching({"op": "add", "path": "/data", "value": {"count": str(seen + 1)}})

    hooks.answers["/first"], hooks.answers["/never"], hooks.answers["/last"] = count, allow(), count
    await mutating(
        "m",
        hooks.hook("/first", "configmaps", reinvocationPolicy="IfNeeded"),
        hooks.hook("/never", "configmaps", reinvocationPolicy="Never"),
        hooks.hook("/last", "configmaps", reinvocationPolicy="IfNeeded"),
    )
    made = await api.made(MAPS, config_map("m"))
    assert [path for path, _ in hooks.asked] == ["/first", "/never", "/last", "/first", "/last"]
    assert made["data"] == {"count": "4"}


async def test_nobody_is_asked_again_where_nothing_has_changed_since(
    api: Api, hooks: HookServer, mutating: Any
) -> None:
    hooks.answers["/first"], hooks.answers["/last"] = annotate("a"), allow()
    await mutating(
        "m",
        hooks.hook("/first", "configmaps", reinvocationPolicy="IfNeeded"),
        hooks.hook("/last", "configmaps", reinvocationPolicy="IfNeeded"),
    )
    await api.made(MAPS, config_map("m"))
    assert [path for path, _ in hooks.asked] == ["/first", "/last"]


async def test_a_webhook_may_use_the_api_itself(api: Api, hooks: HookServer, validating: Any) -> None:
    async def recursive(asked: dict[str, Any]) -> Any:
        inner = await api("POST", MAPS, config_map("inner"))
        return {"allowed": inner.status in (201, 409)}

    hooks.answers["/v"] = recursive
    hook = hooks.hook("/v", "configmaps", objectSelector={"matchLabels": {"outer": "yes"}})
    await validating("v", hook)
    outer = {"metadata": {"name": "outer", "labels": {"outer": "yes"}}}
    assert (await api("POST", MAPS, outer)).status == 201
    # One that asks itself without end is ended by its own time.
    await api.put(f"{VALIDATING}/v", configuration("v", hooks.hook("/v", "configmaps", timeoutSeconds=1)))
    assert (await api("POST", MAPS, config_map("endless"))).status in (400, 403, 500)


async def test_validating_webhooks_are_asked_together_and_all_awaited(
    api: Api, hooks: HookServer, validating: Any
) -> None:
    both = asyncio.Barrier(3)

    async def together(_: dict[str, Any]) -> Any:
        await both.wait()
        return {"allowed": True}

    for name in "abc":
        hooks.answers[f"/{name}"] = together
    await validating("v", *(hooks.hook(f"/{name}", "configmaps", timeoutSeconds=5) for name in "abc"))
    assert (await api("POST", MAPS, config_map("m"))).status == 201


async def test_a_dry_run_asks_only_who_promises_no_side_effects(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/v"] = allow()
    await validating("v", hooks.hook("/v", "configmaps", sideEffects="NoneOnDryRun"))
    assert (await api("POST", f"{MAPS}?dryRun=All", config_map("m"))).status == 201
    assert hooks.of("/v")[0]["dryRun"] is True
    assert hooks.of("/v")[0]["options"]["dryRun"] == ["All"]
    assert (await api("GET", f"{MAPS}/m")).status == 404


async def test_a_deletion_cannot_be_changed(api: Api, hooks: HookServer, mutating: Any) -> None:
    await api.made(MAPS, config_map("m"))
    hooks.answers["/v"] = patch({"op": "add", "path": "/data", "value": {}})
    await mutating("m", hooks.hook("/v", "configmaps", operations=["DELETE"]))
    answer = await api("DELETE", f"{MAPS}/m")
    assert answer.message == (
        'Internal error occurred: admission webhook "v.example.com" attempted to modify the object, which is not '
        "supported for this operation"
    )
    hooks.answers["/v"] = deny(message="stays")
    assert (await api("DELETE", f"{MAPS}/m")).status == 400
    assert (await api("DELETE", f"{MUTATING}/m")).status == 200
    assert (await api("DELETE", f"{MAPS}/m")).status == 200


@pytest.mark.parametrize(
    ("field", "value", "status", "words"),
    [
        ("/kind", "Secret", 500, "unknown conversion"),
        ("/metadata/namespace", "kube-system", 400, "does not match the namespace sent on the request"),
    ],
)
async def test_an_object_stays_what_and_where_it_is(
    api: Api, hooks: HookServer, mutating: Any, field: str, value: str, status: int, words: str
) -> None:
    hooks.answers["/m"] = patch({"op": "replace", "path": field, "value": value})
    await mutating("m", hooks.hook("/m", "configmaps"))
    answer = await api("POST", MAPS, {**config_map("m"), "apiVersion": "v1", "kind": "ConfigMap"})
    assert answer.status == status, answer.body
    assert words in answer.message
    assert (await api("GET", f"{MAPS}/m")).status == 404
