"""A pod's status from what runs."""

import msgspec
import pytest

from orlop.api.types import core_v1
from orlop.kubelet.runtime import values as v
from orlop.kubelet.status import Facts, Waiting, generate, qos_class
from orlop.kubelet.statuses import difference
from tests.kubelet.worlds import pod, ran, sandbox

NOW = 1_700_000_000.0


def told(p: core_v1.Pod, *containers: v.ContainerStatus, **facts: object) -> core_v1.PodStatus:
    base: dict[str, object] = {
        "sandbox": sandbox(),
        "containers": containers,
        "host_ips": ["192.0.2.1"],
        "runtime_name": "docker",
    }
    return generate(p, Facts(**(base | facts)), NOW)  # type: ignore[arg-type]


def conditions(status: core_v1.PodStatus) -> dict[str, str]:
    return {c.type: c.status for c in status.conditions}


def test_a_running_pod() -> None:
    status = told(pod("a"), ran("a"))
    assert status.phase == "Running"
    assert status.pod_ip == "10.0.0.2"
    assert [p.ip for p in status.pod_ips] == ["10.0.0.2"]
    assert status.host_ip == "192.0.2.1"
    container = status.container_statuses[0]
    assert container.ready
    assert container.started
    assert container.container_id == "docker://a-0"
    assert container.state.running is not None
    assert conditions(status) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }


def test_before_anything_runs() -> None:
    status = told(pod("a"), sandbox=None)
    assert status.phase == "Pending"
    assert status.container_statuses[0].state.waiting is not None
    assert status.container_statuses[0].state.waiting.reason == "ContainerCreating"
    assert conditions(status)["Ready"] == "False"
    with_init = told(pod("a", init=("one",)), ran("one"))
    assert with_init.container_statuses[0].state.waiting is not None
    assert with_init.container_statuses[0].state.waiting.reason == "PodInitializing"
    assert conditions(with_init)["Initialized"] == "False"


def test_a_crashing_container_waits_and_remembers() -> None:
    crashed = ran("a", "exited", code=137, reason="OOMKilled", attempt=2)
    status = told(pod("a"), crashed, waiting={"a": Waiting("CrashLoopBackOff", "back-off 10s …")})
    container = status.container_statuses[0]
    assert container.restart_count == 2
    assert container.state.waiting is not None
    assert container.state.waiting.reason == "CrashLoopBackOff"
    assert container.last_state.terminated is not None
    assert container.last_state.terminated.reason == "OOMKilled"
    assert container.last_state.terminated.exit_code == 137
    assert status.phase == "Running"


def test_a_container_that_is_lost_counts_as_ended() -> None:
    p = pod("a")
    p.status = told(p, ran("a", attempt=3))
    lost = told(p).container_statuses[0]
    assert lost.restart_count == 3
    assert lost.state.waiting is not None
    assert lost.last_state.terminated is not None
    assert (lost.last_state.terminated.reason, lost.last_state.terminated.exit_code) == ("ContainerStatusUnknown", 137)
    p.status = told(p)
    assert told(p).container_statuses[0].last_state == lost.last_state, "it stays known"
    again = told(p, ran("a", attempt=4)).container_statuses[0]
    assert (again.restart_count, again.last_state) == (4, lost.last_state), "also of the next one"


@pytest.mark.parametrize(
    ("restart", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
    ],
)
def test_phases_of_ended_pods(restart: str, codes: tuple[int, int], phase: str) -> None:
    p = pod("a", "b", restart=restart)
    assert told(p, ran("a", "exited", code=codes[0]), ran("b", "exited", code=codes[1])).phase == phase


def test_an_ended_phase_stays() -> None:
    p = pod("a", restart="Never")
    p.status.phase = "Succeeded"
    assert told(p).phase == "Succeeded"


def test_an_unready_container_makes_the_pod_unready() -> None:
    status = told(pod("a"), ran("a"), ready={"a-0": False})
    assert conditions(status)["Ready"] == "False"
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert (ready.reason, ready.message) == ("ContainersNotReady", "containers with unready status: [a]")


def test_readiness_gates() -> None:
    p = pod("a")
    p.spec.readiness_gates = [core_v1.PodReadinessGate(condition_type="x.io/lb")]
    assert conditions(told(p, ran("a")))["Ready"] == "False"
    p.status.conditions = [core_v1.PodCondition(type="x.io/lb", status="True")]
    status = told(p, ran("a"))
    assert conditions(status)["Ready"] == "True"
    assert conditions(status)["x.io/lb"] == "True"


def test_transition_times_move_only_with_the_status() -> None:
    p = pod("a")
    p.status = told(p, ran("a"))
    later = generate(p, Facts(sandbox=sandbox(), containers=[ran("a")], host_ips=["192.0.2.1"]), NOW + 100)
    assert [c.last_transition_time for c in later.conditions] == [c.last_transition_time for c in p.status.conditions]


def test_only_differences_are_sent() -> None:
    p = pod("a")
    p.status = told(p, ran("a"))
    assert difference(p.status, told(p, ran("a"))) == {}
    patch = difference(p.status, told(p, ran("a"), ready={"a-0": False}))
    assert {c["type"] for c in patch["conditions"]} == {"Ready", "ContainersReady"}
    assert set(patch) == {"conditions", "containerStatuses"}


def test_a_reason_that_no_longer_holds_is_taken_out() -> None:
    p = pod("a")
    p.status = told(p, ran("a"), ready={"a-0": False})
    patch = difference(p.status, told(p, ran("a")))
    ready = next(c for c in patch["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", None, None)


def test_a_changed_address_replaces_the_old_one() -> None:
    p = pod("a")
    p.status = told(p, ran("a"))
    patch = difference(p.status, told(p, ran("a"), sandbox=sandbox(ips=("10.0.0.9",))))
    assert patch["podIPs"] == [{"ip": "10.0.0.9"}, {"$patch": "replace"}]


def test_qos_classes() -> None:
    def of(requests: dict[str, str], limits: dict[str, str]) -> str:
        p = pod("a")
        p.spec.containers[0].resources = core_v1.ResourceRequirements(requests=requests, limits=limits)
        return qos_class(p)

    both = {"cpu": "1", "memory": "1Gi"}
    assert of({}, {}) == "BestEffort"
    assert of(both, both) == "Guaranteed"
    assert of({"cpu": "1"}, {}) == "Burstable"


def test_a_status_survives_the_wire() -> None:
    status = told(pod("a", init=("one",)), ran("one", "exited"), ran("a"))
    assert msgspec.json.decode(msgspec.json.encode(status), type=core_v1.PodStatus) == status


def test_ephemeral_containers_are_told_of_and_never_ready() -> None:
    p = pod("a")
    p.spec.ephemeral_containers = [core_v1.EphemeralContainer(name=n, image="i") for n in ("runs", "waits")]
    status = told(p, ran("a"), ran("runs"), waiting={"waits": Waiting("ErrImagePull", "no such image")})
    runs, waits = status.ephemeral_container_statuses
    assert runs.state.running is not None
    assert (runs.ready, runs.started) == (False, None)
    assert waits.state.waiting is not None
    assert waits.state.waiting.reason == "ErrImagePull"
    assert conditions(status)["Ready"] == "True", "nothing may rely on them"
    # Gone from the node with its sandbox: what was known stays known.
    p.status = status
    lost = told(p, ran("a")).ephemeral_container_statuses[0]
    assert lost.state.terminated is not None
    assert lost.state.terminated.reason == "ContainerStatusUnknown"
    p.status.ephemeral_container_statuses[0] = lost
    assert told(p, ran("a")).ephemeral_container_statuses[0] == lost
