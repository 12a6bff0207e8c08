"""The core against the model over random worlds: filters, reasons, scores, messages and final placements."""

import json
import os
import random
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from tests.model.sched import FILTERS, WEIGHTS, Object, Profile, World, key_of

from orlop.native import SchedulerCore

EXAMPLES = int(os.environ.get("ORLOP_MODEL_EXAMPLES", "150"))
"""Random histories; a longer campaign sets the variable."""

LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large]

NAMES = [f"n{i}" for i in range(6)]
KEYS = ["disk", "cores"]
VALUES = ["ssd", "8", "16", ""]
ZONES = ["a", "b"]
TAINT_KEYS = ["gpu", "old", "node.kubernetes.io/unschedulable"]
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
GPU = "example.com/gpu"


def optional(strategies: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=strategies)


cpu = st.sampled_from(["0", "1m", "100m", "250m", "0.5", "1", "1500m", "2", "4", "0.3333"])
memory = st.sampled_from(["0", "1", "64Mi", "200Mi", "1G", "1Gi", "3Gi", "100000000.5"])
amounts = optional(
    {"cpu": cpu, "memory": memory, "ephemeral-storage": st.sampled_from(["1Gi", "0"]), GPU: st.sampled_from("012")}
)
taint = st.fixed_dictionaries(
    {"key": st.sampled_from(TAINT_KEYS), "effect": st.sampled_from(EFFECTS)},
    optional={"value": st.sampled_from(["", "x"])},
)
toleration = optional(
    {
        "key": st.sampled_from(["", *TAINT_KEYS]),
        "operator": st.sampled_from(["", "Equal", "Exists", "Gt"]),
        "value": st.sampled_from(["", "x"]),
        "effect": st.sampled_from(["", *EFFECTS]),
    }
)
expression = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
    st.builds(
        lambda key, operator, bound: {"key": key, "operator": operator, "values": [bound]},
        st.sampled_from(KEYS),
        st.sampled_from(["Gt", "Lt"]),
        st.sampled_from(["8", "10"]),
    ),
)
name_field = st.builds(
    lambda operator, values: {"key": "metadata.name", "operator": operator, "values": values},
    st.sampled_from(["In", "In", "NotIn"]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2),
)
term = optional(
    {"matchExpressions": st.lists(expression, max_size=2), "matchFields": st.lists(name_field, min_size=0, max_size=2)}
)
affinity = optional(
    {
        "requiredDuringSchedulingIgnoredDuringExecution": st.builds(
            lambda terms: {"nodeSelectorTerms": terms}, st.lists(term, max_size=2)
        ),
        "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
            # In a preferred term two names are an error for the pod, not a mismatch.
            st.builds(
                lambda weight, t: {"weight": weight, "preference": {"matchExpressions": t}},
                st.integers(1, 100),
                st.lists(expression, max_size=2),
            ),
            max_size=3,
        ),
    }
)
port = st.builds(
    lambda number, ip, protocol: {"containerPort": 1, "hostPort": number, "hostIP": ip, "protocol": protocol},
    st.sampled_from([0, 80, 81]),
    st.sampled_from(["", "0.0.0.0", "127.0.0.1", "10.0.0.1"]),
    st.sampled_from(["", "TCP", "UDP"]),
)
container = st.builds(
    lambda requested, ports: {"name": "c", "resources": {"requests": requested}, "ports": ports},
    amounts,
    st.lists(port, max_size=1) | st.just([]),
)
init_container = st.builds(
    lambda c, sidecar: {**c, "restartPolicy": "Always"} if sidecar else c, container, st.booleans()
)


