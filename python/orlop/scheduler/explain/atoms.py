"""Single changes to a pod, to a node, or to what is on a node. Whether one helps is for the core to say (`search`)."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from orlop.api import quantity

Object = dict[str, Any]
Key = tuple[str, str]
Edit = Callable[[Object], None]


class Atom(NamedTuple):
    """One change."""

    kind: str
    """What sort of change: of one sort only a few are shown."""
    text: str
    size: float
    """How much it asks for, as numbers that can be added: about 1 for the least, 10 for the most."""
    pod: Edit | None = None
    """Edits the pod."""
    node: tuple[str, Edit] | None = None
    """Edits the node of this name."""
    gone: tuple[Key, ...] = ()
    """Pods that are deleted."""
    command: str = ""
    """kubectl's words for it."""


def spell(resource: str, amount: int) -> str:
    """An amount of a resource for a person: `1.5 CPU`, `512Mi memory`, `1 nvidia.com/gpu`."""
    if resource == "cpu":
        return f"{amount / 1000:g} CPU"
    if resource == "memory" or resource == "ephemeral-storage" or resource.startswith("hugepages-"):
        return f"{bytes_of(amount)} {resource}"
    return f"{amount} {resource}"


def bytes_of(amount: int) -> str:
    """Bytes with a binary suffix and at most one decimal."""
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        unit = quantity.BINARY[suffix]
        if abs(amount) >= unit:
            return f"{amount / int(unit):.1f}".removesuffix(".0") + suffix
    return str(amount)


def amount_of(resource: str, text: object) -> int:
    """Thousandths of cpu, whole units of all else."""
    return quantity.milli(str(text)) if resource == "cpu" else quantity.value(str(text))


def written(resource: str, amount: int) -> str:
    """The quantity that `amount_of` reads as this amount."""
    if resource == "cpu":
        return quantity.format_milli(amount)
    return quantity.format_binary(amount) if amount % 1024 == 0 else str(amount)


# --- the pod


def less(resource: str, wanted: int, target: int) -> Atom:
    """The pod requests `target` in place of `wanted`."""

    def edit(pod: Object) -> None:
        spec = pod["spec"]
        whole = spec.get("resources", {}).get("requests", {})
        if resource in whole:
            whole[resource] = written(resource, max(0, amount_of(resource, whole[resource]) - (wanted - target)))
        rest = wanted - target
        containers = [c for c in spec["containers"] if resource in c.get("resources", {}).get("requests", {})]
        sidecars = [c for c in spec.get("initContainers", ()) if c.get("restartPolicy") == "Always"]
        containers += [c for c in sidecars if resource in c.get("resources", {}).get("requests", {})]
        for container in sorted(containers, key=lambda c: -amount_of(resource, c["resources"]["requests"][resource])):
            requests = container["resources"]["requests"]
            taken = min(rest, amount_of(resource, requests[resource]))
            requests[resource] = written(resource, amount_of(resource, requests[resource]) - taken)
            rest -= taken
        for container in spec.get("initContainers", ()):
            requests = container.get("resources", {}).get("requests", {})
            if resource in requests and container.get("restartPolicy") != "Always":
                requests[resource] = written(resource, min(target, amount_of(resource, requests[resource])))

    if target == 0:
        text, size = f"do without {spell(resource, wanted)}", 5.0
    else:
        lack, unit = spell(resource, wanted - target).split(" ", 1)
        has, had = spell(resource, target).split(" ")[0], spell(resource, wanted).split(" ")[0]
        text, size = f"request {lack} {unit} less ({has} instead of {had})", 1.0 + 4.0 * (wanted - target) / wanted
    return Atom(f"less {resource}", text, size, edit)


def tolerate(taint: Mapping[str, Any]) -> Atom:
    """The pod tolerates a taint."""
    toleration = {"key": taint["key"], "operator": "Exists", "effect": taint["effect"]}
    if taint.get("value"):
        toleration |= {"operator": "Equal", "value": taint["value"]}

    def edit(pod: Object) -> None:
        pod["spec"].setdefault("tolerations", []).append(toleration)

    return Atom("tolerate", f"tolerate {taint_text(taint)}", 2.0, edit)


