"""Pods that have to leave: what their status says of it, and their end."""

from contextlib import suppress
from typing import Any

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import rfc3339
from orlop.control import Context
from orlop.controllers.views import PodView


def disruption_target(pod: PodView, reason: str, message: str, now: float, *, observed: bool = True) -> dict[str, Any]:
    """The condition DisruptionTarget (KEP-3329), as a patch of the status wants it; with the pod's generation where it
    is `observed`, which upstream does not say everywhere."""
    return {
        "type": "DisruptionTarget",
        **({"observedGeneration": pod.metadata.generation} if observed else {}),
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(now),
    }


async def patch_status(context: Context, pod: PodView, status: dict[str, Any]) -> None:
    """Changes the status of this pod, of no other of its name. Raises NotFound, Conflict."""
    m = pod.metadata
    patch = {"metadata": {"uid": m.uid}, "status": status}
    await context.client.patch(core_v1.Pod, m.name, m.namespace, patch, type="strategic", subresource="status")


async def evict(context: Context, pod: PodView, reason: str, message: str, *, observed: bool = True) -> None:
    """Says why, then deletes it gracefully."""
    m = pod.metadata
    condition = disruption_target(pod, reason, message, context.clock.now(), observed=observed)
    with suppress(errors.NotFound, errors.Conflict):  # gone already, or another pod of that name
        await patch_status(context, pod, {"conditions": [condition]})
        await context.client.delete(core_v1.Pod, m.name, m.namespace, uid=m.uid)
