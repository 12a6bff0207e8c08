"""Certificates that others replace while the server runs: new handshakes get the new ones, connections go on."""

import asyncio
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.front.conftest import Serve, Served
from tests.front.test_certificates import der, shown
from tests.front.test_http1 import LIMIT, answer, connect, echo

from orlop import pki
from orlop.apiserver.auth.x509 import PEER
from orlop.apiserver.front import Tls
from orlop.apiserver.front.tls import SniCertificate
from orlop.pki.identities import Names


def pair(folder: pki.Folder, where: Path, name: str) -> pki.KeyPair:
    """A serving certificate of an authority of its own."""
    return pki.Folder(where / name, folder._clock).apiserver(Names.of([name, "127.0.0.1"]))


class Files:
    """A certificate and its key as somebody else's files."""

    def __init__(self, where: Path) -> None:
        self.certificate, self.key = where / "tls.crt", where / "tls.key"

    def write(self, one: pki.KeyPair) -> None:
        self.certificate.write_bytes(one.certificate)
        self.key.write_bytes(one.key)

    def tls(self, folder: pki.Folder) -> Tls:
        def read() -> pki.KeyPair:
            return pki.KeyPair(self.certificate, self.key, self.certificate.read_bytes(), self.key.read_bytes())

        return Tls(read, folder.ca, files=(self.certificate, self.key))


async def until_shown(served: Served, wanted: bytes, name: str | None = None) -> None:
    async with asyncio.timeout(LIMIT):
        while await shown(served, name) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_files_written_over(serve: Serve, folder: pki.Folder, tmp_path: Path) -> None:
    first, second = pair(folder, tmp_path, "first"), pair(folder, tmp_path, "second")
    files = Files(tmp_path)
    files.write(first)
    async with serve(echo, tls=files.tls(folder)) as served:
        assert await shown(served) == der(first)
        context = ssl.create_default_context(cafile=first.certificate_file.with_name("ca.crt"))
        old = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
        files.write(second)
        await until_shown(served, der(second))
        old[1].write(b"GET /still HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(old[0]))[1] == b"/still "
        old[1].close()


async def test_a_volume_whose_link_is_turned(serve: Serve, folder: pki.Folder, tmp_path: Path) -> None:
    """As kubelets and mounted Secrets do it: the files are links through a link, which is replaced at once."""
    certificates = [pair(folder, tmp_path, name) for name in ("one", "two", "three")]
    volume = tmp_path / "volume"
    for number, one in enumerate(certificates):
        data = volume / f"..{number}"
        data.mkdir(parents=True)
        Files(data).write(one)

    def turn(number: int) -> None:
        (volume / "..new").symlink_to(f"..{number}")
        (volume / "..new").rename(volume / "..data")

    turn(0)
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    async with serve(echo, tls=Files(volume).tls(folder)) as served:
        assert await shown(served) == der(certificates[0])
        for number in (1, 2):
            turn(number)
            await until_shown(served, der(certificates[number]))
            shutil.rmtree(volume / f"..{number - 1}")


async def test_half_a_replacement_changes_nothing(
    serve: Serve, folder: pki.Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = pair(folder, tmp_path, "first"), pair(folder, tmp_path, "second")
    files = Files(tmp_path)
    files.write(first)
    async with serve(echo, tls=files.tls(folder)) as served:
        files.certificate.write_bytes(second.certificate)
        async with asyncio.timeout(LIMIT):
            while "does not belong to the certificate" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await shown(served) == der(first)
        files.key.write_bytes(second.key)
        await until_shown(served, der(second))


async def test_a_certificate_for_a_name(serve: Serve, folder: pki.Folder, tmp_path: Path) -> None:
    first, second = pair(folder, tmp_path, "first"), pair(folder, tmp_path, "second")
    files = Files(tmp_path)
    files.write(first)
    async with serve(echo, others=(SniCertificate(files.certificate, files.key, ("x.test",)),)) as served:
        assert await shown(served, "x.test") == der(first)
        files.write(second)
        await until_shown(served, der(second), "x.test")


async def test_another_authority_of_clients(serve: Serve, folder: pki.Folder, tmp_path: Path) -> None:
    """A client of an authority that was not known is let in once it is, and no more when it is not."""
    other = pki.Folder(tmp_path / "other", folder._clock)
    client = other.client(pki.ADMIN)
    bundle = tmp_path / "clients.crt"
    bundle.write_bytes(folder.ca())

    async def app(scope: dict[str, object], receive: Callable[..., object], send: Callable[..., object]) -> None:
        peer = scope["state"].get(PEER)  # type: ignore[attr-defined]
        await echo({"path": peer.user.name if peer else "nobody"}, receive, send)

    async def name(served: Served) -> str:
        try:
            context = served.context(client)
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            said = (await answer(reader))[1].decode().strip()
            writer.close()
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return "refused"
        return said

    names = Names.of(["127.0.0.1"])
    tls = Tls(lambda: folder.apiserver(names), bundle.read_bytes, files=(bundle,))
    async with serve(app, tls=tls) as served:
        assert await name(served) == "refused"
        bundle.write_bytes(folder.ca() + other.ca())
        async with asyncio.timeout(LIMIT):
            while await name(served) == "refused":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await name(served) == "kubernetes-admin"
        nobody = await connect(served)
        bundle.write_bytes(folder.ca())
        async with asyncio.timeout(LIMIT):
            while await name(served) != "refused":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        nobody[1].close()
