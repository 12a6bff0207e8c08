"""The same image, mounted from our store and exported by a Docker Engine, is the same down to the last attribute."""

import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from tests.kubelet.runtime.native.images import making, overlays, trees
from tests.support import docker_engine, images

from orlop.clock import SystemClock
from orlop.kubelet.runtime.native.images import ImageStore

pytestmark = [pytest.mark.docker, pytest.mark.root, overlays.needs_root]

NAME = "orlop-test/many-layers:1"

DOCKERFILE = f"""
FROM {images.BUSYBOX}
RUN mkdir -p /data/a/b/c /data/keep /data/linked && echo one >/data/a/one && echo two >/data/a/two \
 && ln /data/a/one /data/a/hard && ln -s ../a/two /data/keep/soft && ln -s /no/such/file /data/dangling \
 && mknod /data/zero c 1 5 && mknod /data/disk b 7 200 && mkfifo -m 0640 /data/pipe \
 && cp /bin/busybox /data/suid && chown 1000:2000 /data/suid /data/a && chmod 4755 /data/suid && chmod 3711 /data/a \
 && echo x >/data/linked/x && chown -h 1000:2000 /data/dangling && touch -d '2001-02-03 04:05:06' /data/a/one
RUN rm /data/a/two && rm -r /data/a/b && mkdir -m 0700 /data/a/b && echo new >/data/a/b/n
RUN rm -r /data/keep && ln -s a /data/keep && rm -r /data/linked && echo file >/data/linked
RUN rm /data/a/one && mkdir /data/a/one && echo in >/data/a/one/in && rm /data/linked && mkdir /data/linked
RUN mkdir -p /deep/$(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 90)) && echo ü >"/deep/ü ñ.txt" \
 && echo back >/data/a/two
ADD layer.tar /added/
RUN rm -r /www && rm /etc/group && mkdir /etc/group
"""


def context() -> bytes:
    """The Dockerfile, and an archive to add with a capability and a sparse file."""
    added = io.BytesIO()
    with tarfile.open(fileobj=added, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, xattrs in {
            "ping": {"SCHILY.xattr.security.capability": b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
            "plain": {},
        }.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = 5, 0o755, 1_000_000_000
            info.pax_headers = {k: v.decode("utf-8", "surrogateescape") for k, v in xattrs.items()}
            tar.addfile(info, io.BytesIO(b"hello"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {"Dockerfile": DOCKERFILE.encode(), "layer.tar": added.getvalue()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def api() -> Iterator[docker.APIClient]:
    docker_engine.ensure()
    images.busybox()
    client = docker.APIClient(base_url=docker_engine.SOCKET)
    try:
        for line in client.build(fileobj=io.BytesIO(context()), custom_context=True, tag=NAME, rm=True, decode=True):
            assert "error" not in line, line
        yield client
        client.remove_image(NAME, force=True)
    finally:
        client.close()


@pytest.fixture(scope="module")
def exported(api: docker.APIClient) -> dict[str, trees.Node]:
    """What the engine shows of the image, without what it adds to every container."""
    container = api.create_container(NAME, ["true"])
    try:
        with tempfile.TemporaryFile() as file:
            for chunk in api.export(container["Id"]):
                file.write(chunk)
            file.seek(0)
            return trees.of_archive(file)
    finally:
        api.remove_container(container["Id"], force=True)


ENGINES_OWN = {".", ".dockerenv", "dev", "etc", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}


def comparable(tree: dict[str, trees.Node]) -> dict[str, trees.Node]:
    return {name: node for name, node in tree.items() if name not in ENGINES_OWN and not name.startswith("dev/")}


def saved(api: docker.APIClient, folder: Path, compress: str) -> Path:
    """The file that `docker save` makes, compressed."""
    file = folder / "saved.tar"
    file.write_bytes(making.compressed(b"".join(api.get_image(NAME)), compress))
    return file


@pytest.mark.parametrize("compress", ["", "gzip", "zstd"])
async def test_a_mounted_image_is_what_the_engine_shows(
    api: docker.APIClient, exported: dict[str, trees.Node], tmp_path: Path, compress: str
) -> None:
    store = ImageStore(tmp_path / "store", SystemClock())
    [image] = await store.load(saved(api, tmp_path, compress))
    assert image.names == (NAME,)
    assert image.id == api.inspect_image(NAME)["Id"]
    assert list(image.layers) == api.inspect_image(NAME)["RootFS"]["Layers"]
    lowers = await store.lowerdirs(image)
    assert len(lowers) == len(image.layers)
    with overlays.mounted(lowers, tmp_path / "mount") as merged:
        ours = comparable(trees.of_folder(merged))
    theirs = comparable(exported)
    assert sorted(ours) == sorted(theirs)
    assert {n: (ours[n], theirs[n]) for n in ours if ours[n] != theirs[n]} == {}
    assert ours["added/ping"].xattrs, "the capability is there"
