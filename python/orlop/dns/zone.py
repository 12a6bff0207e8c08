"""The cluster's names: who has put which records at which name, and which names are there without records."""

from collections.abc import Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from orlop.dns import names

Records = Mapping[int, tuple[bytes, ...]]
"""What a name has, by type: each record's data. Empty: the name is there, with nothing."""
Named = Mapping[bytes, Records]
"""What one owner gives, by name."""


class Found(NamedTuple):
    """What is at a name. `elsewhere`: others are to be asked."""

    what: Literal["name", "nothing", "elsewhere"]
    records: Records = MappingProxyType({})
    depends: tuple[bytes, ...] = ()
    """Names on which this rests, beside the one asked for."""


class Zone:
    """`domain` and all below it, and addresses (in-addr.arpa, ip6.arpa) of which something is known."""

    def __init__(self, domain: str) -> None:
        self.origin = names.wire(domain)
        self._owned: dict[Hashable, Named] = {}
        self._at: dict[bytes, dict[Hashable, Records]] = {}
        self._below: dict[bytes, int] = {}
        """How many names there are below a name."""

    def __len__(self) -> int:
        return len(self._at)

    def replace(self, owner: Hashable, named: Named) -> set[bytes]:
        """`owner` now gives these. Returns the names whose answers may have changed."""
        before = self._owned.get(owner, {})
        if before == named:
            return set()
        changed = {name for name in (*before, *named) if before.get(name) != named.get(name)}
        for name in before:
            self._drop(name, owner)
        for name, records in named.items():
            self._put(name, owner, records)
        if named:
            self._owned[owner] = named
        else:
            self._owned.pop(owner, None)
        for name in tuple(changed):
            changed.update(self._above(name))
        return changed

    def find(self, name: bytes) -> Found:
        """What is at a name (in lower case)."""
        at = self._at.get(name)
        if at is not None:
            if len(at) == 1:
                return Found("name", next(iter(at.values())))
            return Found("name", _together(at.values()))
        if not self.covers(name):
            return Found("elsewhere")
        return Found("name" if name in self._below else "nothing")

    def covers(self, name: bytes) -> bool:
        """Whether the name is the domain or below it."""
        if not name.endswith(self.origin):
            return False
        # The end of a label may look like the domain: the domain must begin where a label does.
        at, end = 0, len(name) - len(self.origin)
        while at < end:
            at += name[at] + 1
        return at == end

    def _above(self, name: bytes) -> Iterable[bytes]:
        """The names above, up to the domain; none of an address."""
        if not self.covers(name):
            return
        for parent in names.parents(name):
            if len(parent) < len(self.origin):
                return
            yield parent

    def _put(self, name: bytes, owner: Hashable, records: Records) -> None:
        at = self._at.setdefault(name, {})
        at[owner] = records
        if len(at) == 1:
            for parent in self._above(name):
                self._below[parent] = self._below.get(parent, 0) + 1

    def _drop(self, name: bytes, owner: Hashable) -> None:
        at = self._at[name]
        del at[owner]
        if at:
            return
        del self._at[name]
        for parent in self._above(name):
            self._below[parent] -= 1
            if not self._below[parent]:
                del self._below[parent]


def _together(several: Iterable[Records]) -> Records:
    found: dict[int, tuple[bytes, ...]] = {}
    for records in several:
        for type_, data in records.items():
            found[type_] = tuple(dict.fromkeys((*found.get(type_, ()), *data)))
    return found