def taint_text(taint: Mapping[str, Any]) -> str:
    """`key=value:Effect`, as kubectl writes it."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def select(key: str, wanted: str, value: str | None) -> Atom:
    """The nodeSelector asks for another value, or no longer for the label."""

    def edit(pod: Object) -> None:
        if value is None:
            del pod["spec"]["nodeSelector"][key]
        else:
            pod["spec"]["nodeSelector"][key] = value

    if value is None:
        return Atom("selector", f"drop {key}={wanted} from nodeSelector", 3.5, edit)
    return Atom("selector", f"set nodeSelector {key}={value} instead of {key}={wanted}", 3.0, edit)


def drop_expression(term: int, expression: int, text: str) -> Atom:
    """One expression less in a term of the required node affinity."""

    def edit(pod: Object) -> None:
        del _required(pod)["nodeSelectorTerms"][term]["matchExpressions"][expression]

    return Atom("affinity", f"drop the required node affinity `{text}`", 3.5, edit)


def drop_affinity() -> Atom:
    """No required node affinity."""

    def edit(pod: Object) -> None:
        del pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    return Atom("affinity", "drop the required node affinity", 4.0, edit)


def _required(pod: Object) -> Object:
    required: Object = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return required


def free_ports(ports: frozenset[int]) -> Atom:
    """The pod asks for none of these ports of the node."""

    def edit(pod: Object) -> None:
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            container["ports"] = [p for p in container.get("ports", ()) if p.get("hostPort") not in ports]

    numbers = ", ".join(map(str, sorted(ports)))
    return Atom("port", f"use another hostPort than {numbers}, or none", 3.0, edit)


def skew(index: int, constraint: Mapping[str, Any], wanted: int) -> Atom:
    """A spread constraint allows more."""

    def edit(pod: Object) -> None:
        pod["spec"]["topologySpreadConstraints"][index]["maxSkew"] = wanted

    key, now = constraint["topologyKey"], int(constraint["maxSkew"])
    return Atom("skew", f"spread over {key} with maxSkew {wanted} instead of {now}", 2.0 + (wanted - now) / 2, edit)


def spread_softly(index: int, constraint: Mapping[str, Any]) -> Atom:
    """A spread constraint becomes a wish."""

    def edit(pod: Object) -> None:
        changed = pod["spec"]["topologySpreadConstraints"][index]
        changed["whenUnsatisfiable"] = "ScheduleAnyway"
        changed.pop("minDomains", None)

    key = constraint["topologyKey"]
    return Atom("spread", f"spread over {key} with whenUnsatisfiable: ScheduleAnyway", 4.0, edit)


def prefer(kind: str, index: int, term: Mapping[str, Any]) -> Atom:
    """A required term of podAffinity or podAntiAffinity becomes a preferred one."""

    def edit(pod: Object) -> None:
        affinity = pod["spec"]["affinity"][kind]
        taken = affinity["requiredDuringSchedulingIgnoredDuringExecution"].pop(index)
        wish = {"weight": 100, "podAffinityTerm": taken}
        affinity.setdefault("preferredDuringSchedulingIgnoredDuringExecution", []).append(wish)

    return Atom("pod affinity", f"prefer {kind} {term_text(term)} instead of requiring it", 4.0, edit)


def term_text(term: Mapping[str, Any]) -> str:
    """A term of pod affinity, shortly: whom it speaks of, over which topology."""
    selector = term.get("labelSelector") or {}
    words = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    words += [expression_text(expression) for expression in selector.get("matchExpressions") or ()]
    return f"to pods `{', '.join(words) or 'all'}` by {term['topologyKey']}"


def expression_text(expression: Mapping[str, Any]) -> str:
    """A requirement on labels as kubectl shows it."""
    values = expression.get("values") or []
    return f"{expression['key']} {expression['operator']}" + (f" [{' '.join(values)}]" if values else "")


def drop_volume(name: str, claim: str) -> Atom:
    """The pod does without a volume."""

    def edit(pod: Object) -> None:
        pod["spec"]["volumes"] = [v for v in pod["spec"]["volumes"] if v["name"] != name]

    return Atom("volume", f"do without the volume of claim {claim!r}, or mend the claim", 6.0, edit)


def drop_claim(name: str) -> Atom:
    """The pod does without a claim for devices."""

    def edit(pod: Object) -> None:
        pod["spec"]["resourceClaims"] = [c for c in pod["spec"]["resourceClaims"] if c["name"] != name]

    return Atom("claim", f"do without the devices of claim {name!r}, or mend the claim", 6.0, edit)


def ungate(names: list[str]) -> Atom:
    """The pod's gates are removed."""

    def edit(pod: Object) -> None:
        pod["spec"].pop("schedulingGates", None)

    return Atom("gate", f"remove the scheduling gate{'s' if len(names) > 1 else ''} {', '.join(names)}", 0.0, edit)


