"""Claims for devices: made from templates for pods, reserved for them, freed when they end (KEP-4381).

Upstream: pkg/controller/resourceclaim. Allocation itself is the scheduler's.
"""

from collections.abc import Iterable
from contextlib import suppress

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1, resource_v1
from orlop.client import copy
from orlop.control import Builder, Controller, Key, Result, controller_of, controller_reference, key_of
from orlop.controllers.pods import is_terminal
from orlop.controllers.views import PodView

POD_CLAIM = "resource.kubernetes.io/pod-claim-name"
"""The annotation of a generated claim: which of its pod's claims it is."""
FINALIZER = "resource.kubernetes.io/delete-protection"
"""Keeps an allocated claim until its devices are free."""
MAX_BASE = 57
"""Characters of a generated name before its random part: 63 are allowed."""
BY_POD = "pod"
"""The index of claims by the uid of the pod that they were made for."""
BY_CLAIM = "claim"
"""The index of pods by namespace and name of the claims that they use."""
POD = "pod/"
"""What keys of pods begin with; others are of claims. No name has a slash."""

Claim = resource_v1.ResourceClaim


class ResourceClaimController(Controller):
    """Makes, reserves, frees and removes ResourceClaims as pods come and go."""

    name = "resourceclaim-controller"
    account = "resource-claim-controller"
    component = "resource_claim"

    def setup(self, builder: Builder) -> None:
        self.claims = builder.for_(Claim, indexers={BY_POD: _owning_pod})
        self.pods = builder.watches(PodView, self._keys_of_pod, indexers={BY_CLAIM: _claims_of})
        self.templates = builder.watches(resource_v1.ResourceClaimTemplate, self._waiting_for)
        builder.watches(Claim, self._users)

    def _keys_of_pod(self, pod: PodView) -> Iterable[Key]:
        """The pod while claims are to be made or reserved, and its claims, which may have become free."""
        if not pod.spec.resource_claims:
            return
        namespace = pod.metadata.namespace
        yield Key(namespace, f"{POD}{pod.metadata.name}")
        for name in {*_claims_of(pod), *(key_of(c).name for c in self.claims.by_index(BY_POD, pod.metadata.uid))}:
            yield Key(namespace, name.partition("/")[2] or name)

    def _waiting_for(self, template: resource_v1.ResourceClaimTemplate) -> Iterable[Key]:
        name, namespace = template.metadata.name, template.metadata.namespace
        for pod in self.pods.items(namespace):
            if any(c.resource_claim_template_name == name for c in pod.spec.resource_claims or ()):
                yield Key(namespace, f"{POD}{pod.metadata.name}")

    def _users(self, claim: Claim) -> Iterable[Key]:
        """Pods that may have a claim to be made again, or to be reserved."""
        namespace = claim.metadata.namespace
        for pod in self.pods.by_index(BY_CLAIM, f"{namespace}/{claim.metadata.name}"):
            yield Key(namespace, f"{POD}{pod.metadata.name}")

    async def reconcile(self, key: Key) -> Result | None:
        if key.name.startswith(POD):
            pod = self.pods.get(key.namespace, key.name.removeprefix(POD))
            if pod is not None and pod.metadata.deletion_timestamp is None and not is_terminal(pod):
                await self._provide(pod)
        elif (claim := self.claims.get(*key)) is not None:
            await self._free(claim)
        return None

    # --- for a pod

    async def _provide(self, pod: PodView) -> None:
        """Makes what templates ask for, says so in the pod's status, reserves what is allocated for a bound pod."""
        known = {s.name: s.resource_claim_name for s in pod.status.resource_claim_statuses or ()}
        made = {}
        for asked in pod.spec.resource_claims or ():
            if asked.resource_claim_template_name is None or known.get(asked.name, "") is None:
                continue
            present = self.claims.get(pod.metadata.namespace, known.get(asked.name) or "")
            if present is not None and _is_for(present, pod):
                continue
            try:
                made[asked.name] = (await self._make(pod, asked)).metadata.name
            except errors.ApiError as error:
                words = f"PodResourceClaim {asked.name}: {error.args[0] if error.args else error}"
                self.context.recorder.event(pod, "Warning", "FailedResourceClaimCreation", words)
                raise
        if made:
            statuses = [{"name": name, "resourceClaimName": claim} for name, claim in made.items()]
            patch = {"status": {"resourceClaimStatuses": statuses}}
            meta = pod.metadata
            await self.context.client.patch(
                core_v1.Pod, meta.name, meta.namespace, patch, type="strategic", subresource="status"
            )
        elif pod.spec.node_name:
            await self._reserve(pod)

    async def _make(self, pod: PodView, asked: core_v1.PodResourceClaim) -> Claim:
        """The claim made from the template: one that could not be told of in the pod's status before, or a new one."""
        for claim in self.claims.by_index(BY_POD, pod.metadata.uid):
            if claim.metadata.annotations.get(POD_CLAIM) == asked.name:
                return claim
        name, namespace = asked.resource_claim_template_name or "", pod.metadata.namespace
        template = self.templates.get(namespace, name)
        if template is None:
            raise errors.NotFound(
                f'resource claim template "{name}": resourceclaimtemplate.resource.k8s.io "{name}" not found'
            )
        like = template.spec.metadata
        return await self.context.client.create(
            Claim(
                metadata=meta_v1.ObjectMeta(
                    generate_name=_base(pod.metadata.name, asked.name),
                    namespace=namespace,
                    labels=like.labels,
                    annotations={**like.annotations, POD_CLAIM: asked.name},
                    owner_references=[controller_reference(pod)],
                ),
                spec=template.spec.spec,
            )
        )

    async def _reserve(self, pod: PodView) -> None:
        """For pods that went past the scheduler, which else reserves when it binds."""
        for where in _claims_of(pod):
            claim = self.claims.get(*where.split("/"))
            if claim is None or claim.status.allocation is None:
                continue
            users = claim.status.reserved_for
            if not any(user.uid == pod.metadata.uid for user in users) and len(users) < MAX_USERS:
                meta = pod.metadata
                user = resource_v1.ResourceClaimConsumerReference(resource="pods", name=meta.name, uid=meta.uid)
                wanted = copy(claim)
                wanted.status.reserved_for.append(user)
                await self.context.client.update_status(wanted)

    # --- for a claim

    async def _free(self, claim: Claim) -> None:
        """Takes out pods that need it no more; without any it is deallocated, and removed if it was made for a pod."""
        users = [user for user in claim.status.reserved_for if await self._uses(claim, user)]
        going = claim.metadata.deletion_timestamp is not None
        if len(users) < len(claim.status.reserved_for) or (
            going and not users and FINALIZER in claim.metadata.finalizers
        ):
            claim = copy(claim)
            before = copy(claim.status)
            claim.status.reserved_for = users
            held = FINALIZER in claim.metadata.finalizers
            if not users and held:
                claim.status.allocation = None
            if claim.status != before:
                claim = await self.context.client.update_status(claim)
            if held and claim.status.allocation is None:
                claim.metadata.finalizers.remove(FINALIZER)
                claim = await self.context.client.update(claim)
        if users or going or (owner := controller_of(claim)) is None or owner.kind != "Pod":
            return
        pod = self.pods.get(claim.metadata.namespace, owner.name)
        if pod is not None and (pod.metadata.uid != owner.uid or _is_done(pod)):
            meta = claim.metadata
            with suppress(errors.NotFound):
                await self.context.client.delete(Claim, meta.name, meta.namespace, uid=meta.uid)

    async def _uses(self, claim: Claim, user: resource_v1.ResourceClaimConsumerReference) -> bool:
        """Whether the reservation still holds. A pod that the cache does not know may be too new for it."""
        if user.api_group or user.resource != "pods":
            return True  # nobody here knows of such
        pod = self.pods.get(claim.metadata.namespace, user.name)
        if pod is None:
            try:
                pod = await self.context.client.get(PodView, user.name, claim.metadata.namespace)
            except errors.NotFound:
                return False
        return pod.metadata.uid == user.uid and not _is_done(pod)


