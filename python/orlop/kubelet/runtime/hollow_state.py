"""What a simulated node remembers: its sandboxes, containers and images, in memory and in a file that outlives it.

The file is a journal: one JSON line per change, the last line of an id counts; it is written anew when it is opened. It
is not synced: a simulated node may forget its last moments when the machine itself goes down.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

import msgspec

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import LABEL_POD_UID
from orlop.kubelet.runtime.hollow_stages import Stage

Row = TypeVar("Row")


class Sandbox(msgspec.Struct, kw_only=True, tag="sandbox"):
    """One simulated sandbox."""

    id: str
    config: v.PodSandboxConfig
    created_at: int
    ips: tuple[str, ...] = ()
    state: v.SandboxState = "ready"


class Container(msgspec.Struct, kw_only=True, tag="container"):
    """One simulated container. `ends_at` is when it ends by itself (0: never), `end_code` and `end_reason` how."""

    id: str
    sandbox_id: str
    config: v.ContainerConfig
    image_id: str
    stage: Stage
    created_at: int
    resources: v.Resources
    state: v.ContainerState = "created"
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    ends_at: int = 0


class Image(msgspec.Struct, kw_only=True, tag="image"):
    """One name of a simulated image."""

    name: str
    id: str
    size: int = 1 << 20


class Gone(msgspec.Struct, kw_only=True, tag="gone"):
    """A sandbox, a container (by id) or an image (by name) that was removed."""

    id: str


_DECODER = msgspec.json.Decoder(Sandbox | Container | Image | Gone)


class Index(Generic[Row]):
    """Rows by a value, those of a value in the order in which they were made."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Row]] = {}

    def of(self, value: str) -> list[Row]:
        return list(self._groups.get(value, {}).values())

    def put(self, value: str, id: str, row: Row) -> None:
        self._groups.setdefault(value, {})[id] = row

    def take(self, value: str, id: str) -> None:
        group = self._groups.get(value, {})
        group.pop(id, None)
        if not group:
            self._groups.pop(value, None)


class State:
    """The tables, and the journal when there is a `path`. Changes of a row count once `keep` is called."""

    def __init__(self, path: Path | None) -> None:
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, Container] = {}
        self.images: dict[str, Image] = {}
        self.sandboxes_of: Index[Sandbox] = Index()
        """By the pod's uid, as their labels say."""
        self.containers_of: Index[Container] = Index()
        self.containers_in: Index[Container] = Index()
        """By sandbox."""
        self._path = path
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Reads what an earlier run left. Blocks; a line cut off by a crash is left out."""
        if self._path is None or self._file is not None:
            return
        for row in self._lines():
            self._apply(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        rows: list[Sandbox | Container | Image] = [
            *self.sandboxes.values(),
            *self.containers.values(),
            *self.images.values(),
        ]
        fresh.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        fresh.replace(self._path)
        self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def keep(self, row: Sandbox | Container | Image) -> None:
        """Puts a new or changed row into its table and the journal."""
        self._apply(row)
        self._append(row)

    def drop(self, key: str) -> None:
        """Takes a row away."""
        self._apply(Gone(id=key))
        self._append(Gone(id=key))

    def _apply(self, row: Sandbox | Container | Image | Gone) -> None:
        match row:
            case Sandbox():
                self.sandboxes[row.id] = row
                self.sandboxes_of.put(_uid(row), row.id, row)
            case Container():
                self.containers[row.id] = row
                self.containers_of.put(_uid(row), row.id, row)
                self.containers_in.put(row.sandbox_id, row.id, row)
            case Image():
                self.images[row.name] = row
            case Gone():
                if (sandbox := self.sandboxes.pop(row.id, None)) is not None:
                    self.sandboxes_of.take(_uid(sandbox), row.id)
                if (container := self.containers.pop(row.id, None)) is not None:
                    self.containers_of.take(_uid(container), row.id)
                    self.containers_in.take(container.sandbox_id, row.id)
                self.images.pop(row.id, None)

    def _append(self, row: Sandbox | Container | Image | Gone) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(row) + b"\n")

    def _lines(self) -> Iterator[Sandbox | Container | Image | Gone]:
        assert self._path is not None
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                yield _DECODER.decode(line)
            except msgspec.MsgspecError:
                continue


def _uid(row: Sandbox | Container) -> str:
    return row.config.labels.get(LABEL_POD_UID, "")
