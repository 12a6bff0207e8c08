"""Explanations against decisions over random worlds: what is said of nodes is what is decided, and asking changes
nothing."""

from hypothesis import given, settings, strategies as st
from tests.model.sched import Object
from tests.model.test_sched import (
    EXAMPLES,
    LARGE,
    encode,
    nodes,
    pods,
    rival_pods,
    roomy_nodes,
    social_pods,
    tight_nodes,
)

from orlop.native import SchedulerCore
from orlop.scheduler.explain import search
from orlop.scheduler.explain.results import NodeReport
from orlop.scheduler.explain.world import World, message

worlds = st.one_of(
    st.tuples(st.lists(nodes(), max_size=6), st.lists(pods(), max_size=10)),
    st.tuples(st.lists(roomy_nodes(), max_size=6), st.lists(social_pods(), max_size=12)),
    st.tuples(st.lists(tight_nodes(), max_size=4), st.lists(rival_pods(), max_size=12)),
)


def fill(start: list[Object], waiting: list[Object]) -> World:
    world = World()
    for node in start:
        world.set_node(encode(node))
    for pod in waiting:
        world.set_pod(encode(pod))
    return world


def agrees(core: SchedulerCore, pod: Object, reports: list[NodeReport]) -> None:
    """What is decided for the pod next is what `reports` and the preview say."""
    value, key = encode(pod), (pod["metadata"]["namespace"], pod["metadata"]["name"])
    preview, again = core.preview(value), core.preview(value)
    assert (preview.node, preview.message, preview.victims) == (again.node, again.message, again.victims)
    decision = core.schedule([key])[0]
    assert decision.waiting
    assert (decision.message, decision.nominated, decision.victims) == (
        preview.message,
        preview.nominated,
        preview.victims,
    )
    totals = {report.node: report.total for report in reports if report.feasible}
    if decision.node is None:
        assert preview.node is None
        assert not totals
        # A reason about the pod itself is told once, not for each node.
        if "conflict" not in decision.message and reports:
            assert decision.message.startswith(message(reports))
    elif decision.node != pod.get("status", {}).get("nominatedNodeName"):
        assert decision.feasible == len(totals)
        assert totals[decision.node] == max(totals.values())
        assert preview.node is not None
        assert totals[preview.node] == max(totals.values())
    else:
        assert decision.node in totals


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=LARGE)
@given(worlds)
def test_an_explanation_is_what_is_decided(world: tuple[list[Object], list[Object]]) -> None:
    full = fill(*world)
    for key in sorted(full.pods):
        pod = full.pod(key)
        if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
            continue
        reports = full.explain(pod)
        first = [(r.node, r.refusals[0].reasons if r.refusals else [], r.total) for r in reports]
        assert first == [(node, words, total) for node, _, words, _, total in full.core.explain(encode(pod))]
        for report in reports:
            assert not (report.refusals and report.scores)
            assert report.total == sum(score.score * score.weight for score in report.scores)
        agrees(full.core, pod, reports)


@settings(max_examples=EXAMPLES // 4, deadline=None, suppress_health_check=LARGE)
@given(worlds)
def test_trying_changes_leaves_the_world_as_it_was(world: tuple[list[Object], list[Object]]) -> None:
    full = fill(*world)
    for key in sorted(full.pods)[:3]:
        pod = full.pod(key)
        pod["spec"].pop("nodeName", None)
        before, stats = full.explain(pod), full.core.stats()[:2]
        if any(report.feasible for report in before):
            continue
        found = search.changes(full, pod, before)
        assert full.explain(pod) == before
        assert full.core.stats()[:2] == stats
        assert [change.size for change in found] == sorted(change.size for change in found)
        for change in found:
            assert change.node


def test_nodes_that_a_pod_names_come_before_all_filters() -> None:
    node = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}, "status": {"allocatable": {"pods": "1"}}}
    fields = [{"key": "metadata.name", "operator": "In", "values": ["other"]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": fields}]}}
    spec = {"containers": [], "affinity": {"nodeAffinity": required}}
    pod = {"metadata": {"namespace": "default", "name": "p", "uid": "u"}, "spec": spec}
    (report,) = fill([node], [pod]).explain(pod)
    assert [refusal.plugin for refusal in report.refusals][:2] == ["NodeAffinity", "NodeUnschedulable"]
