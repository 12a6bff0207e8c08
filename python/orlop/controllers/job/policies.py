"""When a pod's failure counts, and when a Job has succeeded early.

Upstream: pkg/controller/job/pod_failure_policy.go (KEP-3329) and success_policy.go (KEP-3998).
"""

from collections.abc import Iterable
from typing import NamedTuple

from orlop.api.types import batch_v1
from orlop.controllers.job.indexes import Indexes
from orlop.controllers.views import ContainerStatusView, PodView


class Failure(NamedTuple):
    """What the policy says of a failed pod."""

    counts: bool = True
    """Whether it counts towards the back-off limits."""
    action: str = ""
    """The action of the rule that matched; empty if none did."""
    fails_job: str = ""
    """Why the whole Job has failed; empty if it has not."""


def judge(policy: batch_v1.PodFailurePolicy | None, pod: PodView) -> Failure:
    """The first rule that matches decides; without one the failure counts."""
    if policy is None:
        return Failure()
    for position, rule in enumerate(policy.rules):
        why = _matches(rule, pod)
        if not why:
            continue
        match rule.action:
            case "Ignore":
                return Failure(counts=False, action="Ignore")
            case "FailJob":
                return Failure(action="FailJob", fails_job=f"{why} matching {rule.action} rule at index {position}")
            case "FailIndex" | "Count":
                return Failure(action=rule.action)
    return Failure()


def _matches(rule: batch_v1.PodFailurePolicyRule, pod: PodView) -> str:
    """What of the pod fits the rule, as words; empty if nothing does."""
    meta = pod.metadata
    if rule.on_exit_codes is not None:
        for status in (*pod.status.container_statuses, *pod.status.init_container_statuses):
            code = _exit_code(status)
            if code and _fits(status.name, code, rule.on_exit_codes):
                where = f"for pod {meta.namespace}/{meta.name}"
                return f"Container {status.name} {where} failed with exit code {code}"
        return ""
    for condition in pod.status.conditions:
        if any((condition.type, condition.status) == (p.type, p.status) for p in rule.on_pod_conditions):
            return f"Pod {meta.namespace}/{meta.name} has condition {condition.type}"
    return ""


def _exit_code(status: ContainerStatusView) -> int:
    ended = status.state.terminated if status.state is not None else None
    return ended.exit_code if ended is not None else 0


def _fits(container: str, code: int, wanted: batch_v1.PodFailurePolicyOnExitCodesRequirement) -> bool:
    if wanted.container_name is not None and wanted.container_name != container:
        return False
    return (code in wanted.values) == (wanted.operator == "In")


def success(policy: batch_v1.SuccessPolicy | None, completions: int, succeeded: Indexes) -> str | None:
    """Says which rule is met; None if none is."""
    if policy is None or not len(succeeded):
        return None
    for position, rule in enumerate(policy.rules):
        if _met(rule, completions, succeeded):
            return f"Matched rules at index {position}"
    return None


def _met(rule: batch_v1.SuccessPolicyRule, completions: int, succeeded: Indexes) -> bool:
    if rule.succeeded_indexes is None:
        return rule.succeeded_count is not None and len(succeeded) >= rule.succeeded_count
    required = Indexes.parse(rule.succeeded_indexes, completions)
    if not len(required):
        return False
    common = required.common(succeeded)
    return common >= (len(required) if rule.succeeded_count is None else rule.succeeded_count)


def fails_job(policy: batch_v1.PodFailurePolicy | None, failed: Iterable[PodView]) -> str:
    """Why one of the failed pods fails the whole Job; empty if none does."""
    if policy is None:
        return ""
    return next((why for pod in failed if (why := judge(policy, pod).fails_job)), "")
