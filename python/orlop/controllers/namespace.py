"""Namespaces being deleted: their content goes first, and of that the pods. Upstream: pkg/controller/namespace.

What is in the way is reported in the namespace's conditions, in upstream's words.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import core_v1
from orlop.client import discovery
from orlop.client.decode import encode, error_of
from orlop.clock import rfc3339
from orlop.control import Builder, Controller, Key, Result, key_of
from orlop.controllers.views import PodView, owned

FINALIZER = "kubernetes"
DEFAULT_ESTIMATE = 15.0
"""Seconds to give objects whose finalizers others have to remove."""
DEFAULT_GRACE = 30.0
"""Seconds to give a pod that does not say."""
AT_ONCE = 8
"""Kinds that are emptied at a time: a deletion waits for the disk, and others can be made meanwhile."""
_NEEDED_VERBS = {"list", "delete", "deletecollection"}

_GOOD = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}
"""Each condition's reason and message when there is nothing to report."""


@dataclass
class _Found:
    """What one pass over the content found."""

    estimate: float = 0.0
    """Seconds that what remains is expected to take."""
    remaining: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


class NamespaceController(Controller):
    """Empties namespaces that are being deleted, then lets them go."""

    name = "namespace-controller"

    def setup(self, builder: Builder) -> None:
        self.namespaces = builder.for_(core_v1.Namespace, changed=_concerns)
        self.pods = builder.watches(PodView, self._emptied, changed=lambda old, new: False)
        builder.workers(10)

    def _emptied(self, pod: PodView) -> Iterable[Key]:
        """A namespace need not wait out its estimate when its last pod has gone."""
        namespace = self.namespaces.get("", pod.metadata.namespace)
        going = namespace is not None and namespace.metadata.deletion_timestamp is not None
        if going and next(self.pods.items(pod.metadata.namespace), None) is None:
            yield key_of(namespace)

    async def reconcile(self, key: Key) -> Result | None:
        namespace = self.namespaces.get("", key.name)
        if namespace is None or namespace.metadata.deletion_timestamp is None:
            return None
        if FINALIZER not in namespace.spec.finalizers:
            return None
        found = await self._empty(key.name)
        namespace = await self._report(namespace, found)
        if found.failures:
            raise errors.InternalError("; ".join(found.failures))
        if found.estimate > 0:
            return Result(requeue_after=found.estimate / 2 + 1)
        await self._finalize(namespace)
        return None

    # --- content

    async def _empty(self, namespace: str) -> _Found:
        """Asks for all content to be deleted: pods, and when none is left the rest."""
        found = _Found()
        rows, found.stale = await discovery.kinds(self.context.client)
        rows = [row for row in rows if row.namespaced and set(row.verbs) >= _NEEDED_VERBS and not row.storage]
        pods = [row for row in rows if (row.group, row.plural) == ("", "pods")]
        for row in pods:
            await self._empty_of(namespace, row, found)
        if not found.remaining and not found.failures:
            turns = asyncio.Semaphore(AT_ONCE)

            async def empty(row: Kind) -> None:
                async with turns:
                    await self._empty_of(namespace, row, found)

            async with asyncio.TaskGroup() as group:
                for row in rows:
                    if row not in pods:
                        group.create_task(empty(row))
        return found

    async def _empty_of(self, namespace: str, row: Kind, found: _Found) -> None:
        client = self.context.client
        try:
            estimate = await self._pods_estimate(namespace) if row.plural == "pods" and not row.group else 0.0
            await client.delete_collection(row, namespace, propagation="Background")
            left = (await client.list(owned(row), namespace)).items
        except (errors.NotFound, errors.MethodNotSupported):
            return  # no longer served
        except errors.ApiError as error:
            found.failures.append(str(error))
            return
        if not left:
            return
        finalizers = Counter(name for obj in left for name in obj.metadata.finalizers)
        found.remaining[f"{row.plural}.{row.group}"] += len(left)
        found.finalizers += finalizers
        if estimate == 0.0 and finalizers:
            estimate = DEFAULT_ESTIMATE
        if estimate == 0.0:
            resource = f"{row.group}/{row.version}, Resource={row.plural}"
            found.failures.append(f"unexpected items still remain in namespace: {namespace} for gvr: {resource}")
        found.estimate = max(found.estimate, estimate)

    async def _pods_estimate(self, namespace: str) -> float:
        """The longest grace of the pods that have not ended."""
        pods = (await self.context.client.list(PodView, namespace)).items
        graces = (
            DEFAULT_GRACE if grace is None else float(grace)
            for grace in (p.spec.termination_grace_period_seconds for p in pods if not _has_ended(p))
        )
        return max(graces, default=0.0)

    # --- reporting

    async def _report(self, namespace: core_v1.Namespace, found: _Found) -> core_v1.Namespace:
        """Writes phase and conditions if they have changed; gives the namespace as it then is."""
        conditions = _conditions(namespace.status.conditions, _bad(found), rfc3339(self.context.clock.now()))
        status = core_v1.NamespaceStatus(phase="Terminating", conditions=conditions)
        if status == namespace.status:
            return namespace
        try:
            return await self.context.client.update_status(
                core_v1.Namespace(metadata=namespace.metadata, spec=namespace.spec, status=status)
            )
        except errors.Conflict:
            return await self.context.client.get(core_v1.Namespace, namespace.metadata.name)

    async def _finalize(self, namespace: core_v1.Namespace) -> None:
        """Takes our finalizer off; the server removes the namespace when it was the last."""
        finalizers = [name for name in namespace.spec.finalizers if name != FINALIZER]
        body = core_v1.Namespace(
            metadata=namespace.metadata, spec=core_v1.NamespaceSpec(finalizers=finalizers), status=namespace.status
        )
        path = f"/api/v1/namespaces/{namespace.metadata.name}/finalize"
        response = await self.context.client.request("PUT", path, body=encode(body))
        if response.status >= 400 and response.status != 404:
            raise error_of(response)


