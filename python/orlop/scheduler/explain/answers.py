"""`why` a pod waits, `why_here` it is where it is: by the scheduler's own core, over plain lists of the API."""

from typing import Any

import msgspec

from orlop.client import Client
from orlop.client.decode import error_of
from orlop.scheduler.explain import atoms, decision, elsewhere, groups, search
from orlop.scheduler.explain.atoms import Atom
from orlop.scheduler.explain.details import detailed
from orlop.scheduler.explain.results import Moment, NodeReport, Why, WhyHere, WhyNode
from orlop.scheduler.explain.terms import Terms
from orlop.scheduler.explain.world import Object, Outcome, World

DEFAULT_SCHEDULER = "default-scheduler"


class NotPlaced(ValueError):
    """The pod has no node, so there is nothing to say of why it is there."""


class NoSuchNode(ValueError):
    """There is no node of the name that was asked for."""


async def get_pod(client: Client, namespace: str, name: str) -> Object:
    """A pod's JSON. Raises NotFound."""
    answer = await client.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")
    if answer.status >= 400:
        raise error_of(answer)
    pod: Object = msgspec.json.decode(answer.body)
    return pod


async def why(
    client: Client,
    namespace: str,
    name: str,
    *,
    changes: int = search.LIMIT,
    now: bool = False,
    terms: Terms | None = None,
) -> Why:
    """Why the pod waits, or what holds it back elsewhere; and up to `changes` changes that would place it.

    The reasons are those of the last decision, recomputed from the objects as they were then (`now`: from the present
    ones); changes are tried on the present state. Nothing is written. Raises ApiError.
    """
    pod = await get_pod(client, namespace, name)
    about = await decision.events(client, pod)
    base = Why(namespace=namespace, name=name, uid=pod["metadata"].get("uid", ""), state="unschedulable", summary="")
    base.owner = owner_of(pod)
    if (found := elsewhere.of(pod, about)) is not None:
        base.state, base.summary, base.hints = found
        base.node = pod["spec"].get("nodeName", "")
        return base
    present = await World.load(client, terms=terms)
    base.nodes = len(present.nodes)
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]
    if gates:
        return _if_only(base, present, pod, atoms.ungate(gates), "gated", changes)
    foreign = _foreign(present, pod)
    if foreign is not None:
        base.hints = [f"is scheduler {foreign!r} running? kubectl get events -A --field-selector source={foreign}"]
        return _if_only(base, present, pod, atoms.default_scheduler(DEFAULT_SCHEDULER), "foreign", changes)
    group = await groups.group_of(client, present, pod)
    if group is not None and group.held:
        base.summary = group.held
        base.state, base.hints = "gated", [f"kubectl get podgroup -n {namespace} {group.name} -o yaml"]
        return base
    if group is not None and _falls_short(base, present, group, changes):
        return base
    return await _undecided(client, base, present, pod, about, changes, now)


def _falls_short(base: Why, world: World, group: groups.Group, changes: int) -> bool:
    """Whether too few of a gang find a node: then it is told what refuses the first that finds none."""
    with groups.together(world, group) as (count, refused):
        if count >= group.least or not refused:
            return False
        key = refused[0]
        member = world.pod(key)
        base.reports = world.explain(member)
        base.reasons = detailed(world, member, base.reports)
        base.changes = search.changes(world, member, base.reports, changes)
    base.moment = Moment(exact=False, revisions=world.revisions)
    base.summary = f'only {count} of the {group.least} pods that the pod group "{group.name}" needs can be placed'
    base.message = f"0/{base.nodes} nodes are available: {base.summary}."
    base.hints = [f"with the others placed, {key[0]}/{key[1]} is the first that finds no node; this is said of it"]
    return True


def _foreign(world: World, pod: Object) -> str | None:
    """The scheduler that a pod names, where nobody that is known here has ever looked at it."""
    name: str = pod["spec"].get("schedulerName") or DEFAULT_SCHEDULER
    looked = any(c["type"] == "PodScheduled" for c in pod.get("status", {}).get("conditions") or ())
    return None if name in world.terms.profiles or looked else name


