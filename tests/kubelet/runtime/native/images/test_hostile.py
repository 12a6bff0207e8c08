"""Archives made to harm: none reaches anything outside its layer, and none takes more than it may."""

import gzip
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.kubelet.runtime.native.images import making, overlays, trees

from orlop.clock import SystemClock
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import ImageStore, layer as layers, streams

SECRET = b"nobody's business"


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """A store beside a file that archives try to reach."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    return ImageStore(tmp_path / "store", SystemClock())


async def unpacked(store: ImageStore, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """The folder that the layer becomes."""
    return await loaded(store, making.layer(*members))


async def loaded(store: ImageStore, *data: bytes) -> Path:
    [image] = await store.load(io.BytesIO(making.docker_archive({"bad:1": data})))
    return (await store.lowerdirs(image))[0]


def outside(store: ImageStore) -> dict[str, trees.Node]:
    return trees.of_folder(store.layout.root.parent / "outside")


def left(store: ImageStore) -> list[str]:
    """What a refused archive has left in the store."""
    layout = store.layout
    kept = [*layout.blobs.iterdir(), *layout.tmp.iterdir(), *layout.partial.iterdir(), *layout.layers.iterdir()]
    return [path.name for path in kept if path != layout.empty]


def up(store: ImageStore) -> str:
    """A path that leads out of a layer's folder to the file beside the store, wherever the layer is unpacked."""
    return "../" * 40 + str(store.layout.root.parent / "outside" / "secret").lstrip("/")


Members = Callable[[ImageStore], list[tuple[tarfile.TarInfo, bytes]]]

