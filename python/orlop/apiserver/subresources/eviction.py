"""pods/eviction: a delete that respects disruption budgets.

The rules are those of pkg/registry/core/pod/storage/eviction.go.
"""

from typing import Any

from msgspec.structs import replace

from orlop.api import errors, scheme, selectors
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, meta_v1, policy_v1
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.update import attributes
from orlop.apiserver.registry import deletion
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, of_status
from orlop.clock import rfc3339

EVICTION = Kind(group="policy", version="v1", kind="Eviction", plural="evictions", folder="policy", namespaced=True)
_BUDGET = scheme.by_resource("policy", "v1", "poddisruptionbudgets")
MAX_DISRUPTED = 2000
"""Pods that a budget remembers as evicted but not yet gone."""
TRIES = 20
"""Of an eviction whose pod changes meanwhile (upstream: EvictionsRetry)."""
VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."
TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


async def evict(core: Core, request: Request, kind: Kind) -> Response:
    """201 when the pod is on its way out; 429 with cause DisruptionBudget when its budget is spent."""
    dry_run = body.options(request, "CreateOptions")
    eviction: policy_v1.Eviction = await body.decode(core, request, EVICTION)
    info = request.info
    if eviction.metadata.name != info.name:
        raise errors.BadRequest("name in URL does not match name in Eviction object")
    options = eviction.delete_options or meta_v1.DeleteOptions()
    if dry_run and options.dry_run not in ([], ["All"]):
        raise errors.BadRequest(
            f"Non-matching dry-run options in request and content: [All] and [{' '.join(options.dry_run)}]"
        )
    dry_run = dry_run or bool(options.dry_run)
    if not eviction.metadata.name:
        eviction.metadata.name, eviction.metadata.namespace = info.name, info.namespace
    a = attributes(request, kind, eviction, None, dry_run, EVICTION)
    await core.admission.admit(a)
    await core.admission.validate(a)
    eviction = a.object
    options = eviction.delete_options or options
    asked = options.preconditions
    chosen = asked is not None and asked.resource_version is not None
    """Whether the client itself names the version of the pod that it means."""
    for left in reversed(range(TRIES)):
        value, _ = core.objects.find(kind, info.namespace, info.name)
        pod: core_v1.Pod = core.objects.decode(kind, value)
        if not _may_ignore_budget(pod):
            break
        try:
            await _delete(core, request, kind, pod, options, dry_run, same=not chosen and _may_become_ready(pod))
        except errors.Conflict:
            if chosen or not left:
                raise
            continue
        return _done(request)
    same = False
    budgets = _budgets(core, pod)
    if len(budgets) > 1:
        raise errors.InternalError(TWO_BUDGETS)
    if budgets:
        if _unready_and_unguarded(pod, budgets[0]):
            same = True
        else:
            await _spend(core, request, budgets[0], pod.metadata.name, dry_run)
    try:
        await _delete(core, request, kind, pod, options, dry_run, same=same and not chosen)
    except errors.Conflict:
        if same and not chosen:
            # It has changed since it was looked at, and may be ready by now: the client asks again.
            raise _processing(budgets[0].metadata.name) from None
        raise
    return _done(request)


def _done(request: Request) -> Response:
    return of_status(meta_v1.Status(status="Success", code=201), request)


async def _delete(
    core: Core,
    request: Request,
    kind: Kind,
    pod: core_v1.Pod,
    options: meta_v1.DeleteOptions,
    dry_run: bool,
    *,
    same: bool,
) -> None:
    """Tells the pod's owner why, then deletes it; with `same` only if it is as it was. Raises Conflict, NotFound."""
    wanted = options.preconditions or meta_v1.Preconditions()
    if same:
        wanted = replace(wanted, resource_version=pod.metadata.resource_version)
    strategy = core.strategies[kind.type_key]
    m = pod.metadata
    by = body.attribution(request)

    async def disrupt(latest: core_v1.Pod) -> core_v1.Pod:
        value, _ = core.objects.find(kind, m.namespace, m.name)
        new: core_v1.Pod = core.objects.decode(kind, value)
        deletion.check_preconditions(kind, new.metadata, wanted)
        _set_target(new, rfc3339(core.clock.now()))
        return new

    if not dry_run:
        stored, _ = await core.objects.update(
            strategy, m.namespace, m.name, disrupt, by=by, subresource="status", before=_keep
        )
        if wanted.resource_version is not None:
            version = core.objects.decode(kind, stored).metadata.resource_version
            wanted = replace(wanted, resource_version=version)
    await core.objects.delete(
        strategy, m.namespace, m.name, replace(options, preconditions=wanted), by=by, dry_run=dry_run
    )


