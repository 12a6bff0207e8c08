"""A pod for which only some nodes are looked at: how what claims allow is told to the core."""

from typing import Any

import msgspec


def narrow(value: bytes, allowed: list[str]) -> bytes:
    """The pod with `allowed` as the only nodes, said by its required node affinity: a field requirement names one node
    only, so it is one term for each."""
    pod = msgspec.json.decode(value)
    affinity: dict[str, Any] = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    required = affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": [{}]})
    terms = required["nodeSelectorTerms"]
    required["nodeSelectorTerms"] = [_only(term, name) for name in allowed for term in terms]
    return msgspec.json.encode(pod)


def _only(term: dict[str, Any], name: str) -> dict[str, Any]:
    field = {"key": "metadata.name", "operator": "In", "values": [name]}
    return {**term, "matchFields": [*term.get("matchFields", ()), field]}
