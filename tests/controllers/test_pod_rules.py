"""Which pods are ready and available, and which go first."""

import itertools

import pytest

from orlop.clock import rfc3339
from orlop.controllers import pods
from orlop.controllers.views import (
    ContainerStatusView,
    MetaView,
    PodConditionView,
    PodSpecView,
    PodStatusView,
    PodView,
)

NOW = 1_700_000_000.0


def pod(
    name: str,
    *,
    node: str | None = None,
    phase: str = "Running",
    ready: float | None = 1000,
    age: float = 1000,
    restarts: int = 0,
    cost: str = "",
) -> PodView:
    """`ready` and `age` are seconds ago."""
    condition = PodConditionView(
        type="Ready", status="False" if ready is None else "True", last_transition_time=rfc3339(NOW - (ready or 0))
    )
    return PodView(
        metadata=MetaView(
            name=name,
            uid=name,
            creation_timestamp=rfc3339(NOW - age),
            annotations={pods.DELETION_COST: cost} if cost else {},
        ),
        spec=PodSpecView(node_name=f"node-of-{name}" if node is None else node),
        status=PodStatusView(
            phase=phase, conditions=[condition], container_statuses=[ContainerStatusView(restart_count=restarts)]
        ),
    )


def test_the_order_of_deletion() -> None:
    order = [
        pod("unassigned", node="", phase="Pending", ready=None),
        pod("pending", phase="Pending", ready=None),
        pod("unknown", phase="Unknown", ready=None),
        pod("not-ready", ready=None),
        pod("cheap", cost="-5"),
        pod("crowded", node="crowded"),
        pod("just-ready", ready=10),
        pod("restarted", restarts=3, ready=1000),
        pod("young", age=10),
        pod("old"),
        pod("dear", cost="10"),
    ]
    related = [pod("other", node="crowded"), *order]
    for seed in range(5):
        shuffled = sorted(order, key=lambda p: hash((seed, p.metadata.name)))
        assert [p.metadata.name for p in pods.deletion_order(shuffled, related, NOW)] == [
            p.metadata.name for p in order
        ]


def test_pods_of_much_the_same_age_go_by_uid() -> None:
    some = [pod("b", age=1000), pod("a", age=1010), pod("c", age=990)]
    for permutation in itertools.permutations(some):
        assert [p.metadata.name for p in pods.deletion_order(permutation, [], NOW)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "cost"), [("5", 5), ("-5", -5), ("", 0), ("+5", 0), ("05", 0), ("x", 0), ("99999999999", 0), ("0", 0)]
)
def test_the_deletion_cost_is_a_32_bit_integer(text: str, cost: int) -> None:
    assert pods.deletion_cost(pod("a", cost=text)) == cost


def test_a_pod_is_available_when_it_has_been_ready_long_enough() -> None:
    young, old, not_ready = pod("a", ready=5), pod("b", ready=50), pod("c", ready=None)
    assert [pods.is_available(p, 10, NOW) for p in (young, old, not_ready)] == [False, True, False]
    assert [pods.is_available(p, 0, NOW) for p in (young, old, not_ready)] == [True, True, False]
    assert pods.next_available([young, old, not_ready], 10, NOW) == 5
    assert pods.next_available([old, not_ready], 10, NOW) is None
