"""What upstream's words leave out: which taints, which labels, how much of what."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from orlop.scheduler.explain.atoms import Object, expression_text, spell, taint_text, term_text
from orlop.scheduler.explain.remedies import CONDITION, host_ports, untolerated
from orlop.scheduler.explain.results import Lack, NodeReport, Reason
from orlop.scheduler.explain.world import World, reasons

SHOWN = 3
"""Taints, terms and their like that are named."""


def detailed(world: World, pod: Object, reports: list[NodeReport]) -> list[Reason]:
    """The first refusals with their details, those of most nodes first."""
    by_node = {report.node: report for report in reports}
    found = reasons(reports)
    for reason in found:
        reason.detail = _detail(world, pod, reason, by_node)
    return found


def _detail(world: World, pod: Object, reason: Reason, reports: dict[str, NodeReport]) -> str:
    spec = pod["spec"]
    match reason.plugin:
        case "TaintToleration":
            taints = (taint for node in reason.nodes for taint in untolerated(pod, world.node(node)))
            texts = (
                t["key"].removeprefix(CONDITION) if t["key"].startswith(CONDITION) else taint_text(t) for t in taints
            )
            return _most(texts)
        case "NodeAffinity":
            wanted = [f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()]
            return ", ".join([*wanted, *_terms(spec)])
        case "NodeResourcesFit":
            return _resource(reason, reports)
        case "NodePorts":
            return ", ".join(map(str, sorted(host_ports(pod))))
        case "PodTopologySpread":
            hard = [c for c in spec.get("topologySpreadConstraints") or () if c["whenUnsatisfiable"] == "DoNotSchedule"]
            return ", ".join(f"{c['topologyKey']} with maxSkew {c['maxSkew']}" for c in hard)
        case "InterPodAffinity":
            return _pod_affinity(spec, reason.words)
        case "DynamicResources":
            return world.devices.spelled(msgspec.json.encode(pod))
    return ""


def _most(texts: Iterable[str]) -> str:
    counted = [text for text, _ in Counter(texts).most_common()]
    return ", ".join(counted[:SHOWN]) + (", …" if len(counted) > SHOWN else "")


def _terms(spec: Object) -> list[str]:
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    terms = [
        [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
        for term in affinity.get("nodeSelectorTerms") or ()
    ]
    return [" or ".join(" and ".join(map(expression_text, term)) for term in terms[:SHOWN])] if terms else []


def _resource(reason: Reason, reports: dict[str, NodeReport]) -> str:
    """What the pod requests, and the most that is free on one of the nodes."""
    resource = "pods" if reason.words == "Too many pods" else reason.words.removeprefix("Insufficient ")
    lacks = [(lack, node) for node in reason.nodes for lack in reports[node].lacks if lack.resource == resource]
    if not lacks:
        return ""
    if all(lack.allocatable == 0 for lack, _ in lacks):
        return f"{spell(resource, lacks[0][0].wanted)} requested, and no such node has any"
    lack, node = max(lacks, key=lambda of: of[0].free)
    return lacking(lack) + (f", most on {node}" if len(lacks) > 1 else "")


def lacking(lack: Lack) -> str:
    """What is requested, what is free, what there is."""
    wanted, free, there = (
        spell(lack.resource, amount) for amount in (lack.wanted, max(0, lack.free), lack.allocatable)
    )
    return f"{wanted} requested, {free.split(' ')[0]} free of {there.split(' ')[0]}"


def _pod_affinity(spec: Object, words: str) -> str:
    if "existing" in words:
        return "pods that are there keep it away"
    kind = "podAntiAffinity" if "anti-affinity" in words else "podAffinity"
    terms = ((spec.get("affinity") or {}).get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return ", ".join(term_text(term) for term in terms[:SHOWN])