REFUSED: dict[str, tuple[Members, str]] = {
    "a name above the root": (lambda s: [making.member(up(s), b"evil")], "outside of the image"),
    "a name that goes down and up": (lambda s: [making.member("a/../../b", b"evil")], "outside of the image"),
    "a folder above the root": (lambda s: [making.member("..", None)], "outside of the image"),
    "a link to a file above the root": (lambda s: [making.link("l", up(s), hard=True)], "outside of the image"),
    "a link to a file that a link leads to": (
        lambda s: [making.link("d", up(s).rpartition("/")[0]), making.link("l", "d/secret", hard=True)],
        "which it lacks",
    ),
    "a link to the root": (lambda s: [making.link("l", "/", hard=True)], "hard link 'l' to a folder"),
    "links in a circle": (
        lambda s: [making.link("a", "b"), making.link("b", "a"), making.member("a/x", b"")],
        "too many symbolic links",
    ),
    "links that multiply": (
        lambda s: [making.link(f"l{n}", f"l{n + 1}/l{n + 1}") for n in range(60)] + [making.member("l0/x", b"")],
        "too many symbolic links|folders within each other",
    ),
    "folders without end": (lambda s: [making.member("d/" * 400 + "x", b"")], "folders within each other"),
    "files below a file": (lambda s: [making.member("f", b""), making.member("f/x", b"")], "is not a folder"),
    "a whiteout of the folder itself": (lambda s: [making.member(".wh...", b"")], "whiteout of"),
    "a whiteout of nothing": (lambda s: [making.member(".wh.", b"")], "whiteout of"),
    "an unknown type": (lambda s: [making.member("x", b"", type=b"Z")], "unknown type"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_refused(store: ImageStore, what: str) -> None:
    members, why = REFUSED[what]
    before = outside(store)
    with pytest.raises(ImageFailure, match=why) as caught:
        await unpacked(store, *members(store))
    assert caught.value.reason == "ErrImagePull"
    assert outside(store) == before
    assert left(store) == []
    assert await store.list() == []


async def test_links_are_followed_within_the_layer(store: ImageStore) -> None:
    target = up(store).rpartition("/")[0]
    before = outside(store)
    root = await unpacked(
        store,
        making.link("relative", target),
        making.member("relative/secret", b"mine"),
        making.link("absolute", "/" + target.replace("../", "")),
        making.member("absolute/other", b"mine too"),
        making.link("up", "../../.."),
        making.member("up/top", b"at the top"),
    )
    assert outside(store) == before
    inside = root / target.replace("../", "")
    assert (inside / "secret").read_bytes() == b"mine"
    assert (inside / "other").read_bytes() == b"mine too"
    assert (root / "top").read_bytes() == b"at the top"


async def test_a_file_replaces_a_link_and_is_not_written_through_it(store: ImageStore) -> None:
    before = outside(store)
    secret = str(store.layout.root.parent / "outside" / "secret")
    root = await unpacked(
        store,
        making.link("l", secret),
        making.link("h", "l", hard=True),
        making.member("l", b"evil", mode=0o777),
        making.member("h", b"evil", mode=0o777),
        making.link("d", str(store.layout.root.parent / "outside")),
        making.member("d", None, mode=0o777),
    )
    assert outside(store) == before
    assert (root / "l").read_bytes() == b"evil"
    assert not (root / "l").is_symlink()
    assert (root / "d").is_dir()
    assert not (root / "d").is_symlink()


async def test_mode_and_owner_go_to_a_link_and_not_to_where_it_leads(store: ImageStore) -> None:
    before = outside(store)
    secret = str(store.layout.root.parent / "outside" / "secret")
    await unpacked(store, making.member("l", b"", type=tarfile.SYMTYPE, linkname=secret, mode=0o777, uid=1, gid=1))
    assert outside(store) == before


async def test_an_absolute_name_is_below_the_root(store: ImageStore) -> None:
    root = await unpacked(store, making.member("/etc/passwd", b"x"), making.member("./a/./b/../c", b"y"))
    assert (root / "etc/passwd").read_bytes() == b"x"
    assert (root / "a/c").read_bytes() == b"y"


@pytest.mark.root
@overlays.needs_root
async def test_attributes_that_steer_overlayfs_are_left_out(store: ImageStore) -> None:
    evil = {f"SCHILY.xattr.{space}.overlay.{n}": "/" for n in ("redirect", "metacopy") for space in ("trusted", "user")}
    root = await unpacked(store, making.member("d", None, pax_headers={**evil, "SCHILY.xattr.user.fine": "1"}))
    assert os.listxattr(root / "d") == ["user.fine"]


async def test_a_bomb(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_LAYER_SIZE", 1_000_000)
    bomb = gzip.compress(making.layer(making.member("zeros", b"\0" * 2_000_000)))
    with pytest.raises(ImageFailure, match="is larger than 1000000 bytes"):
        await store.import_filesystem(io.BytesIO(bomb))
    assert left(store) == []


async def test_too_many_files(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_ENTRIES", 10)
    with pytest.raises(ImageFailure, match="more than 10 files"):
        await unpacked(store, *(making.member(str(n)) for n in range(11)))
    assert left(store) == []


def header(**fields: object) -> bytes:
    info, _ = making.member("x", b"")
    for key, value in fields.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        header(type=tarfile.XHDTYPE, size=1 << 40) + b"\0" * 5_000_000,
        header(type=tarfile.GNUTYPE_LONGNAME, size=1 << 40) + b"a" * 5_000_000,
        header(size=-1) + b"\0" * 1024,
        header(size=-(1 << 62)) + b"\0" * 1024,
        header(size=1000) + b"short",
        header() + b"rubbish" * 1000,
        header()[:300],
        b"rubbish" * 1000,
        gzip.compress(making.layer(making.member("x", b"x" * 5000)))[:-20],
        gzip.compress(making.layer(making.member("x", b"x" * 5000)))[:-8] + b"\0" * 8,
        b"\x28\xb5\x2f\xfd" + b"rubbish" * 100,
        making.layer(making.member("x", b"", pax_headers={"mtime": "1e999999999"})),
        making.layer(making.member("x", b"", pax_headers={"mtime": "nan"})),
        making.layer(making.member("x", b"", pax_headers={"GNU.sparse.map": "-5,10", "GNU.sparse.size": "9"})),
    ],
    ids=range(14),
)
async def test_damaged_archives(store: ImageStore, data: bytes) -> None:
    with pytest.raises(ImageFailure):
        await store.import_filesystem(io.BytesIO(data))
    assert left(store) == []


MANIFESTS: dict[str, object] = {
    "another's file": [{"Config": "../../../outside/secret", "Layers": []}],
    "an absolute path": [{"Config": "/etc/passwd", "Layers": []}],
    "a link to outside": [{"Config": "link", "Layers": []}],
    "no list": {"Config": "x"},
    "not what it should be": [{"Config": 5, "Layers": "abc"}],
    "no configuration": [{}],
    "nothing in it": ["x"],
}


@pytest.mark.parametrize("what", MANIFESTS)
async def test_manifests_that_point_elsewhere(store: ImageStore, what: str) -> None:
    archive = making.layer(
        making.member("manifest.json", json.dumps(MANIFESTS[what]).encode()),
        making.link("link", str(store.layout.root.parent / "outside" / "secret")),
    )
    with pytest.raises(ImageFailure):
        await store.load(io.BytesIO(archive))
    assert left(store) == []


async def test_a_folder_with_links_to_outside(store: ImageStore, tmp_path: Path) -> None:
    files = making.oci_files([making.layer(making.member("x"))])
    folder = making.write_folder(files, tmp_path / "layout")
    blob = next(path for path in (folder / "blobs/sha256").iterdir() if path.read_bytes()[:2] == b"\x1f\x8b")
    (tmp_path / "outside" / "blob").write_bytes(blob.read_bytes())
    blob.unlink()
    blob.symlink_to(tmp_path / "outside" / "blob")
    with pytest.raises(ImageFailure, match="but does not have it"):
        await store.load(folder)


CONFIGS: list[object] = [
    [],
    {"rootfs": []},
    {"rootfs": {"diff_ids": ["sha256:x"]}},
    {"rootfs": {"diff_ids": [5]}},
    {"rootfs": {"diff_ids": ["sha256:" + "0" * 64] * 200}},
    {"config": {"Env": "x"}, "rootfs": {"diff_ids": []}},
    {"config": {"Cmd": [1]}, "rootfs": {"diff_ids": []}},
    {"config": {"Volumes": ["x"]}, "rootfs": {"diff_ids": []}},
    {"config": 7, "rootfs": {"diff_ids": []}},
]


@pytest.mark.parametrize("document", CONFIGS, ids=range(len(CONFIGS)))
async def test_configurations(store: ImageStore, document: object) -> None:
    archive = making.docker_archive({"x:1": []}, {"x:1": json.dumps(document).encode()})
    with pytest.raises(ImageFailure):
        await store.load(io.BytesIO(archive))
    assert left(store) == []


GOOD = making.docker_archive(
    {
        "fine:1": [
            making.layer(
                making.member("a", None),
                making.member("a/b", b"x" * 600),
                making.link("l", "a"),
                making.member("é" * 120),
            ),
            making.layer(making.member("a/.wh.b")),
        ]
    }
)


@settings(
    max_examples=int(os.environ.get("ORLOP_CAMPAIGN", "1")) * 40, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=12)), min_size=1, max_size=6
    ),
    cut=st.none() | st.integers(0, len(GOOD)),
)
async def test_any_damage_is_refused_or_harmless(edits: list[tuple[int, bytes]], cut: int | None) -> None:
    data = bytearray(GOOD)
    for at, text in edits:
        data[at : at + len(text)] = text
    with tempfile.TemporaryDirectory() as name:
        store = ImageStore(Path(name) / "store", SystemClock())
        try:
            await store.load(io.BytesIO(bytes(data[:cut])))
        except ImageFailure:
            assert left(store) == []
        assert os.listdir(name) == ["store"]
        for image in await store.list():
            assert await store.lowerdirs(image)
