"""pods/eviction: a delete that respects disruption budgets.

The rules are those of pkg/registry/core/pod/storage/eviction.go.
"""

from typing import Any

from orlop.api import errors, scheme, selectors
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, meta_v1, policy_v1
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, of_status
from orlop.clock import rfc3339

EVICTION = Kind(group="policy", version="v1", kind="Eviction", plural="evictions", folder="policy", namespaced=True)
_BUDGET = scheme.by_resource("policy", "v1", "poddisruptionbudgets")
MAX_DISRUPTED = 2000
"""Pods that a budget remembers as evicted but not yet gone."""
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."
TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def evict(core: Core, request: Request, kind: Kind) -> Response:
    """201 when the pod is on its way out; 429 with cause DisruptionBudget when its budget is spent."""
    dry_run = body.options(request, "CreateOptions")
    eviction: policy_v1.Eviction = await body.decode(core, request, EVICTION)
    info = request.info
    if eviction.metadata.name and eviction.metadata.name != info.name:
        raise errors.BadRequest("name in URL does not match name in Eviction object")
    value, _ = core.objects.find(kind, info.namespace, info.name)
    pod: core_v1.Pod = core.objects.decode(kind, value)
    options = eviction.delete_options or meta_v1.DeleteOptions()
    dry_run = dry_run or bool(options.dry_run)
    await core.admission.validate(
        Attributes("CREATE", kind, info.namespace, info.name, eviction, None, request.user, info.subresource, dry_run)
    )
    if not _may_ignore_budget(pod):
        budgets = _budgets(core, pod)
        if len(budgets) > 1:
            raise errors.InternalError(TWO_BUDGETS)
        if budgets and not _unready_and_unguarded(pod, budgets[0]):
            await _spend(core, request, budgets[0], pod.metadata.name, dry_run)
    await core.objects.delete(
        core.strategies[kind.type_key],
        info.namespace,
        info.name,
        options,
        by=body.attribution(request),
        dry_run=dry_run,
    )
    return of_status(meta_v1.Status(status="Success", code=201), request)


def _may_ignore_budget(pod: core_v1.Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed", "Pending") or pod.metadata.deletion_timestamp is not None


def _budgets(core: Core, pod: core_v1.Pod) -> list[policy_v1.PodDisruptionBudget]:
    if _BUDGET is None:
        return []
    items = core.hub.list(_BUDGET.resource, pod.metadata.namespace, "", "", 0, None).items
    budgets = [core.objects.decode(_BUDGET, item) for item in items]
    return [b for b in budgets if selectors.from_struct(b.spec.selector).matches(pod.metadata.labels)]


def _unready_and_unguarded(pod: core_v1.Pod, budget: policy_v1.PodDisruptionBudget) -> bool:
    """A pod that is not Ready costs no availability: it may go if the policy or the budget's health allows."""
    ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    if ready:
        return False
    if budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
        return True
    status = budget.status
    return status.current_healthy >= status.desired_healthy and status.desired_healthy > 0


async def _spend(core: Core, request: Request, budget: policy_v1.PodDisruptionBudget, pod: str, dry_run: bool) -> None:
    """Takes one disruption from the budget. Raises TooManyRequests, Forbidden."""
    assert _BUDGET is not None
    kind = _BUDGET
    name = budget.metadata.name

    async def take(current: policy_v1.PodDisruptionBudget) -> policy_v1.PodDisruptionBudget:
        value, _ = core.objects.find(kind, budget.metadata.namespace, name)
        new: policy_v1.PodDisruptionBudget = core.objects.decode(kind, value)
        status = new.status
        if status.observed_generation < new.metadata.generation:
            raise _too_many(f"The disruption budget {name} is still being processed by the server.", 10)
        if status.disruptions_allowed < 0:
            raise errors.forbidden("poddisruptionbudgets", "policy", name, "pdb disruptions allowed is negative")
        if len(status.disrupted_pods) > MAX_DISRUPTED:
            raise errors.forbidden(
                "poddisruptionbudgets",
                "policy",
                name,
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            )
        if status.disruptions_allowed == 0:
            raise _too_many(
                f"The disruption budget {name} needs {status.desired_healthy} healthy pods and has "
                f"{status.current_healthy} currently",
                0,
            )
        status.disruptions_allowed -= 1
        if status.disruptions_allowed == 0:
            for condition in status.conditions:
                if condition.type == "DisruptionAllowed":
                    condition.status, condition.reason = "False", "InsufficientPods"
        status.disrupted_pods[pod] = rfc3339(core.clock.now())
        return new

    def keep(new: Any, old: Any) -> list[errors.FieldError]:
        return []

    await core.objects.update(
        core.strategies[kind.type_key],
        budget.metadata.namespace,
        name,
        take,
        by=body.attribution(request),
        subresource="status",
        before=keep,
        dry_run=dry_run,
    )


def _too_many(why: str, seconds: int) -> errors.TooManyRequests:
    cause = meta_v1.StatusCause(reason="DisruptionBudget", message=why)
    return errors.TooManyRequests(VIOLATION, details=meta_v1.StatusDetails(causes=[cause], retry_after_seconds=seconds))
