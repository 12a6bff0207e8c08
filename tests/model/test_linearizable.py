"""The checker of histories, by histories of which it is known whether they are linearizable."""

import itertools
import random
from collections.abc import Hashable
from typing import Any

import pytest
from tests.model.linearizable import FOREVER, UNKNOWN, Operation, linearizable, register


def op(kind: str, argument: Any, answer: Any, began: int, ended: int = FOREVER) -> Operation:
    return Operation(0, kind, argument, answer, began, ended)


GOOD = {
    "nothing": [],
    "one after the other": [op("create", "a", "ok", 0, 1), op("get", None, "a", 2, 3), op("delete", None, "ok", 4, 5)],
    "a read beside a write sees either": [
        op("create", "a", "ok", 0, 1),
        op("put", "b", "ok", 2, 9),
        op("get", None, "a", 3, 4),
        op("get", None, "b", 5, 6),
    ],
    "what is not known has happened": [op("create", "a", UNKNOWN, 0), op("get", None, "a", 5, 6)],
    "what is not known has not happened": [op("create", "a", UNKNOWN, 0), op("get", None, None, 5, 6)],
    "what is not known happens late": [
        op("create", "a", "ok", 0, 1),
        op("put", "b", UNKNOWN, 2),
        op("get", None, "a", 3, 4),
        op("get", None, "b", 9, 10),
    ],
    "one of two creates wins": [op("create", "a", "ok", 0, 5), op("create", "b", "exists", 0, 5)],
    "compare and set": [
        op("create", "a", "ok", 0, 1),
        op("cas", ("a", "b"), "ok", 2, 6),
        op("cas", ("a", "c"), "conflict", 2, 6),
        op("get", None, "b", 7, 8),
    ],
}
BAD = {
    "a write is lost": [op("create", "a", "ok", 0, 1), op("put", "b", "ok", 2, 3), op("get", None, "a", 4, 5)],
    "a value that nobody wrote": [op("create", "a", "ok", 0, 1), op("get", None, "z", 2, 3)],
    "reads go back": [
        op("create", "a", "ok", 0, 1),
        op("put", "b", "ok", 2, 9),
        op("get", None, "b", 3, 4),
        op("get", None, "a", 5, 6),
    ],
    "both creates win": [op("create", "a", "ok", 0, 5), op("create", "b", "ok", 0, 5)],
    "both compares win": [
        op("create", "a", "ok", 0, 1),
        op("cas", ("a", "b"), "ok", 2, 6),
        op("cas", ("a", "c"), "ok", 2, 6),
    ],
    "a deletion comes back": [
        op("create", "a", "ok", 0, 1),
        op("delete", None, "ok", 2, 3),
        op("get", None, "a", 4, 5),
    ],
    "what is not known happens and does not": [
        op("create", "a", "ok", 0, 1),
        op("put", "b", UNKNOWN, 2),
        op("get", None, "b", 3, 4),
        op("get", None, "a", 5, 6),
    ],
    "what is not known happens before it began": [op("get", None, "a", 0, 1), op("create", "a", UNKNOWN, 2)],
    "a conflict with nothing": [op("create", "a", "ok", 0, 1), op("cas", ("a", "b"), "conflict", 2, 3)],
}


@pytest.mark.parametrize("name", GOOD)
def test_linearizable(name: str) -> None:
    assert linearizable(GOOD[name], None, register)


@pytest.mark.parametrize("name", BAD)
def test_not_linearizable(name: str) -> None:
    assert not linearizable(BAD[name], None, register)


def by_trying_every_order(history: list[Operation]) -> bool:
    """The definition, word by word."""
    unknown = [one for one in history if not one.known]
    known = [one for one in history if one.known]
    for count in range(len(unknown) + 1):
        for some in itertools.combinations(unknown, count):
            for order in itertools.permutations([*known, *some]):
                if any(b.ended < a.began for n, a in enumerate(order) for b in order[n + 1 :]):
                    continue
                states: list[Hashable] = [None]
                for one in order:
                    states = [after for state in states for after in register(state, one)]
                if states:
                    return True
    return False


def test_as_by_trying_every_order() -> None:
    """Random short histories, good and bad, of a register that sometimes answers wrongly."""
    chance = random.Random(11)
    outcomes = {True: 0, False: 0}
    for _ in range(1500):
        state: Any = None
        history = []
        clock = 0
        for number in range(chance.randint(1, 6)):
            kind = chance.choice(["get", "create", "put", "cas", "delete"])
            argument: Any = {"create": f"t{number}", "put": f"t{number}", "cas": (state, f"t{number}")}.get(kind)
            probe = Operation(0, kind, argument, UNKNOWN, 0)
            after = register(state, probe)[0]
            answers = [state] if kind == "get" else ["ok", "exists", "absent", "conflict"]
            answer = next(a for a in answers if register(state, Operation(0, kind, argument, a, 0)))
            if chance.random() < 0.25:
                answer = chance.choice(["ok", "absent", "t0", None, *[UNKNOWN] * 4])
            began, clock = clock - chance.randint(0, 3), clock + 2
            ended = clock + chance.randint(0, 3)
            history.append(Operation(number, kind, argument, answer, began, FOREVER if answer is UNKNOWN else ended))
            state = after
        found = linearizable(history, None, register)
        assert found == by_trying_every_order(history), history
        outcomes[found] += 1
    assert min(outcomes.values()) > 150, outcomes


def test_a_long_history_is_decided_in_so_many_steps() -> None:
    """Thousands of reads beside writes whose outcome is not known, of which some happen late."""
    chance = random.Random(5)
    history = [op("create", "start", "ok", 0, 1)]
    state, clock = "start", 2
    for number in range(40):
        history.append(op("put", f"lost-{number}", UNKNOWN, clock))
        if number % 4 == 0:
            state = f"lost-{chance.randint(max(0, number - 3), number)}" if state.startswith("t") else state
        for read in range(50):
            began = clock + read
            history += [op("get", None, state, began, began + chance.randint(1, 9)) for _ in range(2)]
        clock += 60
        history.append(op("put", f"t{number}", "ok", clock, clock + 2))
        state, clock = f"t{number}", clock + 3
    assert len(history) > 4000
    assert linearizable(history, None, register, limit=10_000)
    history.append(op("get", None, "start", clock, clock + 1))
    assert not linearizable(history, None, register, limit=10_000)
