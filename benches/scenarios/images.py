"""An image of one layer, 178 MB in 6,000 files: loaded into the store beside what GNU tar and a Docker Engine take.

GNU tar only unpacks. `orlop image load` copies and hashes the archive, unpacks it, hashes what it unpacks and syncs the
file system before it says that the image is there; `unpack` is the part that GNU tar does. `docker load` unpacks and
hashes, and syncs nothing. Each in turns, the median shown; seconds passed, and seconds of CPU where they are ours.
"""

import asyncio
import hashlib
import io
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.clock import SystemClock
from orlop.kubelet.runtime.native.images import ImageStore, layers

FILES = 6_000
SIZE = int(os.environ.get("ORLOP_BENCH_IMAGE_MB", "178")) * 1_000_000
ROUNDS = int(os.environ.get("ORLOP_BENCH_ROUNDS", "3"))


def layer(target: Path) -> None:
    """Files as programs and libraries are: most small, a few large, half of their content compressible."""
    chance = random.Random(1)
    weights = [chance.paretovariate(1.1) for _ in range(FILES)]
    scale = SIZE / sum(weights)
    noise = chance.randbytes(1 << 20)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for number, weight in enumerate(weights):
            info = tarfile.TarInfo(f"usr/lib/part{number % 300:03}/file{number}")
            info.size, info.mode, info.mtime = int(weight * scale), 0o644, 1_000_000_000
            start = chance.randrange(1 << 19)
            piece = noise[start : start + 4096] + b"the same again and again " * 164
            archive.addfile(info, io.BytesIO((piece * (info.size // len(piece) + 1))[: info.size]))


def docker_archive(blob: Path, diff_id: str, target: Path) -> None:
    """The layer as the only one of an image, as `docker save` would write it."""
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    ).encode()
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["orlop-bench/big:1"], "Layers": ["l/layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        for name, data in (("c.json", config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        archive.add(blob, "l/layer.tar")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    passed, cpu = time.perf_counter(), used()
    work()
    return time.perf_counter() - passed, used() - cpu


def used() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both)


def gnu_tar(blob: Path, folder: Path) -> None:
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xf", blob], check=True)


def load(archive: Path, folder: Path, unpacking: list[tuple[float, float]]) -> None:
    store = ImageStore(folder, SystemClock())
    plain = layers.Unpacker.run
    layers.Unpacker.run = lambda self: measured(lambda: plain(self), unpacking)  # type: ignore[method-assign]
    try:
        asyncio.run(store.load(archive))
    finally:
        layers.Unpacker.run = plain  # type: ignore[method-assign]


def measured(work, into):  # type: ignore[no-untyped-def]
    found = []
    into.append(timed(lambda: found.append(work())))
    return found[0]


def docker_load(archive: Path) -> None:
    subprocess.run(["docker", "load", "-q", "-i", archive], check=True, capture_output=True)
    subprocess.run(["docker", "rmi", "-f", "orlop-bench/big:1"], check=True, capture_output=True)


def has_docker() -> bool:
    return shutil.which("docker") is not None and not machine.without_engine()


def main() -> None:
    print(machine.line())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = folder / "layer.tar"
        layer(plain)
        diff_id = "sha256:" + hashlib.sha256(plain.read_bytes()).hexdigest()
        subprocess.run(["gzip", "-6", "-k", plain], check=True)
        blobs = {"plain": plain, "gzip": folder / "layer.tar.gz"}
        if shutil.which("zstd"):
            subprocess.run(["zstd", "-q", "-k", plain], check=True)
            blobs["zstd"] = folder / "layer.tar.zst"
        print(f"{'layer':<6} {'bytes':>11}  {'GNU tar':>15}  {'unpack':>15}  {'load':>15}  {'docker load':>11}")
        for kind, blob in blobs.items():
            archive = folder / "image.tar"
            docker_archive(blob, diff_id, archive)
            tar, whole, docker = [], [], []
            unpacking: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                tar.append(timed(lambda: gnu_tar(blob, folder / "out")))  # noqa: B023
                whole.append(timed(lambda: load(archive, folder / "store", unpacking)))  # noqa: B023
                if has_docker() and kind != "zstd":
                    docker.append(timed(lambda: docker_load(archive)))  # noqa: B023
                shutil.rmtree(folder / "out")
                shutil.rmtree(folder / "store")
            cells = [f"{median(rows, 0):6.2f}s {median(rows, 1):4.2f}cpu" for rows in (tar, unpacking, whole)]
            shown = f"{median(docker, 0):10.2f}s" if docker else f"{'-':>11}"
            print(f"{kind:<6} {blob.stat().st_size:>11}  {'  '.join(cell.rjust(15) for cell in cells)}  {shown}")


def median(rows: list[tuple[float, float]], column: int) -> float:
    return statistics.median(row[column] for row in rows)


if __name__ == "__main__":
    main()
