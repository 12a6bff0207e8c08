"""Is a history of concurrent operations linearizable? The algorithm of Wing and Gong with Lowe's cache.

An operation is an interval between its invocation and its answer. A history is linearizable when the operations can be
put in an order in which each takes effect at one instant within its interval and the answers are those of a plain
object that is used by one client at a time (Herlihy and Wing, 1990). One whose outcome is not known (its client lost
the connection) may take effect at any time after its invocation, or never. Histories of objects that have nothing to do
with each other may be checked apart (P-compositionality).

J. M. Wing and C. Gong, "Testing and verifying concurrent objects" (1993);
G. Lowe, "Testing for linearizability" (2017).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

UNKNOWN = object()
"""An answer that never came."""

FOREVER = 1 << 62
"""When the answer came that never came."""

Apply = Callable[[Any, "Operation"], list[Hashable]]
"""The states that a plain object in this state may be in after the operation; none if it would have answered
otherwise."""


@dataclass(frozen=True)
class Operation:
    """Times are of one clock, in any unit."""

    client: int
    kind: str
    argument: Any
    answer: Any
    began: int
    ended: int = FOREVER

    @property
    def known(self) -> bool:
        return self.answer is not UNKNOWN


class _Place(NamedTuple):
    """How far an order has come."""

    done: int
    """A bit for each operation: the known ones and, above them, the unknown ones."""
    state: Hashable
    before: Hashable
    """The state before the last operation, if that was an unknown one."""


def linearizable(history: Sequence[Operation], start: Hashable, apply: Apply, limit: int = 1_000_000) -> bool:
    """Whether the history of one object is linearizable. Raises TimeoutError after `limit` steps.

    Two rules keep the search short. An operation that may come next, changes nothing and was answered as it must be
    comes next: in whatever order the others can be put, it could have come before them all. And one whose outcome is
    not known is taken to have happened only where the operation after it comes out otherwise than without it.
    """
    known = sorted((one for one in history if one.known), key=lambda one: one.began)
    unknown = sorted((one for one in history if not one.known), key=lambda one: one.began)
    every = (1 << len(known)) - 1
    seen: set[_Place] = set()
    stack = [_Place(0, start, UNKNOWN)]
    steps = 0
    while stack:
        place = stack.pop()
        if place.done & every == every:
            return True
        steps += 1
        if steps > limit:
            raise TimeoutError(f"not decided after {limit} steps")
        for after in _next(known, unknown, place, apply):
            if after not in seen:
                seen.add(after)
                stack.append(after)
    return False


def _next(known: Sequence[Operation], unknown: Sequence[Operation], place: _Place, apply: Apply) -> list[_Place]:
    """Where one more operation leads to: one begun before the first of the others has been answered. The best to try
    is last."""
    done, state, before = place

    def states(one: Operation) -> list[Hashable]:
        found = apply(state, one)
        return found if before is UNKNOWN or apply(before, one) != found else []

    places = []
    first = FOREVER
    for number in range((~done & done + 1).bit_length() - 1, len(known)):  # from the first that is not done
        if done >> number & 1:
            continue
        one = known[number]
        if one.began > first:
            break
        first = min(first, one.ended)
        if (found := states(one)) == [state]:
            return [_Place(done | 1 << number, state, UNKNOWN)]
        places += [(one.ended, _Place(done | 1 << number, after, UNKNOWN)) for after in found]
    # What is answered soonest is tried first; what may never have happened, last.
    places.sort(key=lambda found: -found[0])
    late = []
    for number, one in enumerate(unknown, len(known)):
        if one.began > first:
            break
        if not done >> number & 1:
            late += [_Place(done | 1 << number, after, state) for after in states(one) if after != state]
    return [*late, *(found for _, found in places)]


def register(state: Any, operation: Operation) -> list[Hashable]:
    """An object of the API whose whole content is a text; None where there is none.

    | kind | argument | answer |
    | --- | --- | --- |
    | get | | the text, None |
    | create | text | ok, exists |
    | put | text (unconditional update, patch) | ok, absent |
    | cas | text it was, text | ok, conflict, absent |
    | delete | | ok, absent |
    """
    kind, argument, answer = operation.kind, operation.argument, operation.answer
    if kind == "get":
        return [state] if not operation.known or answer == state else []
    if kind == "create":
        outcome, after = ("exists", state) if state is not None else ("ok", argument)
    elif kind == "put":
        outcome, after = ("absent", state) if state is None else ("ok", argument)
    elif kind == "cas":
        if state is None:
            outcome, after = "absent", state
        else:
            outcome, after = ("ok", argument[1]) if state == argument[0] else ("conflict", state)
    elif kind == "delete":
        outcome, after = ("absent", state) if state is None else ("ok", None)
    else:
        raise ValueError(kind)
    return [after] if not operation.known or answer == outcome else []
