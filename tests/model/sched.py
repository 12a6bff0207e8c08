"""The scheduler, plain and slow: filters, scores and choice from the objects themselves, as upstream documents them.

`World` holds nodes and pods as dicts and answers what `orlop.native.SchedulerCore` must answer, everything computed
anew each time. Nothing here is shared with the core.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

Object = dict[str, Any]
Requests = dict[str, Fraction]

SUFFIXES: dict[str, Fraction] = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30), "Ti": Fraction(2**40),
}  # fmt: skip
WEIGHTS = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}
FILTERS = [
    "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit",
    "VolumeRestrictions", "PodTopologySpread", "InterPodAffinity", "NodeDeclaredFeatures",
]  # fmt: skip
UNRESOLVABLE_REASONS = {"NodeName", "NodeUnschedulable", "TaintToleration", "NodeAffinity"}


def quantity(text: str) -> Fraction:
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    assert match is not None, text
    return Fraction(match[1]) * SUFFIXES[match[2]]


def whole(name: str, amount: Fraction) -> int:
    """What is compared: thousandths of CPU, whole units of all else, rounded up."""
    return math.ceil(amount * 1000) if name == "cpu" else math.ceil(amount)


# --- what a pod requests


def requests(pod: Object, default: Requests) -> Requests:
    """KEP 753: the largest of what runs at the same time; `default` where a container names nothing."""

    def of(container: Object) -> Requests:
        named = {k: quantity(v) for k, v in container.get("resources", {}).get("requests", {}).items()}
        return {**default, **named}

    spec = pod["spec"]
    sidecars: Requests = {}
    moments: list[Requests] = []
    for container in spec.get("initContainers", []):
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, of(container))
            moments.append(sidecars)
        else:
            moments.append(add(sidecars, of(container)))
    moments.append(add(sidecars, *(of(container) for container in spec["containers"])))
    total = {name: max(m.get(name, Fraction(0)) for m in moments) for moment in moments for name in moment}
    for name, amount in spec.get("resources", {}).get("requests", {}).items():
        if name in ("cpu", "memory") or name.startswith("hugepages-"):
            total[name] = quantity(amount)
    return add(total, {name: quantity(amount) for name, amount in spec.get("overhead", {}).items()})


def add(*many: Requests) -> Requests:
    total: Requests = {}
    for one in many:
        for name, amount in one.items():
            total[name] = total.get(name, Fraction(0)) + amount
    return total


def plain_requests(pod: Object) -> dict[str, int]:
    return {name: whole(name, amount) for name, amount in requests(pod, {}).items()}


DEFAULTS = {"cpu": Fraction(1, 10), "memory": Fraction(200 * 2**20)}


def scored_requests(pod: Object) -> dict[str, int]:
    return {name: whole(name, amount) for name, amount in requests(pod, DEFAULTS).items() if name in DEFAULTS}


def counted_requests(pod: Object) -> dict[str, int]:
    """What a pod on a node counts with in LeastAllocated."""
    level = pod["spec"].get("resources", {}).get("requests", {})
    if not level:
        return scored_requests(pod)
    named = requests(pod, {})
    missing = {name: amount for name, amount in DEFAULTS.items() if name not in named}
    total = requests(pod, missing)
    return {name: whole(name, total.get(name, Fraction(0))) for name in DEFAULTS}


# --- what matches what


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and bool(toleration.get("value", "") == taint.get("value", ""))


def tolerated(pod: Object, taint: Object) -> bool:
    return any(tolerates(toleration, taint) for toleration in pod["spec"].get("tolerations", []))


def requirement_holds(requirement: Object, labels: dict[str, str]) -> bool:
    key, operator, values = requirement["key"], requirement["operator"], requirement.get("values", [])
    value = labels.get(key)
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if value is None or not re.fullmatch(r"[+-]?[0-9]+", value):
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def term_holds(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions", []), term.get("matchFields", [])
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels", {})
    name = {"metadata.name": node["metadata"]["name"]}
    if any(len(requirement["values"]) != 1 for requirement in fields):
        return False
    return all(requirement_holds(r, labels) for r in expressions) and all(requirement_holds(r, name) for r in fields)


def required_terms(pod: Object) -> list[Object] | None:
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else required["nodeSelectorTerms"]


def selects(pod: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    if any(labels.get(k) != v for k, v in pod["spec"].get("nodeSelector", {}).items()):
        return False
    terms = required_terms(pod)
    return terms is None or any(term_holds(term, node) for term in terms)


def named_nodes(pod: Object) -> set[str] | None:
    """The nodes that the required terms name, if each names some."""
    terms = required_terms(pod)
    if not terms:
        return None
    names: set[str] = set()
    for term in terms:
        lists = [set(f["values"]) for f in term.get("matchFields", []) if f["operator"] == "In"]
        if not lists:
            return None
        names |= set.intersection(*lists)
    return names


def host_ports(pod: Object) -> list[tuple[str, str, int]]:
    containers = [c for c in pod["spec"].get("initContainers", []) if c.get("restartPolicy") == "Always"]
    containers += pod["spec"]["containers"]
    return [
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for container in containers
        for port in container.get("ports", [])
        if port.get("hostPort", 0) > 0
    ]


def ports_conflict(a: tuple[str, str, int], b: tuple[str, str, int]) -> bool:
    return a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in (a[0], b[0]))


def disks(pod: Object) -> list[tuple[Any, ...]]:
    """What is on one node once only; the last part tells whether it is only read."""
    found: list[tuple[Any, ...]] = []
    for volume in pod["spec"].get("volumes", []):
        for kind, source in volume.items():
            match kind:
                case "gcePersistentDisk":
                    found.append((kind, source["pdName"], source.get("readOnly", False)))
                case "awsElasticBlockStore":
                    found.append((kind, source["volumeID"], False))
                case "iscsi":
                    found.append((kind, source["iqn"], source.get("readOnly", False)))
                case "rbd":
                    image = (kind, source["pool"], source["image"])
                    found += [(*image, monitor, source.get("readOnly", False)) for monitor in source["monitors"]]
    return found


def needed_features(pod: Object) -> set[str]:
    spec = pod["spec"]
    containers = spec["containers"] + spec.get("initContainers", [])
    actions = [rule["action"] for container in containers for rule in container.get("restartPolicyRules", [])]
    needed = {"RestartAllContainersOnContainerExits"} if "RestartAllContainers" in actions else set()
    if spec.get("hostNetwork") and spec.get("hostUsers") is False:
        needed.add("UserNamespacesHostNetworkSupport")
    return needed


def selector_holds(selector: Object | None, labels: dict[str, str]) -> bool:
    if selector is None:
        return False
    if any(labels.get(k) != v for k, v in selector.get("matchLabels", {}).items()):
        return False
    return all(requirement_holds(r, labels) for r in selector.get("matchExpressions", []))


def constraint_selects(constraint: Object, pod: Object, other: Object) -> bool:
    """Whether the pod's topology spread constraint counts the other pod."""
    labels = other["metadata"].get("labels", {})
    own = pod["metadata"].get("labels", {})
    keys = [key for key in constraint.get("matchLabelKeys", []) if key in own]
    return (
        other["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and selector_holds(constraint.get("labelSelector"), labels)
        and all(labels.get(key) == own[key] for key in keys)
    )


def asks_nothing(constraint: Object, pod: Object) -> bool:
    selector = constraint.get("labelSelector")
    own = pod["metadata"].get("labels", {})
    empty = selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions")
    return empty and not any(key in own for key in constraint.get("matchLabelKeys", []))


def constraints(pod: Object, action: str) -> list[Object]:
    return [c for c in pod["spec"].get("topologySpreadConstraints", []) if c["whenUnsatisfiable"] == action]


def terms(pod: Object, field: str, kind: str) -> list[Any]:
    affinity = pod["spec"].get("affinity", {}).get(field, {})
    return affinity.get(f"{kind}DuringSchedulingIgnoredDuringExecution", [])


def node_label(node: Object, key: str) -> str | None:
    return node["metadata"].get("labels", {}).get(key)


def owner(pod: Object) -> str | None:
    for reference in pod["metadata"].get("ownerReferences", []):
        if reference.get("controller"):
            kinds = {("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"), ("v1", "ReplicationController")}
            return reference["uid"] if (reference["apiVersion"], reference["kind"]) in kinds else None
    return None


# --- chance


class Lot:
    """SplitMix64 (Steele, Lea, Flood 2014); an end by the upper half of the product."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def draw(self, ends: int) -> int:
        mask = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        z ^= z >> 31
        return (z * ends) >> 64


# --- profiles


@dataclass
class Profile:
    """What the pods of one spec.schedulerName are decided by. `args` are by plug-in, as a configuration has them."""

    name: str = "default-scheduler"
    filters: list[str] = field(default_factory=lambda: list(FILTERS))
    scores: dict[str, int] = field(default_factory=lambda: dict(WEIGHTS))
    names_nodes: bool = True
    preempts: bool = True
    args: dict[str, Object] = field(default_factory=dict)

    def of(self, plugin: str) -> Object:
        return self.args.get(plugin, {})

    @property
    def enforced(self) -> list[Object] | None:
        added = self.of("NodeAffinity").get("addedAffinity", {})
        required = added.get("requiredDuringSchedulingIgnoredDuringExecution")
        return None if required is None else required["nodeSelectorTerms"]

    @property
    def added_preferred(self) -> list[Object]:
        added = self.of("NodeAffinity").get("addedAffinity", {})
        return added.get("preferredDuringSchedulingIgnoredDuringExecution", [])

    def ignores(self, resource: str) -> bool:
        fit = self.of("NodeResourcesFit")
        extended = "/" in resource and "kubernetes.io/" not in resource
        group = resource.split("/")[0]
        ignored = resource in fit.get("ignoredResources", []) or group in fit.get("ignoredResourceGroups", [])
        return extended and ignored

    @property
    def defaults(self) -> list[Object] | None:
        spread = self.of("PodTopologySpread")
        return spread.get("defaultConstraints", []) if spread.get("defaultingType") == "List" else None


Verdict = tuple[list[str], bool]
"""Why a filter refuses a node (nothing where it does not), and whether evictions could not change it."""

# --- the world


@dataclass
class World:
    """Nodes, pods and where they are. `slots` is the order in which equals are told apart: see `slot`."""

    seed: int
    nodes: dict[str, Object] = field(default_factory=dict)
    pods: dict[tuple[str, str], Object] = field(default_factory=dict)
    placed: dict[tuple[str, str], str] = field(default_factory=dict)
    assumed: set[tuple[str, str]] = field(default_factory=set)
    slots: list[str | None] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    budgets: dict[tuple[str, str], Object] = field(default_factory=dict)
    nominated: dict[tuple[str, str], str] = field(default_factory=dict)
    profiles: list[Profile] = field(default_factory=lambda: [Profile()])

    def profile(self, pod: Object) -> Profile:
        """The pod's; the first where its scheduler's name is none's."""
        named = [p for p in self.profiles if p.name == pod["spec"].get("schedulerName", "")]
        return (named or self.profiles)[0]

    def __post_init__(self) -> None:
        self.lot = Lot(self.seed)

    def slot(self, name: str) -> None:
        """A name takes the first free place, and keeps it while it has a node or pods."""
        if name not in self.slots:
            if None in self.slots:
                self.slots[self.slots.index(None)] = name
            else:
                self.slots.append(name)

    def tidy(self) -> None:
        for at, name in enumerate(self.slots):
            if name is not None and name not in self.nodes and name not in self.placed.values():
                self.slots[at] = None

    def upsert_node(self, node: Object) -> None:
        self.slot(node["metadata"]["name"])
        self.nodes[node["metadata"]["name"]] = node

    def delete_node(self, name: str) -> None:
        self.nodes.pop(name, None)
        self.tidy()

    def upsert_pod(self, pod: Object) -> None:
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        before = self.pods.get(key)
        same = before is not None and before["metadata"]["uid"] == pod["metadata"]["uid"]
        node = pod["spec"].get("nodeName")
        stands = same and key in self.assumed and not node and "deletionTimestamp" not in pod["metadata"]
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            self.delete_pod(key)
            return
        told = pod.get("status", {}).get("nominatedNodeName", "")
        if not same or before is None or before.get("status", {}).get("nominatedNodeName", "") != told:
            self.nominate(key, told)
        self.pods[key] = pod
        if not stands:
            if node:
                self.slot(node)
            self.assumed.discard(key)
            self.placed.pop(key, None)
            if node:
                self.placed[key] = node
        self.tidy()

    def nominate(self, key: tuple[str, str], node: str) -> None:
        self.nominated.pop(key, None)
        if node:
            self.nominated[key] = node

    def delete_pod(self, key: tuple[str, str]) -> None:
        self.nominated.pop(key, None)
        self.pods.pop(key, None)
        self.placed.pop(key, None)
        self.assumed.discard(key)
        self.tidy()

    def forget(self, key: tuple[str, str], uid: str) -> None:
        if key in self.assumed and self.pods[key]["metadata"]["uid"] == uid:
            self.assumed.discard(key)
            del self.placed[key]
            self.tidy()

    def on(self, node: str) -> list[Object]:
        return [self.pods[key] for key, name in self.placed.items() if name == node]

    def ordered(self) -> list[Object]:
        return [self.nodes[name] for name in self.slots if name in self.nodes]

    # --- filters

    def refusal(self, pod: Object, node: Object) -> tuple[str, list[str], bool]:
        """The filter that refuses, its reasons, and whether eviction could not help; ("", [], False) if none does.

        First with the waiting pods that are nominated for the node and no less important, then without."""
        name = node["metadata"]["name"]
        there = [key for key in self.waiting_for(name) if self.pods[key]["metadata"]["uid"] != pod["metadata"]["uid"]]
        there = [key for key in there if priority(self.pods[key]) >= priority(pod)]
        self.placed |= dict.fromkeys(there, name)
        refusal = self.refusal_alone(pod, node) if there else ("", [], False)
        for key in there:
            del self.placed[key]
        return refusal if refusal[0] else self.refusal_alone(pod, node)

    def waiting_for(self, node: str) -> list[tuple[str, str]]:
        nominated = [key for key, name in self.nominated.items() if name == node and key not in self.placed]
        return [key for key in nominated if "deletionTimestamp" not in self.pods[key]["metadata"]]

    def refusal_alone(self, pod: Object, node: Object) -> tuple[str, list[str], bool]:
        profile, named = self.profile(pod), named_nodes(pod)
        if profile.names_nodes and named is not None and node["metadata"]["name"] not in named:
            return "NodeAffinity", ["node(s) didn't satisfy plugin(s) [NodeAffinity]"], True
        for name in profile.filters:
            reasons, unresolvable = getattr(self, f"filter_{name}")(pod, node)
            if reasons:
                return name, reasons, unresolvable
        return "", [], False

    def filter_NodeName(self, pod: Object, node: Object) -> Verdict:
        wrong = pod["spec"].get("nodeName") not in (None, "", node["metadata"]["name"])
        return ["node(s) didn't match the requested node name"] * wrong, True

    def filter_NodeUnschedulable(self, pod: Object, node: Object) -> Verdict:
        taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
        closed = bool(node.get("spec", {}).get("unschedulable")) and not tolerated(pod, taint)
        return ["node(s) were unschedulable"] * closed, True

    def filter_TaintToleration(self, pod: Object, node: Object) -> Verdict:
        taints = [t for t in node.get("spec", {}).get("taints", []) if t["effect"] in ("NoSchedule", "NoExecute")]
        return ["node(s) had untolerated taint(s)"] * any(not tolerated(pod, t) for t in taints), True

    def filter_NodeAffinity(self, pod: Object, node: Object) -> Verdict:
        enforced = self.profile(pod).enforced
        if enforced is not None and not any(term_holds(term, node) for term in enforced):
            return ["node(s) didn't match scheduler-enforced node affinity"], True
        return ["node(s) didn't match Pod's node affinity/selector"] * (not selects(pod, node)), True

    def filter_NodePorts(self, pod: Object, node: Object) -> Verdict:
        taken = [port for other in self.on(node["metadata"]["name"]) for port in host_ports(other)]
        clash = any(ports_conflict(wanted, other) for wanted in host_ports(pod) for other in taken)
        return ["node(s) didn't have free ports for the requested pod ports"] * clash, False

    def filter_NodeResourcesFit(self, pod: Object, node: Object) -> Verdict:
        there, profile = self.on(node["metadata"]["name"]), self.profile(pod)
        reasons, unresolvable = [], False
        allocatable = {n: whole(n, quantity(q)) for n, q in node.get("status", {}).get("allocatable", {}).items()}
        if len(there) + 1 > allocatable.get("pods", 0):
            reasons.append("Too many pods")
        for resource, wanted in plain_requests(pod).items():
            counts = resource in ("cpu", "memory", "ephemeral-storage") or "/" in resource or "hugepages" in resource
            used = sum(plain_requests(other).get(resource, 0) for other in there)
            short = wanted > 0 and wanted > allocatable.get(resource, 0) - used
            if counts and short and not profile.ignores(resource):
                reasons.append(f"Insufficient {resource}")
                unresolvable |= wanted > allocatable.get(resource, 0)
        return reasons, unresolvable

    def filter_VolumeRestrictions(self, pod: Object, node: Object) -> Verdict:
        there = [disk for other in self.on(node["metadata"]["name"]) for disk in disks(other)]
        clash = any(a[:-1] == b[:-1] and not (a[-1] and b[-1]) for a in disks(pod) for b in there)
        return ["node(s) had no available disk"] * clash, False

    def filter_NodeDeclaredFeatures(self, pod: Object, node: Object) -> Verdict:
        lacking = needed_features(pod) - set(node.get("status", {}).get("declaredFeatures", []))
        return ["node(s) didn't match Pod's required features"] * bool(lacking), True

    def constraints(self, pod: Object, action: str) -> list[Object]:
        """The topology spread constraints that hold for the pod: its own, else its profile's if it is a replica."""
        defaults = self.profile(pod).defaults
        if pod["spec"].get("topologySpreadConstraints") or defaults is None or not self.is_replica(pod):
            return constraints(pod, action)
        return [{**c, "replicas": True} for c in defaults if c["whenUnsatisfiable"] == action]

    def is_replica(self, pod: Object) -> bool:
        return owner(pod) is not None and self.has_replicas(pod)

    def filter_PodTopologySpread(self, pod: Object, node: Object) -> Verdict:
        hard = self.constraints(pod, "DoNotSchedule")
        mismatch = "node(s) didn't match pod topology spread constraints"
        for constraint in hard:
            value = node_label(node, constraint["topologyKey"])
            if value is None:
                return [mismatch + " (missing required label)"], True
            domains = self.domains(pod, constraint, hard)
            fewest = min(domains.values()) if len(domains) >= constraint.get("minDomains", 1) else 0
            itself = constraint.get("replicas") or constraint_selects(constraint, pod, pod)
            if domains.get(value, 0) + itself - fewest > constraint["maxSkew"]:
                return [mismatch], False
        return [], False

    def filter_InterPodAffinity(self, pod: Object, node: Object) -> Verdict:
        others = [(p, self.nodes[n]) for k, n in self.placed.items() if n in self.nodes for p in [self.pods[k]]]

        def same_place(key: str, place: Object) -> bool:
            return node_label(node, key) is not None and node_label(node, key) == node_label(place, key)

        affinity = terms(pod, "podAffinity", "required")
        if affinity:
            friends = [place for p, place in others if all(self.speaks_of(pod, t, p) for t in affinity)]
            alone = not any(node_label(place, t["topologyKey"]) for place in friends for t in affinity)
            first = alone and all(self.speaks_of(pod, t, pod) for t in affinity)
            for term in affinity:
                key = term["topologyKey"]
                near = any(same_place(key, place) for place in friends)
                if node_label(node, key) is None or not (near or first):
                    return ["node(s) didn't match pod affinity rules"], True
        for term in terms(pod, "podAntiAffinity", "required"):
            if any(self.speaks_of(pod, term, p) and same_place(term["topologyKey"], place) for p, place in others):
                return ["node(s) didn't match pod anti-affinity rules"], False
        for other, place in others:
            for term in terms(other, "podAntiAffinity", "required"):
                if self.speaks_of(other, term, pod) and same_place(term["topologyKey"], place):
                    return ["node(s) didn't satisfy existing pods anti-affinity rules"], False
        return [], False

    def domains(self, pod: Object, constraint: Object, together: list[Object]) -> dict[str, int]:
        """The matching pods in each domain of a topology spread constraint, over the nodes that count."""
        counted: dict[str, int] = {}
        for node in self.nodes.values():
            if any(node_label(node, c["topologyKey"]) is None for c in together):
                continue
            if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not selects(pod, node):
                continue
            taints = [t for t in node.get("spec", {}).get("taints", []) if t["effect"] in ("NoSchedule", "NoExecute")]
            if constraint.get("nodeTaintsPolicy") == "Honor" and not all(tolerated(pod, t) for t in taints):
                continue
            value = node["metadata"]["labels"][constraint["topologyKey"]]
            counted[value] = counted.get(value, 0) + self.matching(pod, constraint, node)
        return counted

    def matching(self, pod: Object, constraint: Object, node: Object) -> int:
        if constraint.get("replicas"):
            return self.replicas(pod, node)
        if asks_nothing(constraint, pod):
            return 0
        there = self.on(node["metadata"]["name"])
        return sum("deletionTimestamp" not in p["metadata"] and constraint_selects(constraint, pod, p) for p in there)

    def speaks_of(self, pod: Object, term: Object, other: Object) -> bool:
        """Whether the pod's affinity term is about the other pod."""
        named = term.get("namespaces", [])
        if not named and term.get("namespaceSelector") is None:
            named = [pod["metadata"]["namespace"]]
        namespace = other["metadata"]["namespace"]
        here = namespace in named or selector_holds(term.get("namespaceSelector"), self.namespaces.get(namespace, {}))
        return here and selector_holds(term.get("labelSelector"), other["metadata"].get("labels", {}))

    # --- scores

    def scores(self, pod: Object, feasible: list[Object]) -> dict[str, list[int]]:
        """The normalized scores of each plug-in of the pod's profile that has something to say, in the order of
        `feasible`."""
        found = {name: getattr(self, f"score_{name}")(pod, feasible) for name in self.profile(pod).scores}
        return {name: scores for name, scores in found.items() if scores is not None}

    def score_TaintToleration(self, pod: Object, feasible: list[Object]) -> list[int]:
        return reversed_by_highest([self.untolerated(pod, node) for node in feasible])

    def score_NodeAffinity(self, pod: Object, feasible: list[Object]) -> list[int] | None:
        preferred = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
        preferred = preferred.get("preferredDuringSchedulingIgnoredDuringExecution", [])
        preferred = preferred + self.profile(pod).added_preferred
        if not any(p["preference"].get("matchExpressions") or p["preference"].get("matchFields") for p in preferred):
            return None
        raw = [sum(p["weight"] for p in preferred if term_holds(p["preference"], node)) for node in feasible]
        highest = max(raw, default=0)
        return [100 * score // highest if highest else 0 for score in raw]

    def score_NodeResourcesFit(self, pod: Object, feasible: list[Object]) -> list[int]:
        return [self.fit(pod, node) for node in feasible]

    def score_PodTopologySpread(self, pod: Object, feasible: list[Object]) -> list[int] | None:
        if pod["spec"].get("topologySpreadConstraints") or self.profile(pod).defaults is not None:
            soft = self.constraints(pod, "ScheduleAnyway")
            return self.spread_as_asked(pod, feasible, soft) if soft else None
        return self.spread(pod, feasible) if self.is_replica(pod) else None

    def score_InterPodAffinity(self, pod: Object, feasible: list[Object]) -> list[int] | None:
        near = self.nearness(pod)
        if near is None:
            return None
        raw = [sum(near.get((k, v), 0) for k, v in node["metadata"].get("labels", {}).items()) for node in feasible]
        span = max(raw, default=0) - min(raw, default=0)
        return [int(100 * ((score - min(raw)) / span)) if span else 0 for score in raw]

    def score_NodeResourcesBalancedAllocation(self, pod: Object, feasible: list[Object]) -> list[int] | None:
        args = self.profile(pod).of("NodeResourcesBalancedAllocation")
        resources = [r["name"] for r in args.get("resources", [])] or ["cpu", "memory"]
        wanted = plain_requests(pod)
        if not any(wanted.get(resource, 0) for resource in resources):
            return None
        return [self.balanced(pod, node, resources) for node in feasible]

    def score_ImageLocality(self, pod: Object, feasible: list[Object]) -> list[int]:
        mib = 2**20
        containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
        names = [c.get("image", "") for c in containers]
        names = [name if name.rfind(":") > name.rfind("/") else f"{name}:latest" for name in names]

        def sizes(node: Object) -> dict[str, int]:
            images = node.get("status", {}).get("images", [])
            return {name: image["sizeBytes"] for image in images for name in image["names"]}

        def worth(node: Object, name: str) -> int:
            holders = sum(name in sizes(other) for other in self.nodes.values())
            return int(sizes(node).get(name, 0) * (holders / len(self.nodes)))

        most = 1000 * mib * len(names)
        sums = [min(max(sum(worth(node, name) for name in names), 23 * mib), most) for node in feasible]
        return [100 * (total - 23 * mib) // (most - 23 * mib) for total in sums]

    def has_replicas(self, pod: Object) -> bool:
        """A pod that is only asked about belongs to replicas if any are known."""
        return any(owner(other) == owner(pod) for other in self.pods.values())

    def untolerated(self, pod: Object, node: Object) -> int:
        taints = [t for t in node.get("spec", {}).get("taints", []) if t["effect"] == "PreferNoSchedule"]
        return sum(not tolerated(pod, taint) for taint in taints)

    def fit(self, pod: Object, node: Object) -> int:
        args = self.profile(pod).of("NodeResourcesFit").get("scoringStrategy", {"type": "LeastAllocated"})
        resources = args.get("resources") or [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]
        there = self.on(node["metadata"]["name"])
        total, weights = 0, 0
        for resource, weight in ((r["name"], r["weight"]) for r in resources):
            capacity = whole(resource, quantity(node.get("status", {}).get("allocatable", {}).get(resource, "0")))
            if resource in DEFAULTS:
                used = sum(counted_requests(p)[resource] for p in there) + scored_requests(pod)[resource]
            else:
                wanted = plain_requests(pod).get(resource, 0)
                if "/" in resource and not wanted:
                    continue
                used = sum(plain_requests(p).get(resource, 0) for p in there) + wanted
            if not capacity:
                continue
            match args["type"]:
                case "LeastAllocated":
                    score = (capacity - used) * 100 // capacity if used <= capacity else 0
                case "MostAllocated":
                    score = min(used, capacity) * 100 // capacity
                case _:
                    points = [(p["utilization"], p["score"] * 10) for p in args["requestedToCapacityRatio"]["shape"]]
                    score = on_shape(points, 100 if used > capacity else used * 100 // capacity)
                    if score == 0:
                        continue
            total += score * weight
            weights += weight
        if not weights:
            return 0
        return math.floor(total / weights + 0.5) if args["type"] == "RequestedToCapacityRatio" else total // weights

    def balanced(self, pod: Object, node: Object, resources: list[str]) -> int:
        there = self.on(node["metadata"]["name"])
        wanted = plain_requests(pod)

        def balance(pods: list[Object]) -> int:
            shares = []
            for resource in resources:
                capacity = whole(resource, quantity(node.get("status", {}).get("allocatable", {}).get(resource, "0")))
                if "/" in resource and not wanted.get(resource, 0):
                    continue
                if capacity:
                    shares.append(min(sum(plain_requests(p).get(resource, 0) for p in pods) / capacity, 1.0))
            deviation = abs((shares[0] - shares[1]) / 2) if len(shares) == 2 else 0.0
            if len(shares) > 2:
                mean = sum(shares) / len(shares)
                deviation = math.sqrt(sum((share - mean) * (share - mean) for share in shares) / len(shares))
            return int((1 - deviation) * 100)

        return 50 + (50 + balance([*there, pod]) - balance(there)) // 2

    def replicas(self, pod: Object, node: Object) -> int:
        there = self.on(node["metadata"]["name"])
        return sum(owner(p) == owner(pod) and "deletionTimestamp" not in p["metadata"] for p in there)

    def spread(self, pod: Object, feasible: list[Object]) -> list[int]:
        def label(node: Object, key: str) -> str | None:
            return node["metadata"].get("labels", {}).get(key)

        def replicas(node: Object) -> int:
            return self.replicas(pod, node)

        zone, hostname = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
        in_zone: Counter[str | None] = Counter()
        for node in self.nodes.values():
            if selects(pod, node):
                in_zone[label(node, zone)] += replicas(node)
        zone_weight = math.log(len({label(node, zone) for node in feasible}) + 2)
        host_weight = math.log(len(feasible) + 2)
        raw = []
        for node in feasible:
            score = 0.0
            if label(node, hostname) is not None:
                score += replicas(node) * host_weight + (3 - 1)
            if label(node, zone) is not None:
                score += in_zone[label(node, zone)] * zone_weight + (5 - 1)
            raw.append(math.floor(score + 0.5))
        highest, lowest = max(raw, default=0), min(raw, default=0)
        return [100 * (highest + lowest - score) // highest if highest else 100 for score in raw]

    def spread_as_asked(self, pod: Object, feasible: list[Object], soft: list[Object]) -> list[int]:
        counted = [n for n in feasible if all(node_label(n, c["topologyKey"]) is not None for c in soft)]
        raw: dict[str, float] = {node["metadata"]["name"]: 0.0 for node in counted}
        for constraint in soft:
            key = constraint["topologyKey"]
            candidates = {node_label(node, key) for node in counted}
            domains = self.domains(pod, constraint, soft)
            hostname = key == "kubernetes.io/hostname"
            weight = math.log((len(counted) if hostname else len(candidates)) + 2)
            for node in counted:
                here = self.matching(pod, constraint, node)
                count = here if hostname else domains.get(str(node_label(node, key)), 0)
                raw[node["metadata"]["name"]] += count * weight + (constraint["maxSkew"] - 1)
        rounded = {name: math.floor(score + 0.5) for name, score in raw.items()}
        highest, lowest = max(rounded.values(), default=0), min(rounded.values(), default=0)

        def normalized(name: str) -> int:
            if name not in rounded:
                return 0
            return 100 * (highest + lowest - rounded[name]) // highest if highest else 100

        return [normalized(node["metadata"]["name"]) for node in feasible]

    def nearness(self, pod: Object) -> dict[tuple[str, str], int] | None:
        """What each place (topology key and value) weighs for the pod; None where no term says anything."""
        places: dict[tuple[str, str], int] = {}
        args = self.profile(pod).of("InterPodAffinity")
        hard_weight = args.get("hardPodAffinityWeight", 1)
        own = [t for kind in ("podAffinity", "podAntiAffinity") for t in terms(pod, kind, "preferred")]
        if args.get("ignorePreferredTermsOfExistingPods") and not own:
            return None

        def weigh(node: Object, key: str, weight: int) -> None:
            value = node_label(node, key)
            if value is not None:
                places[(key, value)] = places.get((key, value), 0) + weight

        for place, name in self.placed.items():
            if name not in self.nodes:
                continue
            other, node = self.pods[place], self.nodes[name]
            for one, two in ((pod, other), (other, pod)):
                for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                    for weighted in terms(one, kind, "preferred"):
                        term = weighted["podAffinityTerm"]
                        if self.speaks_of(one, term, two):
                            weigh(node, term["topologyKey"], sign * weighted["weight"])
            for term in terms(other, "podAffinity", "required"):
                if hard_weight and self.speaks_of(other, term, pod):
                    weigh(node, term["topologyKey"], hard_weight)
        return places or None

    # --- decisions

    def explain(self, pod: Object) -> list[tuple[str, str | None, list[str], list[tuple[str, int, int]], int]]:
        """What `SchedulerCore.explain` says."""
        profile = self.profile(pod)
        if profile.names_nodes and named_nodes(pod) == set():
            return [(n["metadata"]["name"], "NodeAffinity", [CONFLICT], [], 0) for n in self.ordered()]
        refusals = {node["metadata"]["name"]: self.refusal(pod, node) for node in self.ordered()}
        feasible = [node for node in self.ordered() if not refusals[node["metadata"]["name"]][0]]
        scores = self.scores(pod, feasible)
        explained = []
        for node in self.ordered():
            name = node["metadata"]["name"]
            plugin, reasons, _ = refusals[name]
            if plugin:
                explained.append((name, plugin, sorted(reasons), [], 0))
            else:
                at = feasible.index(node)
                of = [(plugin, scores[plugin][at], profile.scores[plugin]) for plugin in scores]
                explained.append((name, None, [], of, sum(score * weight for _, score, weight in of)))
        return explained

    def schedule(self, key: tuple[str, str]) -> tuple[str | None, str, "Preemption | None"]:
        """The node on which the pod is assumed from now on, or None, the message, and the pods that are to make room,
        where that helps; ("", "", None) if it does not wait."""
        pod = self.pods.get(key)
        if pod is None or key in self.placed or "deletionTimestamp" in pod["metadata"]:
            return "", "", None
        explained = self.explain(pod)
        feasible = [(name, total) for name, plugin, _, _, total in explained if plugin is None]
        if not feasible:
            return self.refuse(key, pod)
        best = max(total for _, total in feasible)
        equals = [name for name, total in feasible if total == best]
        if self.nominated.get(key) in dict(feasible):
            node = self.nominated[key]
        else:
            node = equals[self.lot.draw(len(equals)) if len(equals) > 1 else 0]
        self.placed[key] = node
        self.assumed.add(key)
        return node, "", None

    def refuse(self, key: tuple[str, str], pod: Object) -> tuple[None, str, "Preemption | None"]:
        if not self.nodes:
            return None, "no nodes available to schedule pods", None
        refusals = {node["metadata"]["name"]: self.refusal(pod, node) for node in self.ordered()}
        message = self.unavailable(Counter(reason for _, reasons, _ in refusals.values() for reason in reasons))
        if self.profile(pod).names_nodes and named_nodes(pod) == set():
            message = f"0/{len(self.nodes)} nodes are available: {CONFLICT}."
            refusals = dict.fromkeys(self.nodes, ("", [], True))
        if not self.profile(pod).preempts:
            return None, message, None
        if pod["spec"].get("preemptionPolicy") == "Never":
            return None, message + " preemption: not eligible due to preemptionPolicy=Never.", None
        nominated = self.nominated.get(key, "")
        if nominated in refusals and not refusals[nominated][2] and any(map(evicted, self.lower(pod, nominated))):
            words = " preemption: not eligible due to a terminating pod on the nominated node."
            return None, message + words, None
        candidates, reasons = {}, Counter[str]()
        for name, (_, _, unresolvable) in refusals.items():
            if unresolvable:
                reasons["Preemption is not helpful for scheduling"] += 1
            elif not self.lower(pod, name):
                reasons["No preemption victims found for incoming pod"] += 1
            else:
                found = self.dry_run(pod, self.nodes[name])
                if isinstance(found, tuple):
                    candidates[name] = found
                else:
                    reasons.update(found)
        if not candidates:
            self.nominate(key, "")
            return None, f"{message} preemption: {self.unavailable(reasons)}", None
        node = min(candidates, key=lambda name: rank(*candidates[name]))
        displaced = [k for k in self.waiting_for(node) if priority(self.pods[k]) < priority(pod)]
        victims = [key_of(p) for p in candidates[node][1] if "deletionTimestamp" not in p["metadata"]]
        self.nominate(key, node)
        return None, message, (node, victims, sorted(displaced))

    def lower(self, pod: Object, node: str) -> list[Object]:
        return [p for p in self.on(node) if priority(p) < priority(pod)]

    def dry_run(self, pod: Object, node: Object) -> tuple[int, list[Object]] | list[str]:
        """How many budgets would be broken and who would have to go, or why that does not help."""
        name = node["metadata"]["name"]
        lower = sorted(self.lower(pod, name), key=importance)
        before = dict(self.placed)
        for victim in lower:
            del self.placed[key_of(victim)]
        plugin, reasons, _ = self.refusal(pod, node)
        victims: list[Object] = []
        breaking = self.breaking(lower)
        if not plugin:
            for victim in sorted(lower, key=lambda p: p not in breaking):
                self.placed[key_of(victim)] = name
                if self.refusal(pod, node)[0]:
                    del self.placed[key_of(victim)]
                    victims.append(victim)
        self.placed = before
        if plugin:
            return reasons
        return sum(victim in breaking for victim in victims), sorted(victims, key=importance)

    def breaking(self, pods: list[Object]) -> list[Object]:
        """Those whose eviction, after that of the ones before, breaks a PodDisruptionBudget."""
        broken = []
        left = {key: budget["status"]["disruptionsAllowed"] for key, budget in self.budgets.items()}
        for pod in pods:
            labels = pod["metadata"].get("labels", {})
            for key, budget in self.budgets.items():
                selector = budget["spec"].get("selector")
                asks = selector and (selector.get("matchLabels") or selector.get("matchExpressions"))
                counted = pod["metadata"]["name"] in budget["status"].get("disruptedPods", {})
                here = key[0] == pod["metadata"]["namespace"] and labels and asks and not counted
                if here and selector_holds(selector, labels):
                    left[key] -= 1
                    if left[key] < 0 and pod not in broken:
                        broken.append(pod)
        return broken

    def unavailable(self, histogram: "Counter[str]") -> str:
        counted = sorted(f"{count} {reason}" for reason, count in histogram.items())
        return f"0/{len(self.nodes)} nodes are available: {', '.join(counted)}."


Preemption = tuple[str, list[tuple[str, str]], list[tuple[str, str]]]
"""The node, the pods that have to go (the most important first), and those that lose their nomination."""


def priority(pod: Object) -> int:
    found: int = pod["spec"].get("priority", 0)
    return found


def key_of(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def start(pod: Object) -> str:
    """Without a start it would start now: later than all that have."""
    found: str = pod.get("status", {}).get("startTime", "9999-12-31T23:59:59Z")
    return found


def importance(pod: Object) -> tuple[int, str, tuple[str, str]]:
    """The most important first; the last part tells equals apart."""
    return -priority(pod), start(pod), key_of(pod)


def evicted(pod: Object) -> bool:
    """Whether the pod is ending because it was preempted."""
    mark = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    return "deletionTimestamp" in pod["metadata"] and mark in pod.get("status", {}).get("conditions", [])


def rank(violations: int, victims: list[Object]) -> tuple[int, int, int, int, int]:
    highest = max(map(priority, victims))
    earliest = min(start(pod) for pod in victims if priority(pod) == highest)
    total = sum(priority(pod) + 2**31 for pod in victims)
    return violations, highest, total, len(victims), -int(re.sub(r"[^0-9]", "", earliest))


CONFLICT = "pod affinity terms conflict"


def reversed_by_highest(raw: list[int]) -> list[int]:
    highest = max(raw, default=0)
    return [100 - 100 * score // highest if highest else 100 for score in raw]


def on_shape(points: list[tuple[int, int]], used: int) -> int:
    """The line through the points, level outside them; divided as Go divides, towards zero."""
    if used <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if used <= x1:
            return y0 + math.trunc(Fraction((y1 - y0) * (used - x0), x1 - x0))
    return points[-1][1]