MAX_USERS = 256
"""Pods that may share a claim: upstream's ResourceClaimReservedForMaxSize."""


def _owning_pod(claim: Claim) -> list[str]:
    owner = controller_of(claim)
    return [owner.uid] if owner is not None and owner.kind == "Pod" and owner.api_version == "v1" else []


def _claims_of(pod: PodView) -> list[str]:
    """The claims of the pod that are known by name."""
    generated = {s.name: s.resource_claim_name for s in pod.status.resource_claim_statuses or ()}
    names = (c.resource_claim_name or generated.get(c.name) for c in pod.spec.resource_claims or ())
    return [f"{pod.metadata.namespace}/{name}" for name in names if name]


def _is_for(claim: Claim, pod: PodView) -> bool:
    owner = controller_of(claim)
    return owner is not None and owner.uid == pod.metadata.uid


def _is_done(pod: PodView) -> bool:
    """Whether none of its containers run nor ever will."""
    return is_terminal(pod) or (pod.metadata.deletion_timestamp is not None and not pod.spec.node_name)


def _base(pod: str, claim: str) -> str:
    """What the claim's generated name begins with: of both names as much as there is room for."""
    whole = f"{pod}-{claim}-"
    if len(whole) <= MAX_BASE:
        return whole
    return f"{pod[: len(pod) * MAX_BASE // len(whole)]}-{claim[: len(claim) * MAX_BASE // len(whole)]}"
