"""How endpoints are laid into slices."""

from collections.abc import Sequence

from hypothesis import given, strategies as st

from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.control import Key
from orlop.controllers.endpointslice import endpoints
from orlop.controllers.endpointslice.packing import Group, Plan, PortKey, group, identity, pack, port_key
from orlop.controllers.endpointslice.triggers import Triggers
from orlop.controllers.views import MetaView, PodConditionView, PodSpecView, PodStatusView, PodView

LABELS = {"kubernetes.io/service-name": "web"}
HTTP = [discovery_v1.EndpointPort(name="http", protocol="TCP", port=80)]
OTHER = [discovery_v1.EndpointPort(name="http", protocol="TCP", port=81)]


def endpoint(number: int, ready: bool = True) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[f"10.0.{number // 250}.{number % 250}"],
        conditions=discovery_v1.EndpointConditions(ready=ready),
        target_ref=core_v1.ObjectReference(kind="Pod", uid=str(number)),
    )


def slice_(
    name: str, numbers: Sequence[int], ports: list[discovery_v1.EndpointPort] = HTTP, **labels: str
) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(name=name, labels={**LABELS, **labels}),
        address_type="IPv4",
        endpoints=[endpoint(i) for i in numbers],
        ports=ports,
    )


def wanted(numbers: Sequence[int], ports: list[discovery_v1.EndpointPort] = HTTP) -> dict[PortKey, Group]:
    return group([(ports, endpoint(i)) for i in numbers])


def shape(plan: Plan) -> tuple[list[int], dict[str, int], list[str]]:
    """Sizes of what is created and updated, and what is deleted."""
    return (
        [len(c.endpoints) for c in plan.create],
        {s.metadata.name: len(c.endpoints) for s, c in plan.update},
        [s.metadata.name for s in plan.delete],
    )


def test_slices_are_filled_to_the_limit() -> None:
    assert shape(pack(wanted(range(250)), [], LABELS)) == ([100, 100, 50], {}, [])


def test_nothing_to_do_writes_nothing() -> None:
    present = [slice_("a", range(100)), slice_("b", range(100, 150))]
    assert shape(pack(wanted(range(150)), present, LABELS)) == ([], {}, [])


def test_one_changed_endpoint_rewrites_one_slice() -> None:
    present = [slice_("a", range(100)), slice_("b", range(100, 150))]
    plan = pack(group([(HTTP, endpoint(i, ready=i != 120)) for i in range(150)]), present, LABELS)
    assert shape(plan) == ([], {"b": 50}, [])


def test_new_endpoints_go_first_where_something_is_written_anyway() -> None:
    present = [slice_("a", range(90)), slice_("b", range(100, 150))]
    numbers = [i for i in [*range(90), *range(100, 150)] if i != 110] + [500, 501, 502]
    assert shape(pack(wanted(numbers), present, LABELS)) == ([], {"b": 52}, [])


def test_new_endpoints_go_into_the_fullest_slice_that_has_room_for_all() -> None:
    present = [slice_("a", range(98)), slice_("b", range(100, 160)), slice_("c", range(200, 230))]
    numbers = [*range(98), *range(100, 160), *range(200, 230), *range(500, 510)]
    assert shape(pack(wanted(numbers), present, LABELS)) == ([], {"b": 70}, [])


def test_a_new_slice_is_made_before_several_are_filled_up() -> None:
    present = [slice_("a", range(98)), slice_("b", range(100, 198))]
    numbers = [*range(98), *range(100, 198), 500, 501, 502]
    assert shape(pack(wanted(numbers), present, LABELS)) == ([3], {}, [])


def test_a_slice_that_is_empty_goes() -> None:
    present = [slice_("a", range(100)), slice_("b", range(100, 110))]
    assert shape(pack(wanted(range(100)), present, LABELS)) == ([], {}, ["b"])


def test_the_last_one_is_emptied_and_kept() -> None:
    plan = pack({}, [slice_("a", range(5))], LABELS)
    assert shape(plan) == ([], {"a": 0}, [])
    assert plan.update[0][1].ports == []
    assert shape(pack({}, [slice_("a", [], [])], LABELS)) == ([], {}, [])
    assert shape(pack({}, [slice_("a", [], [], team="blue")], LABELS)) == ([], {"a": 0}, [])
    assert shape(pack({}, [], LABELS)) == ([0], {}, [])
    assert shape(pack({}, [slice_("a", [], []), slice_("b", [], [])], LABELS)) == ([], {}, ["b"])


