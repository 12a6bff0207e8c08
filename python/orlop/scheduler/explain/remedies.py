"""For one filter's refusal of one node: the changes that may lift it, each a tuple of atoms that go together."""

from collections.abc import Mapping
from typing import Any

from orlop.scheduler.explain import atoms
from orlop.scheduler.explain.atoms import Atom, Key, Object
from orlop.scheduler.explain.results import Lack, NodeReport
from orlop.scheduler.explain.world import World

Remedy = tuple[Atom, ...]

HOSTNAME = "kubernetes.io/hostname"
CONDITION = "node.kubernetes.io/"
"""Taints of this prefix tell of a node's state: tolerating it does not mend it."""
UNSCHEDULABLE = f"{CONDITION}unschedulable"
SKEWS = (1, 2, 4, 8)
"""How much more a spread constraint is tried with."""
SYSTEM_CRITICAL = 2_000_000_000
"""Pods of this priority or a higher one are not proposed for deletion."""
MAX_DELETED = 8
"""Pods proposed for deletion together, at most."""


class Remedies:
    """The remedies for one pod in one world."""

    def __init__(self, world: World, pod: Object) -> None:
        self._world = world
        self._pod = pod
        self._spec: Object = pod["spec"]

    def of(self, plugin: str, report: NodeReport, node: Object, *, deletions: bool) -> list[Remedy]:
        """What may lift the refusal of `node` by `plugin`. `deletions`: also pods that may go from it."""
        match plugin:
            case "NodeUnschedulable":
                return [(atoms.uncordon(report.node),)]
            case "TaintToleration":
                return self._taints(report.node, node)
            case "NodeAffinity":
                return self._affinity(report.node, node)
            case "NodePorts":
                return self._ports(report.node, deletions)
            case "NodeResourcesFit":
                return self._resources(report, deletions)
            case "PodTopologySpread":
                return self._spread(report.node, node)
            case "InterPodAffinity":
                return self._pod_affinity(report.node, deletions)
            case "NodeVolumeLimits":
                return [*self._volumes(), *self._leaving(report.node, deletions, '"volumes"')]
            case "DynamicResources":
                return [*self._claims(), *self._leaving(report.node, deletions, '"resourceClaims"')]
        return self._volumes() if plugin.startswith("Volume") else []

    def _taints(self, name: str, node: Object) -> list[Remedy]:
        taints = untolerated(self._pod, node)
        taken = tuple(
            atoms.uncordon(name) if taint["key"] == UNSCHEDULABLE else atoms.untaint(name, taint) for taint in taints
        )
        if any(taint["key"].startswith(CONDITION) for taint in taints):
            return [taken]
        return [tuple(atoms.tolerate(taint) for taint in taints), taken]

    def _affinity(self, name: str, node: Object) -> list[Remedy]:
        labels = node["metadata"].get("labels") or {}
        selector: Mapping[str, str] = self._spec.get("nodeSelector") or {}
        wrong = {key: value for key, value in selector.items() if labels.get(key) != value}
        dropped = [atoms.select(key, value, labels.get(key)) for key, value in wrong.items()]
        required = ((self._spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
        wanted: dict[str, str | None] | None = dict(wrong)
        if required is not None:
            best: tuple[dict[str, str | None], list[Atom]] | None = None
            for at, term in enumerate(required.get("nodeSelectorTerms") or ()):
                fixed, cut = _term(at, term, labels, name)
                if fixed is not None and (best is None or len(fixed) < len(best[0])):
                    best = fixed, cut
            if best is None:
                wanted = None
                dropped.append(atoms.drop_affinity())
            elif best[0]:
                wanted = {**wrong, **best[0]}
                dropped += best[1]
        found: list[Remedy] = [tuple(dropped)] if dropped else []
        if wanted and HOSTNAME not in wanted:
            found.append((atoms.label(name, wanted),))
        return found

    def _ports(self, name: str, deletions: bool) -> list[Remedy]:
        wanted = host_ports(self._pod)
        taken: dict[int, list[Key]] = {}
        for key in self._world.on.get(name, ()):
            for port in host_ports(self._world.pod(key)) & wanted:
                taken.setdefault(port, []).append(key)
        found: list[Remedy] = [(atoms.free_ports(frozenset(taken) or wanted),)]
        holders = tuple(dict.fromkeys(key for keys in taken.values() for key in keys))
        if deletions and holders:
            found.append((atoms.delete(holders, name, 5.0 + len(holders)),))
        return found

    def _resources(self, report: NodeReport, deletions: bool) -> list[Remedy]:
        found: list[Remedy] = []
        lacks = report.lacks
        if lacks and all(_can_be_less(lack) for lack in lacks):
            found.append(tuple(atoms.less(of.resource, of.wanted, _rounded(of)) for of in lacks))
        if deletions and lacks and (pods := self._make_room(report)):
            found.append((atoms.delete(pods, report.node, 5.0 + len(pods)),))
        return found

    def _make_room(self, report: NodeReport) -> tuple[Key, ...]:
        """The fewest pods that leave enough room: the smallest that is enough alone, else the largest first."""
        rest = {lack.resource: lack.wanted - lack.free for lack in report.lacks}
        held: dict[Key, dict[str, int]] = {}
        for key in self._world.on.get(report.node, ()):
            pod = self._world.pod(key)
            if pod["spec"].get("priority", 0) < SYSTEM_CRITICAL and not _of_daemon_set(pod):
                held[key] = {resource: requested(pod, resource) for resource in rest}

        def covers(key: Key) -> bool:
            return all(held[key][resource] >= amount for resource, amount in rest.items())

        def weight(key: Key) -> tuple[float, Key]:
            return sum(held[key][of] / max(1, amount) for of, amount in rest.items()), key

        chosen: list[Key] = []
        while any(amount > 0 for amount in rest.values()) and len(chosen) < MAX_DELETED:
            if alone := [key for key in held if covers(key)]:
                chosen.append(min(alone, key=weight))
                return tuple(chosen)
            if not held:
                return ()
            largest = max(held, key=weight)
            taken = held.pop(largest)
            if not any(taken.values()):
                return ()
            rest = {resource: amount - taken[resource] for resource, amount in rest.items()}
            chosen.append(largest)
        return tuple(chosen) if all(amount <= 0 for amount in rest.values()) else ()

    def _spread(self, name: str, node: Object) -> list[Remedy]:
        labels = node["metadata"].get("labels") or {}
        found: list[Remedy] = []
        for index, constraint in enumerate(self._spec.get("topologySpreadConstraints") or ()):
            if constraint["whenUnsatisfiable"] != "DoNotSchedule":
                continue
            key = constraint["topologyKey"]
            if key not in labels and key != HOSTNAME:
                found += [(atoms.label(name, {key: value}),) for value in self._values(key)]
            more = [atoms.skew(index, constraint, int(constraint["maxSkew"]) + by) for by in SKEWS]
            found += [(atom,) for atom in (*more, atoms.spread_softly(index, constraint))]
        return found

    def _values(self, key: str) -> list[str]:
        """Values that a label has on nodes."""
        labels = ((self._world.node(name)["metadata"].get("labels") or {}) for name in list(self._world.nodes)[:200])
        return sorted({value[key] for value in labels if key in value})[:3]

    def _pod_affinity(self, name: str, deletions: bool) -> list[Remedy]:
        affinity = self._spec.get("affinity") or {}
        found: list[Remedy] = []
        for kind in ("podAffinity", "podAntiAffinity"):
            terms = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
            found += [(atoms.prefer(kind, index, term),) for index, term in enumerate(terms)]
        return found + self._leaving(name, deletions)

    def _leaving(self, name: str, deletions: bool, having: str = "") -> list[Remedy]:
        """Pods that leave the node, one each; only those in whose JSON `having` is."""
        there = [key for key in self._world.on.get(name, ()) if having.encode() in self._world.pods[key]]
        return [(atoms.delete((key,), name, 6.0),) for key in there[:MAX_DELETED]] if deletions else []

    def _claims(self) -> list[Remedy]:
        return [(atoms.drop_claim(claim["name"]),) for claim in self._spec.get("resourceClaims") or ()]

    def _volumes(self) -> list[Remedy]:
        found: list[Remedy] = []
        for volume in self._spec.get("volumes") or ():
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim is None and volume.get("ephemeral") is not None:
                claim = f"{self._pod['metadata']['name']}-{volume['name']}"
            if claim is not None:
                found.append((atoms.drop_volume(volume["name"], claim),))
        return found


def untolerated(pod: Object, node: Object) -> list[Object]:
    """The node's taints that keep the pod away."""
    tolerations = pod["spec"].get("tolerations") or []
    taints = [t for t in node["spec"].get("taints") or () if t["effect"] != "PreferNoSchedule"]
    return [t for t in taints if not any(_tolerates(toleration, t) for toleration in tolerations)]


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or bool(toleration.get("key") and toleration.get("value", "") == taint.get("value", ""))


def _term(
    at: int, term: Mapping[str, Any], labels: Mapping[str, str], name: str
) -> tuple[dict[str, str | None] | None, list[Atom]]:
    """The labels with which a term of the node affinity would match, and the cuts that make it match as things are.
    None where its fields speak of other nodes."""
    for of in term.get("matchFields") or ():
        if (name in of["values"]) != (of["operator"] == "In"):
            return None, []
    wanted: dict[str, str | None] = {}
    cuts: list[Atom] = []
    expressions = term.get("matchExpressions") or ()
    for index, expression in reversed(list(enumerate(expressions))):  # from the end, so that indexes stay right
        fix = _fix(expression, labels)
        if fix is not None:
            wanted |= fix
            cuts.append(atoms.drop_expression(at, index, atoms.expression_text(expression)))
    if len(cuts) == len(expressions) and not term.get("matchFields"):
        cuts = [atoms.drop_affinity()]  # a term that asks for nothing matches nothing
    return wanted, cuts


def _fix(expression: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str | None] | None:
    """What a label must be so that an expression holds; None where it does."""
    key, values = expression["key"], expression.get("values") or []
    there, value = key in labels, labels.get(key, "")
    match expression["operator"]:
        case "In":
            return None if there and value in values else {key: values[0]}
        case "NotIn":
            return {key: None} if there and value in values else None
        case "Exists":
            return None if there else {key: ""}
        case "DoesNotExist":
            return {key: None} if there else None
        case "Gt" | "Lt" as operator:
            bound, sign = int(values[0]), 1 if operator == "Gt" else -1
            holds = value.lstrip("-").isdecimal() and sign * int(value) > sign * bound
            return None if holds else {key: str(bound + sign)}
    return None


def _can_be_less(lack: Lack) -> bool:
    """Whether asking for less is any sense: some of it is left, or it is a resource that one can do without."""
    return lack.resource != "pods" and (lack.free > 0 or "/" in lack.resource)


def _rounded(lack: Lack) -> int:
    """What can be requested of it, in whole Mi where it is that much memory."""
    mebi = 2**20
    free = max(0, lack.free)
    return free - free % mebi if lack.resource in ("memory", "ephemeral-storage") and free >= mebi else free


def host_ports(pod: Object) -> frozenset[int]:
    """The ports of the node that a pod asks for."""
    containers = (*pod["spec"].get("containers", ()), *pod["spec"].get("initContainers", ()))
    ports = (port.get("hostPort") for container in containers for port in container.get("ports") or ())
    return frozenset(port for port in ports if port)


def requested(pod: Object, resource: str) -> int:
    """What a pod's containers request of a resource; 1 of "pods"."""
    if resource == "pods":
        return 1
    requests = [c.get("resources", {}).get("requests") or {} for c in pod["spec"]["containers"]]
    return sum(atoms.amount_of(resource, of[resource]) for of in requests if resource in of)


def _of_daemon_set(pod: Object) -> bool:
    return any(owner.get("kind") in ("DaemonSet", "Node") for owner in pod["metadata"].get("ownerReferences") or ())
