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
from typing import Any

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


def linearizable(history: Sequence[Operation], start: Hashable, apply: Apply, limit: int = 5_000_000) -> bool:
    """Whether the history of one object is linearizable. Raises TimeoutError after `limit` steps."""
    operations = sorted(history, key=lambda one: one.began)
    known = sum(1 << number for number, one in enumerate(operations) if one.known)
    seen: set[tuple[int, Hashable]] = set()
    stack: list[tuple[int, Hashable]] = [(0, start)]
    steps = 0
    while stack:
        done, state = stack.pop()
        if done & known == known:
            return True
        steps += 1
        if steps > limit:
            raise TimeoutError(f"not decided after {limit} steps")
        for number in _next(operations, done):
            for after in apply(state, operations[number]):
                if (place := (done | 1 << number, after)) not in seen:
                    seen.add(place)
                    stack.append(place)
    return False


def _next(operations: Sequence[Operation], done: int) -> list[int]:
    """Those that may come next: begun before the first of the others has been answered."""
    found = []
    first = FOREVER
    for number in range((~done & done + 1).bit_length() - 1, len(operations)):  # from the first that is not done
        if done >> number & 1:
            continue
        one = operations[number]
        if one.began > first:
            break
        found.append(number)
        first = min(first, one.ended)
    # Deepest first is last on the stack: operations that were answered, before those that may never have happened.
    return sorted(found, key=lambda number: -operations[number].ended)


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
