"""Binding in bulk: pods of a batch go in one request, each with its own end; without it each goes alone."""

from typing import Any

import msgspec

from orlop.client import bulk
from orlop.client.transport import Response
from tests.scheduler.conftest import SCHEDULER, World, eventually


def counting(world: World, told: list[str]) -> None:
    """Notes the path of every binding that comes to the server."""
    app = world.server.app
    serve = app._http

    async def noted(request: Any) -> None:
        if "binding" in request.info.path and request.method == "POST":
            told.append(request.info.path)
        await serve(request)

    app._http = noted  # type: ignore[method-assign]


async def test_pods_that_wait_together_share_a_request(world: World) -> None:
    await world.node("n1")
    for index in range(3):
        await world.pod(f"p{index}")
    told: list[str] = []
    counting(world, told)
    async with world.scheduler():
        for index in range(3):
            assert await world.placed(f"p{index}") == "n1"
            event = await world.event(f"p{index}", "Scheduled")
            assert event.message == f"Successfully assigned default/p{index} to n1"
    assert told == [bulk.PATH]


async def deny(world: World, expression: str) -> None:
    """Lets a policy refuse bindings for which the expression does not hold."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/binding"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": "not that one"}],
    }
    bound = {"policyName": "no", "validationActions": ["Deny"]}
    kinds = "/apis/admissionregistration.k8s.io/v1"
    await post(world, f"{kinds}/validatingadmissionpolicies", {"metadata": {"name": "no"}, "spec": spec})
    await post(world, f"{kinds}/validatingadmissionpolicybindings", {"metadata": {"name": "no"}, "spec": bound})


async def post(world: World, path: str, body: dict[str, Any]) -> Response:
    answer = await world.admin.request("POST", path, body=msgspec.json.encode(body))
    assert answer.status == 201, answer.body
    return answer


async def test_one_that_is_refused_hinders_no_other(world: World) -> None:
    await world.node("n1", cpu="3")
    await deny(world, "object.metadata.name != 'p1'")
    for index in range(3):
        await world.pod(f"p{index}")
    async with world.scheduler():
        assert [await world.placed(f"p{index}") for index in (0, 2)] == ["n1", "n1"]
        said = await world.condition("p1", "SchedulerError")
        assert said.startswith('running Bind plugin "DefaultBinder": ')
        assert "not that one" in said
        await world.pod("q")
        assert await world.placed("q") == "n1"  # what was assumed for it is taken back


async def test_a_server_that_does_not_offer_it_is_bound_singly(world: World) -> None:
    """Somebody else answers for the group, and is not there."""
    service = {
        "metadata": {"name": "v1alpha1.bulk.orlop.dev"},
        "spec": {
            "group": "bulk.orlop.dev",
            "version": "v1alpha1",
            "groupPriorityMinimum": 1,
            "versionPriority": 1,
            "service": {"namespace": "default", "name": "nobody"},
            "insecureSkipTLSVerify": True,
        },
    }
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    await world.admin.request("DELETE", f"{path}/v1alpha1.bulk.orlop.dev")
    await post(world, path, service)

    async def gone() -> bool:
        answer = await world.admin.request("GET", f"/apis/{bulk.GROUP_VERSION}")
        return answer.status >= 400

    await eventually(gone)
    await world.node("n1")
    for name in ("a", "b"):
        await world.pod(name)
    told: list[str] = []
    counting(world, told)
    async with world.scheduler():
        for name in ("a", "b"):
            assert await world.placed(name) == "n1"
    assert sorted(told) == [f"/api/v1/namespaces/default/pods/{name}/binding" for name in ("a", "b")]


async def test_the_client_tells_what_hindered_each(world: World) -> None:
    await world.node("n1")
    pod = await world.pod("p")
    client = world.client(SCHEDULER, world.clock)
    try:
        assert await bulk.offered(client)
        asked = [
            bulk.Assignment("default", "p", pod.metadata.uid, "n1"),
            bulk.Assignment("default", "nobody", "", "n1"),
        ]
        first, second = await bulk.bind(client, asked)
        assert first is None
        assert str(second) == 'pods "nobody" not found'
        (again,) = await bulk.bind(client, asked[:1])
        assert type(again).__name__ == "Conflict"
    finally:
        await client.close()
