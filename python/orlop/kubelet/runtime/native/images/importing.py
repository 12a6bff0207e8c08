"""Makes an image of one layer from an archive of a root file system, as `docker import` does."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any, BinaryIO

from orlop.clock import Clock, rfc3339
from orlop.kubelet.runtime.native.images import platforms
from orlop.kubelet.runtime.native.images.archive import Part
from orlop.kubelet.runtime.native.images.blobs import stage
from orlop.kubelet.runtime.native.images.index import Record
from orlop.kubelet.runtime.native.images.intake import Intake, record_of
from orlop.kubelet.runtime.native.images.model import parse_config
from orlop.kubelet.runtime.native.images.streams import CHUNK, MAGIC_SIZE, compression, decompressed
from orlop.kubelet.runtime.native.images.work import Stop, stoppable

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def import_filesystem(
    intake: Intake, source: Path | BinaryIO, names: list[str], config: dict[str, Any], clock: Clock, work: Path
) -> Record:
    """The image, in the index. `config` is OCI's; without a PATH in it the usual one is set. Raises ImageFailure."""
    part = await stoppable(_staged, source, work / "layer")
    layer = await intake.layer(part, None, ())
    if not any(item.startswith("PATH=") for item in config.get("Env", [])):
        config = {**config, "Env": [_DEFAULT_PATH, *config.get("Env", [])]}
    architecture, variant = platforms.here()
    now = rfc3339(clock.now())
    document = {
        "created": now,
        "architecture": architecture,
        **({"variant": variant} if variant else {}),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": now, "comment": "imported by orlop"}],
    }
    data = json.dumps(document).encode()
    image_id = await asyncio.to_thread(intake.blobs.put, data)
    return await intake.enter(record_of(image_id, parse_config(data, image_id), [part], [layer]), names, ())


def _staged(stop: Stop, source: Path | BinaryIO, target: Path) -> Part:
    if isinstance(source, Path):
        with open(source, "rb") as file:
            return _staged(stop, file, target)
    buffered = io.BufferedReader(source, CHUNK)  # type: ignore[type-var]
    start = buffered.peek(MAGIC_SIZE)[:MAGIC_SIZE]
    # What no media type of the image specification stands for is kept uncompressed.
    keep = compression(start) in ("", "gzip", "zstd")
    digest, size = stage(stop, buffered if keep else decompressed(buffered, start), target, "the archive")
    return Part(target, digest, size)
