"""Claims for the ephemeral volumes of pods, made with the pod and owned by it.

Upstream: pkg/controller/volume/ephemeral.
"""

from collections.abc import Iterable

from orlop.api import errors, volumes as rules
from orlop.api.types import core_v1, meta_v1
from orlop.control import controller_reference
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.controllers.persistentvolume.binder import BY_CLAIM, claims_index
from orlop.controllers.views import PodView, VolumeView


class EphemeralVolumeController(Controller):
    """Keys are pods."""

    name = "ephemeral-volume-controller"
    component = "ephemeral_volume"

    def setup(self, builder: Builder) -> None:
        self.claims = builder.watches(core_v1.PersistentVolumeClaim, self._pods_of)
        self.pods = builder.watches(
            PodView,
            lambda pod: [key_of(pod)] if any(v.ephemeral is not None for v in pod.spec.volumes) else [],
            indexers={BY_CLAIM: claims_index},
        )

    def _pods_of(self, claim: core_v1.PersistentVolumeClaim) -> Iterable[Key]:
        """A claim that was deleted is made again as long as its pod is there."""
        if self.claims.get(claim.metadata.namespace, claim.metadata.name) is None:
            for pod in self.pods.by_index(BY_CLAIM, f"{claim.metadata.namespace}/{claim.metadata.name}"):
                yield key_of(pod)

    async def reconcile(self, key: Key) -> Result | None:
        pod = self.pods.get(*key)
        if pod is None or pod.metadata.deletion_timestamp is not None:
            return None
        for volume in pod.spec.volumes:
            if volume.ephemeral is None:
                continue
            try:
                await self._ensure(pod, volume)
            except errors.ApiError as error:
                words = f"ephemeral volume {volume.name}: {error}"
                self.context.recorder.event(pod, "Warning", "FailedBinding", words)
                raise
        return None

    async def _ensure(self, pod: PodView, volume: VolumeView) -> None:
        meta, name = pod.metadata, rules.claim_name(pod.metadata.name, volume)
        found = self.claims.get(meta.namespace, name)
        if found is not None:
            if not rules.is_made_for(found, meta.uid):
                where = f"{meta.namespace}/{meta.name}"
                raise errors.ApiError(f"PVC {meta.namespace}/{name} was not created for pod {where} (pod is not owner)")
            return
        assert volume.ephemeral is not None
        template = volume.ephemeral.volume_claim_template or core_v1.PersistentVolumeClaimTemplate()
        await self.context.client.create(
            core_v1.PersistentVolumeClaim(
                metadata=meta_v1.ObjectMeta(
                    name=name,
                    namespace=meta.namespace,
                    labels=template.metadata.labels,
                    annotations=template.metadata.annotations,
                    owner_references=[controller_reference(pod)],
                ),
                spec=template.spec,
            )
        )
