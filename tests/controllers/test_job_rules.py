"""The rules of Jobs without a server: index sets, policies, back-off, which pods go."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.clock import rfc3339
from orlop.controllers.job import making, policies
from orlop.controllers.job.backoff import Record, finished_at, remaining
from orlop.controllers.job.indexes import INDEX, Indexes
from orlop.controllers.job.state import State
from orlop.controllers.views import (
    ContainerEndView,
    ContainerPortsView,
    ContainerStateView,
    ContainerStatusView,
    MetaView,
    PodConditionView,
    PodSpecView,
    PodStatusView,
    PodView,
)

NOW = 1_700_000_000.0
SETS = st.frozensets(st.integers(0, 40))


def pod(
    name: str = "p",
    *,
    index: int | None = None,
    phase: str = "Running",
    node: str = "n",
    exits: dict[str, int] | None = None,
    ended: float = 0,
    conditions: dict[str, str] | None = None,
) -> PodView:
    statuses = [
        ContainerStatusView(
            name=container,
            state=ContainerStateView(terminated=ContainerEndView(exit_code=code, finished_at=rfc3339(NOW - ended))),
        )
        for container, code in (exits or {}).items()
    ]
    return PodView(
        metadata=MetaView(
            name=name,
            namespace="default",
            uid=name,
            creation_timestamp=rfc3339(NOW - 1000),
            annotations={INDEX: str(index)} if index is not None else {},
        ),
        spec=PodSpecView(node_name=node),
        status=PodStatusView(
            phase=phase,
            container_statuses=statuses,
            conditions=[PodConditionView(type=t, status=s) for t, s in (conditions or {}).items()],
        ),
    )


def job(**spec: Any) -> batch_v1.Job:
    container = core_v1.Container(name="app", image="work:1")
    template = core_v1.PodTemplateSpec(spec=core_v1.PodSpec(containers=[container]))
    return batch_v1.Job(
        metadata=meta_v1.ObjectMeta(name="work", namespace="default", uid="j"),
        spec=batch_v1.JobSpec(template=template, **{"parallelism": 1, "backoff_limit": 6, **spec}),
    )


# --- index sets


@given(SETS)
def test_a_set_reads_what_it_writes(members: frozenset[int]) -> None:
    made = Indexes().plus(members)
    assert Indexes.parse(str(made), 100) == made
    assert [i for i in range(50) if i in made] == sorted(members)
    assert len(made) == len(members)


@given(SETS, SETS)
def test_sets_join_and_meet(a: frozenset[int], b: frozenset[int]) -> None:
    left, right = Indexes().plus(a), Indexes().plus(b)
    assert left.union(right) == Indexes().plus(a | b)
    assert left.common(right) == len(a & b)


@given(SETS, st.integers(0, 10), st.integers(0, 50))
def test_the_first_missing(members: frozenset[int], count: int, completions: int) -> None:
    missing = [i for i in range(completions) if i not in members][:count]
    assert Indexes().plus(members).first_missing(count, completions) == missing


@pytest.mark.parametrize(
    ("text", "completions", "written"),
    [
        ("", 5, ""),
        ("0,1,2", 5, "0-2"),
        ("0-2,3,5", 6, "0-3,5"),
        ("1-9", 4, "1-3"),
        ("4,7", 4, ""),
        ("x,2,3-y", 9, "2"),
        ("0,1", 9, "0,1"),
    ],
)
def test_what_a_status_says(text: str, completions: int, written: str) -> None:
    assert str(Indexes.parse(text, completions)) == written


# --- policies


def exit_rule(action: str, operator: str, *values: int, container: str | None = None) -> batch_v1.PodFailurePolicyRule:
    codes = batch_v1.PodFailurePolicyOnExitCodesRequirement(
        container_name=container, operator=operator, values=list(values)
    )
    return batch_v1.PodFailurePolicyRule(action=action, on_exit_codes=codes)


@pytest.mark.parametrize(
    ("rule", "exits", "action"),
    [
        (exit_rule("Ignore", "In", 3), {"app": 3}, "Ignore"),
        (exit_rule("Ignore", "In", 3), {"app": 4}, ""),
        (exit_rule("Ignore", "NotIn", 3), {"app": 4}, "Ignore"),
        (exit_rule("Ignore", "NotIn", 3), {"app": 0}, ""),  # success is no exit code to look at
        (exit_rule("Ignore", "In", 3, container="side"), {"app": 3}, ""),
        (exit_rule("FailIndex", "In", 3, container="side"), {"app": 1, "side": 3}, "FailIndex"),
        (exit_rule("Count", "In", 1), {"app": 1}, "Count"),
    ],
)
def test_exit_codes(rule: batch_v1.PodFailurePolicyRule, exits: dict[str, int], action: str) -> None:
    verdict = policies.judge(batch_v1.PodFailurePolicy(rules=[rule]), pod(exits=exits, phase="Failed"))
    assert verdict.action == action
    assert verdict.counts == (action != "Ignore")


def test_the_first_rule_that_matches_decides() -> None:
    pattern = batch_v1.PodFailurePolicyOnPodConditionsPattern(type="DisruptionTarget", status="True")
    rules = [
        exit_rule("Count", "In", 9),
        batch_v1.PodFailurePolicyRule(action="Ignore", on_pod_conditions=[pattern]),
        exit_rule("FailJob", "In", 1),
    ]
    policy = batch_v1.PodFailurePolicy(rules=rules)
    disrupted = pod(exits={"app": 1}, conditions={"DisruptionTarget": "True"})
    assert policies.judge(policy, disrupted).action == "Ignore"
    words = "Container app for pod default/p failed with exit code 1 matching FailJob rule at index 2"
    assert policies.judge(policy, pod(exits={"app": 1})).fails_job == words


@pytest.mark.parametrize(
    ("indexes", "count", "succeeded", "met"),
    [
        ("0-2", None, {0, 1}, False),
        ("0-2", None, {0, 1, 2}, True),
        ("0-2", 2, {0, 2, 5}, True),
        ("0-2", 2, {0, 5}, False),
        (None, 2, {7, 8}, True),
        (None, 2, {7}, False),
        ("0", None, set(), False),
    ],
)
def test_success_policies(indexes: str | None, count: int | None, succeeded: set[int], met: bool) -> None:
    rule = batch_v1.SuccessPolicyRule(succeeded_indexes=indexes, succeeded_count=count)
    said = policies.success(batch_v1.SuccessPolicy(rules=[rule]), 10, Indexes().plus(succeeded))
    assert said == ("Matched rules at index 0" if met else None)


# --- back-off


@pytest.mark.parametrize(("failures", "wait"), [(0, 0), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (99, 600)])
def test_waits_double_up_to_ten_minutes(failures: int, wait: float) -> None:
    assert remaining(failures, NOW, NOW) == wait
    assert remaining(failures, NOW - wait, NOW) == 0


def test_only_failures_after_the_last_success_count() -> None:
    old, new = pod("old", exits={"a": 1}, ended=30), pod("new", exits={"a": 1}, ended=5)
    assert Record().after([], [old, new]) == Record(2, NOW - 5)
    assert Record(4, NOW - 99).after([], [new]) == Record(5, NOW - 5)
    assert Record(4, NOW - 99).after([pod("ok", exits={"a": 0}, ended=10)], [old, new]) == Record(1, NOW - 5)
    assert Record(4, NOW - 99).after([pod("ok", exits={"a": 0}, ended=1)], [old, new]) == Record(0, 0)


def test_when_a_pod_ended() -> None:
    assert finished_at(pod(exits={"a": 0, "b": 1}, ended=7)) == NOW - 7
    lost = pod()
    lost.metadata.deletion_timestamp = rfc3339(NOW)
    lost.metadata.deletion_grace_period_seconds = 30
    assert finished_at(lost) == NOW - 30
    assert finished_at(pod()) == NOW - 1000
    helped = pod(exits={"a": 0}, ended=7)
    helped.spec.init_containers = [
        ContainerPortsView(name="proxy", restart_policy="Always"),
        ContainerPortsView(name="i"),
    ]
    helped.status.init_container_statuses = pod(exits={"proxy": 0, "i": 0}, ended=5).status.container_statuses
    helped.status.init_container_statuses[1].state = None
    assert finished_at(helped) == NOW - 5, "a sidecar ends later; other init containers do not count"


# --- which pods are made and which go


def names(pods: list[PodView]) -> list[str]:
    return [p.metadata.name for p in pods]


def test_pods_of_an_indexed_job_that_are_too_many() -> None:
    indexed = job(completion_mode="Indexed", completions=3)
    pods = [
        pod("none"),
        pod("past-the-end", index=3),
        pod("pending", index=1, phase="Pending", node=""),
        pod("running", index=1),
        pod("zero", index=0, node=""),
        pod("two", index=2),
    ]
    state = State(indexed, pods, NOW)
    assert set(names(making.removable(state, 0))) == {"none", "past-the-end", "pending"}
    assert names(making.removable(state, 4))[3] == "zero"


def test_how_many_are_wanted() -> None:
    state = State(job(completions=5, parallelism=3), [], NOW, succeeded=3)
    assert making.wanted_active(state) == 2
    queue = State(job(parallelism=3), [], NOW, active=1)
    assert making.wanted_active(queue) == 3
    queue.succeeded = 1
    assert making.wanted_active(queue) == 1


def test_names_that_are_too_long_keep_their_index() -> None:
    long = job(completion_mode="Indexed", completions=200)
    long.metadata.name = "w" * 63
    made = making.pod_of(long, 123)
    assert made.metadata.generate_name == "w" * 53 + "-123-"
    assert made.spec.hostname == "w" * 63 + "-123"
