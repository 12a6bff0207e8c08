"""Pulling, from real registries on loopback."""

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kubelet.runtime.native.images import making
from tests.support import docker_engine, registries

from orlop.clock import SystemClock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import ImageStore, platforms

USER, PASSWORD = "kate", "pass:word"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(folder: Path) -> Iterator[registries.Pusher]:
    try:
        with registries.running(folder) as address:
            yield registries.Pusher(address)
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store", SystemClock())


LAYERS = [
    making.layer(making.member("etc", None), making.member("etc/name", b"first"), making.member("big", b"0" * 300_000)),
    making.layer(making.member("etc/name", b"second"), making.member(".wh.big")),
]


def push(to: registries.Pusher, name: str, layers: list[bytes] = LAYERS, tag: str = "1") -> str:
    """Puts an image there; the manifest's digest."""
    blobs = [gzip.compress(data, mtime=0) for data in layers]
    document = making.config(layers)
    for data in (document, *blobs):
        to.blob(name, data)
    return to.manifest(name, tag, making.manifest_of(document, blobs))


async def test_a_pulled_image_is_there_by_name_digest_and_id(store: ImageStore, registry: registries.Pusher) -> None:
    manifest = push(registry, "team/app")
    reference = f"{registry.address}/team/app:1"
    told: list[tuple[str, str]] = []
    image_id = await store.pull(reference, None, lambda digest, doing, done, total: told.append((digest, doing)))
    assert image_id == making.digest(making.config(LAYERS))
    image = await store.resolve(reference)
    assert image is not None
    assert (image.names, image.digests) == ((reference,), (f"{registry.address}/team/app@{manifest}",))
    assert await store.resolve(image.digests[0]) == await store.resolve(image_id) == image
    top, bottom = await store.lowerdirs(image)
    assert (top / "etc/name").read_bytes() == b"second"
    assert (bottom / "etc/name").read_bytes() == b"first"
    first = [doing for digest, doing in told if digest == making.digest(gzip.compress(LAYERS[0], mtime=0))]
    assert list(dict.fromkeys(first)) == ["Waiting", "Downloading", "Extracting", "Pull complete"]


async def test_by_digest(store: ImageStore, registry: registries.Pusher) -> None:
    manifest = push(registry, "by/digest")
    reference = f"{registry.address}/by/digest@{manifest}"
    await store.pull(reference, None)
    image = await store.resolve(reference)
    assert image is not None
    assert (image.names, image.digests) == ((), (reference,))


async def test_an_index_gives_the_variant_of_this_machine(store: ImageStore, registry: registries.Pusher) -> None:
    mine, other = [making.layer(making.member("mine"))], [making.layer(making.member("other"))]
    architecture, variant = platforms.here()
    entries = []
    for layers, platform in (
        (other, {"os": "linux", "architecture": "mips64le"}),
        (other, {"os": "windows", "architecture": architecture}),
        (mine, {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}),
        (other, {"os": "unknown", "architecture": "unknown"}),
    ):
        manifest = push(registry, "many/kinds", layers, tag="part")
        entries.append({"mediaType": making.OCI_MANIFEST, "digest": manifest, "size": 1, "platform": platform})
    index = {"schemaVersion": 2, "mediaType": making.OCI_INDEX, "manifests": entries}
    named = registry.manifest("many/kinds", "all", index)
    image_id = await store.pull(f"{registry.address}/many/kinds:all", None)
    assert image_id == making.digest(making.config(mine))
    image = await store.resolve(image_id)
    assert image is not None
    assert image.digests == (f"{registry.address}/many/kinds@{named}",)
    registry.manifest("many/kinds", "none", {**index, "manifests": entries[:2]})
    with pytest.raises(ImageFailure, match=r"no match for platform in manifest: linux/.*has linux/mips64le, windows"):
        await store.pull(f"{registry.address}/many/kinds:none", None)


async def test_what_is_there_is_not_fetched_again(store: ImageStore, registry: registries.Pusher) -> None:
    push(registry, "shared/base", LAYERS[:1])
    push(registry, "shared/app", LAYERS)
    await store.pull(f"{registry.address}/shared/base:1", None)
    told: list[tuple[str, str]] = []
    await store.pull(
        f"{registry.address}/shared/app:1", None, lambda digest, doing, done, total: told.append((digest, doing))
    )
    fetched = {digest for digest, doing in told if doing == "Downloading"}
    assert making.digest(gzip.compress(LAYERS[1], mtime=0)) in fetched
    assert making.digest(gzip.compress(LAYERS[0], mtime=0)) not in fetched


async def test_a_tag_that_moved(store: ImageStore, registry: registries.Pusher) -> None:
    reference = f"{registry.address}/moving/tag:1"
    push(registry, "moving/tag", LAYERS[:1])
    old = await store.pull(reference, None)
    push(registry, "moving/tag", LAYERS)
    new = await store.pull(reference, None)
    assert new != old
    found, left = await store.resolve(reference), await store.resolve(old)
    assert found is not None
    assert left is not None
    assert (found.id, left.names) == (new, ())


