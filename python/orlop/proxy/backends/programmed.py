"""What a backend has programmed, and what a change to it leads to."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orlop.native import ForwardChanges, ServicePort

Id = tuple[str, str, str, str, int]
"""As `ServicePort.id`."""
Element = TypeVar("Element", bound=Hashable)
"""A part of the rules that several service ports may have in common, as the address of a cluster IP."""


@dataclass(frozen=True)
class Step(Generic[Element]):
    """A change: service ports as they were and as they are to be."""

    new: list[ServicePort]
    removed: list[Id]
    before: dict[Id, ServicePort | None]
    """What was programmed of all that change."""
    delta: "Counter[tuple[int, Element]]"
    """By IP family and element, how many more service ports will have it; all that the step touches are in it."""

    @property
    def old(self) -> list[ServicePort]:
        """What goes, or is replaced."""
        return [port for port in self.before.values() if port is not None]

    @property
    def pairs(self) -> Iterable[tuple[ServicePort | None, ServicePort | None]]:
        """Each service port before and after."""
        after = {port.id: port for port in self.new}
        return [(port, after.get(id)) for id, port in self.before.items()]


class Programmed(Generic[Element]):
    """The service ports that are programmed. An element that several have in common goes with the last of them."""

    def __init__(self, shared: Callable[[ServicePort], Iterable[Element]]) -> None:
        """`shared` names a service port's elements that others may have too, each once."""
        self._shared_of = shared
        self._shared: Counter[tuple[int, Element]] = Counter()
        self.ports: dict[Id, ServicePort] = {}

    def replace(self, ports: Sequence[ServicePort]) -> None:
        """These are programmed, and nothing else."""
        self.ports = {port.id: port for port in ports}
        self._shared = Counter(element for port in ports for element in self._elements(port))

    def step(self, changes: ForwardChanges, families: Sequence[int]) -> Step[Element]:
        """The step that the changes make. Nothing is remembered before `take`."""
        new = [port for port in changes.set if port.id[4] in families]
        before = {id: self.ports.get(id) for id in (*(port.id for port in new), *changes.removed)}
        delta = Counter(element for port in new for element in self._elements(port))
        delta.subtract(element for port in before.values() if port is not None for element in self._elements(port))
        return Step(new, changes.removed, before, delta)

    def take(self, step: Step[Element]) -> None:
        """The step is done."""
        for id in step.removed:
            self.ports.pop(id, None)
        self.ports.update((port.id, port) for port in step.new)
        for element, more in step.delta.items():
            self._shared[element] += more
            if not self._shared[element]:
                del self._shared[element]

    def place(
        self,
        step: Step[Element],
        family: int,
        before: MutableMapping[Element, str],
        after: MutableMapping[Element, str],
    ) -> None:
        """Corrects the elements of the rules of `step.old` and `step.new` by what other service ports have."""
        for (of, element), more in step.delta.items():
            if of == family:
                count = self._shared[of, element]
                _place(before, element, count > 0)
                _place(after, element, count + more > 0)

    def _elements(self, port: ServicePort) -> list[tuple[int, Element]]:
        return [(port.id[4], element) for element in self._shared_of(port)]


def _place(elements: MutableMapping[Element, str], element: Element, present: bool) -> None:
    if present:
        elements[element] = ""
    else:
        elements.pop(element, None)
