"""What is done to a running cluster's nodes: stopped, started, killed, cut off, taken out."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterable

from orlop import logging
from orlop.api import errors
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.clock import Clock
from orlop.cluster import identities, launch, nodenet
from orlop.cluster.cleanup import clean_node
from orlop.cluster.components import client_of
from orlop.cluster.nodes import NodeState, RealNode, read_states, write_state
from orlop.cluster.runtimes import choose_runtime, make_runtime
from orlop.cluster.settings import Settings, SettingsError
from orlop.cluster.supervisor import Child, State
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime.base import NotFound

LOOK_SECONDS = 0.1
"""Between looks at what the supervisor has done; it writes its state down at once."""
ACT_SECONDS = 60.0
"""How long it may take; ending a kubelet has 15 s of its own."""
DRAIN_SECONDS = 60.0
"""How long pods may take to leave a node that is taken out; after that they go with it."""

log = logging.get("cluster")


async def stop(settings: Settings, node: RealNode, clock: Clock) -> None:
    """Ends the node's kubelet and proxy; containers, links and rules stay as they are."""
    await _tell(settings, node, "stopped")
    await _until(settings, clock, f"the end of {node.name}", lambda state: not _child(state, node).pid)


async def start(settings: Settings, node: RealNode, clock: Clock) -> None:
    """Brings a node back, whatever was done to it. Returns when its kubelet has registered."""
    await _tell(settings, node, None)
    if node.netns:
        await asyncio.to_thread(nodenet.heal, node)

    def works(state: State) -> bool:
        child = _child(state, node)
        if child.problem:
            raise SettingsError(f"{node.name} cannot start: {child.problem}")
        return bool(child.ready)

    await _until(settings, clock, f"the start of {node.name}", works)


async def cut(settings: Settings, node: RealNode) -> None:
    """Pulls the node's network cable; everything on it works on by itself."""
    _needs_namespace(node, "cut off")
    await asyncio.to_thread(nodenet.cut, node)
    await _tell(settings, node, "cut")


async def heal(settings: Settings, node: RealNode) -> None:
    """Plugs the cable in again."""
    _needs_namespace(node, "cut off")
    await asyncio.to_thread(nodenet.heal, node)
    await _tell(settings, node, None)


async def kill(settings: Settings, node: RealNode, clock: Clock) -> None:
    """As if the machine lost its power: nothing of the node gets to end, tell or tidy up anything.

    Of the machine itself only kubelet, proxy and containers are killed: its network is everybody's."""
    if node.netns:
        await asyncio.to_thread(nodenet.cut, node)
    await _tell(settings, node, "killed")
    await _until(settings, clock, f"the end of {node.name}", lambda state: not _child(state, node).pid)
    if node.netns:
        _kill(await asyncio.to_thread(nodenet.pids_inside, node))
    await _kill_containers(settings, node, clock)
    if node.netns:
        await asyncio.to_thread(nodenet.remove_node, node)


async def _kill_containers(settings: Settings, node: RealNode, clock: Clock) -> None:
    runtime, _ = make_runtime(settings, node, choose_runtime(settings), clock, HollowNetwork())
    await runtime.open()
    try:
        pids = []
        for container in await runtime.list_containers():
            if container.state == "running":
                try:
                    pids.append((await runtime.container_status(container.id)).pid)
                except NotFound:
                    continue
        _kill(pid for pid in pids if pid)
        for sandbox in await runtime.list_pod_sandbox():
            await runtime.stop_pod_sandbox(sandbox.id)  # its namespaces would have gone with the power
    finally:
        await runtime.close()


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


async def take_out(settings: Settings, gone: list[RealNode], clock: Clock, tell: Callable[[str], None]) -> None:
    """Drains nodes that the settings no longer have, saves these, ends the nodes and deletes their objects.

    What is broken off here is begun again by the next `orlop up`."""
    client = client_of(settings, "admin", clock)
    try:
        dead = read_states(settings)
        await asyncio.gather(*(_drain(client, clock, node) for node in gone if node.name not in dead))
        settings.save()
        launch.reload(settings)
        names = {node.component for node in gone}
        await _until(settings, clock, "the end of " + ", ".join(names), lambda s: not names & s.children.keys())
        for node in gone:
            await clean_node(settings, node)
            await delete_object(client, node)
            identities.forget(settings, node.name)
            write_state(settings, node, None)
            tell(f"node {node.name} is drained and gone")
        if settings.nodes == 1:
            await asyncio.to_thread(nodenet.remove_host, settings)
    finally:
        await client.close()


async def delete_object(client: Client, node: RealNode) -> None:
    """The Node of a node that is gone; its pods are collected by the controllers."""
    try:
        await client.delete(core_v1.Node, node.name)
    except errors.NotFound:
        return


async def _drain(client: Client, clock: Clock, node: RealNode) -> None:
    """Moves the pods away, within DRAIN_SECONDS; a disruption budget is waited for that long."""
    try:
        await client.patch(core_v1.Node, node.name, None, {"spec": {"unschedulable": True}}, type="merge")
    except errors.NotFound:
        return
    deadline = clock.monotonic() + DRAIN_SECONDS
    while clock.monotonic() < deadline:
        left = (await client.list(core_v1.Pod, fields=f"spec.nodeName={node.name}")).items
        left = [pod for pod in left if not any(o.kind == "DaemonSet" for o in pod.metadata.owner_references)]
        if not left:
            return
        for pod in left:
            if pod.metadata.deletion_timestamp is None:
                try:
                    await client.evict(pod.metadata.namespace, pod.metadata.name)
                except (errors.TooManyRequests, errors.NotFound):
                    continue
        await clock.sleep(LOOK_SECONDS * 5)
    log.warning("some pods did not leave %s in time", node.name)


async def wait_ready(settings: Settings, clock: Clock, names: set[str]) -> None:
    """Returns when these children work."""

    def works(state: State) -> bool:
        for name in names & state.children.keys():
            if problem := state.children[name].problem:
                raise SettingsError(f"{name} cannot start: {problem}")
        return all(name in state.children and state.children[name].ready for name in names)

    await _until(settings, clock, "the start of " + ", ".join(sorted(names)), works)


async def _tell(settings: Settings, node: RealNode, state: NodeState | None) -> None:
    write_state(settings, node, state)
    launch.reload(settings)


async def _until(settings: Settings, clock: Clock, what: str, holds: Callable[[State], bool]) -> None:
    deadline = clock.monotonic() + ACT_SECONDS
    while True:
        state = launch.running(settings)
        if state is None:
            raise SettingsError(f"cluster {settings.name!r} does not run: orlop up starts it")
        if holds(state):
            return
        if clock.monotonic() > deadline:
            raise SettingsError(f"{what} took longer than {ACT_SECONDS:g} s; see {settings.logs}")
        await clock.sleep(LOOK_SECONDS)


def _child(state: State, node: RealNode) -> Child:
    return state.children.get(node.component) or Child(node.component)


def _needs_namespace(node: RealNode, what: str) -> None:
    if not node.netns:
        raise SettingsError(f"{node.name} is this machine itself: it cannot be {what}; try one of the other nodes")
