"""The checks of recorded histories fail where they must."""

from typing import Any

import pytest

from tests.store.checked import Truth, check_linearizable, check_revisions, check_watch

TRUTH = [
    Truth(5, "a", "ADDED", "one"),
    Truth(7, "a", "MODIFIED", "two"),
    Truth(8, "b", "ADDED", "three"),
    Truth(9, "a", "DELETED", "two"),
]


def write(kind: str, name: str, argument: Any, revision: int, began: int, ended: int) -> dict[str, Any]:
    line = {"client": 1, "kind": kind, "name": name, "argument": argument, "answer": "ok"}
    return {**line, "revision": str(revision) if kind != "delete" else "", "began": began, "ended": ended}


def listed(revision: int, items: dict[str, tuple[int, str]], began: int = 0, ended: int = 0) -> dict[str, Any]:
    found = {name: [str(at), text] for name, (at, text) in items.items()}
    return {"client": 2, "kind": "list", "revision": str(revision), "items": found, "began": began, "ended": ended}


WRITES = [
    write("create", "a", "one", 5, 10, 20),
    write("cas", "a", ["one", "two"], 7, 30, 40),
    write("create", "b", "three", 8, 35, 50),
    write("delete", "a", None, 9, 60, 70),
]
LISTS = [
    listed(6, {"a": (5, "one")}, 21, 29),
    listed(8, {"a": (7, "two"), "b": (8, "three")}, 45, 65),
    listed(9, {"b": (8, "three")}, 71, 80),
]


def test_what_fits_together() -> None:
    check_revisions([*WRITES, *LISTS], TRUTH)
    assert check_linearizable([*WRITES, *LISTS]) > len(WRITES)


WRONG = {
    "a stale list": listed(5, {"a": (5, "one")}, 71, 80),
    "a list of another state": listed(9, {"a": (7, "two"), "b": (8, "three")}, 71, 80),
    "a list without something": listed(9, {}, 71, 80),
    "an acknowledged write that is lost": write("put", "b", "four", 8, 71, 80),
    "a revision that goes back": write("put", "b", "three", 8, 71, 80),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not(what: str) -> None:
    with pytest.raises(AssertionError):
        check_revisions([*WRITES, *LISTS, WRONG[what]], TRUTH)


@pytest.mark.parametrize(
    "line",
    [
        listed(9, {"a": (7, "two"), "b": (8, "three")}, 71, 80),
        {"client": 3, "kind": "get", "name": "b", "argument": None, "answer": None, "began": 71, "ended": 80},
        write("create", "b", "again", 12, 71, 80),
    ],
)
def test_histories_that_are_not_linearizable(line: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        check_linearizable([*WRITES, *LISTS, line])


def event(truth: Truth) -> dict[str, Any]:
    return {
        "kind": "event",
        "type": truth.type,
        "name": truth.name,
        "revision": str(truth.revision),
        "text": truth.text,
    }


EVENTS = [event(one) for one in TRUTH]


def test_watches() -> None:
    assert check_watch([listed(0, {}), *EVENTS], TRUTH) == 4
    assert check_watch([listed(7, {"a": (7, "two")}), *EVENTS[2:]], TRUTH) == 2
    assert check_watch([listed(0, {}), EVENTS[0], listed(8, LIST8), EVENTS[3]], TRUTH) == 2


LIST8 = {"a": (7, "two"), "b": (8, "three")}
BAD_WATCHES = {
    "a gap": [EVENTS[0], EVENTS[2]],
    "another order": [EVENTS[0], EVENTS[2], EVENTS[1]],
    "twice": [EVENTS[0], EVENTS[0]],
    "one that never was": [*EVENTS, event(Truth(11, "c", "ADDED", "x"))],
    "another text": [event(TRUTH[0]._replace(text="other"))],
    "another type": [event(TRUTH[0]._replace(type="MODIFIED"))],
    "a list of another state": [listed(8, {"a": (5, "one")})],
}


@pytest.mark.parametrize("what", BAD_WATCHES)
def test_watches_that_are_wrong(what: str) -> None:
    with pytest.raises(AssertionError):
        check_watch([listed(0, {}), *BAD_WATCHES[what]], TRUTH)
