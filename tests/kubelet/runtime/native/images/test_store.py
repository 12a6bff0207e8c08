"""What the store promises: names, ids, holds, removal, archives in and out."""

import asyncio
import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest
from tests.kubelet.runtime.native.images import making, overlays, trees
from tests.support import docker_engine

from orlop.clock import FakeClock, SystemClock
from orlop.kubelet.runtime.base import ImageFailure, RuntimeFailure
from orlop.kubelet.runtime.native.images import ImageConfig, ImageStore, changes, garbage, host

BASE = making.layer(making.member("etc", None), making.member("etc/os", b"base"))
TOP = making.layer(making.member("etc/app", b"app"))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store", SystemClock())


async def load(store: ImageStore, name: str, *layers: bytes, **config: Any) -> str:
    """Takes an image in; its id."""
    document = making.config(layers, **config)
    [image] = await store.load(io.BytesIO(making.docker_archive({name: layers}, {name: document})))
    assert image.id == making.digest(document)
    return image.id


def layers(store: ImageStore) -> int:
    return len([path for path in store.layout.layers.iterdir() if path.is_dir() and path != store.layout.empty])


# Names


@pytest.mark.parametrize(
    "reference",
    [
        "busybox",
        "busybox:latest",
        "library/busybox",
        "docker.io/busybox",
        "docker.io/library/busybox:latest",
        "index.docker.io/library/busybox",
    ],
)
async def test_one_image_has_many_spellings(store: ImageStore, reference: str) -> None:
    image_id = await load(store, "busybox:latest", BASE)
    found = await store.resolve(reference)
    assert found is not None
    assert (found.id, found.names) == (image_id, ("busybox:latest",))


async def test_ids_and_beginnings_of_ids(store: ImageStore) -> None:
    first = await load(store, "a:1", BASE)
    await load(store, "b:1", BASE, TOP)
    for reference in (first, first[7:], first[:20], first[7:19]):
        found = await store.resolve(reference)
        assert found is not None
        assert found.id == first
    assert await store.resolve("sha256:" + "0" * 64) is None
    assert await store.resolve("0" * 64) is None


async def test_a_beginning_that_several_have(store: ImageStore) -> None:
    number = 0
    starts: dict[str, str] = {}
    while True:
        image_id = await load(store, f"n{number}:1", BASE, Labels={"n": str(number)})
        if (start := image_id[7:9]) in starts:
            break
        starts[start] = image_id
        number += 1
    with pytest.raises(ImageFailure, match="2 images have an id that begins so; give more of it"):
        await store.resolve(start)


@pytest.mark.parametrize("reference", ["", "UPPER", "a b", "a:", "-x", "a@sha256:12"])
async def test_no_names(store: ImageStore, reference: str) -> None:
    with pytest.raises(ImageFailure) as caught:
        await store.resolve(reference)
    assert caught.value.reason == "InvalidImageName"


async def test_what_is_not_there(store: ImageStore) -> None:
    assert await store.resolve("nothing:1") is None
    assert await store.list() == []
    await store.remove("nothing:1")


async def test_a_name_moves(store: ImageStore) -> None:
    old = await load(store, "app:1", BASE)
    new = await load(store, "app:1", BASE, TOP)
    assert [(image.id, image.names) for image in await store.list()] == [(old, ()), (new, ("app:1",))]
    assert [image.id for image in await store.prune()] == [old]
    assert [image.id for image in await store.list()] == [new]


async def test_tags(store: ImageStore) -> None:
    image_id = await load(store, "app:1", BASE)
    await store.tag("app:1", "registry.example:5000/team/app")
    await store.tag(image_id[7:15], "app:1")
    found = await store.resolve("registry.example:5000/team/app:latest")
    assert found is not None
    assert found.names == ("app:1", "registry.example:5000/team/app:latest")
    for reference, name in (
        ("nothing", "x"),
        ("app:1", "host"),
        ("host", "x"),
        ("app:1", "X"),
        ("app:1", "a@" + image_id),
    ):
        with pytest.raises(ImageFailure):
            await store.tag(reference, name)


# The configuration


async def test_the_configuration(store: ImageStore) -> None:
    await load(
        store,
        "app:1",
        BASE,
        User="1000:2000",
        Env=["A=1", "B="],
        Entrypoint=["/init"],
        Cmd=["serve", "-p", "80"],
        WorkingDir="/srv",
        Labels={"k": "v"},
        StopSignal="SIGINT",
        Volumes={"/data": {}},
    )
    image = await store.resolve("app:1")
    assert image is not None
    assert image.config == ImageConfig(
        user="1000:2000",
        env=("A=1", "B="),
        entrypoint=("/init",),
        cmd=("serve", "-p", "80"),
        working_dir="/srv",
        labels={"k": "v"},
        stop_signal="SIGINT",
        volumes=("/data",),
    )


