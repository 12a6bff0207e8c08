"""The kinds that CustomResourceDefinitions add to a server, for controllers that deal with every kind."""

from collections.abc import Callable, Iterator

import msgspec

from orlop.api.kind import Kind
from orlop.api.types import apiextensions_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Informer
from orlop.control import Builder
from orlop.controllers.views import Owned, OwnedMeta, owned

FILLING_SECONDS = 30.0
"""How long the cache of a kind is waited for, as upstream does: one that cannot be listed must not hold up the rest."""


class _Names(ApiStruct):
    plural: str = ""
    kind: str = ""


class _Version(ApiStruct):
    name: str = ""
    served: bool = False
    storage: bool = False


class _Spec(ApiStruct):
    group: str = ""
    names: _Names = msgspec.field(default_factory=_Names)
    scope: str = ""
    versions: list[_Version] = msgspec.field(default_factory=list)


class _Condition(ApiStruct):
    type: str = ""
    status: str = ""


class _Status(ApiStruct):
    conditions: list[_Condition] = msgspec.field(default_factory=list)


class Definition(ApiStruct):
    """A CustomResourceDefinition, as far as it says what is served."""

    __kind__ = apiextensions_v1.CustomResourceDefinition
    metadata: OwnedMeta = msgspec.field(default_factory=OwnedMeta)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class CustomKinds:
    """Follows the definitions: a cache for each kind that is served, from then until it is no more."""

    def __init__(
        self,
        builder: Builder,
        *,
        added: Callable[[Kind, Informer[Owned]], None],
        dropped: Callable[[Kind, bool], None],
    ) -> None:
        """`added` is called with each new kind's cache, not filled yet; `dropped` when the kind is served no more.

        It is told whether the definition is gone, and with it every object of the kind.
        """
        self._builder = builder
        self._added = added
        self._dropped = dropped
        self._kinds: dict[str, Kind] = {}
        builder.informer(Definition).on_change(self._changed)

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._kinds.values()))

    def _changed(self, old: Definition | None, new: Definition | None) -> None:
        name = (new or old).metadata.name  # type: ignore[union-attr]
        before, now = self._kinds.get(name), kind_of(new) if new is not None else None
        if before == now:
            return
        if before is not None:
            del self._kinds[name]
            self._dropped(before, new is None)
            self._builder.drop(owned(before))
        if now is not None:
            self._kinds[name] = now
            self._added(now, self._builder.share(owned(now)))


def kind_of(definition: Definition) -> Kind | None:
    """The kind in the version that is stored, or else one that is served; None while nothing is served."""
    spec = definition.spec
    if not any(c.type == "Established" and c.status == "True" for c in definition.status.conditions):
        return None
    served = sorted((v for v in spec.versions if v.served), key=lambda v: not v.storage)
    if not served:
        return None
    return Kind(
        group=spec.group,
        version=served[0].name,
        kind=spec.names.kind,
        plural=spec.names.plural,
        folder="",
        namespaced=spec.scope == "Namespaced",
    )
