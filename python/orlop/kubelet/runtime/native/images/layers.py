"""The unpacked layers of a store: each made in `tmp`, synced, then put in place by a rename and a record."""

import contextlib
import io
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images.abilities import Abilities, probe
from orlop.kubelet.runtime.native.images.layer import Unpacked, Unpacker
from orlop.kubelet.runtime.native.images.layout import Layout, full, sync_file_system, sync_folder
from orlop.kubelet.runtime.native.images.model import bad, chain_ids, digest
from orlop.kubelet.runtime.native.images.streams import (
    CHUNK,
    DAMAGED,
    MAGIC_SIZE,
    Forward,
    Hashed,
    compression,
    decompressed,
)
from orlop.kubelet.runtime.native.images.tree import Tree
from orlop.kubelet.runtime.native.images.work import Stop


class LayerRecord(msgspec.Struct):
    """What lies beside an unpacked layer: without it the layer's folder is garbage."""

    chain_id: str
    diff_id: str
    unpacked: Unpacked


class Layers:
    """The layers of a store. All methods block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._abilities: Abilities | None = None

    @property
    def abilities(self) -> Abilities:
        if self._abilities is None:
            self._abilities = probe(self._layout.tmp)
        return self._abilities

    def record(self, chain_id: str) -> LayerRecord | None:
        """The record of a layer that is there whole. Raises ImageFailure for two layers of one name."""
        try:
            data = self._layout.layer_record(chain_id).read_bytes()
        except FileNotFoundError:
            return None
        record = msgspec.json.decode(data, type=LayerRecord)
        if record.chain_id != chain_id:
            raise bad(f"the layers {chain_id} and {record.chain_id} cannot both be kept; remove the other's image")
        return record

    def records(self) -> Iterator[LayerRecord]:
        """Those of all layers that are there whole."""
        for path in self._layout.layers.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):
                yield msgspec.json.decode(path.read_bytes(), type=LayerRecord)

    def lowers(self, chains: Sequence[str]) -> list[Path]:
        """The folders of a stack of layers, topmost first, those that show. Raises ImageFailure for a missing one."""
        found: list[Path] = []
        for chain_id in reversed(chains):
            record = self.record(chain_id)
            if record is None:
                raise ImageFailure("ImageInspectError", f"the image store has no layer {chain_id}: load or pull again")
            found.append(self._layout.layer(chain_id))
            if record.unpacked.opaque_root:
                break
        return found

    def unpack(self, stop: Stop, blob: Path, diff_id: str | None, below: tuple[str, ...]) -> LayerRecord:
        """Unpacks a blob onto the chain ids `below`, lowest first, unless it is there. Raises ImageFailure.

        With a `diff_id` of None it is the blob's own content that says what the layer is.
        """
        what = f"layer {diff_id}" if diff_id else "the archive"
        work = self._layout.temporary()
        try:
            tree = work / "fs"
            tree.mkdir(mode=0o755)
            lowers = self.lowers(below)
            with (
                open(blob, "rb") as file,
                Tree(tree, lowers, self.abilities.opaque) as target,
            ):
                start = file.read(MAGIC_SIZE)
                file.seek(0)
                # A blob that is not compressed is named by its content already, and was checked when it came.
                known = None if compression(start) else f"sha256:{blob.name}"
                hashed = Hashed(decompressed(file, start), what, stop=stop, known=known)
                source = Forward(io.BufferedReader(hashed, CHUNK))
                unpacked = Unpacker(source, target, self.abilities).run()
            if diff_id is not None and hashed.digest != diff_id:
                raise bad(f"{what} has the content {hashed.digest}: it is damaged or was changed")
            return self._commit(tree, hashed.digest, below, unpacked)
        except DAMAGED as error:
            raise bad(f"failed to unpack {what}: {error}") from error
        except OSError as error:
            raise bad(f"failed to unpack {what}: {reason(error)}") from error
        finally:
            remove_tree(work)

    def _commit(self, tree: Path, diff_id: str, below: tuple[str, ...], unpacked: Unpacked) -> LayerRecord:
        chain_id = digest(f"{below[-1]} {diff_id}".encode()) if below else chain_ids([diff_id])[0]
        if (found := self.record(chain_id)) is not None:
            return found
        record = LayerRecord(chain_id, diff_id, unpacked)
        sync_file_system(tree)
        target = self._layout.layer(chain_id)
        if target.exists():  # left by a crash between the rename and the record
            self.discard(target)
        os.rename(tree, target)
        sync_folder(target.parent)
        self._layout.write(self._layout.layer_record(chain_id), msgspec.json.encode(record))
        return record

    def discard(self, folder: Path) -> Path:
        """Takes a layer's folder out of the way at once; the place in `tmp` where it can be removed at leisure."""
        aside = self._layout.temporary()
        os.rename(folder, aside / "fs")
        return aside


def reason(error: OSError) -> str:
    """An error of the file system, with what to do about a full disk."""
    if full(error):
        return f"no space left on device: free some, or remove images with `orlop image rm` ({error.strerror})"
    return str(error)


def remove_tree(path: Path) -> None:
    """Removes a folder and all in it, folders without permissions of another user than root included."""

    def make_writable(folder: str) -> None:
        for at, folders, _ in os.walk(folder, followlinks=False):
            os.chmod(at, stat.S_IRWXU)
            for name in folders:
                if not os.path.islink(child := os.path.join(at, name)):
                    os.chmod(child, stat.S_IRWXU)

    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except PermissionError:
        make_writable(str(path))
        shutil.rmtree(path)
