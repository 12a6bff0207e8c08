"""PodDisruptionBudgets: how many of a budget's pods are healthy, and how many may be evicted now.

Upstream: pkg/controller/disruption. The eviction subresource spends what the status allows, and leaves in
`disruptedPods` whom it has sent away; here those are counted out until they are gone, or are forgotten when they stay.
"""

from collections.abc import Sequence

from orlop.api import errors, scheme, selectors
from orlop.api.types import apps_v1, autoscaling_v1, core_v1, meta_v1, policy_v1
from orlop.client import copy
from orlop.client.decode import decode
from orlop.clock import parse_time, rfc3339
from orlop.control import Builder, Controller, Key, Result, controller_of, key_of
from orlop.controllers import pods as podlib
from orlop.controllers.views import PodConditionView, PodView

DELETION_TIMEOUT = 120.0
"""Seconds in which an evicted pod must be told to end; then it is taken to stay (upstream: DeletionTimeout)."""
STALE_DISRUPTION_TIMEOUT = 120.0
"""Seconds after which a pod that was to be disrupted, and was not, is told so (upstream: stalePodDisruptionTimeout)."""
ALLOWED = "DisruptionAllowed"
TARGET = "DisruptionTarget"
BY_KUBELET = "TerminationByKubelet"
POD = "pod/"
"""Before the names of keys that are pods: no budget's name has a slash."""


