"""What a Deployment reports: counts and the conditions Available, Progressing and ReplicaFailure.

Reasons and messages are upstream's (pkg/controller/deployment/progress.go and util).
"""

from collections.abc import Sequence

from orlop.api.types import apps_v1
from orlop.clock import parse_time, rfc3339
from orlop.controllers.deployment.revisions import replicas_of
from orlop.controllers.deployment.rollout import asked, available, max_unavailable

Sets = Sequence[apps_v1.ReplicaSet]
Conditions = list[apps_v1.DeploymentCondition]
NO_DEADLINE = 2**31 - 1
"""A progressDeadlineSeconds that means none."""


def has_deadline(d: apps_v1.Deployment) -> bool:
    return d.spec.progress_deadline_seconds is not None and d.spec.progress_deadline_seconds != NO_DEADLINE


def find(conditions: Conditions, type_: str) -> apps_v1.DeploymentCondition | None:
    return next((c for c in conditions if c.type == type_), None)


def without(conditions: Conditions, type_: str) -> Conditions:
    return [c for c in conditions if c.type != type_]


def condition(type_: str, status: str, reason: str, message: str, now: float) -> apps_v1.DeploymentCondition:
    stamp = rfc3339(now)
    return apps_v1.DeploymentCondition(
        type=type_, status=status, reason=reason, message=message, last_update_time=stamp, last_transition_time=stamp
    )


def put(conditions: Conditions, new: apps_v1.DeploymentCondition) -> Conditions:
    """The conditions with this one, which changes nothing if its status and reason are what they were."""
    old = find(conditions, new.type)
    if old is not None and old.status == new.status:
        if old.reason == new.reason:
            return conditions
        new.last_transition_time = old.last_transition_time
    return [*without(conditions, new.type), new]


def counted(
    d: apps_v1.Deployment, everything: Sets, new: apps_v1.ReplicaSet | None, now: float
) -> apps_v1.DeploymentStatus:
    """The status by the sets' own, with Available; the other conditions as they are."""
    can_use = available(everything)
    if can_use >= replicas_of(d) - max_unavailable(d):
        message = "Deployment has minimum availability."
        minimum = condition("Available", "True", "MinimumReplicasAvailable", message, now)
    else:
        message = "Deployment does not have minimum availability."
        minimum = condition("Available", "False", "MinimumReplicasUnavailable", message, now)
    return apps_v1.DeploymentStatus(
        observed_generation=d.metadata.generation,
        replicas=sum(rs.status.replicas for rs in everything),
        updated_replicas=new.status.replicas if new is not None else 0,
        ready_replicas=sum(rs.status.ready_replicas for rs in everything),
        available_replicas=can_use,
        unavailable_replicas=max(0, asked(everything) - can_use),
        terminating_replicas=_terminating(everything),
        conditions=put(d.status.conditions, minimum),
        collision_count=d.status.collision_count,
    )


def _terminating(everything: Sets) -> int | None:
    """Unknown where a set does not tell. One that nobody has looked at yet has none."""
    total = 0
    for rs in everything:
        if rs.status.terminating_replicas is not None:
            total += rs.status.terminating_replicas
        elif rs.status.observed_generation:
            return None
    return total


