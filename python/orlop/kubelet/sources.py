"""ConfigMaps and Secrets that pods of this node refer to: one watch for each, as long as a pod needs it."""

import asyncio
from collections.abc import Callable
from typing import Any

from orlop import tasks
from orlop.api import errors, scheme
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.client.informer import Informer
from orlop.kubelet.plan import ephemeral_containers

Reference = tuple[type[Any], str, str]
"""(struct, namespace, name)"""

FIRST_ANSWER_SECONDS = 10.0
"""How long a pod's start waits for the first answer of a new watch before it says that it cannot read the object."""


class Sources:
    """Watched objects by reference. A pod holds its references from its start until it is gone.

    A node may only read what its pods refer to, so each object has its own watch (as upstream's watching manager).
    """

    def __init__(self, client: Client, group: tasks.Group, changed: Callable[[str], None]) -> None:
        """`changed` is called with a pod's uid when an object it holds has changed."""
        self._client = client
        self._group = group
        self._changed = changed
        self._informers: dict[Reference, tuple[Informer[Any], asyncio.Task[Any]]] = {}
        self._holders: dict[Reference, set[str]] = {}

    def hold(self, uid: str, references: set[Reference]) -> None:
        """Sets what the pod refers to; what nobody holds any more is not watched any more."""
        for reference in references:
            holders = self._holders.setdefault(reference, set())
            holders.add(uid)
            if reference not in self._informers:
                self._watch(reference)
        for reference, holders in list(self._holders.items()):
            if uid in holders and reference not in references:
                holders.discard(uid)
                if not holders:
                    del self._holders[reference]
                    _, task = self._informers.pop(reference)
                    task.cancel()

    def release(self, uid: str) -> None:
        """The pod is gone."""
        self.hold(uid, set())

    def _watch(self, reference: Reference) -> None:
        struct, namespace, name = reference
        informer = Informer(self._client, struct, namespace=namespace, fields=f"metadata.name={name}")

        def notify(*_: Any) -> None:
            for uid in list(self._holders.get(reference, ())):
                self._changed(uid)

        informer.on_change(notify)
        task = self._group.start(f"watch {struct.__name__} {namespace}/{name}", informer.run())
        self._informers[reference] = (informer, task)

    async def get(self, struct: type[Any], namespace: str, name: str) -> Any:
        """The object as the watch has it. Raises NotFound, or ServiceUnavailable before the first answer."""
        held = self._informers.get((struct, namespace, name))
        if held is None:
            return await self._client.get(struct, name, namespace)
        informer, _ = held
        try:
            async with asyncio.timeout(FIRST_ANSWER_SECONDS):
                await informer.synced()
        except TimeoutError:
            kind = scheme.of(struct)
            raise errors.ServiceUnavailable(
                f"failed to sync {kind.singular} cache: timed out waiting for the condition"
            ) from None
        found = informer.get(namespace, name)
        if found is None:
            kind = scheme.of(struct)
            raise errors.not_found(kind.plural, kind.group, name)
        return found


def references(pod: core_v1.Pod) -> set[Reference]:
    """Every ConfigMap and Secret that the pod's volumes and environment name."""
    found: set[Reference] = set()
    namespace = pod.metadata.namespace

    def add(struct: type[Any], name: str) -> None:
        if name:
            found.add((struct, namespace, name))

    for volume in pod.spec.volumes:
        if volume.config_map:
            add(core_v1.ConfigMap, volume.config_map.name)
        if volume.secret:
            add(core_v1.Secret, volume.secret.secret_name)
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map:
                add(core_v1.ConfigMap, source.config_map.name)
            if source.secret:
                add(core_v1.Secret, source.secret.name)
    for container in [*pod.spec.init_containers, *pod.spec.containers, *ephemeral_containers(pod)]:
        for env_from in container.env_from:
            if env_from.config_map_ref:
                add(core_v1.ConfigMap, env_from.config_map_ref.name)
            if env_from.secret_ref:
                add(core_v1.Secret, env_from.secret_ref.name)
        for variable in container.env:
            if variable.value_from and variable.value_from.config_map_key_ref:
                add(core_v1.ConfigMap, variable.value_from.config_map_key_ref.name)
            if variable.value_from and variable.value_from.secret_key_ref:
                add(core_v1.Secret, variable.value_from.secret_key_ref.name)
    for reference in pod.spec.image_pull_secrets:
        add(core_v1.Secret, reference.name)
    return found