def _if_only(base: Why, world: World, pod: Object, atom: Atom, state: Any, changes: int) -> Why:
    """A pod that no filter has been asked about: what would become of it after the one change that it waits for."""
    assert atom.pod is not None
    freed = search.deep(pod)
    atom.pod(freed)
    base.state = state
    if state == "gated":
        gates = [gate["name"] for gate in pod["spec"]["schedulingGates"]]
        base.summary = f"it is held back by scheduling gates ({', '.join(gates)}): whoever set them must remove them"
    else:
        name = pod["spec"]["schedulerName"]
        base.summary = f"it is for scheduler {name!r}, and no scheduler of that name has said anything of it"
    outcome = world.place(freed)
    base.reports = world.explain(freed)
    if outcome.node is not None:
        found = search.tried_out(world, pod, (atom,), {})
        assert found is not None
        base.changes = [search.told((atom,), found)]
        return base
    base.summary += "; and without that it would still be refused"
    base.message, base.reasons = outcome.message, detailed(world, freed, base.reports)
    base.changes = search.changes(world, freed, base.reports, changes)
    return base


async def _undecided(
    client: Client, base: Why, present: World, pod: Object, about: list[Object], changes: int, now: bool
) -> Why:
    outcome = present.place(pod)
    reports = present.explain(pod)
    then, said = present, ""
    base.moment = Moment(exact=False, revisions=present.revisions)
    if not now:
        recalled = await decision.recall(client, about, decision.REFUSED, present)
        then, base.moment, said = recalled
    if outcome.node is not None:
        base.state, base.node, base.reports = "schedulable", outcome.node, reports
        said = f"; the last decision was: {said}" if said else ""
        base.summary = f"as things stand now it can go to {outcome.feasible} of {base.nodes} nodes{said}"
        base.hints = [
            "the scheduler tries again within seconds of a change that may help, and every five minutes",
            "is one running? kubectl get lease -n kube-system kube-scheduler",
        ]
        return base
    base.reports, base.message, asked = reports, outcome.message, pod
    if then is not present and (pod_then := _pod_then(then, pod)) is not None:
        base.reports, asked = then.explain(pod_then), pod_then
        base.message = then.place(pod_then).message
        if base.moment.exact and not same(base.message, said):
            base.moment.note = f"the scheduler itself said: {said.rstrip('.')}"
    base.reasons = detailed(then, asked, base.reports)
    if outcome.nominated:
        return _making_room(base, outcome)
    base.summary = _summary(base)
    base.changes = search.changes(present, pod, reports, changes)
    base.hints += present.notes
    return base


def _pod_then(world: World, pod: Object) -> Object | None:
    """The pod as it was at another moment."""
    key = pod["metadata"]["namespace"], pod["metadata"]["name"]
    then = world.pod(key) if key in world.pods else None
    return then if then is not None and then["metadata"].get("uid") == pod["metadata"].get("uid") else None


def same(computed: str, said: str) -> bool:
    """Whether two refusals tell of the same nodes: what preemption adds may have changed with what it evicted."""
    return computed.partition(" preemption:")[0].removesuffix(".") == said.partition(" preemption:")[0].removesuffix(
        "."
    )


def _making_room(base: Why, outcome: Outcome) -> Why:
    base.state, base.node = "making-room", outcome.nominated or ""
    base.evicts = [f"{namespace}/{name}" for namespace, name in outcome.victims]
    if base.evicts:
        base.summary = f"no node has room, but on {base.node} pods of lower priority go: {', '.join(base.evicts)}"
    else:
        base.summary = f"room is being made for it on node {base.node}: it waits until pods there have ended"
    return base


def _summary(base: Why) -> str:
    if not base.nodes:
        return "there is no node in the cluster"
    first = base.reasons[0]
    if len(base.reasons) == 1:
        return (
            f"all {base.nodes} nodes refuse it: {first.words}"
            if base.nodes > 1
            else f"its one node refuses it: {first.words}"
        )
    return f"all {base.nodes} nodes refuse it, for {len(base.reasons)} reasons"


async def why_here(client: Client, namespace: str, name: str, *, terms: Terms | None = None) -> WhyHere:
    """Why the pod is on its node: the scores of all nodes at the decision. Raises NotPlaced, ApiError."""
    pod = await get_pod(client, namespace, name)
    node = pod["spec"].get("nodeName", "")
    if not node:
        raise NotPlaced(f"pod {namespace}/{name} has no node; `orlop why -n {namespace} {name}` tells why")
    about = await decision.events(client, pod)
    present = await World.load(client, terms=terms)
    then, moment, said = await decision.recall(client, about, decision.SCHEDULED, present)
    if not said and _by_hand(pod):
        moment.note = (
            "it was bound without a scheduler (spec.nodeName was set by its maker): these are the present scores"
        )
    reports = sorted(_as_waiting(then, pod), key=lambda r: (not r.feasible, -r.total, len(r.refusals), r.node))
    feasible = [report for report in reports if report.feasible]
    best = [report.node for report in feasible if report.total == feasible[0].total]
    here = next((report for report in reports if report.node == node), None)
    if node not in best and moment.exact:
        moment.note = (
            moment.note or "by these scores another node is better: what was nominated or bound meanwhile counted"
        )
    return WhyHere(
        namespace=namespace,
        name=name,
        uid=pod["metadata"].get("uid", ""),
        node=node,
        summary=_here(node, here, feasible, best),
        feasible=len(feasible),
        best=best,
        reports=reports,
        moment=moment,
    )