async def test_what_is_not_there(store: ImageStore, registry: registries.Pusher) -> None:
    reference = f"{registry.address}/no/such:1"
    with pytest.raises(ImageFailure) as caught:
        await store.pull(reference, None)
    assert caught.value.reason == "ErrImagePull"
    assert str(caught.value) == (
        f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": {reference}: '
        "not found (manifest unknown)"
    )


async def test_nobody_answers(store: ImageStore) -> None:
    with pytest.raises(
        ImageFailure, match=r"failed to do request: Get \"https://127.0.0.1:1/v2/app/manifests/1\""
    ) as e:
        await store.pull("127.0.0.1:1/app:1", None)
    assert e.value.reason == "RegistryUnavailable"


async def test_an_artifact_is_no_image(store: ImageStore, registry: registries.Pusher) -> None:
    blob = registry.blob("charts/web", b"{}")
    registry.manifest(
        "charts/web",
        "1",
        {
            "schemaVersion": 2,
            "mediaType": making.OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": blob, "size": 2},
            "layers": [],
        },
    )
    with pytest.raises(ImageFailure, match=r"no container image but an artifact of type application/vnd.cncf.helm"):
        await store.pull(f"{registry.address}/charts/web:1", None)


async def test_a_layer_that_is_not_what_the_configuration_says(store: ImageStore, registry: registries.Pusher) -> None:
    document = making.config([making.layer(making.member("promised"))])
    blob = gzip.compress(making.layer(making.member("given")))
    for data in (document, blob):
        registry.blob("false/one", data)
    registry.manifest("false/one", "1", making.manifest_of(document, [blob]))
    with pytest.raises(ImageFailure, match=r"has the content sha256:.*damaged or was changed"):
        await store.pull(f"{registry.address}/false/one:1", None)
    assert await store.list() == []
    assert [p.name for p in store.layout.layers.iterdir()] == ["empty"]
    assert list(store.layout.blobs.iterdir()) == []


async def test_a_damaged_blob_of_the_registry(store: ImageStore, registry: registries.Pusher, folder: Path) -> None:
    push(registry, "damaged/app", [making.layer(making.member("damaged", b"x" * 1000))])
    blob = making.digest(gzip.compress(making.layer(making.member("damaged", b"x" * 1000)), mtime=0))
    hexa = blob.removeprefix("sha256:")
    data = folder / "registry/docker/registry/v2/blobs/sha256" / hexa[:2] / hexa / "data"
    data.write_bytes(b"\0" * len(data.read_bytes()))
    with pytest.raises(ImageFailure, match="unexpected commit digest"):
        await store.pull(f"{registry.address}/damaged/app:1", None)
    assert list(store.layout.partial.iterdir()) == [], "nothing wrong is kept to go on with"


async def test_many_who_pull_at_once_share_one_pull(
    tmp_path: Path, store: ImageStore, registry: registries.Pusher
) -> None:
    push(registry, "popular/app")
    reference = f"{registry.address}/popular/app:1"
    other = ImageStore(tmp_path / "store", SystemClock())
    told: list[str] = []

    def progress(digest: str, doing: str, done: int, total: int) -> None:
        if doing == "Downloading" and done == total:
            told.append(digest)

    ids = await asyncio.gather(*(s.pull(reference, None, progress) for s in (store, other) for _ in range(5)))
    assert len(set(ids)) == 1
    # Both stores' pulls ask for a manifest; each blob came once.
    assert sorted(told) == sorted(
        [
            making.digest(making.config(LAYERS)),
            *(making.digest(gzip.compress(data, mtime=0)) for data in LAYERS),
        ]
    )


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registries.Pusher]:
    """A registry that asks for a user and a password."""
    folder = tmp_path_factory.mktemp("closed")
    try:
        registries.install_with_passwords()
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))
    with registries.running(folder, auth=registries.passwords(folder, USER, PASSWORD)) as address:
        pusher = registries.Pusher(address, USER, PASSWORD)
        push(pusher, "private/app")
        yield pusher


async def test_a_password(store: ImageStore, closed: registries.Pusher) -> None:
    await store.pull(f"{closed.address}/private/app:1", v.AuthConfig(username=USER, password=PASSWORD))
    assert await store.resolve(f"{closed.address}/private/app:1") is not None


@pytest.mark.parametrize("auth", [None, v.AuthConfig(username=USER, password="wrong")])
async def test_no_password_or_a_wrong_one(
    store: ImageStore, closed: registries.Pusher, auth: v.AuthConfig | None
) -> None:
    with pytest.raises(ImageFailure, match="pull access denied, repository does not exist or may require") as caught:
        await store.pull(f"{closed.address}/private/app:1", auth)
    assert caught.value.reason == "ErrImagePull"
    assert "wrong" not in str(caught.value)
