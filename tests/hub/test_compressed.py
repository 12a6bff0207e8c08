"""Compressed lists are joins of blocks: every reader of gzip must take them for one member."""

import gzip
import hashlib
import io
import os
import random
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from orlop.native import Hub

GO = """package main

import ("compress/gzip"; "crypto/sha256"; "fmt"; "io"; "os"; "bufio")

func main() {
    in := bufio.NewReader(os.Stdin)
    r, err := gzip.NewReader(in)
    if err != nil { panic(err) }
    r.Multistream(false)
    h := sha256.New()
    if _, err := io.Copy(h, r); err != nil { panic(err) }
    if _, err := in.ReadByte(); err != io.EOF { panic("more than one member") }
    fmt.Printf("%x", h.Sum(nil))
}
"""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def whole(data: bytes) -> str:
    return digest(gzip.decompress(data))


def file(data: bytes) -> str:
    """A reader that asks for a little at a time."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as one:
        return digest(b"".join(iter(lambda: one.read(1000), b"")))


def streaming(data: bytes) -> str:
    """zlib fed with pieces of all sizes, down to single bytes, as they come from a socket."""
    pieces, out, at = random.Random(7), hashlib.sha256(), 0
    one = zlib.decompressobj(wbits=31)
    while at < len(data):
        size = pieces.choice([1, 2, 3, 17, 1000, 16384])
        out.update(one.decompress(data[at : at + size]))
        at += size
    assert one.eof
    assert not one.unused_data
    return out.hexdigest()


def program(data: bytes) -> str:
    return digest(subprocess.run(["gzip", "-d", "-c"], input=data, capture_output=True, check=True).stdout)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], str]:
    """Go's compress/gzip, which kubectl and client-go read with."""
    if shutil.which("go") is None:
        pytest.skip("Go is not here")
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text(GO)
    env = {**os.environ, "GOTOOLCHAIN": "local", "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", "reader", "main.go"], cwd=folder, env=env, check=True, timeout=100)

    def read(data: bytes) -> str:
        return subprocess.run([folder / "reader"], input=data, capture_output=True, check=True).stdout.decode()

    return read


class World:
    """A hub whose objects change."""

    def __init__(self) -> None:
        self.hub = Hub(1000)
        self.hub.declare("configmaps", [], True, "v1", "ConfigMap")
        self.revision = 0
        self.random = random.Random(3)

    def write(self, name: str, size: int, kind: int = 2) -> None:
        self.revision += 1
        # Text that packs well, and text that does not.
        text = "x" * size if self.random.random() < 0.5 else self.random.randbytes(size // 2).hex()
        value = b'{"metadata":{"name":"%b","resourceVersion":"%d"},"d":"%b"}' % (
            name.encode(),
            self.revision,
            text.encode(),
        )
        self.hub.apply([("configmaps", "n", name, self.revision, kind, value)])

    def change(self) -> None:
        for _ in range(40):
            self.write(f"c{self.random.randrange(2000):05}", self.random.randrange(1500), self.random.choice([2, 3]))

    def lists(self) -> tuple[bytes, bytes]:
        """(as text, compressed)"""
        found = self.hub.list("configmaps", None)
        return found.join(b'{"items":[', b"]}"), found.gzip(b'{"items":[', b"]}")


def check(read: Callable[[bytes], str]) -> None:
    world = World()
    plain, packed = world.lists()
    assert read(packed) == digest(plain)
    for n in range(2000):
        world.write(f"c{n:05}", world.random.randrange(1500))
    for _ in range(5):
        plain, packed = world.lists()
        assert read(packed) == digest(plain)
        assert len(packed) < len(plain)
        world.change()


@pytest.mark.parametrize("read", [whole, file, streaming, program])
def test_readers(read: Callable[[bytes], str]) -> None:
    check(read)


def test_go(go: Callable[[bytes], str], tmp_path: Path) -> None:
    check(go)