def default_scheduler(name: str) -> Atom:
    """The pod names the scheduler that is there."""

    def edit(pod: Object) -> None:
        pod["spec"]["schedulerName"] = name

    return Atom("scheduler", f"set schedulerName to {name}", 0.5, edit)


def priority(name: str, value: int, preempts: bool) -> Atom:
    """The pod gets a higher priority, so that others make room for it."""

    def edit(pod: Object) -> None:
        pod["spec"] |= {"priority": value, "priorityClassName": name}
        pod["spec"].pop("preemptionPolicy", None)
        pod.get("status", {}).pop("nominatedNodeName", None)

    if not preempts:
        return Atom("priority", "set preemptionPolicy: PreemptLowerPriority", 6.5, edit)
    return Atom("priority", f"set priorityClassName: {name} (priority {value})", 7.0, edit)


# --- nodes


def uncordon(name: str) -> Atom:
    """The node takes new pods again."""

    def edit(node: Object) -> None:
        node["spec"].pop("unschedulable", None)
        taints = node["spec"].get("taints") or []
        node["spec"]["taints"] = [t for t in taints if t["key"] != "node.kubernetes.io/unschedulable"]

    command = f"kubectl uncordon {name}"
    return Atom("uncordon", f"uncordon node {name}", 2.0, node=(name, edit), command=command)


def untaint(name: str, taint: Mapping[str, Any]) -> Atom:
    """The node loses a taint."""

    def edit(node: Object) -> None:
        same = (taint["key"], taint["effect"])
        node["spec"]["taints"] = [t for t in node["spec"]["taints"] if (t["key"], t["effect"]) != same]

    if taint["key"].startswith("node.kubernetes.io/"):
        state = taint["key"].removeprefix("node.kubernetes.io/")
        return Atom("condition", f"mend node {name}, which is {state}", 4.0, node=(name, edit))
    command = f"kubectl taint node {name} {taint['key']}:{taint['effect']}-"
    return Atom(
        "untaint", f"take the taint {taint_text(taint)} off node {name}", 3.0, node=(name, edit), command=command
    )


def label(name: str, labels: Mapping[str, str | None]) -> Atom:
    """The node gets labels, or (None) loses them."""

    def edit(node: Object) -> None:
        there = node["metadata"].setdefault("labels", {})
        for key, value in labels.items():
            if value is None:
                there.pop(key, None)
            else:
                there[key] = value

    words = [f"{key}-" if value is None else f"{key}={value}" for key, value in labels.items()]
    command = f"kubectl label node {name} --overwrite {' '.join(words)}"
    text = f"label node {name} {' '.join(words)}"
    return Atom("label", text, 2.0 + len(labels), node=(name, edit), command=command)


def delete(pods: tuple[Key, ...], node: str, size: float) -> Atom:
    """Pods on a node are deleted."""
    names = [f"{namespace}/{name}" for namespace, name in pods]
    command = "; ".join(f"kubectl delete pod -n {namespace} {name}" for namespace, name in pods)
    return Atom("delete", f"delete {', '.join(names)} from node {node}", size, gone=pods, command=command)