@st.composite
def nodes(draw: st.DrawFn) -> Object:
    name = draw(st.sampled_from(NAMES))
    labels = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2))
    if draw(st.integers(0, 4)):
        labels["kubernetes.io/hostname"] = name
    if draw(st.integers(0, 3)):
        labels["topology.kubernetes.io/zone"] = draw(st.sampled_from(ZONES))
    allocatable = {
        "cpu": draw(st.sampled_from(["0", "1", "3", "4", "8", "7500m"])),
        "memory": draw(st.sampled_from(["0", "2Gi", "8Gi", "5000000000"])),
        "pods": draw(st.sampled_from(["1", "3", "110", "110"])),
        "ephemeral-storage": "3Gi",
        **draw(optional({GPU: st.sampled_from("12")})),
    }
    spec = {
        "unschedulable": draw(st.sampled_from([False, False, False, True])),
        "taints": draw(st.lists(taint, max_size=2) | st.just([])),
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


@st.composite
def pods(draw: st.DrawFn) -> Object:
    name = f"p{draw(st.integers(0, 7))}"
    metadata: Object = {"namespace": "default", "name": name, "uid": f"{name}-{draw(st.integers(0, 1))}"}
    if draw(st.booleans()):
        kind = draw(st.sampled_from([("apps/v1", "ReplicaSet"), ("apps/v1", "ReplicaSet"), ("batch/v1", "Job")]))
        reference = {"apiVersion": kind[0], "kind": kind[1], "name": "o", "controller": True}
        metadata["ownerReferences"] = [{**reference, "uid": draw(st.sampled_from(["o1", "o2"]))}]
    if not draw(st.integers(0, 9)):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec: Object = {"containers": draw(st.lists(container, min_size=1, max_size=2))}
    spec |= draw(
        optional(
            {
                "initContainers": st.lists(init_container, max_size=2),
                "tolerations": st.lists(toleration, max_size=2),
                "priority": st.integers(-1, 2),
                "preemptionPolicy": st.sampled_from(["Never", "PreemptLowerPriority", "PreemptLowerPriority"]),
            }
        )
    )
    if not draw(st.integers(0, 3)):
        spec["nodeSelector"] = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=1))
    if not draw(st.integers(0, 2)):
        spec["affinity"] = {"nodeAffinity": draw(affinity)}
    if not draw(st.integers(0, 4)):
        spec["overhead"] = draw(amounts)
    if not draw(st.integers(0, 5)):
        spec["resources"] = {"requests": draw(amounts)}
    if not draw(st.integers(0, 4)):
        spec["nodeName"] = draw(st.sampled_from(NAMES))
    pod = {"metadata": metadata, "spec": spec, "status": draw(pod_status)}
    if not draw(st.integers(0, 14)):
        pod["status"]["phase"] = draw(st.sampled_from(["Succeeded", "Running"]))
    return pod


EVICTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
pod_status = optional(
    {
        "startTime": st.sampled_from([f"2026-01-0{day}T00:00:00Z" for day in range(1, 4)]),
        "nominatedNodeName": st.sampled_from(["", "", *NAMES]),
        "conditions": st.just([EVICTED]),
    }
)


APPS = ["web", "db"]
topology_keys = st.sampled_from(["kubernetes.io/hostname", "topology.kubernetes.io/zone", "disk"])
label_selector = st.one_of(
    st.builds(lambda app: {"matchLabels": {"app": app}}, st.sampled_from(APPS)),
    st.builds(lambda app: {"matchLabels": {"app": app}}, st.sampled_from(APPS)),
    st.builds(
        lambda operator, apps: {"matchExpressions": [{"key": "app", "operator": operator, "values": apps}]},
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(APPS), min_size=1, max_size=2),
    ),
    st.just({"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
    st.just({}),
)


@st.composite
def spread_constraints(draw: st.DrawFn) -> Object:
    constraint = {
        "maxSkew": draw(st.sampled_from([1, 1, 2])),
        "topologyKey": draw(topology_keys),
        "whenUnsatisfiable": draw(st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])),
        "labelSelector": draw(label_selector | st.none()),
        **draw(optional({"matchLabelKeys": st.just(["tier"])})),
        **draw(optional({"nodeAffinityPolicy": st.just("Ignore"), "nodeTaintsPolicy": st.just("Honor")})),
    }
    if constraint["whenUnsatisfiable"] == "DoNotSchedule" and not draw(st.integers(0, 2)):
        constraint["minDomains"] = draw(st.integers(1, 4))
    if constraint["labelSelector"] is None:
        del constraint["labelSelector"]
    return constraint