async def why_node(
    client: Client,
    namespace: str,
    name: str,
    node: str,
    *,
    changes: int = search.LIMIT,
    now: bool = False,
    terms: Terms | None = None,
) -> WhyNode:
    """What speaks for and against one node, for a pod that waits or one that is placed (at its decision; `now`: at
    present); and up to `changes` changes that would let the node take it now. Raises NoSuchNode, ApiError."""
    pod = await get_pod(client, namespace, name)
    about = await decision.events(client, pod)
    present = await World.load(client, terms=terms)
    if node not in present.nodes:
        raise NoSuchNode(f"there is no node {node!r}; there are {len(present.nodes)}: {_some(sorted(present.nodes))}")
    placed = pod["spec"].get("nodeName", "")
    then, moment = present, Moment(exact=False, revisions=present.revisions)
    if not now:
        reason = decision.SCHEDULED if placed else decision.REFUSED
        then, moment, _ = await decision.recall(client, about, reason, present)
        if node not in then.nodes:
            then, moment = present, Moment(exact=False, revisions=present.revisions, note=f"{node} came later")
    reports = _as_waiting(then, pod)
    feasible = sorted((of for of in reports if of.feasible), key=lambda of: -of.total)
    report = next(of for of in reports if of.node == node)
    base = WhyNode(
        namespace=namespace,
        name=name,
        uid=pod["metadata"].get("uid", ""),
        node=node,
        summary="",
        report=report,
        feasible=len(feasible),
        moment=moment,
    )
    if report.feasible:
        base.rank = 1 + sum(of.total > report.total for of in feasible)
        base.best = feasible[0] if feasible[0].total > report.total else None
        where = " (it is there)" if placed == node else ""
        ties = sum(of.total == report.total for of in feasible)
        equal = f", with {ties - 1} others of the same total" if ties > 1 else ""
        base.summary = f"{node} can take it: place {base.rank} of {len(feasible)} feasible nodes{equal}{where}"
        return base
    words = [reason for refusal in report.refusals for reason in refusal.reasons]
    base.summary = f"{node} refuses it: {'; '.join(words)}"
    freed = search.deep(pod)
    freed["spec"].pop("nodeName", None)
    with present.changed({}, [(namespace, name)] if placed else []):
        base.changes = search.changes(present, freed, present.explain(freed), changes, only=node)
    return base


def _as_waiting(world: World, pod: Object) -> list[NodeReport]:
    """What is said of each node for a pod that is taken off its node first."""
    waiting = _pod_then(world, pod) or search.deep(pod)
    waiting["spec"].pop("nodeName", None)
    with world.changed({}, [(pod["metadata"]["namespace"], pod["metadata"]["name"])]):
        return world.explain(waiting)


def _some(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def _by_hand(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("kind") == "Node" for owner in owners)


def _here(node: str, here: NodeReport | None, feasible: list[NodeReport], best: list[str]) -> str:
    if here is None:
        return f"node {node} is not there any more"
    if not here.feasible:
        return f"node {node} would refuse it: {', '.join(here.refusals[0].reasons)}"
    among = f"{len(feasible)} feasible nodes"
    if node not in best:
        return f"node {node} has a total of {here.total}; the best of {among} has {feasible[0].total}"
    if len(feasible) == 1:
        return f"node {node} is the only one that could take it"
    if len(best) == 1:
        return f"node {node} has the highest total of {among}: {here.total}, the next {feasible[1].total}"
    return f"node {node} is one of {len(best)} equally good nodes with the highest total ({here.total}), drawn by lot"


def owner_of(pod: Object) -> str:
    """kind/name of what made the pod; for a ReplicaSet of a Deployment that Deployment."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            kind, name = owner["kind"], owner["name"]
            hash_ = (pod["metadata"].get("labels") or {}).get("pod-template-hash", "")
            if kind == "ReplicaSet" and hash_ and name.endswith(f"-{hash_}"):
                return f"deployment/{name.removesuffix(f'-{hash_}')}"
            return f"{kind.lower()}/{name}"
    return ""