def test_when_ports_change_slices_are_rewritten_in_place() -> None:
    present = [slice_("a", range(100)), slice_("b", range(100, 150))]
    plan = pack(wanted(range(150), OTHER), present, LABELS)
    assert shape(plan) == ([], {"a": 100, "b": 50}, [])
    assert all(c.ports == OTHER for _, c in plan.update)


def test_the_order_of_ports_does_not_matter() -> None:
    both = [*HTTP, discovery_v1.EndpointPort(name="https", protocol="TCP", port=443)]
    assert shape(pack(wanted(range(3), both), [slice_("a", range(3), both[::-1])], LABELS)) == ([], {}, [])


def test_labels_are_written_to_every_slice() -> None:
    present = [slice_("a", range(100), team="blue"), slice_("b", range(100, 110))]
    assert shape(pack(wanted(range(110)), present, LABELS)) == ([], {"a": 100}, [])


def test_an_endpoint_that_stands_twice_is_left_once() -> None:
    present = [slice_("a", [1, 2]), slice_("b", [2, 3])]
    assert shape(pack(wanted([1, 2, 3]), present, LABELS)) == ([], {"b": 1}, [])


@given(
    st.lists(st.sets(st.integers(0, 30), max_size=5), max_size=8),
    st.sets(st.integers(0, 30)),
    st.sets(st.integers(0, 30)),
)
def test_what_is_planned_is_what_is_wanted(before: list[set[int]], http: set[int], other: set[int]) -> None:
    present = [slice_(str(i), sorted(numbers), (HTTP, OTHER)[i % 2]) for i, numbers in enumerate(before)]
    target = wanted(sorted(http)) | wanted(sorted(other), OTHER)
    plan = pack(target, present, LABELS, limit=5)
    touched = {s.metadata.name for s, _ in plan.update} | {s.metadata.name for s in plan.delete}
    after = [(s.ports, s.endpoints) for s in present if s.metadata.name not in touched]
    after += [(c.ports, c.endpoints) for c in [*plan.create, *(c for _, c in plan.update)]]
    held = sorted((sorted(port_key(ports)), identity(e)) for ports, items in after for e in items)
    assert held == sorted((sorted(key), who) for key, g in target.items() for who in g.endpoints)
    assert all(len(items) <= 5 for _, items in after)
    assert after
    assert not (plan.create and plan.delete)


def pod(name: str, *ips: str, ready_since: str = "2026-01-01T00:00:05Z") -> PodView:
    return PodView(
        metadata=MetaView(name=name, uid=name, namespace="default"),
        spec=PodSpecView(node_name="node-1"),
        status=PodStatusView(
            phase="Running",
            pod_ips=[core_v1.PodIP(ip=ip) for ip in ips],
            conditions=[PodConditionView(type="Ready", status="True", last_transition_time=ready_since)],
        ),
    )


def test_a_pod_has_an_endpoint_in_each_of_its_families() -> None:
    service = core_v1.Service(metadata=meta_v1.ObjectMeta(name="web", namespace="default"))
    both, four = pod("a", "10.0.0.1", "fd00::1"), pod("b", "10.0.0.2")
    addresses = {
        family: [e.addresses if (e := endpoints.endpoint_of(service, p, None, family)) else None for p in (both, four)]
        for family in ("IPv4", "IPv6")
    }
    assert addresses == {"IPv4": [["10.0.0.1"], ["10.0.0.2"]], "IPv6": [["fd00::1"], None]}


def test_the_trigger_is_the_oldest_change_since_the_last_look() -> None:
    service = core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default", creation_timestamp="2026-01-01T00:00:00Z")
    )
    key, triggers = Key("default", "web"), Triggers()
    a, b = pod("a", ready_since="2026-01-01T00:00:05Z"), pod("b", ready_since="2026-01-01T00:00:07Z")
    assert triggers.oldest_change(key, service, [a]) == "2026-01-01T00:00:00Z"
    assert triggers.oldest_change(key, service, [a]) is None
    assert triggers.oldest_change(key, service, [a, b]) == "2026-01-01T00:00:07Z"
    a.status.conditions[0].last_transition_time = "2026-01-01T00:00:20Z"
    b.status.conditions[0].last_transition_time = "2026-01-01T00:00:30Z"
    assert triggers.oldest_change(key, service, [a, b]) == "2026-01-01T00:00:20Z"
    assert triggers.oldest_change(key, service, [b]) is None
    triggers.forget(key)
    assert triggers.oldest_change(key, service, []) == "2026-01-01T00:00:00Z"
