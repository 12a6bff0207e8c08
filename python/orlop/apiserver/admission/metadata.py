"""What plug-ins read of the metadata of nodes and namespaces, for every pod that comes: decoded once a revision."""

import msgspec

from orlop.api.types.base import ApiStruct
from orlop.apiserver.registry.objects import Objects

MAX_REMEMBERED = 20_000
"""Objects that are remembered; each some hundreds of bytes."""


class Metadata(ApiStruct):
    """Labels and annotations."""

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Object(ApiStruct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)


_decode = msgspec.json.Decoder(_Object).decode
_NOTHING = Metadata()


class Mentioning:
    """The objects of a cluster-scoped resource in whose JSON a text stands; of others nothing is told, nor decoded."""

    def __init__(self, objects: Objects, resource: str, text: str) -> None:
        self._hub = objects.hub
        self._resource = resource
        self._text = text.encode()
        self._known: dict[str, tuple[int, Metadata]] = {}

    def __call__(self, name: str) -> Metadata:
        """An object's metadata, to be read only; empty where there is none, or the text is not in it."""
        found = self._hub.get(self._resource, "", name)
        if found is None or self._text not in found[0]:
            return _NOTHING
        value, revision = found
        known = self._known.get(name)
        if known is None or known[0] != revision:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[name] = (revision, _decode(value).metadata)
        return known[1]
