"""Any history of layers, unpacked and mounted, is what a plain model of layers and whiteouts says."""

import asyncio
import os
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from tests.kubelet.runtime.native.images import making, overlays, trees

from orlop.clock import SystemClock
from orlop.kubelet.runtime.native.images import ImageStore

pytestmark = [pytest.mark.root, overlays.needs_root]

NAMES = ["a", "b", "c"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)


class Put(msgspec.Struct, frozen=True):
    """A member: a file with a content, or a folder (None) of a mode."""

    path: tuple[str, ...]
    content: str | None
    mode: int


class Gone(msgspec.Struct, frozen=True):
    """A whiteout of one name."""

    path: tuple[str, ...]


class Opaque(msgspec.Struct, frozen=True):
    """A folder without what is below."""

    path: tuple[str, ...]


Entry = Put | Gone | Opaque
entries = st.one_of(
    st.builds(Put, paths, st.none() | st.sampled_from(["x", "y"]), st.sampled_from([0o755, 0o700, 0o644])),
    st.builds(Gone, paths),
    st.builds(Opaque, st.just(()) | paths),
)
layers = st.lists(st.lists(entries, max_size=6), min_size=1, max_size=4)

State = dict[tuple[str, ...], tuple[str | None, int]]


def remove(state: State, path: tuple[str, ...]) -> None:
    for other in [p for p in state if p[: len(path)] == path]:
        del state[other]


def fits(layer: list[Entry]) -> bool:
    """Whether a tool could have written it: no member below a file of the same layer."""
    files: set[tuple[str, ...]] = set()
    for entry in layer:
        above = entry.path if isinstance(entry, Opaque) else entry.path[:-1]
        if any(above[:n] in files for n in range(1, len(above) + 1)):
            return False
        if isinstance(entry, Put):
            files.discard(entry.path)
            if entry.content is not None:
                files.add(entry.path)
    return True


def model(history: list[list[Entry]]) -> State:
    """What is to be seen: each layer first takes away what it hides of the ones below, then puts its own."""
    state: State = {}
    for layer in history:
        below = dict(state)
        own: State = {}
        hidden: set[tuple[str, ...]] = set()
        for entry in layer:
            above = entry.path if isinstance(entry, Opaque) else entry.path[:-1]
            for n in range(1, len(above) + 1):
                folder = above[:n]
                if folder not in own:  # implied: as it was below, unless that is hidden or no folder
                    parents = (folder[:i] for i in range(1, n + 1))
                    shown = not any(p in hidden or below.get(p, ("", 0))[0] is not None for p in parents)
                    was = below.get(folder)
                    own[folder] = (None, was[1]) if was is not None and was[0] is None and shown else (None, 0o755)
            if isinstance(entry, Put):
                known = own.get(entry.path)
                if entry.content is not None or (known is not None and known[0] is not None):
                    remove(own, entry.path)
                own[entry.path] = (entry.content, entry.mode)
            elif isinstance(entry, Gone):
                hidden.add(entry.path)
        for entry in layer:
            if isinstance(entry, Gone):
                remove(state, entry.path)
            elif isinstance(entry, Opaque):
                for path in [p for p in state if len(p) > len(entry.path) and p[: len(entry.path)] == entry.path]:
                    remove(state, path)
        for path, (content, mode) in own.items():
            old = state.get(path)
            if content is not None or (old is not None and old[0] is not None):
                remove(state, path)
            state[path] = (content, mode)
    return state


def archive(layer: list[Entry]) -> bytes:
    found = []
    for entry in layer:
        *above, name = entry.path or ("",)
        at = "/".join(above) + "/" if above else ""
        match entry:
            case Put(content=None):
                found.append(making.member(at + name, None, mode=entry.mode))
            case Put():
                found.append(making.member(at + name, (entry.content or "").encode(), mode=entry.mode))
            case Gone():
                found.append(making.member(at + ".wh." + name))
            case Opaque():
                found.append(making.member("/".join((*entry.path, ".wh..wh..opq"))))
    return making.layer(*found)


def seen(root: Path) -> State:
    return {
        tuple(name.split("/")): ((root / name).read_text() if node.kind == "file" else None, node.mode)
        for name, node in trees.of_folder(root).items()
        if name != "."
    }


@settings(
    max_examples=int(os.environ.get("ORLOP_CAMPAIGN", "1")) * 60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(history=layers.map(lambda history: [layer for layer in history if fits(layer)]).filter(bool))
@example([[Put(("a", "b"), "x", 0o644)], [Gone(("a", "b")), Put(("a", "b"), None, 0o755)]])
@example([[Put(("a", "b"), "x", 0o644)], [Gone(("a",)), Put(("a", "c"), "y", 0o644)]])
@example([[Put(("a", "b"), "x", 0o644)], [Put(("a", "c"), "y", 0o644), Gone(("a",))]])
@example([[Put(("a", "b"), "x", 0o644)], [Opaque(())], [Put(("a", "c"), "y", 0o644)]])
@example([[Put(("b", "c"), None, 0o755)], [Opaque(()), Gone(("b", "c"))]])
@example([[Put(("a",), None, 0o700)], [Put(("a", "b"), "y", 0o644)]])
@example([[Put(("a", "b"), "x", 0o644)], [Put(("a",), "f", 0o644)], [Put(("a",), None, 0o755)]])
def test_any_history_is_what_the_model_says(history: list[list[Entry]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = making.docker_archive({"any:1": [archive(layer) for layer in history]})
        (folder / "image.tar").write_bytes(image)

        async def lowerdirs() -> list[Path]:
            store = ImageStore(folder / "store", SystemClock())
            [loaded] = await store.load(folder / "image.tar")
            return await store.lowerdirs(loaded)

        with overlays.mounted(asyncio.run(lowerdirs()), folder / "mount") as merged:
            assert seen(merged) == model(history)
