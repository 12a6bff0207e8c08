"""How a node's statuses reach the API: few writes, news at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from msgspec import structs

from orlop import tasks
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.client.transport import Response
from orlop.kubelet.statuses import AT_ONCE, StatusManager, starting
from orlop.testing import FakeClock
from tests.kubelet.nodes import Line, Node, hollow

BEST = "BestEffort"


class Slow(Line):
    """A way to the API on which requests wait while it is shut."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.server.app)
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0
        self.busy, self.full = asyncio.Event(), asyncio.Event()

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        self.waiting += 1
        self.busy.set()
        if self.waiting == AT_ONCE:
            self.full.set()
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        return await super().request(method, target, headers, body)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with hollow(tmp_path, start=False) as node:
        yield node


@pytest.fixture
def line(node: Node) -> Slow:
    return Slow(node)


@pytest.fixture
async def manager(line: Slow) -> AsyncIterator[StatusManager]:
    """On a clock that stands still: what is held back until later never goes."""

    def failed(name: str, error: BaseException) -> None:
        raise AssertionError(name) from error

    clock = FakeClock()
    async with tasks.Group(failed) as group:
        yield StatusManager(Client(line, clock=clock, user_agent="kubelet"), clock, group)


def waiting(reason: str) -> core_v1.PodStatus:
    """Pending, the container waits for this reason."""
    state = core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=reason))
    container = core_v1.ContainerStatus(name="main", state=state)
    return core_v1.PodStatus(phase="Pending", qos_class=BEST, container_statuses=[container])


def running(message: str = "") -> core_v1.PodStatus:
    state = core_v1.ContainerState(running=core_v1.ContainerStateRunning())
    status = core_v1.ContainerStatus(name="main", image="app:1", ready=True, state=state)
    return core_v1.PodStatus(phase="Running", qos_class=BEST, container_statuses=[status], message=message)


async def test_a_start_is_told_with_its_outcome(node: Node, line: Slow, manager: StatusManager) -> None:
    pod = await node.pod()
    uid = pod.metadata.uid
    manager.publish(pod, waiting("ContainerCreating"))
    manager.publish(pod, running())
    await manager.settled(uid)
    assert [patch["phase"] for patch in line.patches("p")] == ["Running"], line.patches("p")


async def test_what_holds_a_pod_up_is_told_at_once(node: Node, line: Slow, manager: StatusManager) -> None:
    pod = await node.pod()
    manager.publish(pod, waiting("ContainerCreating"))
    manager.publish(pod, waiting("ErrImagePull"))
    await manager.settled(pod.metadata.uid)
    (patch,) = line.patches("p")
    assert patch["containerStatuses"][0]["state"] == {"waiting": {"reason": "ErrImagePull"}}


async def test_a_status_that_waits_is_replaced_by_a_newer_one(node: Node, line: Slow, manager: StatusManager) -> None:
    pods = [await node.pod(f"p{i}") for i in range(AT_ONCE + 3)]
    line.open.clear()
    for pod in pods:
        manager.publish(pod, running("first"))
    await line.full.wait()
    for pod in pods:
        manager.publish(pod, running("second"))
    line.open.set()
    for pod in pods:
        await manager.settled(pod.metadata.uid)
    told = [[patch["message"] for patch in line.patches(pod.metadata.name)] for pod in pods]
    assert told == [["first", "second"]] * AT_ONCE + [["second"]] * 3
    assert [(await node.get(pod.metadata.name)).status.message for pod in pods] == ["second"] * len(pods)


async def test_events_let_statuses_go_first(node: Node, line: Slow, manager: StatusManager) -> None:
    pod = await node.pod()
    await manager.quiet()
    line.open.clear()
    manager.publish(pod, running())
    quiet = asyncio.ensure_future(manager.quiet())
    await line.busy.wait()
    assert not quiet.done()
    line.open.set()
    await quiet
    assert [patch["phase"] for patch in line.patches("p")] == ["Running"]


def test_only_a_first_start_is_expected() -> None:
    assert starting(core_v1.PodStatus(phase="Pending"))
    assert starting(waiting("PodInitializing"))
    assert not starting(waiting("ImagePullBackOff"))
    again = waiting("PodInitializing")
    assert not starting(
        structs.replace(again, container_statuses=[structs.replace(again.container_statuses[0], restart_count=1)])
    )