affinity_term = st.builds(
    lambda key, more: {"topologyKey": key, **more},
    topology_keys,
    optional(
        {
            "labelSelector": label_selector,
            "namespaces": st.sampled_from([["other"], ["default", "other"]]),
            "namespaceSelector": st.sampled_from([{}, {"matchLabels": {"team": "a"}}]),
        }
    ),
)
own_terms = st.builds(
    lambda key, selector: {"topologyKey": key, "labelSelector": selector}, topology_keys, label_selector
)
pod_affinity = optional(
    {
        "requiredDuringSchedulingIgnoredDuringExecution": st.lists(own_terms | affinity_term, max_size=2),
        "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
            st.builds(
                lambda weight, t: {"weight": weight, "podAffinityTerm": t},
                st.integers(1, 100),
                own_terms | affinity_term,
            ),
            max_size=2,
        ),
    }
)


@st.composite
def social_pods(draw: st.DrawFn) -> Object:
    """Pods that mind where other pods are, and ask for little else."""
    name = f"p{draw(st.integers(0, 11))}"
    namespace = draw(st.sampled_from(["default", "default", "other"]))
    metadata: Object = {"namespace": namespace, "name": name, "uid": f"{name}-0"}
    metadata["labels"] = draw(optional({"app": st.sampled_from(APPS), "tier": st.sampled_from(["1", "2"])}))
    if not draw(st.integers(0, 9)):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    spec: Object = {"containers": [{"name": "c", "resources": {"requests": {"cpu": draw(cpu)}}}]}
    spec["priority"] = draw(st.integers(0, 1))
    if draw(st.booleans()):
        spec["affinity"] = draw(optional({"podAffinity": pod_affinity, "podAntiAffinity": pod_affinity}))
    else:
        spec["topologySpreadConstraints"] = draw(st.lists(spread_constraints(), min_size=1, max_size=2))
    if not draw(st.integers(0, 5)):
        spec["nodeSelector"] = {"disk": draw(st.sampled_from(VALUES))}
    if not draw(st.integers(0, 5)):
        spec["nodeName"] = draw(st.sampled_from(NAMES))
    return {"metadata": metadata, "spec": spec}


@st.composite
def budgets(draw: st.DrawFn) -> Object:
    metadata = {
        "namespace": draw(st.sampled_from(["default", "default", "other"])),
        "name": draw(st.sampled_from("ab")),
    }
    status = {"disruptionsAllowed": draw(st.integers(0, 2))}
    status |= draw(optional({"disruptedPods": st.just({"p1": "2026-01-01T00:00:00Z"})}))
    return {"metadata": metadata, "spec": draw(optional({"selector": label_selector})), "status": status}


@st.composite
def rival_pods(draw: st.DrawFn) -> Object:
    """Pods of many priorities that fight for little room."""
    pod = draw(social_pods())
    pod["status"] = draw(pod_status)
    pod["spec"]["priority"] = draw(st.integers(-1, 4))
    pod["spec"].pop("nodeSelector", None)
    pod["metadata"].pop("deletionTimestamp", None)
    if draw(st.booleans()):
        pod["spec"]["nodeName"] = draw(st.sampled_from(NAMES[:2]))
        pod["status"].pop("nominatedNodeName", None)
    pod["spec"] |= draw(optional({"preemptionPolicy": st.just("Never")}))
    requested = {"cpu": draw(st.sampled_from(["1", "2", "3"]))}
    pod["spec"]["containers"] = [{"name": "c", "resources": {"requests": requested}}]
    if draw(st.integers(0, 3)):
        pod["spec"].pop("affinity", None)
        pod["spec"].pop("topologySpreadConstraints", None)
    return pod


@st.composite
def tight_nodes(draw: st.DrawFn) -> Object:
    node = draw(roomy_nodes())
    node["metadata"]["name"] = draw(st.sampled_from(NAMES[:2]))
    node["spec"] = {}
    node["status"]["allocatable"]["cpu"] = draw(st.sampled_from(["3", "4", "6"]))
    return node