async def test_null_everywhere(store: ImageStore) -> None:
    await load(store, "app:1", BASE, User=None, Env=None, Entrypoint=None, Cmd=None, Labels=None, Volumes=None)
    image = await store.resolve("app:1")
    assert image is not None
    assert image.config == ImageConfig()


# Layers


async def test_layers_are_shared_and_go_with_the_last_image(store: ImageStore) -> None:
    await load(store, "base:1", BASE)
    await load(store, "app:1", BASE, TOP)
    assert layers(store) == 2
    base, app = await store.resolve("base:1"), await store.resolve("app:1")
    assert base is not None
    assert app is not None
    assert (await store.lowerdirs(app))[1:] == await store.lowerdirs(base)
    before = await store.usage()
    await store.remove("app:1")
    assert layers(store) == 1
    after = await store.usage()
    assert 0 < after.used_bytes < before.used_bytes
    assert 0 < after.inodes_used < before.inodes_used
    with pytest.raises(ImageFailure, match="load or pull again"):
        await store.lowerdirs(app)
    await store.remove("base:1")
    assert layers(store) == 0
    assert list(store.layout.blobs.iterdir()) == []


async def test_one_layer_on_different_ones_below_is_unpacked_for_each(store: ImageStore) -> None:
    """A folder that the upper layer only implies looks as in the layer below: another in each image."""
    below = [making.layer(making.member("d", None, mode=mode)) for mode in (0o700, 0o711)]
    top = making.layer(making.member("d/x"))
    for number, layer in enumerate(below):
        await load(store, f"n{number}:1", layer, top)
        image = await store.resolve(f"n{number}:1")
        assert image is not None
        assert (await store.lowerdirs(image))[0].joinpath("d").stat().st_mode & 0o777 == (0o700, 0o711)[number]


async def test_an_image_without_layers(store: ImageStore) -> None:
    await load(store, "nothing:1")
    image = await store.resolve("nothing:1")
    assert image is not None
    [lower] = await store.lowerdirs(image)
    assert list(lower.iterdir()) == []
    await store.remove("nothing:1")
    assert lower.is_dir()


@pytest.mark.root
@overlays.needs_root
async def test_as_many_layers_as_there_may_be(store: ImageStore, tmp_path: Path) -> None:
    many = [making.layer(making.member(f"n{n}", str(n).encode())) for n in range(127)]
    await load(store, "many:1", *many)
    image = await store.resolve("many:1")
    assert image is not None
    assert await store.mount_options() == ()
    with overlays.mounted(await store.lowerdirs(image), tmp_path / "mount") as merged:
        assert len(list(merged.iterdir())) == 127
    with pytest.raises(ImageFailure, match="no more than 127"):
        await load(store, "more:1", *many, BASE)


# Who uses what


async def test_a_held_image_stays(store: ImageStore, tmp_path: Path) -> None:
    image_id = await load(store, "app:1", BASE)
    await store.tag("app:1", "app:2")
    await store.hold(image_id, "c" * 64)
    await store.hold(image_id, "c" * 64)
    await store.hold(image_id, "node/../x")
    again = ImageStore(tmp_path / "store", SystemClock())
    assert await again.holders() == {image_id: ("c" * 64, "node/../x")}
    await again.remove("app:2")
    for reference in ("app:1", image_id):
        with pytest.raises(RuntimeFailure, match="in use by 2 container"):
            await again.remove(reference)
    assert await again.prune() == []
    await again.release(image_id, "c" * 64)
    await again.release(image_id, "c" * 64)
    with pytest.raises(RuntimeFailure, match="in use by 1 container"):
        await store.remove("app:1")
    await store.release(image_id, "node/../x")
    await store.remove("app:1")
    assert await store.list() == []
    with pytest.raises(ImageFailure, match="removed meanwhile"):
        await store.hold(image_id, "late")
    assert await store.holders() == {}


async def test_by_its_id_all_of_an_image_goes(store: ImageStore) -> None:
    image_id = await load(store, "app:1", BASE)
    await store.tag("app:1", "app:2")
    await store.remove(image_id)
    assert await store.list() == []