def _concerns(old: core_v1.Namespace, new: core_v1.Namespace) -> bool:
    """Conditions are what we write ourselves: they are no reason to look again."""
    return (
        old.metadata.deletion_timestamp != new.metadata.deletion_timestamp or old.spec.finalizers != new.spec.finalizers
    )


def _has_ended(pod: PodView) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def _bad(found: _Found) -> dict[str, tuple[str, str]]:
    """Reason and message of each condition that has something to report."""
    bad: dict[str, tuple[str, str]] = {}
    if found.stale:
        message = f"Discovery failed for some groups, {len(found.stale)} failing: {', '.join(sorted(found.stale))}"
        bad["NamespaceDeletionDiscoveryFailure"] = ("DiscoveryFailed", message)
    if found.failures:
        message = f"Failed to delete all resource types, {len(found.failures)} remaining: " + ", ".join(
            sorted(found.failures)
        )
        bad["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
    if found.remaining:
        parts = sorted(f"{resource} has {count} resource instances" for resource, count in found.remaining.items())
        message = f"Some resources are remaining: {', '.join(parts)}"
        bad["NamespaceContentRemaining"] = ("SomeResourcesRemain", message)
    if found.finalizers:
        parts = sorted(f"{name} in {count} resource instances" for name, count in found.finalizers.items())
        message = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
        bad["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
    return bad


def _conditions(
    old: Sequence[core_v1.NamespaceCondition], bad: dict[str, tuple[str, str]], now: str
) -> list[core_v1.NamespaceCondition]:
    result = [c for c in old if c.type not in _GOOD]
    for type_, good in _GOOD.items():
        status = "True" if type_ in bad else "False"
        reason, message = bad.get(type_, good)
        was = next((c for c in old if c.type == type_), None)
        since = was.last_transition_time if was is not None and was.status == status else now
        result.append(
            core_v1.NamespaceCondition(
                type=type_, status=status, last_transition_time=since, reason=reason, message=message
            )
        )
    return result
