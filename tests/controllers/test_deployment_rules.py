"""The arithmetic of rollouts, scaling and revisions, by tables."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.controllers.deployment import revisions, rollout, scaling, status

NOW = 1_700_000_000.0


def deployment(
    replicas: int, surge: int | str = 1, unavailable: int | str = 1, strategy: str = "RollingUpdate", **spec: Any
) -> apps_v1.Deployment:
    return apps_v1.Deployment(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", uid="d", generation=1),
        spec=apps_v1.DeploymentSpec(
            replicas=replicas,
            strategy=apps_v1.DeploymentStrategy(
                type=strategy,
                rolling_update=apps_v1.RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable),
            ),
            **spec,
        ),
    )


def replica_set(
    name: str, replicas: int, available: int = 0, *, age: int = 0, desired: int | None = None, most: int | None = None
) -> apps_v1.ReplicaSet:
    annotations = {}
    if desired is not None:
        annotations[revisions.DESIRED_REPLICAS] = str(desired)
    if most is not None:
        annotations[revisions.MAX_REPLICAS] = str(most)
    return apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(
            name=name, uid=name, annotations=annotations, creation_timestamp=f"2026-01-01T00:00:{59 - age:02}Z"
        ),
        spec=apps_v1.ReplicaSetSpec(replicas=replicas),
        status=apps_v1.ReplicaSetStatus(replicas=replicas, available_replicas=available),
    )


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),  # surge is rounded up, unavailable down
        (3, "25%", "25%", (1, 0)),
        (1, "25%", "25%", (1, 0)),
        (10, 0, 0, (0, 1)),  # not both 0
        (10, "0%", "1%", (0, 1)),
        (3, 0, "33%", (0, 1)),
        (5, 2, "40%", (2, 2)),
        (2, "200%", "100%", (4, 2)),
    ],
)
def test_fence_posts(replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    assert rollout.fence_posts(deployment(replicas, surge, unavailable)) == expected


def test_no_more_may_be_unavailable_than_are_wanted() -> None:
    assert rollout.max_unavailable(deployment(2, 0, 5)) == 2
    assert rollout.max_unavailable(deployment(0, 0, 5)) == 0
    assert rollout.max_unavailable(deployment(5, 0, 5, strategy="Recreate")) == 0


@pytest.mark.parametrize(
    ("wanted", "surge", "old", "new", "expected"),
    [
        (10, 2, 10, 0, 2),  # room for the surge
        (10, 2, 7, 5, 5),  # none
        (10, 2, 5, 5, 7),
        (10, 5, 0, 8, 10),  # never above what is wanted
        (10, 0, 10, 0, 0),
    ],
)
def test_the_new_set_grows_into_the_room(wanted: int, surge: int, old: int, new: int, expected: int) -> None:
    sets = [replica_set("old", old), replica_set("new", new)]
    assert rollout.new_size(deployment(wanted, surge, 1), sets, sets[1]) == expected


@pytest.mark.parametrize(
    ("wanted", "unavailable", "old", "old_ready", "new", "new_ready", "expected"),
    [
        (10, 0, 10, 10, 0, 0, None),  # none may be missing and none is spare
        (10, 2, 10, 10, 0, 0, 8),
        (10, 2, 10, 10, 2, 0, 8),  # those to come do not count yet
        (10, 2, 10, 10, 2, 2, 6),
        (10, 2, 8, 8, 2, 0, None),
        (10, 2, 10, 5, 0, 0, 8),  # only unavailable ones go while too few are available
        (10, 2, 10, 0, 2, 2, 6),
        (10, 2, 1, 1, 10, 10, 0),
    ],
)
def test_old_sets_shrink_as_far_as_may_be(
    wanted: int, unavailable: int, old: int, old_ready: int, new: int, new_ready: int, expected: int | None
) -> None:
    d = deployment(wanted, 2, unavailable)
    was, to = replica_set("old", old, old_ready), replica_set("new", new, new_ready)
    assert [size for _, size in rollout.old_sizes(d, to, [was])] == ([] if expected is None else [expected])


def test_unavailable_pods_of_any_old_set_go_before_available_ones_of_the_oldest() -> None:
    oldest, older = replica_set("a", 4, 4, age=2), replica_set("b", 4, 0, age=1)
    sizes = rollout.old_sizes(deployment(8, 0, 4), replica_set("new", 0), [older, oldest])
    assert [(rs.metadata.name, size) for rs, size in sizes] == [("b", 0)]


def test_pods_that_a_set_was_asked_to_give_up_are_not_counted_on() -> None:
    d = deployment(6, 2, 1)
    was, to = (
        replica_set("old", 3, 4),
        replica_set("new", 4, 3),
    )  # its fourth is on its way out
    assert [size for _, size in rollout.old_sizes(d, to, [was])] == [2]
    to.metadata.generation, to.status.observed_generation = 5, 4  # it may have asked for fewer and given pods up
    assert rollout.old_sizes(d, to, [was]) == []


def test_pods_are_not_cleaned_up_because_their_sets_status_is_late() -> None:
    d = deployment(7, 2, 3)
    old, new = replica_set("old", 4, 0), replica_set("new", 5, 2)
    assert [size for _, size in rollout.old_sizes(d, new, [old])] == [2]
    assert rollout.old_sizes(d, new, [old], lambda rs: 4) == []  # the pods themselves say that they are available


@given(st.integers(1, 20), st.integers(0, 5), st.integers(0, 5))
def test_a_rollout_whose_pods_come_up_ends_and_keeps_its_bounds(wanted: int, surge: int, unavailable: int) -> None:
    d = deployment(wanted, surge, unavailable)
    surge, _ = rollout.fence_posts(d)
    least = wanted - rollout.max_unavailable(d)
    old, new = replica_set("old", wanted, wanted), replica_set("new", 0)
    for _ in range(200):
        new.spec.replicas = rollout.new_size(d, [old, new], new)
        for rs, size in rollout.old_sizes(d, new, [old]):
            rs.spec.replicas = size
            rs.status.available_replicas = min(rs.status.available_replicas, size)
        assert rollout.asked([old, new]) <= wanted + surge
        assert rollout.available([old, new]) >= least
        if new.status.available_replicas < revisions.replicas_of(new):
            new.status.available_replicas += 1  # one comes up
        if new.status.available_replicas == wanted and old.spec.replicas == 0:
            return
    pytest.fail("the rollout got stuck")


# --- scaling


@pytest.mark.parametrize(
    ("before", "after", "new", "old", "expected"),
    [
        # upstream's TestScale: sizes before and after, newest set first
        (10, 12, None, [10], [12]),
        (10, 5, None, [10], [5]),
        (10, 12, 5, [5], [6, 6]),
        (10, 5, 5, [5], [3, 2]),
        (5, 10, 2, [2, 1], [4, 4, 2]),
        (20, 5, 10, [8, 2], [2, 2, 1]),  # 2.5 and 0.5 round up, which is one too many: the largest gives it
        (10, 20, 0, [6, 4], [0, 12, 8]),
        (5, 0, 3, [2], [0, 0]),
    ],
)
def test_scaling_in_the_middle_of_a_rollout_keeps_the_shares(
    before: int, after: int, new: int | None, old: list[int], expected: list[int]
) -> None:
    d = deployment(after, 0, 1)
    newest = replica_set("new", new, desired=before, most=before) if new is not None else None
    olds = [replica_set(f"old-{i}", n, age=i + 1, desired=before, most=before) for i, n in enumerate(old)]
    everything = [*([newest] if newest else []), *olds]
    assert scaling.is_scaling(d, everything)
    sizes = {rs.metadata.name: revisions.replicas_of(rs) for rs in everything}
    sizes.update({rs.metadata.name: size for rs, size in scaling.sizes(d, newest, olds)})
    assert sum(sizes.values()) == after
    assert [sizes[rs.metadata.name] for rs in everything] == expected


def test_when_the_new_set_has_all_the_old_ones_go() -> None:
    d = deployment(5)
    new, old = replica_set("new", 5, 5, desired=5, most=6), replica_set("old", 2, 2, age=1, desired=4, most=5)
    assert [(rs.metadata.name, size) for rs, size in scaling.sizes(d, new, [old])] == [("old", 0)]


def test_recreate_with_several_sets_at_work_only_notes_the_number() -> None:
    d = deployment(5, strategy="Recreate")
    new, old = replica_set("new", 2, desired=4, most=4), replica_set("old", 2, age=1, desired=4, most=4)
    assert [(rs.metadata.name, size) for rs, size in scaling.sizes(d, new, [old])] == [("old", 2), ("new", 2)]


def test_a_set_that_knows_the_number_is_no_scaling() -> None:
    assert not scaling.is_scaling(deployment(5), [replica_set("a", 3, desired=5), replica_set("b", 2)])
    assert not scaling.is_scaling(deployment(5), [replica_set("a", 0, desired=3)])


# --- revisions


def template(image: str, **labels: str) -> core_v1.PodTemplateSpec:
    return core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels=labels),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image=image)]),
    )


def test_the_hash_is_stable_and_safe_in_names() -> None:
    assert revisions.template_hash(template("a:1", app="web"), None) == "74b4f856fd"
    assert revisions.template_hash(template("a:2", app="web"), None) != "74b4f856fd"
    assert revisions.template_hash(template("a:1", app="web"), 1) != "74b4f856fd"


def test_templates_are_compared_without_the_hash() -> None:
    assert revisions.same_template(template("a", app="web"), template("a", app="web", **{revisions.HASH_LABEL: "x"}))
    assert not revisions.same_template(template("a"), template("b"))
    assert not revisions.same_template(template("a", x="1"), template("a", x="2"))


def test_a_set_that_is_rolled_back_to_keeps_its_old_numbers() -> None:
    d, rs = deployment(1), replica_set("a", 1)
    d.metadata.annotations = {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    for revision in (1, 3, 6):
        assert revisions.annotate_new(d, rs, revision)
        assert not revisions.annotate_new(d, rs, revision)
    assert rs.metadata.annotations == {"note": "x", revisions.REVISION: "6", revisions.REVISION_HISTORY: "1,3"}
    for revision in range(7, 2000):
        revisions.annotate_new(d, rs, revision)
    assert len(rs.metadata.annotations[revisions.REVISION_HISTORY]) <= revisions.HISTORY_MAX


def test_history_keeps_the_newest_and_whatever_is_in_use() -> None:
    d = deployment(1, revision_history_limit=1)
    old = [replica_set(f"r{i}", 0, age=10 - i) for i in range(4)]
    for i, rs in enumerate(old):
        rs.metadata.annotations[revisions.REVISION] = str(i + 8)  # 8, 9, 10, 11: by number, not by text
    old[1].status.replicas = 1
    assert [rs.metadata.name for rs in revisions.to_clean_up(d, old)] == ["r0", "r2"]
    assert revisions.to_clean_up(deployment(1), old) == []


# --- status


def test_a_deadline_of_two_billion_seconds_is_none() -> None:
    assert status.has_deadline(deployment(1, progress_deadline_seconds=600))
    assert not status.has_deadline(deployment(1, progress_deadline_seconds=2**31 - 1))
    assert not status.has_deadline(deployment(1))


def test_the_deadline_passes_once_and_is_said_once() -> None:
    d = deployment(2, progress_deadline_seconds=10)
    new = replica_set("web-1", 2)
    d.status = status.rolled_out(d, d.status, [new], new, NOW)
    d.status.conditions = status.put(
        d.status.conditions, status.condition("Progressing", "True", "NewReplicaSetCreated", "", NOW)
    )
    assert status.check_again(d, d.status, NOW) == 11.0
    late = status.rolled_out(d, d.status, [new], new, NOW + 11)
    condition = status.find(late.conditions, "Progressing")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "ProgressDeadlineExceeded")
    assert condition.message == 'ReplicaSet "web-1" has timed out progressing.'
    d.status = late
    assert status.rolled_out(d, late, [new], new, NOW + 12) == late
    assert status.check_again(d, late, NOW + 12) is None


def test_progress_moves_the_update_time_and_nothing_else() -> None:
    d = deployment(3, progress_deadline_seconds=10)
    new = replica_set("web-1", 3)
    new.status.ready_replicas = 1
    first = status.rolled_out(d, apps_v1.DeploymentStatus(), [new], new, NOW)
    d.status = first
    new.status.ready_replicas = 2
    second = status.find(status.rolled_out(d, first, [new], new, NOW + 5).conditions, "Progressing")
    before = status.find(first.conditions, "Progressing")
    assert before is not None
    assert second is not None
    assert second.last_transition_time == before.last_transition_time
    assert second.last_update_time != before.last_update_time


def test_a_sets_failure_is_the_deployments() -> None:
    d, new = deployment(1), replica_set("web-1", 1)
    new.status.conditions = [
        apps_v1.ReplicaSetCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="no quota")
    ]
    failed = status.rolled_out(d, d.status, [new], new, NOW)
    found = status.find(failed.conditions, "ReplicaFailure")
    assert found is not None
    assert found.message == "no quota"
    d.status, new.status.conditions = failed, []
    assert status.find(status.rolled_out(d, failed, [new], new, NOW).conditions, "ReplicaFailure") is None


def test_terminating_replicas_are_known_if_every_set_that_was_looked_at_knows_them() -> None:
    d, new, old = deployment(1), replica_set("a", 1), replica_set("b", 1)
    new.status.terminating_replicas, old.status.observed_generation = 2, 1
    assert status.counted(d, [old, new], new, NOW).terminating_replicas is None
    old.status.terminating_replicas = 1
    assert status.counted(d, [old, new], new, NOW).terminating_replicas == 3
    old.status = apps_v1.ReplicaSetStatus()
    assert status.counted(d, [old, new], new, NOW).terminating_replicas == 2
