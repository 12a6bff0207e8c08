"""The claims of a set's pods: made before the pod, and owned by whatever they are to go with (KEP-1847).

| whenDeleted | whenScaled | owner of the claim |
| --- | --- | --- |
| Retain | Retain | none |
| Delete | Retain | the set |
| Retain | Delete | the pod, once it is one too many |
| Delete | Delete | the set; the pod, once it is one too many |

The garbage collector does the rest. A claim that another controller owns is left to it.
"""

from collections.abc import Iterator

import msgspec
from msgspec import field

from orlop.api import errors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Informer, copy
from orlop.control import Context, controller_of, controller_reference
from orlop.controllers.statefulset.identity import claim_name, ordinals, parent_and_ordinal
from orlop.controllers.views import MetaView, PodView

Owner = apps_v1.StatefulSet | core_v1.Pod | PodView


class ClaimView(ApiStruct):
    """A claim, as far as its owner matters."""

    __kind__ = core_v1.PersistentVolumeClaim
    metadata: MetaView = field(default_factory=MetaView)


class Claims:
    """What is done about the claims of one set's pods."""

    def __init__(self, context: Context, informer: Informer[ClaimView], s: apps_v1.StatefulSet) -> None:
        self._client = context.client
        self._recorder = context.recorder
        self._informer = informer
        self._set = s

    def _found(self, pod: Owner) -> Iterator[ClaimView]:
        """The pod's claims that exist."""
        ordinal = parent_and_ordinal(pod.metadata.name)[1]
        for template in self._set.spec.volume_claim_templates:
            claim = self._informer.get(self._set.metadata.namespace, claim_name(self._set, template, ordinal))
            if claim is not None:
                yield claim

    async def make(self, pod: Owner) -> None:
        """Makes the pod's claims that are missing. Raises ApiError; every claim has been tried."""
        s = self._set
        ordinal = parent_and_ordinal(pod.metadata.name)[1]
        failed: list[str] = []
        for template in s.spec.volume_claim_templates:
            name = claim_name(s, template, ordinal)
            found = self._informer.get(s.metadata.namespace, name)
            if found is not None:
                if found.metadata.deletion_timestamp is not None:
                    failed.append(f"pvc {name} is being deleted")
                continue
            try:
                await self._client.create(self._claim(template, name))
            except errors.AlreadyExists:
                continue
            except errors.ApiError as error:
                failed.append(f"failed to create PVC {name}: {error}")
                text = (
                    f"Create Claim {name} for Pod {pod.metadata.name} in StatefulSet {s.metadata.name} "
                    f"failed error: {error}"
                )
                self._recorder.event(s, "Warning", "FailedCreate", text)
            else:
                text = f"Create Claim {name} Pod {pod.metadata.name} in StatefulSet {s.metadata.name} success"
                self._recorder.event(s, "Normal", "SuccessfulCreate", text)
        if failed:
            raise errors.ApiError(failed[0] if len(failed) == 1 else f"[{', '.join(failed)}]")

    def _claim(self, template: core_v1.PersistentVolumeClaim, name: str) -> core_v1.PersistentVolumeClaim:
        made = copy(template)
        selector = self._set.spec.selector
        made.metadata = meta_v1.ObjectMeta(
            name=name,
            namespace=self._set.metadata.namespace,
            labels={**made.metadata.labels, **(selector.match_labels if selector is not None else {})},
            annotations=made.metadata.annotations,
            finalizers=made.metadata.finalizers,
            owner_references=[controller_reference(self._set)] if policy_of(self._set).when_deleted == "Delete" else [],
        )
        made.status = core_v1.PersistentVolumeClaimStatus()
        return made

    def stale(self, pod: Owner) -> bool:
        """Whether a claim still goes with an earlier pod of that name: it is about to be deleted, the pod must wait."""
        policy = policy_of(self._set)
        return policy.when_scaled == "Delete" and any(_left_by_earlier(c, pod) for c in self._found(pod))

    def match_policy(self, pod: Owner) -> bool:
        """Whether every claim is owned as the policy says."""
        return all(self._up_to_date(claim, pod) for claim in self._found(pod))

    def _up_to_date(self, claim: ClaimView, pod: Owner) -> bool:
        s = self._set
        by_set, by_pod = _owned(claim, s), _owned(claim, pod)
        if _foreign(claim, s, pod):
            return not by_set and not by_pod
        refs = claim.metadata.owner_references
        if any(not ref.controller for ref in refs if ref.uid in (s.metadata.uid, pod.metadata.uid)):
            return False
        return (by_set, by_pod) == wanted_owners(s, pod)

    async def keep_policy(self, pod: Owner) -> None:
        """Gives the pod's claims the owners that the policy asks for. Raises ApiError."""
        s = self._set
        for claim in self._found(pod):
            if _left_by_earlier(claim, pod) or self._up_to_date(claim, pod):
                continue
            live = await self._client.get(core_v1.PersistentVolumeClaim, claim.metadata.name, claim.metadata.namespace)
            ours = {s.metadata.uid, pod.metadata.uid}
            refs = [ref for ref in live.metadata.owner_references if ref.uid not in ours]
            if not _foreign(claim, s, pod):
                by_set, by_pod = wanted_owners(s, pod)
                refs += [controller_reference(s)] if by_set else []
                refs += [controller_reference(pod)] if by_pod else []
            metadata = msgspec.structs.replace(live.metadata, owner_references=refs)
            await self._client.update(msgspec.structs.replace(live, metadata=metadata))


def policy_of(s: apps_v1.StatefulSet) -> apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy:
    given = s.spec.persistent_volume_claim_retention_policy
    return given or apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy(when_deleted="Retain", when_scaled="Retain")


def wanted_owners(s: apps_v1.StatefulSet, pod: Owner) -> tuple[bool, bool]:
    """Whether the set, and whether the pod, is to own the pod's claims: the table above."""
    policy = policy_of(s)
    too_many = parent_and_ordinal(pod.metadata.name)[1] not in ordinals(s)
    by_pod = policy.when_scaled == "Delete" and too_many
    return policy.when_deleted == "Delete" and not by_pod, by_pod


def _owned(claim: ClaimView, owner: Owner) -> bool:
    return any(ref.uid == owner.metadata.uid for ref in claim.metadata.owner_references)


def _foreign(claim: ClaimView, s: apps_v1.StatefulSet, pod: Owner) -> bool:
    """Whether another than the set and the pod controls the claim."""
    ref = controller_of(claim)
    return ref is not None and ref.uid not in (s.metadata.uid, pod.metadata.uid)


def _left_by_earlier(claim: ClaimView, pod: Owner) -> bool:
    return any(
        (ref.api_version, ref.kind, ref.name) == ("v1", "Pod", pod.metadata.name) and ref.uid != pod.metadata.uid
        for ref in claim.metadata.owner_references
    )
