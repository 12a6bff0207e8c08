"""Which pods a node takes on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orlop.api.types import core_v1
from orlop.client.transport import Unreachable
from tests.kubelet.nodes import NODE, Node, hollow, main


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with hollow(tmp_path) as node:
        yield node


def asking(**requests: str) -> list[dict[str, Any]]:
    return [
        {"name": "main", "resources": {"requests": {name.replace("_", "-"): text for name, text in requests.items()}}}
    ]


async def refused(node: Node, name: str = "p") -> tuple[str, str]:
    """Why the node did not take the pod."""
    pod = await node.until(lambda p: p.status.phase == "Failed", name)
    assert pod.status.container_statuses == []
    assert pod.status.message.startswith("Pod was rejected: ")
    message = pod.status.message.removeprefix("Pod was rejected: ")
    (event,) = await node.said(pod.status.reason, name)
    assert (event.type, event.message) == ("Warning", message)
    assert await node.kubelet._runtime.list_pod_sandbox({"io.kubernetes.pod.name": name}) == []
    return pod.status.reason, message


async def test_too_little_of_a_resource(node: Node) -> None:
    await node.pod("first", containers=asking(cpu="5", memory="1Gi"))
    await node.running("first")
    await node.pod(containers=asking(cpu="3500m"))
    assert await refused(node) == (
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 3500, used: 5000, capacity: 8000",
    )
    await node.pod("m", containers=asking(memory="16Gi"))
    assert (await refused(node, "m"))[0] == "OutOfmemory"
    await node.pod("e", containers=asking(ephemeral_storage="200Gi"))
    assert (await refused(node, "e"))[0] == "OutOfephemeral-storage"
    await node.pod("fits", containers=asking(cpu="3"))
    await node.running("fits")


async def test_what_an_ended_pod_had_is_free_when_its_end_is_told(node: Node) -> None:
    for name in ("one", "two", "three"):
        await node.pod(name, containers=asking(cpu="8"), stage={"run": 0.05}, restartPolicy="Never")
        await node.until(lambda p: p.status.phase == "Succeeded", name)


async def test_a_deleted_pod_makes_room(node: Node) -> None:
    for _ in range(3):
        await node.pod(containers=asking(cpu="8"))
        await node.running()
        await node.delete(grace=1)
        await node.gone()


async def test_too_many_pods(tmp_path: Path) -> None:
    async with hollow(tmp_path, start=False) as node:
        node.config.capacity = {**node.config.capacity, "pods": "1"}
        await node.start()
        await node.pod("first")
        await node.running("first")
        await node.pod()
        message = "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1"
        assert await refused(node) == ("OutOfpods", message)


async def test_a_node_that_is_not_the_pod_s(node: Node) -> None:
    await node.pod(nodeSelector={"disk": "fast"})
    message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert await refused(node) == ("NodeAffinity", message)
    await node.admin.patch(core_v1.Node, NODE, None, {"metadata": {"labels": {"disk": "fast"}}}, type="merge")
    await node.pod("labelled", nodeSelector={"disk": "fast"})
    await node.running("labelled")


async def test_a_port_of_the_node_that_is_taken(node: Node) -> None:
    ports = [{"name": "main", "ports": [{"containerPort": 80, "hostPort": 8080}]}]
    await node.pod("first", containers=ports)
    await node.running("first")
    await node.pod(containers=[{**ports[0], "image": "app:1"}])
    message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert await refused(node) == ("NodePorts", message)


async def test_a_taint_that_the_pod_does_not_tolerate(node: Node) -> None:
    taint = {"spec": {"taints": [{"key": "gone", "effect": "NoExecute"}]}}
    await node.admin.patch(core_v1.Node, NODE, None, taint, type="merge")
    await node.pod(tolerations=[])
    message = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert await refused(node) == ("TaintToleration", message)


async def test_another_operating_system(node: Node) -> None:
    await node.pod(os={"name": "windows"})
    message = "Failed to admit pod as the OS field doesn't match node OS"
    assert await refused(node) == ("PodOSNotSupported", message)
    await node.pod("labelled", labels={"kubernetes.io/os": "windows"})
    assert (await refused(node, "labelled"))[0] == "PodOSSelectorNodeLabelDoesNotMatch"


async def test_less_important_pods_make_room_for_a_critical_one(node: Node) -> None:
    for name, cpu in (("small", "1"), ("middle", "3"), ("large", "4")):
        await node.pod(name, containers=asking(cpu=cpu))
        await node.running(name)
    await node.pod("critical", containers=asking(cpu="3"), priorityClassName="system-node-critical")
    await node.running("critical")
    victim = await node.get("middle")
    assert (victim.status.phase, victim.status.reason) == ("Failed", "Preempting")
    assert victim.status.message == "Preempted in order to admit critical pod"
    assert main(victim).state.terminated
    assert next(c for c in victim.status.conditions if c.type == "DisruptionTarget").reason == "TerminationByKubelet"
    (event,) = await node.said("Preempting", "middle")
    assert event.message == "Preempted in order to admit critical pod"
    for name in ("small", "large"):
        assert (await node.get(name)).status.phase == "Running"
    await node.pod(containers=asking(cpu="100"), priorityClassName="system-node-critical")
    reason, message = await refused(node)
    assert reason == "UnexpectedAdmissionError"
    assert message.startswith("Unexpected error while attempting to recover from admission failure: preemption: error ")


async def test_pods_that_a_restarted_kubelet_finds_stay(node: Node) -> None:
    """They were taken on once: a node that has become smaller meanwhile does not end them."""
    await node.pod("first", containers=asking(cpu="8"))
    await node.running("first")
    await node.stop()
    node.config.capacity = {**node.config.capacity, "cpu": "4"}
    await node.pod("new", containers=asking(cpu="1"))
    await node.start()
    assert (await refused(node, "new"))[0] == "OutOfcpu"
    assert (await node.get("first")).status.phase == "Running"


async def test_an_api_that_does_not_answer_only_delays(node: Node) -> None:
    """The node is asked for anew where its affinity fails: the pod is looked at again when the API is back."""
    asked = node.kubelet._client.get
    failures = ["once", "twice"]

    async def get(*what: Any, **options: Any) -> Any:
        if failures:
            raise Unreachable(f"cut {failures.pop()}", sent=False)
        return await asked(*what, **options)

    node.kubelet._client.get = get  # type: ignore[method-assign]
    await node.pod(nodeSelector={"disk": "fast"})
    assert (await refused(node))[0] == "NodeAffinity"
    assert failures == []
