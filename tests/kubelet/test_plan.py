"""What a pod needs next, case by case."""

from orlop.api.types import core_v1
from orlop.kubelet.plan import Plan, plan
from orlop.kubelet.runtime import values as v
from tests.kubelet.worlds import pod, ran, sandbox


def decide(
    p: core_v1.Pod,
    *containers: v.ContainerStatus,
    box: v.PodSandboxStatus | None = None,
    failed: dict[str, str] | None = None,
    started: dict[str, bool] | None = None,
) -> Plan:
    return plan(p, box or sandbox(), containers, failed_probes=failed or {}, started=started or {})


def names(result: Plan) -> list[str]:
    return [c.name for c in result.start]


def test_a_new_pod_needs_a_sandbox_first() -> None:
    result = plan(pod("a"), None, [], failed_probes={}, started={})
    assert result.sandbox
    assert names(result) == ["a"]


def test_a_sandbox_that_is_not_ready_or_has_lost_its_address_is_made_anew() -> None:
    assert decide(pod("a"), ran("a"), box=sandbox("notready")).sandbox
    assert decide(pod("a"), ran("a"), box=sandbox(ips=())).sandbox


def test_what_runs_is_left_alone() -> None:
    result = decide(pod("a", "b"), ran("a"), ran("b"))
    assert (result.sandbox, result.kill, result.start, result.finished) == (False, [], [], False)


def test_restart_policies() -> None:
    for policy, code, again in [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 1, False),
    ]:
        result = decide(pod("a", restart=policy), ran("a", "exited", code=code))
        assert bool(result.start) is again, (policy, code)
        assert result.finished is not again, (policy, code)


def test_a_container_with_another_image_is_replaced() -> None:
    result = decide(pod("a"), ran("a", image="old"))
    assert [k.message for k in result.kill] == ["Container a definition changed, will be restarted"]


def test_a_failed_liveness_probe_restarts() -> None:
    result = decide(pod("a"), ran("a"), failed={"a-0": "liveness"})
    assert [k.message for k in result.kill] == ["Container a failed liveness probe, will be restarted"]
    never = decide(pod("a", restart="Never"), ran("a"), failed={"a-0": "liveness"})
    assert [k.message for k in never.kill] == ["Container a failed liveness probe"]


def test_init_containers_run_one_after_the_other() -> None:
    p = pod("a", init=("one", "two"))
    assert names(decide(p)) == ["one"]
    assert names(decide(p, ran("one"))) == []
    assert names(decide(p, ran("one", "exited"))) == ["two"]
    assert names(decide(p, ran("one", "exited"), ran("two", "exited"))) == ["a"]


def test_a_failed_init_container_is_tried_again_unless_never() -> None:
    assert names(decide(pod("a", init=("one",)), ran("one", "exited", code=1))) == ["one"]
    result = decide(pod("a", init=("one",), restart="Never"), ran("one", "exited", code=1))
    assert result.finished
    assert names(result) == []


def test_a_sidecar_is_started_before_and_restarted_beside_the_others() -> None:
    p = pod("a", sidecars=("log",))
    assert names(decide(p)) == ["log"]
    assert names(decide(p, ran("log"), started={"log": False})) == []
    assert names(decide(p, ran("log"))) == ["a"]
    assert names(decide(p, ran("log", "exited"), ran("a"))) == ["log"]


def test_the_newest_attempt_counts() -> None:
    result = decide(pod("a"), ran("a", "exited", code=1), ran("a", attempt=1))
    assert result.start == []


def test_a_pod_told_to_end_starts_nothing() -> None:
    p = pod("a")
    p.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    assert names(decide(p, ran("a", "exited"))) == []


def with_ephemeral(p: core_v1.Pod, *containers: str) -> core_v1.Pod:
    p.spec.ephemeral_containers = [core_v1.EphemeralContainer(name=n, image="i") for n in containers]
    return p


def test_an_ephemeral_container_is_started_once_whatever_the_others_do() -> None:
    assert names(decide(with_ephemeral(pod("a"), "look"), ran("a"))) == ["look"]
    waiting = with_ephemeral(pod("a", init=("one",)), "look")
    assert names(decide(waiting, ran("one"))) == ["look"], "it may look at an init container that hangs"
    assert names(decide(with_ephemeral(pod("a"), "look"), ran("a"), ran("look"))) == []
    assert names(decide(with_ephemeral(pod("a"), "look"), ran("a"), ran("look", "exited", code=1))) == []


def test_an_ephemeral_container_that_went_with_its_sandbox_stays_away() -> None:
    p = with_ephemeral(pod("a"), "look")
    state = core_v1.ContainerState(running=core_v1.ContainerStateRunning())
    p.status.ephemeral_container_statuses = [core_v1.ContainerStatus(name="look", image="i", image_id="", state=state)]
    assert names(decide(p)) == ["a"]
    assert names(plan(with_ephemeral(pod("a"), "look"), None, [], failed_probes={}, started={})) == ["a"]


def test_an_ephemeral_container_keeps_no_pod_alive() -> None:
    p = with_ephemeral(pod("a", restart="Never"), "look")
    assert decide(p, ran("a", "exited"), ran("look")).finished
