"""Pods and names as the watch over a world reads them: by the API's documentation, not by orlop's own controllers."""

from typing import Any

from orlop.api.types import core_v1


def name(obj: Any) -> str:
    """namespace/name."""
    return f"{obj.metadata.namespace}/{obj.metadata.name}"


def active(pod: core_v1.Pod) -> bool:
    """Neither ended nor on its way out."""
    return pod.metadata.deletion_timestamp is None and pod.status.phase not in ("Succeeded", "Failed")


def ready(pod: core_v1.Pod) -> bool:
    return active(pod) and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