@st.composite
def roomy_nodes(draw: st.DrawFn) -> Object:
    """Nodes that differ in labels and taints, with room for everybody."""
    name = draw(st.sampled_from(NAMES))
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": draw(st.sampled_from("abc"))}
    if not draw(st.integers(0, 5)):
        del labels[draw(st.sampled_from(sorted(labels)))]
    labels |= draw(optional({"disk": st.sampled_from(VALUES)}))
    taints = [{"key": "gpu", "effect": draw(st.sampled_from(EFFECTS))}] if not draw(st.integers(0, 3)) else []
    allocatable = {"cpu": "64", "memory": "64Gi", "pods": "110"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": allocatable},
    }


social_changes = st.one_of(
    st.tuples(st.just("node"), roomy_nodes()),
    st.tuples(st.just("pod"), social_pods()),
    st.tuples(st.just("pod"), social_pods()),
    st.tuples(st.just("pod"), social_pods()),
    st.tuples(st.just("schedule"), st.none()),
    st.tuples(st.just("explain"), social_pods()),
    st.tuples(st.just("delete node"), st.sampled_from(NAMES)),
    st.tuples(st.just("delete pod"), st.integers(0, 11)),
    st.tuples(st.just("namespace"), st.sampled_from([{}, {"team": "a"}, {"team": "b"}])),
)

rival_changes = st.one_of(
    st.tuples(st.just("pod"), rival_pods()),
    st.tuples(st.just("pod"), rival_pods()),
    st.tuples(st.just("schedule"), st.none()),
    st.tuples(st.just("schedule"), st.none()),
    st.tuples(st.just("explain"), rival_pods()),
    st.tuples(st.just("budget"), budgets()),
    st.tuples(st.just("delete budget"), budgets()),
    st.tuples(st.just("evict"), st.none()),
    st.tuples(st.just("delete pod"), st.integers(0, 11)),
    st.tuples(st.just("forget"), st.integers(0, 11)),
    st.tuples(st.just("bind"), st.integers(0, 11)),
    st.tuples(st.just("tell"), st.integers(0, 11)),
)

changes = st.one_of(
    st.tuples(st.just("node"), nodes()),
    st.tuples(st.just("pod"), pods()),
    st.tuples(st.just("pod"), pods()),
    st.tuples(st.just("schedule"), st.none()),
    st.tuples(st.just("explain"), pods()),
    st.tuples(st.just("delete node"), st.sampled_from(NAMES)),
    st.tuples(st.just("delete pod"), st.integers(0, 7)),
    st.tuples(st.just("forget"), st.integers(0, 7)),
    st.tuples(st.just("bind"), st.integers(0, 7)),
)


def encode(obj: Object) -> bytes:
    return json.dumps(obj).encode()


def stated(profile: Profile) -> bytes:
    """The profile as the core reads it."""
    return encode(
        {
            "schedulerName": profile.name,
            "preFilter": ["NodeAffinity"] if profile.names_nodes else [],
            "filter": profile.filters,
            "postFilter": ["DefaultPreemption"] if profile.preempts else [],
            "score": [{"name": name, "weight": weight} for name, weight in profile.scores.items()],
            "args": profile.args,
        }
    )