class DisruptionController(Controller):
    """Keeps the status of budgets, and takes back what pods say of a disruption that did not come."""

    name = "disruption-controller"
    component = "controllermanager"

    def setup(self, builder: Builder) -> None:
        self.budgets = builder.for_(policy_v1.PodDisruptionBudget)
        self.pods = builder.watches(PodView, self._concerned)
        self.sets = builder.informer(apps_v1.ReplicaSet)
        self.deployments = builder.informer(apps_v1.Deployment)

    def _concerned(self, pod: PodView) -> list[Key]:
        """The budgets that a pod counts for, and itself while it waits for its disruption."""
        meta = pod.metadata
        budgets = self.budgets.items(meta.namespace)
        keys = [key_of(b) for b in budgets if selectors.from_struct(b.spec.selector).matches(meta.labels)]
        if _expecting(pod) is not None:
            keys.append(Key(meta.namespace, POD + meta.name))
        return keys

    async def reconcile(self, key: Key) -> Result | None:
        if key.name.startswith(POD):
            return await self._stale(key._replace(name=key.name.removeprefix(POD)))
        budget = self.budgets.get(*key)
        if budget is None:
            return None
        try:
            return await self._sync(budget)
        except (errors.Conflict, errors.NotFound):
            raise
        except Exception as error:
            await self._fail_safe(budget, error)
            return None

    # --- budgets

    async def _sync(self, budget: policy_v1.PodDisruptionBudget) -> Result | None:
        selector = selectors.from_struct(budget.spec.selector)
        pods = [p for p in self.pods.items(budget.metadata.namespace) if selector.matches(p.metadata.labels)]
        event = self.context.recorder.event
        if not pods:
            event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired, unmanaged = await self._expected(budget, pods)
        except (errors.ApiError, LookupError) as error:
            message = f"Failed to calculate the number of expected pods: {error.args[0]}"
            event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            raise
        if unmanaged:
            shown = selectors.go_text(budget.spec.selector)
            event(
                budget,
                "Warning",
                "UnmanagedPods",
                f"Pods selected by this PodDisruptionBudget (selector: {shown}) were found to be unmanaged. As a "
                "result, the status of the PDB cannot be calculated correctly, which may result in "
                'undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
                "integer value.",
            )
        now = self.context.clock.now()
        disrupted, recheck = self._disrupted(budget, pods, now)
        healthy = sum(
            podlib.is_ready(p) and p.metadata.deletion_timestamp is None and p.metadata.name not in disrupted
            for p in pods
        )
        allowed = max(0, healthy - desired) if expected > 0 else 0
        status = policy_v1.PodDisruptionBudgetStatus(
            observed_generation=budget.metadata.generation,
            disrupted_pods=disrupted,
            disruptions_allowed=allowed,
            current_healthy=healthy,
            desired_healthy=desired,
            expected_pods=expected,
            conditions=budget.status.conditions,
        )
        truth, reason = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
        await self._write(budget, status, truth, reason, "", budget.metadata.generation)
        return Result(requeue_after=recheck) if recheck is not None else None

    async def _expected(
        self, budget: policy_v1.PodDisruptionBudget, pods: Sequence[PodView]
    ) -> tuple[int, int, list[str]]:
        """How many pods there should be, how many must stay, and which nobody controls. Raises LookupError."""
        at_least, at_most = budget.spec.min_available, budget.spec.max_unavailable
        if at_most is not None:
            expected, unmanaged = await self._scale(pods)
            return expected, max(0, expected - scaled(at_most, expected)), unmanaged
        if isinstance(at_least, str):
            expected, unmanaged = await self._scale(pods)
            return expected, scaled(at_least, expected), unmanaged
        return (len(pods), at_least, []) if at_least is not None else (0, 0, [])

    async def _scale(self, pods: Sequence[PodView]) -> tuple[int, list[str]]:
        """The sum over the controllers of these pods of what each is to have; and the pods that have none."""
        scales: dict[str, int] = {}
        unmanaged = []
        for pod in pods:
            ref = controller_of(pod)
            if ref is None:
                unmanaged.append(pod.metadata.name)
            elif ref.uid not in scales:
                found = await self._scale_of(ref, pod.metadata.namespace)
                if found is None:
                    raise LookupError(f'found no controllers for pod "{pod.metadata.name}"')
                scales[found[0]] = found[1]
        return sum(scales.values()), unmanaged

    async def _scale_of(self, ref: meta_v1.OwnerReference, namespace: str) -> tuple[str, int] | None:
        """(uid, replicas) of a controller; of a ReplicaSet's Deployment where it has one. None: there is none."""
        if ref.kind == "ReplicaSet" and ref.api_version.startswith("apps/"):
            rs = self.sets.get(namespace, ref.name)
            if rs is None or rs.metadata.uid != ref.uid:
                return None
            above = controller_of(rs)
            if above is None or above.kind != "Deployment":
                return rs.metadata.uid, _replicas(rs.spec.replicas)
            deployment = self.deployments.get(namespace, above.name)
            if deployment is None or deployment.metadata.uid != above.uid:
                return None
            return deployment.metadata.uid, _replicas(deployment.spec.replicas)
        kind = scheme.by_kind(ref.api_version, ref.kind)
        if kind is None or "scale" not in kind.subresources:
            name = kind.plural if kind is not None else ref.kind
            raise LookupError(f"{name} does not implement the scale subresource")
        try:
            answer = await self.context.client.request("GET", kind.path(namespace, ref.name, "scale"))
        except errors.NotFound:
            return None
        scale = decode(autoscaling_v1.Scale, answer.body)
        return (scale.metadata.uid, scale.spec.replicas) if scale.metadata.uid == ref.uid else None

    def _disrupted(
        self, budget: policy_v1.PodDisruptionBudget, pods: Sequence[PodView], now: float
    ) -> tuple[dict[str, str], float | None]:
        """Who was sent away and is still to be told to end; and the seconds until the first of them is late."""
        waiting: dict[str, str] = {}
        left: list[float] = []
        for pod in pods:
            since = budget.status.disrupted_pods.get(pod.metadata.name)
            if since is None or pod.metadata.deletion_timestamp is not None:
                continue
            remaining = parse_time(since) + DELETION_TIMEOUT - now
            if remaining >= 0:
                waiting[pod.metadata.name] = since
                left.append(remaining)
            else:
                where = f"{budget.metadata.namespace}/{budget.metadata.name}"
                message = f"Pod was expected by PDB {where} to be deleted but it wasn't"
                self.context.recorder.event(pod, "Warning", "NotDeleted", message)
        # The second more: times are told in whole ones, and at the very moment the pod would not be late yet.
        return waiting, min(left) + 1 if left else None

    async def _fail_safe(self, budget: policy_v1.PodDisruptionBudget, error: Exception) -> None:
        """What cannot be counted allows no disruption."""
        self.context.log.warning("Failed to sync PDB", extra={"pdb": str(key_of(budget)), "err": error})
        status = copy(budget.status)
        status.disruptions_allowed = 0
        text = str(error.args[0]) if error.args else str(error)
        await self._write(budget, status, "False", "SyncFailed", text, status.observed_generation)

    async def _write(
        self,
        budget: policy_v1.PodDisruptionBudget,
        status: policy_v1.PodDisruptionBudgetStatus,
        truth: str,
        reason: str,
        message: str,
        generation: int,
    ) -> None:
        before = next((c for c in status.conditions if c.type == ALLOWED), None)
        now = rfc3339(self.context.clock.now())
        since = before.last_transition_time if before is not None and before.status == truth else now
        condition = meta_v1.Condition(
            type=ALLOWED,
            status=truth,
            reason=reason,
            message=message,
            observed_generation=generation,
            last_transition_time=since,
        )
        status.conditions = [c for c in status.conditions if c.type != ALLOWED] + [condition]
        if status != budget.status:
            await self.context.client.update_status(
                policy_v1.PodDisruptionBudget(metadata=budget.metadata, spec=budget.spec, status=status)
            )

    # --- pods

    async def _stale(self, key: Key) -> Result | None:
        """A pod that was to be disrupted and still is not told to end: after a while it is not any more."""
        pod = self.pods.get(*key)
        condition = _expecting(pod) if pod is not None else None
        if pod is None or condition is None:
            return None
        since = parse_time(condition.last_transition_time) if condition.last_transition_time else 0.0
        now = self.context.clock.now()
        if (left := since + STALE_DISRUPTION_TIMEOUT - now) > 0:
            return Result(requeue_after=left)
        over = {
            "type": TARGET,
            "observedGeneration": pod.metadata.generation,
            "status": "False",
            "lastTransitionTime": rfc3339(now),
            "reason": "",
            "message": "",
        }
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [over]}}
        await self.context.client.patch(
            core_v1.Pod, key.name, key.namespace, patch, type="strategic", subresource="status"
        )
        return None


def _expecting(pod: PodView) -> PodConditionView | None:
    """The condition by which a pod that runs says that it is about to be disrupted, by others than its kubelet."""
    if pod.metadata.deletion_timestamp is not None or podlib.is_terminal(pod):
        return None
    found = next((c for c in pod.status.conditions if c.type == TARGET), None)
    return found if found is not None and found.status == "True" and found.reason != BY_KUBELET else None


def scaled(value: int | str, total: int) -> int:
    """A number, or a percentage of `total` rounded up."""
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * total // 100)


def _replicas(value: int | None) -> int:
    return 1 if value is None else value