async def test_what_is_being_brought_in_is_no_garbage(store: ImageStore, tmp_path: Path) -> None:
    await load(store, "base:1", BASE)
    other = ImageStore(tmp_path / "store", SystemClock())
    reader, writer = os.pipe()
    archive = making.docker_archive({"app:1": [BASE, TOP]})
    with os.fdopen(reader, "rb", buffering=0) as source, os.fdopen(writer, "wb", buffering=0) as sink:
        loading = asyncio.ensure_future(store.load(source))
        await asyncio.to_thread(sink.write, archive[: len(archive) // 2])
        await other.remove("base:1")
        assert layers(store) == 1, "left to whoever comes last"
        await asyncio.to_thread(sink.write, archive[len(archive) // 2 :])
        sink.close()
        [image] = await loading
    lowers = await store.lowerdirs(image)
    assert [path.is_dir() for path in lowers] == [True, True]
    await store.remove("app:1")
    assert layers(store) == 0


async def test_interrupted_downloads_are_kept_for_a_day(tmp_path: Path) -> None:
    clock = FakeClock()
    store = ImageStore(tmp_path / "store", clock)
    await store.usage()
    partial = store.layout.partial / ("0" * 64)
    partial.write_bytes(b"half")
    os.utime(partial, (clock.now(), clock.now()))
    await store.prune()
    assert partial.exists()
    await clock.advance(garbage.PARTIAL_KEPT + 1)
    await store.prune()
    assert not partial.exists()


# Archives


def folder_of(files: dict[str, bytes], tmp_path: Path) -> Path:
    return making.write_folder(files, tmp_path / "layout")


def archive_of(files: dict[str, bytes], tmp_path: Path) -> Path:
    (tmp_path / "layout.tar").write_bytes(making.layer(*(making.member(name, data) for name, data in files.items())))
    return tmp_path / "layout.tar"


@pytest.mark.parametrize("form", [folder_of, archive_of])
@pytest.mark.parametrize("compress", ["gzip", ""])
async def test_oci_layouts(
    store: ImageStore, tmp_path: Path, form: Callable[[dict[str, bytes], Path], Path], compress: str
) -> None:
    files = making.oci_files([BASE, TOP], "docker.io/library/app:1", compress)
    [image] = await store.load(form(files, tmp_path))
    assert image.names == ("app:1",)
    assert await store.resolve(f"app@{json.loads(files['index.json'])['manifests'][0]['digest']}") == image
    top, base = await store.lowerdirs(image)
    assert (top / "etc/app").read_bytes() == b"app"
    assert (base / "etc/os").read_bytes() == b"base"


async def test_an_oci_index_within_the_index(store: ImageStore, tmp_path: Path) -> None:
    """As `docker buildx` writes them, with an attestation beside the image and other platforms left out."""
    files = making.oci_files([BASE])
    inner = json.loads(files["index.json"])
    mine = {**inner["manifests"][0], "platform": {"os": "linux", "architecture": host.text().split("/")[1]}}
    absent = {**mine, "digest": "sha256:" + "1" * 64, "platform": {"os": "linux", "architecture": "mips64le"}}
    inner["manifests"] = [absent, mine]
    document = json.dumps(inner).encode()
    files[f"blobs/sha256/{making.digest(document)[7:]}"] = document
    outer = {
        "mediaType": making.OCI_INDEX,
        "digest": making.digest(document),
        "size": len(document),
        "annotations": {"org.opencontainers.image.ref.name": "registry.example/app:2"},
    }
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    [image] = await store.load(folder_of(files, tmp_path))
    assert image.names == ("registry.example/app:2",)


async def test_several_images_and_a_pipe_that_names_the_manifest_first(store: ImageStore) -> None:
    data = making.docker_archive({"a:1": [BASE], "b:1": [BASE, TOP], "": [TOP]}, manifest_first=True)
    loaded = await store.load(io.BytesIO(data))
    assert [image.names for image in loaded] == [("a:1",), ("b:1",), ()]


async def test_a_layer_that_is_a_link_to_another(store: ImageStore) -> None:
    """As docker save wrote layers that two images share."""
    document = making.config([BASE, BASE])
    manifest = [{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["one/layer.tar", "two/layer.tar"]}]
    data = making.layer(
        making.member("c.json", document),
        making.member("one/layer.tar", BASE),
        making.link("two/layer.tar", "../one/layer.tar"),
        making.member("manifest.json", json.dumps(manifest).encode()),
    )
    [image] = await store.load(io.BytesIO(data))
    assert len(await store.lowerdirs(image)) == 2


async def test_a_layer_that_is_not_the_promised_one(store: ImageStore) -> None:
    data = making.docker_archive({"a:1": [TOP]}, {"a:1": making.config([BASE])})
    with pytest.raises(ImageFailure, match=r"has the content sha256:.*: it is damaged or was changed"):
        await store.load(io.BytesIO(data))


async def test_too_few_layers(store: ImageStore) -> None:
    data = making.docker_archive({"a:1": [BASE]}, {"a:1": making.config([BASE, TOP])})
    with pytest.raises(ImageFailure, match="the image has 1 layers, its configuration names 2"):
        await store.load(io.BytesIO(data))


async def test_a_root_file_system_is_no_archive_of_images(store: ImageStore) -> None:
    with pytest.raises(ImageFailure, match="a root file system is taken with `orlop image load --import NAME`"):
        await store.load(io.BytesIO(BASE))


async def test_an_import(store: ImageStore) -> None:
    config: changes.Config = {}
    for line in (
        'ENTRYPOINT ["/init", "-v"]',
        "cmd serve --now",
        "ENV A=1 B='two words'",
        "ENV A three",
        "LABEL k=v",
        "EXPOSE 80 53/udp",
        'VOLUME ["/data"]',
        "USER web",
        "WORKDIR /srv",
        "STOPSIGNAL SIGINT",
    ):
        changes.apply(config, line)
    image = await store.import_filesystem(io.BytesIO(BASE), "mine", config)
    assert image.names == ("mine:latest",)
    assert image.config == ImageConfig(
        user="web",
        env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "B=two words", "A=three"),
        entrypoint=("/init", "-v"),
        cmd=("/bin/sh", "-c", "serve --now"),
        working_dir="/srv",
        labels={"k": "v"},
        stop_signal="SIGINT",
        volumes=("/data",),
    )
    document = json.loads(await store.document("mine"))
    assert document["config"]["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    [lower] = await store.lowerdirs(image)
    assert (lower / "etc/os").read_bytes() == b"base"


@pytest.mark.parametrize("line", ["", "CMD", "RUN make", "ENV =1", "LABEL 'x", "ENV a-b/=1=2 ="])
def test_changes_that_are_none(line: str) -> None:
    with pytest.raises(ImageFailure, match=r"the change|cannot be split"):
        changes.apply({}, line)


@pytest.mark.parametrize("kind", ["xz", "bzip2"])
async def test_an_import_of_other_compressions(store: ImageStore, kind: str) -> None:
    """They stand for no media type: what is saved of them is plain."""
    image = await store.import_filesystem(io.BytesIO(making.compressed(BASE, kind)), "x")
    assert image.layers == (making.digest(BASE),)
    out = io.BytesIO()
    await store.save(["x"], out)
    await store.remove("x")
    [again] = await store.load(io.BytesIO(out.getvalue()))
    assert again.id == image.id


async def test_saved_and_loaded_it_is_the_same(store: ImageStore, tmp_path: Path) -> None:
    files = making.oci_files([BASE, TOP], "app:1")
    [image] = await store.load(folder_of(files, tmp_path))
    await load(store, "other:1", BASE)
    await store.tag("app:1", "app:2")
    out = io.BytesIO()
    await store.save(["app:1", "app:2", "other:1"], out)
    other = ImageStore(tmp_path / "other", SystemClock())
    loaded = await other.load(io.BytesIO(out.getvalue()))
    assert [(i.id, i.names) for i in loaded] == [(i.id, i.names) for i in await store.list()]
    blobs = {path.name for path in other.layout.blobs.iterdir()}
    assert {path.removeprefix("blobs/sha256/") for path in files if path.startswith("blobs/")} <= blobs, "byte by byte"
    again = io.BytesIO()
    await store.save([image.id], again)
    one = ImageStore(tmp_path / "one", SystemClock())
    assert [i.names for i in await one.load(io.BytesIO(again.getvalue()))] == [("app:1", "app:2")]


@pytest.mark.docker
async def test_docker_and_containerd_take_what_is_saved(store: ImageStore, tmp_path: Path) -> None:
    docker_engine.ensure()
    name = "orlop-test/saved:1"
    image_id = await load(store, name, BASE, TOP, Cmd=["/x"])

    def taken() -> None:
        out = tmp_path / "saved.tar"
        with out.open("wb") as file:
            asyncio.run(store.save([name], file))
        client = docker.APIClient(base_url=docker_engine.SOCKET)
        try:
            list(client.load_image(out.read_bytes()))
            found = client.inspect_image(name)
            assert (found["Id"], found["Config"]["Cmd"]) == (image_id, ["/x"])
            client.remove_image(name)
        finally:
            client.close()
        sockets = ["/run/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock"]
        socket = next(path for path in sockets if os.path.exists(path))
        ctr = ["ctr", "-a", socket, "-n", "orlop-test", "images"]
        subprocess.run([*ctr, "import", out], check=True, capture_output=True)
        listed = subprocess.run([*ctr, "ls", "-q"], check=True, capture_output=True, text=True).stdout.split()
        assert f"docker.io/{name}" in listed
        subprocess.run([*ctr, "rm", f"docker.io/{name}"], check=True, capture_output=True)

    await asyncio.to_thread(taken)


# The image `host`


async def test_host(store: ImageStore) -> None:
    image = await store.resolve("host")
    assert image is not None
    assert await store.resolve("host:latest") == await store.resolve(image.id) == image
    assert await store.lowerdirs(image) == [Path("/")]
    await store.hold(image.id, "c1")
    await store.release(image.id, "c1")
    with pytest.raises(RuntimeFailure, match="cannot be removed"):
        await store.remove("host")
    assert await store.pull("host", None) == image.id, "a pod whose policy is Always gets it too"
    with pytest.raises(ImageFailure, match="built-in image"):
        await load(store, "host:latest", BASE)
    other = await store.resolve(await load(store, "app:1", BASE))
    assert other is not None
    assert await store.masked_paths(other) == []
    if os.geteuid() == 0:
        masked = await store.masked_paths(image)
        assert {"/root", "/home", "/run", "/tmp", "/var/tmp", "/etc/shadow"} <= set(masked)


def test_what_is_masked(tmp_path: Path) -> None:
    """Only what is there, links by where they lead, nothing below what is masked already."""
    for name in ("root/.ssh", "run/secrets", "var", "etc/ssh", "srv/state", "var/lib/docker"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "var/run").symlink_to("../run")
    for name in ("etc/shadow", "etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "etc/passwd"):
        (tmp_path / name).touch()
    assert host.masked_paths(tmp_path, own=(Path("/srv/state"), Path("/root/store"), Path("/absent"))) == [
        "/etc/shadow",
        "/etc/ssh/ssh_host_rsa_key",
        "/root",
        "/run",
        "/srv/state",
        "/var/lib/docker",
    ]


# Without root


NOBODY = 65534


@pytest.mark.root
@overlays.needs_root
def test_without_root(tmp_path: Path) -> None:
    """Everything but owners and devices; layers that hide others' content too."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    bottom = making.layer(
        making.member("closed", None, mode=0o555, uid=0),
        making.member("closed/x", b"x", uid=1000, mode=0o4755),
        making.member("locked", None, mode=0),
        making.member("locked/y", b"y", mode=0),
        making.member("null", b"", type=b"3", devmajor=1, devminor=3),
        making.member("gone", b""),
        making.member("d/old", b""),
    )
    top = making.layer(making.member(".wh.gone"), making.member("d/.wh..wh..opq"), making.member("d/new", b"n"))
    # Nobody may read root's Python: all that is imported late has to be there before.
    asyncio.run(load(ImageStore(tmp_path / "first", SystemClock()), "app:1", bottom, top))
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            asyncio.run(rootless(home, bottom, top))
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def user_mount(options: str, at: Path) -> str:
    """What shows of an overlay in a user namespace, which is where somebody without root can mount one."""
    script = 'mount -t overlay -o "$0" overlay "$1" && cd "$1" && echo * d/*'
    command = ["unshare", "-Urm", "sh", "-c", script, options, at]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


async def rootless(home: Path, bottom: bytes, top: bytes) -> None:
    store = ImageStore(home / "store", SystemClock())
    await load(store, "app:1", bottom, top)
    image = await store.resolve("app:1")
    assert image is not None
    upper, lower = await store.lowerdirs(image)
    assert {p.name for p in lower.iterdir()} == {"closed", "locked", "gone", "d"}
    x = (lower / "closed/x").stat()
    assert (x.st_uid, x.st_mode & 0o7777) == (NOBODY, 0o4755)
    assert (lower / "closed").stat().st_mode & 0o777 == 0o555
    assert os.getxattr(upper / "d", "user.overlay.opaque") == b"y"
    assert trees.of_folder(upper)["gone"].content == "0:0"
    assert await store.mount_options() == ("userxattr",)
    (home / "merged").mkdir()
    options = f"lowerdir={upper}:{lower},{','.join(await store.mount_options())}"
    shown = await asyncio.to_thread(user_mount, options, home / "merged")
    assert shown.split() == ["closed", "d", "locked", "d/new"]
    assert "all files belong to you" in await store.weaker()
    await store.remove("app:1")
    assert list(store.layout.tmp.iterdir()) == []
    assert await store.list() == []