class Both:
    """The core and the model, told the same."""

    def __init__(self, seed: int, profiles: list[Profile] | None = None) -> None:
        self.core = SchedulerCore(seed, None if profiles is None else [stated(profile) for profile in profiles])
        self.world = World(seed, **({} if profiles is None else {"profiles": profiles}))
        self.victims: list[tuple[str, str]] = []
        """Of the last preemption."""

    def node(self, node: Object) -> None:
        self.core.upsert_node(encode(node))
        self.world.upsert_node(node)

    def pod(self, pod: Object) -> None:
        self.core.upsert_pod(encode(pod))
        self.world.upsert_pod(pod)

    def schedule(self, keys: list[tuple[str, str]]) -> None:
        for key, decision in zip(keys, self.core.schedule(keys), strict=True):
            node, message, preemption = self.world.schedule(key)
            assert (decision.node if decision.waiting else "") == node, (key, decision.message)
            assert decision.message == message
            if preemption is None:
                assert (decision.nominated, decision.victims, decision.displaced) == (None, [], [])
                continue
            self.victims, displaced = preemption[1], sorted(pod[:2] for pod in decision.displaced)
            assert (decision.nominated, [pod[:2] for pod in decision.victims], displaced) == preemption

    def explain(self, pod: Object) -> None:
        said = [(n, p, sorted(r), s, t) for n, p, r, s, t in self.core.explain(encode(pod))]
        assert said == self.world.explain(pod)

    def apply(self, kind: str, what: Any) -> None:
        key = ("default", f"p{what}")
        match kind:
            case "node":
                self.node(what)
            case "pod":
                self.pod(what)
            case "schedule":
                self.schedule(sorted(self.world.pods))
            case "explain":
                self.explain(what)
            case "namespace":
                self.core.upsert_namespace(encode({"metadata": {"name": "other", "labels": what}}))
                self.world.namespaces["other"] = what
            case "budget":
                self.core.upsert_budget(encode(what))
                self.world.budgets[key_of(what)] = what
            case "delete budget":
                self.core.delete_budget(*key_of(what))
                self.world.budgets.pop(key_of(what), None)
            case "evict":
                for victim in filter(self.world.pods.__contains__, self.victims):
                    pod = self.world.pods[victim]
                    metadata = {**pod["metadata"], "deletionTimestamp": "2026-01-02T00:00:00Z"}
                    self.pod({**pod, "metadata": metadata, "status": {**pod["status"], "conditions": [EVICTED]}})
            case "tell" if key in self.world.pods:
                pod = self.world.pods[key]
                nominated = {"nominatedNodeName": self.world.nominated.get(key, "")}
                self.pod({**pod, "status": {**pod["status"], **nominated}})
            case "delete node":
                self.core.delete_node(what)
                self.world.delete_node(what)
            case "delete pod":
                self.core.delete_pod(*key)
                self.world.delete_pod(key)
            case "forget":
                uid = f"p{what}-0"
                self.core.forget(*key, uid)
                self.world.forget(key, uid)
            case "bind" if key in self.world.assumed:
                pod = self.world.pods[key]
                self.pod({**pod, "spec": {**pod["spec"], "nodeName": self.world.placed[key]}})


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.integers(0, 2**64 - 1), st.lists(nodes(), max_size=5), st.lists(changes, max_size=24))
def test_random_histories(seed: int, start: list[Object], history: list[tuple[str, Any]]) -> None:
    both = Both(seed)
    for node in start:
        both.node(node)
    for kind, what in history:
        both.apply(kind, what)
    both.schedule(sorted(both.world.pods))
    assert both.core.stats()[:2] == (len(both.world.nodes), len(both.world.pods))


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    st.integers(0, 2**64 - 1),
    st.lists(roomy_nodes(), min_size=3, max_size=8),
    st.lists(social_changes, min_size=6, max_size=30),
)
def test_pods_that_mind_each_other(seed: int, start: list[Object], history: list[tuple[str, Any]]) -> None:
    both = Both(seed)
    for node in start:
        both.node(node)
    for kind, what in history:
        both.apply(kind, what)
    both.schedule(sorted(both.world.pods))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=LARGE)
