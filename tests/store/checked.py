"""What clients wrote down of a history, held against what the API promises and against the store's own log."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tests.model.linearizable import FOREVER, UNKNOWN, Operation, linearizable, register

Line = dict[str, Any]
State = dict[str, tuple[int, str]]
"""Revision and text by name."""


class Truth(NamedTuple):
    """A change as the store has it."""

    revision: int
    name: str
    type: str
    text: str


def operations(lines: Iterable[Line]) -> dict[str, list[Operation]]:
    """The operations on each object; a list is a read of each there is or was."""
    lines = list(lines)
    names = {line["name"] for line in lines if "name" in line}
    found: dict[str, list[Operation]] = defaultdict(list)
    for line in lines:
        client, began = line["client"], line["began"]
        if line["kind"] == "list":
            for name in names:
                text = line["items"][name][1] if name in line["items"] else None
                found[name].append(Operation(client, "get", None, text, began, line["ended"]))
        elif line["answer"] == "unknown":
            found[line["name"]].append(Operation(client, line["kind"], _argument(line), UNKNOWN, began, FOREVER))
        else:
            operation = Operation(client, line["kind"], _argument(line), line["answer"], began, line["ended"])
            found[line["name"]].append(operation)
    # Reads of what nobody has touched yet, or any more, say nothing new: they would only make histories long.
    return {name: _relevant(history) for name, history in found.items()}


def _argument(line: Line) -> Any:
    argument = line["argument"]
    return tuple(argument) if isinstance(argument, list) else argument


def _relevant(history: list[Operation]) -> list[Operation]:
    touched = [one for one in history if one.kind != "get"]
    if not touched:
        return history
    first = min(one.began for one in touched)
    early = [one for one in history if one.ended < first]
    assert all(one.answer is None for one in early), "something was there before it was made"
    return [one for one in history if one.ended >= first]


def check_linearizable(lines: Iterable[Line]) -> int:
    """How many operations are in histories that are linearizable. AssertionError where one is not."""
    count = 0
    for name, history in operations(lines).items():
        assert linearizable(history, None, register), (name, sorted(history, key=lambda one: one.began))
        count += len(history)
    return count


def states(truth: Sequence[Truth], revisions: Iterable[int]) -> dict[int, State]:
    """What there was at each revision."""
    found: dict[int, State] = {}
    state: State = {}
    at = 0
    for revision in sorted(set(revisions)):
        while at < len(truth) and truth[at].revision <= revision:
            one = truth[at]
            if one.type == "DELETED":
                del state[one.name]
            else:
                state[one.name] = one.revision, one.text
            at += 1
        found[revision] = dict(state)
    return found


def check_revisions(lines: Sequence[Line], truth: Sequence[Truth]) -> None:
    """Every acknowledged write is in the log at the revision it was told; a list is exactly the state of its revision,
    and that is not older than what was acknowledged before it was asked for. Revisions grow with time."""
    by_revision = {one.revision: one for one in truth}
    writes = [(int(line["revision"]), line) for line in lines if line.get("revision") and line["kind"] != "list"]
    for revision, line in writes:
        text = line["argument"] if line["kind"] != "cas" else line["argument"][1]
        if text is not None:
            assert by_revision[revision].text == text, f"an acknowledged write is not in the log: {line}"
            assert by_revision[revision].name == line["name"]
    lists = [(int(line["revision"]), line) for line in lines if line["kind"] == "list"]
    at = states(truth, (revision for revision, _ in lists))
    for revision, line in lists:
        items = {name: (int(where), text) for name, (where, text) in line["items"].items()}
        assert items == at[revision], f"a list is not the state at its revision {revision}"
    known = sorted([*writes, *lists], key=lambda one: one[1]["began"])
    ended = sorted([*writes, *lists], key=lambda one: one[1]["ended"])
    newest = answered = 0
    for revision, line in known:
        while answered < len(ended) and ended[answered][1]["ended"] < line["began"]:
            newest = max(newest, ended[answered][0])
            answered += 1
        least = newest if line["kind"] == "list" else newest + 1
        assert revision >= least, f"revision {revision} after {newest} was answered: {line}"


def check_watch(lines: Sequence[Line], truth: Sequence[Truth]) -> int:
    """No gap, no change of order, nothing that never was: the events after each list are the log's after its revision,
    up to the last that came. How many events."""
    count = 0
    position = start = 0
    for line in lines:
        revision = int(line["revision"])
        if line["kind"] == "list":
            items = {name: (int(where), text) for name, (where, text) in line["items"].items()}
            assert items == states(truth, [revision])[revision], f"a list is not the state at its revision {revision}"
            position = next((n for n, one in enumerate(truth) if one.revision > revision), len(truth))
            start += 1
        else:
            assert position < len(truth), f"an event that never was: {line}"
            assert truth[position] == Truth(revision, line["name"], line["type"], line["text"]), (truth[position], line)
            position += 1
            count += 1
    assert start
    return count
