"""What a kind that is served is: one row of the scheme."""

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import force_setattr


class Converter(Protocol):
    """How objects of a kind become what is stored of them, and what is stored objects, where others must be asked."""

    async def read(self, values: Sequence[bytes]) -> list[bytes]:
        """Stored objects as this kind has them."""
        ...

    async def stored(self, obj: Any) -> Any:
        """An object of this kind as it is stored."""
        ...

    def settled(self, value: bytes) -> bool:
        """Whether stored bytes have the form in which they are stored today."""
        ...

    def bookmark(self, value: bytes) -> bytes:
        """A bookmark's object as this kind has it."""
        ...


STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What discovery, routing, storage and the wire need to know of a kind."""

    group: str
    version: str
    kind: str
    plural: str
    folder: str
    """Where the type is declared, the group's first part: `core`, `apps`, `rbac`."""
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = STANDARD_VERBS
    storage: str = ""
    """The resource it is stored as, where several served versions share one."""
    api_version: str = ""
    """`v1`, `apps/v1`; this and what follows is worked out of the rest."""
    type_key: str = ""
    """The type's name in the wire table: `core/v1.Pod`."""
    resource: str = ""
    """The name in the store and the hub: `pods`, `apps/deployments`."""
    list_head: bytes = b""
    """What objects begin with that a list does not repeat for each item, as upstream: it names both once, for all."""

    def __post_init__(self) -> None:
        group = f"{self.group}/" if self.group else ""
        force_setattr(self, "api_version", f"{group}{self.version}")
        force_setattr(self, "type_key", f"{self.folder}/{self.version}.{self.kind}")
        force_setattr(self, "resource", self.storage or f"{group}{self.plural}")
        force_setattr(self, "list_head", f'{{"apiVersion":"{self.api_version}","kind":"{self.kind}",'.encode())

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    @property
    def converter(self) -> Converter | None:
        """Its way to and from what is stored, where that is not the same."""
        return None

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept; reviews are only answered."""
        return "watch" in self.verbs

    @property
    def struct(self) -> type[Any]:
        """The type's struct, imported at first use."""
        module = importlib.import_module(f"orlop.api.types.{self.folder}_{self.version}")
        struct: type[Any] = getattr(module, self.kind)
        return struct

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path: of the collection without a name, across namespaces without a namespace."""
        path = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        if name:
            path += f"/{name}"
        if subresource:
            path += f"/{subresource}"
        return path