@given(
    st.integers(0, 2**64 - 1),
    st.lists(tight_nodes(), min_size=1, max_size=6),
    st.lists(rival_changes, min_size=6, max_size=40),
)
def test_pods_that_push_others_out(seed: int, start: list[Object], history: list[tuple[str, Any]]) -> None:
    both = Both(seed)
    for node in start:
        both.node(node)
    for kind, what in history:
        both.apply(kind, what)
    both.schedule(sorted(both.world.pods))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_crowded_nodes_are_cleared_alike(seed: int) -> None:
    """Nodes full of small pods, and large ones of all priorities that come one after the other."""
    chance = random.Random(seed)
    both = Both(seed)
    for index in range(4):
        allocatable = {"cpu": "4", "memory": "64Gi", "pods": str(chance.choice([4, 110]))}
        labels = {"kubernetes.io/hostname": f"n{index}"}
        both.node({"metadata": {"name": f"n{index}", "labels": labels}, "status": {"allocatable": allocatable}})
    for index in range(chance.randint(0, 3)):
        selector = {"matchLabels": {"app": chance.choice(APPS)}}
        metadata = {"namespace": "default", "name": f"b{index}"}
        budget = {"metadata": metadata, "spec": {"selector": selector}}
        both.apply("budget", {**budget, "status": {"disruptionsAllowed": chance.randint(0, 2)}})
    for index in range(24):
        name = f"p{index}"
        metadata = {"namespace": "default", "name": name, "uid": f"{name}-0", "labels": {"app": chance.choice(APPS)}}
        cpu = chance.choice([1, 1, 2]) if index < 12 else chance.choice([2, 3, 4])
        containers = [{"resources": {"requests": {"cpu": str(cpu)}}}]
        spec = {"containers": containers, "priority": chance.randint(0, 3) + (index >= 12)}
        status = {"startTime": f"2026-01-0{chance.randint(1, 4)}T00:00:00Z"}
        both.pod({"metadata": metadata, "spec": spec, "status": status})
        both.schedule([("default", name)])
        match chance.randint(0, 5):
            case 0:
                both.apply("evict", None)
            case 1:
                both.apply("delete pod", chance.randrange(24))
            case 2:
                both.apply("tell", index)
            case 3:
                both.schedule(sorted(both.world.pods))
    both.schedule(sorted(both.world.pods))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**64 - 1), st.lists(nodes(), max_size=6), st.lists(pods(), max_size=8))
def test_a_batch_is_as_one_by_one(seed: int, start: list[Object], waiting: list[Object]) -> None:
    batch, single = SchedulerCore(seed), SchedulerCore(seed)
    for core in (batch, single):
        for node in start:
            core.upsert_node(encode(node))
        for pod in waiting:
            core.upsert_pod(encode(pod))
    keys = [(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in waiting]
    together = [(d.waiting, d.node, d.message) for d in batch.schedule(keys)]
    apart = [(d.waiting, d.node, d.message) for key in keys for d in single.schedule([key])]
    assert together == apart


replica_nodes = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c"]), st.booleans(), st.booleans()), min_size=1, max_size=6
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**64 - 1), replica_nodes, st.lists(st.sampled_from(["o1", "o2", "gone"]), max_size=10))
def test_replicas_are_spread(seed: int, shapes: list[tuple[str | None, bool, bool]], owners: list[str]) -> None:
    both = Both(seed)
    for index, (zone, hostname, big) in enumerate(shapes):
        labels = {"kubernetes.io/hostname": f"n{index}"} if hostname else {}
        labels |= {"topology.kubernetes.io/zone": zone} if zone else {}
        allocatable = {"cpu": "8" if big else "2", "memory": "8Gi", "pods": "110"}
        both.node({"metadata": {"name": f"n{index}", "labels": labels}, "status": {"allocatable": allocatable}})
    for index, uid in enumerate(owners):
        reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "controller": True, "uid": uid}
        name = f"p{index}"
        metadata = {"namespace": "default", "name": name, "uid": f"{name}-0", "ownerReferences": [reference]}
        pod = {"metadata": metadata, "spec": {"containers": [{"resources": {"requests": {"cpu": "500m"}}}]}}
        if uid == "gone":
            pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "n0"}
        both.pod(pod)
        both.explain(pod)
        both.schedule([("default", name)])


resource_names = st.sampled_from(["cpu", "memory", "ephemeral-storage", GPU])
shape = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10)), min_size=1, max_size=4, unique_by=lambda p: p[0])


@st.composite
def strategies(draw: st.DrawFn) -> Object:
    kind = draw(st.sampled_from(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]))
    names = draw(st.lists(resource_names, min_size=1, max_size=3, unique=True))
    strategy: Object = {"type": kind, "resources": [{"name": n, "weight": draw(st.integers(1, 5))} for n in names]}
    if kind == "RequestedToCapacityRatio":
        points = [{"utilization": at, "score": score} for at, score in sorted(draw(shape))]
        strategy["requestedToCapacityRatio"] = {"shape": points}
    return strategy