def rolled_out(
    d: apps_v1.Deployment,
    before: apps_v1.DeploymentStatus,
    everything: Sets,
    new: apps_v1.ReplicaSet | None,
    now: float,
) -> apps_v1.DeploymentStatus:
    """The status during and after a rollout. `before` is the status last written, to see progress by.

    `d.status` may already carry conditions of this reconcile that are not written yet.
    """
    status = counted(d, everything, new, now)
    current = find(d.status.conditions, "Progressing")
    if not has_deadline(d):
        status.conditions = without(status.conditions, "Progressing")
    elif not (
        status.replicas == status.updated_replicas
        and current is not None
        and current.reason == "NewReplicaSetAvailable"
    ):
        what = f'ReplicaSet "{new.metadata.name}"' if new is not None else f'Deployment "{d.metadata.name}"'
        if is_complete(d, status):
            message = f"{what} has successfully progressed."
            done = condition("Progressing", "True", "NewReplicaSetAvailable", message, now)
            status.conditions = put(status.conditions, done)
        elif _progressed(before, status):
            # Progress is noted by its time even where status and reason stay what they are.
            message = f"{what} is progressing."
            going = condition("Progressing", "True", "ReplicaSetUpdated", message, now)
            if current is not None and current.status == "True":
                going.last_transition_time = current.last_transition_time
            status.conditions = [*without(status.conditions, "Progressing"), going]
        elif _timed_out(d, status, now):
            message = f"{what} has timed out progressing."
            late = condition("Progressing", "False", "ProgressDeadlineExceeded", message, now)
            status.conditions = put(status.conditions, late)
    failure = _failure(everything, new)
    if failure is not None:
        status.conditions = put(status.conditions, failure)
    else:
        status.conditions = without(status.conditions, "ReplicaFailure")
    return status


def is_complete(d: apps_v1.Deployment, status: apps_v1.DeploymentStatus) -> bool:
    """Whether every wanted pod is of the newest set and available, and no other is left."""
    wanted = replicas_of(d)
    return (
        status.updated_replicas == wanted
        and status.replicas == wanted
        and status.available_replicas == wanted
        and status.observed_generation >= d.metadata.generation
    )


def _progressed(before: apps_v1.DeploymentStatus, after: apps_v1.DeploymentStatus) -> bool:
    return (
        after.updated_replicas > before.updated_replicas
        or after.replicas - after.updated_replicas < before.replicas - before.updated_replicas
        or after.ready_replicas > before.ready_replicas
        or after.available_replicas > before.available_replicas
    )


def _timed_out(d: apps_v1.Deployment, status: apps_v1.DeploymentStatus, now: float) -> bool:
    current = find(status.conditions, "Progressing")
    if current is None or current.reason == "NewReplicaSetAvailable":
        return False
    if current.reason == "ProgressDeadlineExceeded":
        return True
    return _deadline(d, current) < now


def _deadline(d: apps_v1.Deployment, current: apps_v1.DeploymentCondition) -> float:
    since = parse_time(current.last_update_time) if current.last_update_time else 0.0
    return since + (d.spec.progress_deadline_seconds or 0)


def check_again(d: apps_v1.Deployment, status: apps_v1.DeploymentStatus, now: float) -> float | None:
    """Seconds after which to look whether a rollout that shows no progress has timed out."""
    current = find(status.conditions, "Progressing")
    if not has_deadline(d) or current is None:
        return None
    if is_complete(d, status) or current.reason == "ProgressDeadlineExceeded":
        return None
    return max(0.0, _deadline(d, current) - now) + 1.0  # conditions have whole seconds: look after the next


def _failure(everything: Sets, new: apps_v1.ReplicaSet | None) -> apps_v1.DeploymentCondition | None:
    """A set's ReplicaFailure as the deployment's, the newest set's first."""
    order = [*([new] if new is not None else []), *everything]
    for rs in order:
        for c in rs.status.conditions:
            if c.type == "ReplicaFailure":
                return apps_v1.DeploymentCondition(
                    type=c.type,
                    status=c.status,
                    reason=c.reason,
                    message=c.message,
                    last_transition_time=c.last_transition_time,
                    last_update_time=c.last_transition_time,
                )
    return None


def paused_or_resumed(d: apps_v1.Deployment, now: float) -> apps_v1.DeploymentCondition | None:
    """The Progressing condition that stops (or starts anew) the deadline while a deployment is paused, if it is due."""
    current = find(d.status.conditions, "Progressing")
    if not has_deadline(d) or (current is not None and current.reason == "ProgressDeadlineExceeded"):
        return None
    was_paused = current is not None and current.reason == "DeploymentPaused"
    if d.spec.paused and not was_paused:
        return condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now)
    if not d.spec.paused and was_paused:
        return condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now)
    return None
