"""What is written of requests; beside kube-apiserver's own log in `test_as_upstream`."""

import asyncio
from typing import Any

import pytest
from tests.apiserver.audit.conftest import Log, Start
from tests.apiserver.conftest import Api
from tests.apiserver.webhooks.conftest import MUTATING, VALIDATING, HookServer, annotate, configuration, deny

from orlop.apiserver.audit import BatchSettings, LogSettings
from orlop.apiserver.auth import User

MAPS = "/api/v1/namespaces/default/configmaps"
COMPLETE = "ResponseComplete"


async def test_a_create_is_written_before_it_is_answered(start: Start, log: Log) -> None:
    async with start() as api:
        answer = await api("POST", MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}}, audit_id="mine")
        assert answer.headers["audit-id"] == "mine"
        received, complete = log.events()
    assert received["stage"] == "RequestReceived"
    assert not {"annotations", "responseStatus"} & set(received)
    assert complete["stage"] == COMPLETE
    assert complete["auditID"] == received["auditID"] == "mine"
    assert (complete["kind"], complete["apiVersion"], complete["level"]) == (
        "Event",
        "audit.k8s.io/v1",
        "RequestResponse",
    )
    assert complete["verb"] == "create"
    assert complete["requestURI"] == MAPS
    assert complete["user"] == {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
    assert complete["userAgent"] == "tests/1"
    assert complete["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "name": "a",
        "apiVersion": "v1",
    }
    assert complete["responseStatus"] == {"metadata": {}, "code": 201}
    assert complete["requestObject"]["data"] == {"x": "1"}
    assert complete["responseObject"] == answer.body
    assert complete["annotations"] == {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}
    assert complete["stageTimestamp"] >= complete["requestReceivedTimestamp"]


async def test_levels_say_how_much(start: Start, log: Log) -> None:
    rules = "[{level: None, verbs: [get]}, {level: Metadata, verbs: [create]}, {level: Request, verbs: [update]}]"
    async with start(rules) as api:
        made = await api.made(MAPS, {"metadata": {"name": "a"}})
        await api("GET", f"{MAPS}/a")
        await api("PUT", f"{MAPS}/a", made)
        await api("DELETE", f"{MAPS}/a")
        found = log.events(stage=COMPLETE)
    assert [event["verb"] for event in found] == ["create", "update"]
    assert [("requestObject" in event, "responseObject" in event) for event in found] == [(False, False), (True, False)]
    assert found[1]["objectRef"]["uid"] == made["metadata"]["uid"]
    assert found[1]["objectRef"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_stages_and_managed_fields_can_be_left_out(start: Start, log: Log) -> None:
    more = "omitStages: [RequestReceived]\nomitManagedFields: true"
    async with start(more=more) as api:
        await api.made(MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
        await api("GET", MAPS)
        found = log.events()
    assert [event["stage"] for event in found] == [COMPLETE, COMPLETE]
    assert "managedFields" not in str(found)
    assert found[1]["responseObject"]["items"][0]["data"] == {"x": "1"}


async def test_refusals(start: Start, log: Log) -> None:
    async with start() as api:
        bob = Api(api.server, User("bob"))
        assert (await bob("GET", f"{MAPS}/a")).status == 403
        forbidden = log.last()
        assert (await api("GET", f"{MAPS}/a")).status == 404
        missing = log.last()
        nobody = Api(api.server, None)
        assert (await nobody("GET", MAPS, authorization="Bearer wrong")).status == 401
        unknown = log.events(user={})
    assert forbidden["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert forbidden["responseStatus"]["reason"] == "Forbidden"
    assert forbidden["responseStatus"]["code"] == 403
    assert missing["responseStatus"]["message"] == 'configmaps "a" not found'
    assert [event["stage"] for event in unknown] == ["ResponseStarted"]
    assert unknown[0]["responseStatus"]["code"] == 401


async def test_impersonation_and_where_from(start: Start, log: Log) -> None:
    async with start() as api:
        await api("GET", MAPS, impersonate_user="bob", impersonate_group="dev", x_forwarded_for="10.0.0.1, 10.0.0.2")
        found = log.last()
    assert found["user"]["username"] == "admin"
    assert found["impersonatedUser"] == {"username": "bob", "groups": ["dev", "system:authenticated"]}
    assert found["sourceIPs"] == ["10.0.0.1", "10.0.0.2"]


async def test_a_watch_is_written_when_it_begins(start: Start, log: Log) -> None:
    async with start() as api:
        async with api.stream(f"{MAPS}?watch=1&timeoutSeconds=60"):
            assert [event["stage"] for event in log.events()] == ["RequestReceived", "ResponseStarted"]
        async with asyncio.timeout(10):
            while (ended := log.last(verb="watch"))["stage"] != COMPLETE:  # noqa: ASYNC110  # a file tells nobody
                await asyncio.sleep(0.005)
    assert ended["responseStatus"] == {"metadata": {}, "code": 200}


async def test_what_is_sent_otherwise(start: Start, log: Log) -> None:
    async with start() as api:
        await api.made(MAPS, {"metadata": {"name": "a"}})
        merge = "application/merge-patch+json"
        await api("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, merge)
        assert log.last()["requestObject"] == {"data": {"x": "1"}}
        await api("GET", f"{MAPS}/a", accept="application/vnd.kubernetes.protobuf")
        assert log.last()["responseObject"]["data"] == {"x": "1"}
        await api("GET", MAPS, accept="application/vnd.kubernetes.protobuf")
        assert log.last()["responseObject"]["kind"] == "ConfigMapList"
        await api("GET", f"{MAPS}/a", accept="application/yaml")
        assert log.last()["responseObject"]["data"] == {"x": "1"}
        await api("DELETE", f"{MAPS}/a", {"gracePeriodSeconds": 0})
        deleted = log.last()
    assert deleted["requestObject"]["gracePeriodSeconds"] == 0
    assert deleted["responseStatus"]["status"] == "Success"


async def test_alike_creates_are_all_written(start: Start, log: Log) -> None:
    pod = {"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    async with start() as api:
        await api.made("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        for _ in range(4):
            await api.made("/api/v1/namespaces/default/pods", pod)
        found = [event for event in log.events(stage=COMPLETE) if event["objectRef"]["resource"] == "pods"]
    assert len(found) == 4
    assert all(event["requestObject"]["spec"]["restartPolicy"] == "Always" for event in found)
    assert len({event["responseObject"]["metadata"]["name"] for event in found}) == 4


async def test_each_binding_of_a_list_is_written(start: Start, log: Log) -> None:
    async with start() as api:
        await api.made("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        for name in ("a", "b"):
            pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
            await api.made("/api/v1/namespaces/default/pods", pod)
        target = {"kind": "Node", "name": "n"}
        items = [
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name, "namespace": "default"},
                "target": target,
            }
            for name in ("a", "none")
        ]
        body = {"apiVersion": "bulk.orlop.dev/v1alpha1", "kind": "BindingList", "items": items}
        answer = await api("POST", "/apis/bulk.orlop.dev/v1alpha1/bindings", body)
        assert answer.status == 200, answer.body
        found = [event for event in log.events(stage=COMPLETE) if event["objectRef"].get("subresource") == "binding"]
    assert {(event["objectRef"]["name"], event["responseStatus"]["code"]) for event in found} == {
        ("a", 201),
        ("none", 404),
    }
    assert all(event["annotations"]["authorization.k8s.io/decision"] == "allow" for event in found)


async def test_what_is_deprecated_is_marked(start: Start, log: Log) -> None:
    async with start("[{level: Metadata}]") as api:
        await api("GET", "/api/v1/endpoints")
        assert log.last()["annotations"]["k8s.io/deprecated"] == "true"


async def test_a_token_can_be_followed(start: Start, log: Log) -> None:
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    async with start("[{level: Metadata}]") as api:
        await api.made("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "robot"}})
        issued = await api.made("/api/v1/namespaces/default/serviceaccounts/robot/token", asked)
        given = log.last()["annotations"]["authentication.kubernetes.io/issued-credential-id"]
        nobody = Api(api.server, None)
        await nobody("GET", "/version", authorization=f"Bearer {issued['status']['token']}")
        used = log.last(requestURI="/version")
    assert used["user"]["extra"]["authentication.kubernetes.io/credential-id"] == [given]


async def test_webhooks_notes(start: Start, log: Log, hooks: HookServer) -> None:
    async def noted(_: dict[str, Any]) -> Any:
        return {"allowed": True, "auditAnnotations": {"seen": "yes"}}

    hooks.answers |= {"/a": annotate("a"), "/v": noted, "/no": deny(message="no")}
    async with start("[{level: Request}]") as api:
        await api.made(MUTATING, configuration("m", hooks.hook("/a", "configmaps")))
        dead = hooks.hook("/dead", "configmaps", failurePolicy="Ignore", clientConfig={"url": "https://127.0.0.1:1/"})
        await api.made(VALIDATING, configuration("v", hooks.hook("/v", "configmaps"), dead))
        await api.made(MAPS, {"metadata": {"name": "a"}})
        annotations = log.last(requestURI=MAPS)["annotations"]
    at = "webhook.admission.k8s.io/round_0_index_0"
    assert annotations["v.example.com/seen"] == "yes"
    assert annotations[f"mutation.{at}"] == '{"configuration":"m","webhook":"a.example.com","mutated":true}'
    assert '"op":"add"' in annotations[f"patch.{at}"]
    assert annotations["failed-open.validating.webhook.admission.k8s.io/round_0_index_1"] == "dead.example.com"


async def test_a_fault_of_the_server_is_a_panic(start: Start, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start() as api:

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(api.server.core.objects, "find", fail)
        assert (await api("GET", f"{MAPS}/a")).status == 500
        found = log.events()
    assert [event["stage"] for event in found] == ["RequestReceived", "Panic"]
    assert found[1]["responseStatus"]["code"] == 500
    assert "broken" in found[1]["responseStatus"]["message"]


async def test_strict_blocking_refuses_what_it_cannot_write(start: Start, log: Log) -> None:
    strict = LogSettings(path=str(log.path), batch=BatchSettings(mode="blocking-strict"))
    async with start(log=strict) as api:
        assert (await api("GET", MAPS)).status == 200

        async def full(_: object) -> None:
            raise OSError("no space left on device")

        [sink] = api.server.core.auditor._sinks  # type: ignore[union-attr]
        sink._backend.write = full  # type: ignore[attr-defined]
        answer = await api("GET", MAPS)
    assert answer.status == 500
    assert "failed to store audit event" in answer.message


async def test_without_a_policy_nothing_is_recorded(api: Api) -> None:
    assert api.server.core.auditor is None