default_constraint = st.builds(
    lambda skew, key, action, more: {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": action, **more},
    st.integers(1, 2),
    topology_keys,
    st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    optional({"nodeAffinityPolicy": st.just("Ignore"), "nodeTaintsPolicy": st.just("Honor")}),
)
arguments = optional(
    {
        "NodeResourcesFit": st.fixed_dictionaries(
            {"scoringStrategy": strategies()},
            optional={"ignoredResources": st.just([GPU]), "ignoredResourceGroups": st.just([GPU.split("/")[0]])},
        ),
        "NodeResourcesBalancedAllocation": st.builds(
            lambda names: {"resources": [{"name": name, "weight": 1} for name in names]},
            st.lists(resource_names, min_size=1, max_size=4, unique=True),
        ),
        "NodeAffinity": st.builds(lambda added: {"addedAffinity": added}, affinity),
        "InterPodAffinity": st.fixed_dictionaries(
            {},
            optional={"hardPodAffinityWeight": st.integers(0, 3), "ignorePreferredTermsOfExistingPods": st.booleans()},
        ),
        "PodTopologySpread": st.builds(
            lambda constraints: {"defaultingType": "List", "defaultConstraints": constraints},
            st.lists(default_constraint, max_size=2),
        ),
    }
)


FEATURES = ["RestartAllContainersOnContainerExits", "UserNamespacesHostNetworkSupport", "Other"]
VOLUMES: list[Object] = [
    {"gcePersistentDisk": {"pdName": "d", "readOnly": True}},
    {"gcePersistentDisk": {"pdName": "d"}},
    {"awsElasticBlockStore": {"volumeID": "d"}},
    {"iscsi": {"iqn": "q", "readOnly": True}},
    {"rbd": {"pool": "p", "image": "i", "monitors": ["a", "b"]}},
    {"rbd": {"pool": "p", "image": "i", "monitors": ["b"], "readOnly": True}},
]


@st.composite
def profiles(draw: st.DrawFn, name: str) -> Profile:
    filters = draw(st.permutations(FILTERS))[draw(st.integers(0, 3)) :] if draw(st.booleans()) else list(FILTERS)
    scores = {name: draw(st.integers(1, 4)) for name in WEIGHTS if draw(st.integers(0, 4))}
    return Profile(name, filters, scores, draw(st.booleans()), draw(st.integers(0, 3)) > 0, draw(arguments))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=LARGE)
@given(
    st.integers(0, 2**64 - 1),
    st.tuples(profiles("one"), profiles("two")),
    st.lists(nodes() | roomy_nodes(), max_size=6),
    st.lists(changes | social_changes, max_size=24),
)
def test_profiles(
    seed: int, both_profiles: tuple[Profile, Profile], start: list[Object], history: list[tuple[str, Any]]
) -> None:
    """Pods of two names, decided by two profiles over one table; images on nodes and in pods."""
    chance = random.Random(seed)
    images = ["a", "r/b:1", "r:5000/c"]
    both = Both(seed, list(both_profiles))

    def more(kind: str, what: Any) -> Any:
        if kind == "node":
            there = [{"names": [n if ":1" in n else f"{n}:latest"], "sizeBytes": chance.choice([0, 10**8, 3 * 10**9])}
                     for n in images if chance.random() < 0.4]  # fmt: skip
            declared = [feature for feature in FEATURES if chance.random() < 0.7]
            return {**what, "status": {**what["status"], "images": there, "declaredFeatures": declared}}
        if kind not in ("pod", "explain"):
            return what
        containers = [{**c, "image": chance.choice(images)} for c in what["spec"]["containers"]]
        more_of_spec: Object = {"containers": containers, "schedulerName": chance.choice(["one", "two", "three"])}
        if chance.random() < 0.2:
            containers[0]["restartPolicyRules"] = [{"action": chance.choice(["Restart", "RestartAllContainers"])}]
        if chance.random() < 0.2:
            more_of_spec |= {"hostNetwork": True, "hostUsers": False}
        if chance.random() < 0.3:
            more_of_spec["volumes"] = [chance.choice(VOLUMES)]
        return {**what, "spec": {**what["spec"], **more_of_spec}}

    for node in start:
        both.node(more("node", node))
    for kind, what in history:
        both.apply(kind, more(kind, what))
    both.schedule(sorted(both.world.pods))
