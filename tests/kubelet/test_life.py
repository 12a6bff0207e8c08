"""Lives of pods on a simulated node with a real API server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kubelet.nodes import Node, hollow, main, ready, waits


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with hollow(tmp_path) as node:
        yield node


@pytest.fixture
async def fast(tmp_path: Path) -> AsyncIterator[Node]:
    """Twenty seconds in one."""
    async with hollow(tmp_path, speed=20) as node:
        yield node


async def test_a_pod_runs_and_goes(node: Node) -> None:
    await node.pod()
    pod = await node.running()
    assert pod.status.pod_ip
    assert [p.ip for p in pod.status.pod_ips] == [pod.status.pod_ip]
    assert pod.status.host_ip == "192.0.2.7"
    assert main(pod).started is True
    await node.said("Started")
    reasons = [e.reason for e in await node.events()]
    assert reasons == ["Pulling", "Pulled", "Created", "Started"]
    await node.delete()
    await node.gone()
    assert await node.kubelet._runtime.list_pod_sandbox() == []


async def test_no_needless_status_is_sent(node: Node) -> None:
    await node.pod()
    running = await node.running()
    await node.delete(grace=1)
    await node.gone()
    patches = node.line.patches("p")
    # Creating, running, ended.
    assert len(patches) <= 3, patches
    assert [c.reason for c in running.status.conditions if c.type == "Ready"] == [""], "the reason for False is gone"
    phases = [p["phase"] for p in patches if "phase" in p]
    assert phases in (["Running", "Succeeded"], ["Running", "Failed"])


async def test_what_others_overwrite_is_told_again(node: Node) -> None:
    """As the controllers do when a node seemed lost: once it is heard of again, its pods are ready again."""
    await node.pod()
    pod = await node.running()
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            condition.status = "False"
    overwritten = await node.admin.update_status(pod)
    again = await node.running()
    assert int(again.metadata.resource_version) > int(overwritten.metadata.resource_version)


async def test_never_and_on_failure_end_as_their_exit_codes_say(node: Node) -> None:
    for policy, code, phase in [
        ("Never", 0, "Succeeded"),
        ("Never", 3, "Failed"),
        ("OnFailure", 0, "Succeeded"),
    ]:
        name = f"{policy.lower()}-{code}"
        await node.pod(name, stage={"run": 0.1, "exitCode": code}, restartPolicy=policy)
        pod = await node.until(lambda p, phase=phase: p.status.phase == phase, name)
        terminated = main(pod).state.terminated
        assert terminated is not None
        assert (terminated.exit_code, terminated.reason) == (code, "Error" if code else "Completed")
        assert pod.status.pod_ip, "a pod that has ended keeps its address"
        assert not ready(pod)


async def test_a_crashing_container_comes_back_ever_later(fast: Node) -> None:
    await fast.pod(stage={"run": 0.5, "exitCode": 1})
    pod = await fast.until(lambda p: main(p).restart_count == 1)
    pod = await fast.until(waits("CrashLoopBackOff"))
    waiting, last = main(pod).state.waiting, main(pod).last_state.terminated
    uid = pod.metadata.uid
    assert waiting is not None
    assert last is not None
    assert waiting.message == f"back-off 10s restarting failed container=main pod=p_default({uid})"
    assert last.exit_code == 1
    assert pod.status.phase == "Running"
    pod = await fast.until(lambda p: "back-off 20s" in (((w := main(p).state.waiting) and w.message) or ""))
    (event,) = await fast.said("BackOff")
    assert event.message == f"Back-off restarting failed container main in pod p_default({uid})"


async def test_a_pod_is_deleted_during_its_back_off(fast: Node) -> None:
    await fast.pod(stage={"run": 0.1, "exitCode": 1})
    await fast.until(waits("CrashLoopBackOff"))
    await fast.delete()
    await fast.gone(seconds=3)


async def test_init_containers_go_first_one_by_one(node: Node) -> None:
    await node.pod(
        stage=None,
        annotations={},
        initContainers=[{"name": "one", "image": "i:1"}, {"name": "two", "image": "i:1"}],
    )
    pod = await node.until(lambda p: main(p, "one").state.running)
    assert pod.status.phase == "Pending"
    initialized = next(c for c in pod.status.conditions if c.type == "Initialized")
    assert (initialized.status, initialized.reason) == ("False", "ContainersNotInitialized")
    assert initialized.message == "containers with incomplete status: [one two]"
    waiting = main(pod).state.waiting
    assert waiting is not None
    assert waiting.reason == "PodInitializing"


async def test_the_containers_start_once_the_sidecars_run(node: Node) -> None:
    sidecars = [{"name": n, "image": "i:1", "restartPolicy": "Always"} for n in ("log", "proxy")]
    await node.pod(stage=None, annotations={}, initContainers=sidecars)
    pod = await node.running()
    assert all(main(pod, name).state.running for name in ("log", "proxy", "main"))


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(node: Node) -> None:
    await node.pod(
        stage={"run": 0.05, "exitCode": 2}, restartPolicy="Never", initContainers=[{"name": "one", "image": "i:1"}]
    )
    pod = await node.until(lambda p: p.status.phase == "Failed")
    assert main(pod, "one").state.terminated
    assert not main(pod).state.running


async def test_deadline(fast: Node) -> None:
    await fast.pod(activeDeadlineSeconds=10)
    await fast.running()
    pod = await fast.until(lambda p: p.status.phase == "Failed")
    assert (pod.status.reason, pod.status.message) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )
    assert main(pod).state.terminated
    assert await fast.said("DeadlineExceeded")


async def test_a_second_delete_shortens_the_grace_period(node: Node) -> None:
    await node.pod(stage={"stopDelay": 3600}, terminationGracePeriodSeconds=3600)
    await node.running()
    await node.delete()
    await node.until(lambda p: p.metadata.deletion_timestamp)
    await node.delete(grace=1)
    await node.gone(seconds=6)


async def test_a_forced_delete_ends_the_containers_too(node: Node) -> None:
    await node.pod()
    await node.running()
    await node.delete(grace=0)
    await node.gone()
    for _ in range(100):
        if not await node.kubelet._runtime.list_pod_sandbox():
            break
        await node.clock.sleep(0.02)
    assert await node.kubelet._runtime.list_pod_sandbox() == []
    assert not node.kubelet._workers


async def test_a_pod_with_a_finalizer_ends_once_and_waits(node: Node) -> None:
    await node.pod(finalizers=["example.com/hold"])
    await node.running()
    await node.delete(grace=1)
    await node.until(lambda p: p.status.phase in ("Succeeded", "Failed"))
    await node.clock.sleep(0.3)
    before = len(node.line.writes)
    await node.clock.sleep(0.5)
    assert len(node.line.writes) == before, node.line.writes[before:]
    await node.admin.patch(type(await node.get()), "p", "default", {"metadata": {"finalizers": None}}, type="merge")
    await node.gone()


async def test_a_pod_replaced_by_another_of_its_name(node: Node) -> None:
    first = await node.pod()
    await node.running()
    await node.delete(grace=0)
    second = await node.pod()
    pod = await node.running()
    assert pod.metadata.uid == second.metadata.uid != first.metadata.uid


async def test_host_network_pods_show_the_node_s_address_even_when_done(node: Node) -> None:
    await node.pod(hostNetwork=True, stage={"run": 0.1}, restartPolicy="Never")
    pod = await node.until(lambda p: p.status.phase == "Succeeded")
    assert pod.status.pod_ip == pod.status.host_ip == "192.0.2.7"