def _set_target(pod: core_v1.Pod, now: str) -> None:
    """DisruptionTarget=True, its time moved only when it was not so before."""
    found = next((c for c in pod.status.conditions if c.type == "DisruptionTarget"), None)
    if found is None:
        found = core_v1.PodCondition(type="DisruptionTarget")
        pod.status.conditions.append(found)
    if found.status != "True":
        found.last_transition_time = now
    found.status, found.reason, found.message = "True", "EvictionByEvictionAPI", "Eviction API: evicting"
    found.observed_generation = pod.metadata.generation


def _keep(new: Any, old: Any) -> list[errors.FieldError]:
    return []


def _may_ignore_budget(pod: core_v1.Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed", "Pending") or pod.metadata.deletion_timestamp is not None


def _may_become_ready(pod: core_v1.Pod) -> bool:
    return pod.status.phase not in ("Succeeded", "Failed") and pod.metadata.deletion_timestamp is None


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

    async def take(latest: policy_v1.PodDisruptionBudget) -> policy_v1.PodDisruptionBudget:
        value, _ = core.objects.find(kind, budget.metadata.namespace, name)
        new: policy_v1.PodDisruptionBudget = core.objects.decode(kind, value)
        status = new.status
        if status.observed_generation < new.metadata.generation:
            raise _processing(name)
        if status.disruptions_allowed < 0:
            raise errors.forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
        if len(status.disrupted_pods) > MAX_DISRUPTED:
            raise errors.forbidden(
                "poddisruptionbudget",
                "policy",
                name,
                "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            )
        if status.disruptions_allowed == 0:
            raise _too_many(_why_not(new), 0)
        status.disruptions_allowed -= 1
        if status.disruptions_allowed == 0:
            _insufficient(status, rfc3339(core.clock.now()))
        status.disrupted_pods[pod] = rfc3339(core.clock.now())
        return new

    await core.objects.update(
        core.strategies[kind.type_key],
        budget.metadata.namespace,
        name,
        take,
        by=body.attribution(request),
        subresource="status",
        before=_keep,
        dry_run=dry_run,
    )


def _insufficient(status: policy_v1.PodDisruptionBudgetStatus, now: str) -> None:
    found = next((c for c in status.conditions if c.type == "DisruptionAllowed"), None)
    if found is None:
        found = meta_v1.Condition(type="DisruptionAllowed")
        status.conditions.append(found)
    if found.status != "False":
        found.last_transition_time = now
    found.status, found.reason = "False", "InsufficientPods"
    found.observed_generation = status.observed_generation


def _why_not(budget: policy_v1.PodDisruptionBudget) -> str:
    """Why nothing is allowed; a failed count's numbers are not to be trusted, so that comes first."""
    name, status = budget.metadata.name, budget.status
    refusal = next(
        (c for c in status.conditions if c.type == "DisruptionAllowed" and c.status == "False" and c.message), None
    )
    denied = f"The disruption budget {name} does not allow evicting pods currently"
    if refusal is not None and refusal.reason == "SyncFailed":
        return f"{denied} because it failed sync: {refusal.message}"
    if status.current_healthy <= status.desired_healthy:
        return (
            f"The disruption budget {name} needs {status.desired_healthy} healthy pods and has "
            f"{status.current_healthy} currently"
        )
    return f"{denied} ({refusal.reason}): {refusal.message}" if refusal is not None else denied


def _processing(budget: str) -> errors.TooManyRequests:
    return _too_many(f"The disruption budget {budget} is still being processed by the server.", 10)


def _too_many(why: str, seconds: int) -> errors.TooManyRequests:
    cause = meta_v1.StatusCause(reason="DisruptionBudget", message=why)
    return errors.TooManyRequests(VIOLATION, details=meta_v1.StatusDetails(causes=[cause], retry_after_seconds=seconds))
