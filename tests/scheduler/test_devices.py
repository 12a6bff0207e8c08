"""Pods with ResourceClaims: which node they get, what is written before, what is told where none will do."""

from typing import Any

import msgspec
import pytest

from orlop.api.types import resource_v1
from tests.scheduler.conftest import World, eventually

DRIVER = "gpu.example.com"
Claim = resource_v1.ResourceClaim


class Devices:
    """Makes classes, slices, claims and pods that use them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.admin

    async def device_class(self, name: str = "gpu", *expressions: str, **spec: Any) -> None:
        selectors = [{"cel": {"expression": text}} for text in expressions]
        document = {"metadata": {"name": name}, "spec": {"selectors": selectors, **spec}}
        await self.admin.create(msgspec.convert(document, resource_v1.DeviceClass))

    async def slice(self, node: str, *devices: Any, pool: str = "", **spec: Any) -> None:
        """A slice of one node ("": all), with devices by name or as they are."""
        made = [{"name": device} if isinstance(device, str) else device for device in devices]
        where = {"nodeName": node} if node else {"allNodes": True}
        pool = pool or node or "all"
        document = {
            "metadata": {"name": f"{pool}-slice"},
            "spec": {
                "driver": DRIVER,
                "pool": {"name": pool, "generation": 1, "resourceSliceCount": 1},
                "devices": made,
                **where,
                **spec,
            },
        }
        await self.admin.create(msgspec.convert(document, resource_v1.ResourceSlice))

    async def claim(self, name: str, *requests: dict[str, Any], **more: Any) -> None:
        document = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"devices": {"requests": list(requests), **more}},
        }
        await self.admin.create(msgspec.convert(document, Claim))

    async def pod(self, name: str, *claims: str, **spec: Any) -> None:
        used = [{"name": claim, "resourceClaimName": claim} for claim in claims]
        await self.world.pod(name, resourceClaims=used, **spec)

    async def get(self, name: str) -> Claim:
        return await self.admin.get(Claim, name, "default")

    async def placed(self, name: str) -> str:
        """The node that the pod is bound to, once it is: back-offs pass."""

        async def node() -> str:
            await self.world.clock.advance(1)
            return (await self.world.get(name)).spec.node_name

        return str(await eventually(node))

    async def got(self, name: str) -> list[str]:
        """Which devices a claim got for which request, once it has some."""

        async def found() -> list[str] | None:
            allocation = (await self.get(name)).status.allocation
            return [f"{r.request}={r.device}" for r in allocation.devices.results] if allocation else None

        result: list[str] = await eventually(found)
        return result


@pytest.fixture
async def devices(world: World) -> Devices:
    return Devices(world)


def exactly(name: str = "r", device_class: str = "gpu", **more: Any) -> dict[str, Any]:
    selectors = [{"cel": {"expression": text}} for text in more.pop("where", ())]
    return {"name": name, "exactly": {"deviceClassName": device_class, "selectors": selectors, **more}}


async def test_a_pod_goes_where_its_devices_are_and_they_are_written_down(devices: Devices) -> None:
    world = devices.world
    for node in ("n1", "n2"):
        await world.node(node)
    await devices.device_class("gpu", f"device.driver == '{DRIVER}'")
    attributes = {"model": {"string": "a100"}}
    await devices.slice("n2", {"name": "g0"}, {"name": "g1", "attributes": attributes})
    await devices.claim("c", exactly(where=[f"device.attributes['{DRIVER}'].?model.orValue('') == 'a100'"]))
    await devices.pod("p", "c")
    async with world.scheduler():
        assert await world.placed("p") == "n2"
        claim = await devices.get("c")
    allocation = claim.status.allocation
    assert allocation is not None
    (result,) = allocation.devices.results
    assert (result.driver, result.pool, result.device, result.request) == (DRIVER, "n2", "g1", "r")
    selector = allocation.node_selector
    assert selector is not None
    assert msgspec.to_builtins(selector)["nodeSelectorTerms"] == [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
    ]
    (user,) = claim.status.reserved_for
    assert (user.resource, user.name, user.uid) == ("pods", "p", (await world.get("p")).metadata.uid)
    assert "resource.kubernetes.io/delete-protection" in claim.metadata.finalizers


async def test_a_device_is_given_to_one_claim_and_again_when_it_is_free(devices: Devices) -> None:
    world = devices.world
    await world.node("n1")
    await devices.device_class()
    await devices.slice("n1", "g0")
    for name in ("a", "b"):
        await devices.claim(name, exactly())
    async with world.scheduler():
        await devices.pod("pa", "a")
        assert await world.placed("pa") == "n1"
        await devices.pod("pb", "b")
        said = await world.condition("pb", "Unschedulable")
        assert said == (
            "0/1 nodes are available: 1 cannot allocate all claims. preemption: 0/1 nodes are available: 1 No "
            "preemption victims found for incoming pod."
        )
        free = await devices.get("a")
        free.status.allocation, free.status.reserved_for = None, []
        await devices.admin.update_status(free)
        assert await devices.placed("pb") == "n1"


async def test_pods_share_a_claim_where_it_is(devices: Devices) -> None:
    world = devices.world
    for node in ("n1", "n2"):
        await world.node(node)
    await devices.device_class()
    await devices.slice("n1", "g0")
    await devices.slice("n2", "g0")
    await devices.claim("c", exactly())
    async with world.scheduler():
        await devices.pod("p", "c")
        first = await world.placed("p")
        await devices.pod("q", "c")
        assert await world.placed("q") == first
        assert {user.name for user in (await devices.get("c")).status.reserved_for} == {"p", "q"}


async def test_what_hinders_before_any_node_is_told(devices: Devices) -> None:
    world = devices.world
    await world.node("n1")
    async with world.scheduler():
        await devices.pod("p", "c")
        helpless = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        said = await world.condition("p", "Unschedulable")
        assert said == f'0/1 nodes are available: resourceclaim.resource.k8s.io "c" not found. {helpless}'
        template = [{"name": "t", "resourceClaimTemplateName": "t"}]
        await world.pod("q", resourceClaims=template)
        said = await world.condition("q", "Unschedulable")
        assert said == f'0/1 nodes are available: pod "default/q": ResourceClaim not created yet. {helpless}'
        await devices.claim("c", exactly())

        async def missing_class() -> bool:
            await world.clock.advance(1)
            return "request r: device class gpu does not exist" in await world.condition("p", "Unschedulable")

        await eventually(missing_class)
        await devices.device_class()
        await devices.slice("", "g0")
        assert await devices.placed("p") == "n1"
    assert (await devices.get("c")).status.allocation.node_selector is None  # type: ignore[union-attr]


async def test_an_expression_that_fails_is_told_and_hinders_nobody_else(devices: Devices) -> None:
    world = devices.world
    await world.node("n1")
    await devices.device_class()
    await devices.slice("n1", "g0", "g1")
    await devices.claim("bad", exactly(where=[f"device.attributes['{DRIVER}'].model == 'x'"]))
    await devices.claim("good", exactly())
    await devices.pod("p", "bad")
    await devices.pod("q", "good")
    async with world.scheduler():
        assert await world.placed("q") == "n1"
        said = await world.condition("p", "SchedulerError")
    assert said.startswith('running "DynamicResources" filter plugin: claim default/bad: selector #0 on device ')
    assert "CEL runtime error: no such key: model" in said


async def test_the_first_alternative_that_a_node_has_and_the_node_with_the_better_one(devices: Devices) -> None:
    world = devices.world
    for node in ("n1", "n2"):
        await world.node(node)
    await devices.device_class("small", "device.attributes['gpu.example.com'].size == 'small'")
    await devices.device_class("large", "device.attributes['gpu.example.com'].size == 'large'")
    for node, size in (("n1", "small"), ("n2", "large")):
        await devices.slice(node, {"name": "g", "attributes": {"size": {"string": size}}})
    sub = [{"name": size, "deviceClassName": size} for size in ("large", "small")]
    for name in ("a", "b"):
        await devices.claim(name, {"name": "r", "firstAvailable": sub})
    async with world.scheduler():
        await devices.pod("pa", "a")
        assert await world.placed("pa") == "n2"
        await devices.pod("pb", "b")
        assert await world.placed("pb") == "n1"
    assert (await devices.got("a"), await devices.got("b")) == (["r/large=g"], ["r/small=g"])


async def test_a_binding_that_fails_gives_the_devices_back(devices: Devices) -> None:
    """The pod is bound elsewhere while its claim is written: the claim is reserved for it no more."""
    world = devices.world
    await world.node("n1")
    await devices.device_class()
    await devices.slice("n1", "g0")
    await devices.claim("c", exactly())
    await devices.pod("p", "c")
    policy = {
        "metadata": {"name": "no"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/binding"]}
                ]
            },
            "validations": [{"expression": "false", "message": "not today"}],
        },
    }
    base = "/apis/admissionregistration.k8s.io/v1"
    sent = {"content-type": "application/json"}
    for path, body in (
        ("validatingadmissionpolicies", policy),
        (
            "validatingadmissionpolicybindings",
            {"metadata": {"name": "no"}, "spec": {"policyName": "no", "validationActions": ["Deny"]}},
        ),
    ):
        answer = await world.admin.request("POST", f"{base}/{path}", body=msgspec.json.encode(body), headers=sent)
        assert answer.status == 201, answer.body
    async with world.scheduler():
        assert "not today" in await world.condition("p", "SchedulerError")

        async def free() -> bool:
            return not (await devices.get("c")).status.reserved_for

        await eventually(free)


async def test_a_claim_that_nobody_uses_is_freed_where_it_is_in_the_way(devices: Devices) -> None:
    world = devices.world
    await world.node("n1")
    await world.node("n2", unschedulable=True)
    await devices.device_class()
    await devices.slice("n1", "g0")
    await devices.slice("n2", "g0")
    await devices.claim("c", exactly())
    held = await devices.get("c")
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
    result = {"request": "r", "driver": DRIVER, "pool": "n2", "device": "g0"}
    allocation = {"devices": {"results": [result]}, "nodeSelector": {"nodeSelectorTerms": [term]}}
    held.status.allocation = msgspec.convert(allocation, resource_v1.AllocationResult)
    await devices.admin.update_status(held)
    await devices.pod("p", "c")
    async with world.scheduler():
        assert await devices.placed("p") == "n1"
        # The condition may be over before anybody looks.
        said = (await world.event("p", "FailedScheduling")).message
        assert "1 resourceclaim not available on the node" in said
