"""Controller references, and taking and letting go of objects by selector.

The rules are upstream's pkg/controller/controller_ref_manager.go: an object whose labels match and that nobody controls
is adopted, one that no longer matches is released; neither by an owner that is being deleted, and adoption only after
the owner has been read from the server and found to be the same and alive.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from orlop.api import errors, scheme
from orlop.api.selectors import LabelSelector
from orlop.api.types import meta_v1
from orlop.client import Client
from orlop.client.informer import Object

T = TypeVar("T", bound=Object)


def controller_of(obj: Any) -> meta_v1.OwnerReference | None:
    """The reference to the object's controller, if it has one."""
    ref: meta_v1.OwnerReference
    for ref in obj.metadata.owner_references:
        if ref.controller:
            return ref
    return None


def is_controlled_by(obj: Any, owner: Any) -> bool:
    """Whether `owner` is the object's controller."""
    ref = controller_of(obj)
    return ref is not None and ref.uid == owner.metadata.uid


def controller_reference(owner: Any) -> meta_v1.OwnerReference:
    """The reference by which `owner` controls what it makes."""
    kind = scheme.of(type(owner))
    return meta_v1.OwnerReference(
        api_version=kind.api_version,
        kind=kind.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


class Claims:
    """What one owner may call its own among objects of one kind."""

    def __init__(
        self,
        client: Client,
        owner: Any,
        selector: LabelSelector,
        live: Callable[[], Awaitable[Any]],
        *,
        finalizer: str = "",
    ) -> None:
        """`live` reads the owner from the server; it is asked once, before the first adoption.

        Adopted objects get `finalizer`, released ones lose it.
        """
        self._client = client
        self._owner = owner
        self._selector = selector
        self._live = live
        self._finalizer = finalizer
        self._checked = False

    async def claim(
        self,
        objects: Sequence[T],
        adoptable: Callable[[T], bool] | None = None,
        member: Callable[[T], bool] | None = None,
    ) -> list[T]:
        """Those of `objects` that are the owner's, after adopting and releasing. Raises what the writes raise.

        `adoptable` may keep objects from being adopted: pods that have ended, for instance. What is no `member` is
        taken as if its labels did not match: a pod whose name is not one that the owner gives.
        """
        claimed = []
        known: dict[int, bool] = {}
        """What caches hold shares its labels: those of a thousand pods of one template are looked at once."""
        for obj in objects:
            ref, labels = controller_of(obj), obj.metadata.labels
            if (matches := known.get(id(labels))) is None:
                matches = known[id(labels)] = self._selector.matches(labels)
            matches = matches and (member is None or member(obj))
            if ref is not None:
                if ref.uid != self._owner.metadata.uid:
                    continue
                if matches:
                    claimed.append(obj)
                elif self._owner.metadata.deletion_timestamp is None:
                    await self._release(obj)
            elif (
                matches
                and self._owner.metadata.deletion_timestamp is None
                and obj.metadata.deletion_timestamp is None
                and (adoptable is None or adoptable(obj))
            ) and (adopted := await self._adopt(obj)) is not None:
                claimed.append(adopted)
        return claimed

    async def _adopt(self, obj: T) -> T | None:
        if not self._checked:
            live = await self._live()
            if live.metadata.uid != self._owner.metadata.uid:
                name = f"{self._owner.metadata.namespace}/{self._owner.metadata.name}"
                raise errors.ApiError(
                    f"original {scheme.of(type(self._owner)).kind} {name} is gone: "
                    f"got uid {live.metadata.uid}, wanted {self._owner.metadata.uid}"
                )
            if live.metadata.deletion_timestamp is not None:
                name = f"{live.metadata.namespace}/{live.metadata.name}"
                raise errors.ApiError(f"{name} has just been deleted at {live.metadata.deletion_timestamp}.")
            self._checked = True
        ref = controller_reference(self._owner)
        finalizers = {"finalizers": [self._finalizer]} if self._finalizer else {}
        patch = {"metadata": {"ownerReferences": [ref], "uid": obj.metadata.uid, **finalizers}}
        try:
            return await self._client.patch(
                type(obj), obj.metadata.name, obj.metadata.namespace, patch, type="strategic"
            )
        except errors.NotFound:
            return None

    async def _release(self, obj: Any) -> None:
        uid = self._owner.metadata.uid
        finalizers = {"$deleteFromPrimitiveList/finalizers": [self._finalizer]} if self._finalizer else {}
        refs = [{"$patch": "delete", "uid": uid}]
        patch = {"metadata": {"ownerReferences": refs, "uid": obj.metadata.uid, **finalizers}}
        with suppress(errors.NotFound, errors.Invalid):  # gone, or made anew under the same name: nothing to release
            await self._client.patch(type(obj), obj.metadata.name, obj.metadata.namespace, patch, type="strategic")
