"""Tokens, certificates and lines that break: real registries on loopback, with what stands before them in the world."""

import asyncio
import base64
import gzip
import ipaddress
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.kubelet.runtime.native.images import making
from tests.support import docker_engine, registries

from orlop.clock import SystemClock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import ImageStore
from orlop.kubelet.runtime.native.images.registry import RegistrySettings, access, settings

USER, PASSWORD, REFRESH = "kate", "secret", "a-refresh-token"
# Larger than what fits into the buffers of a loopback connection, so that a cut comes in the middle.
LAYERS = [making.layer(making.member("random", os.urandom(6_000_000))), making.layer(making.member("small", b"x"))]


class Authority:
    """A key with a certificate for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate_file, self.key_file = folder / "registry.pem", folder / "registry.key"
        self.certificate_file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def token(self, scope: str, lifetime: float = 300) -> str:
        """What the registry asks its token service for (Docker Registry v2 Bearer token specification)."""
        kind, name, actions = scope.split(":") if scope else ("repository", "none", "")
        now = int(time.time())
        claims = {
            "iss": "tokens",
            "aud": "registry",
            "sub": USER,
            "iat": now - 1,
            "nbf": now - 1,
            "exp": now + lifetime,
            "jti": str(now),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        chain = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"x5c": [chain]})


async def serving(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A server on loopback; its address."""
    runner = web.AppRunner(application(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


def application(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    found = web.Application()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    found.router.add_route("*", "/{path:.*}", handle)
    return found


def push(to: registries.Pusher, name: str, layers: list[bytes] = LAYERS) -> list[str]:
    blobs = [gzip.compress(data, 1, mtime=0) for data in layers]
    document = making.config(layers)
    digests = [to.blob(name, data) for data in (document, *blobs)]
    to.manifest(name, "1", making.manifest_of(document, blobs))
    return digests


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def with_registry(tmp_path: Path, **more: object) -> Iterator[str]:
    try:
        with registries.running(tmp_path, **more) as address:  # type: ignore[arg-type]
            yield address
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))


# Tokens


class Tokens:
    """A token service that remembers what it was asked."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.asked: list[tuple[str, str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            form = {key: str(value) for key, value in (await request.post()).items()}
            self.asked.append(("POST", form["scope"], form.get("refresh_token", "")))
            if form.get("refresh_token") != REFRESH:
                return web.json_response({"errors": []}, status=401)
            return web.json_response({"access_token": self._authority.token(form["scope"])})
        header = request.headers.get("Authorization", "")
        self.asked.append(("GET", request.query.get("scope", ""), header))
        if header and header != "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            return web.json_response({"errors": []}, status=401)
        scope = request.query.get("scope", "")
        if not header and "private/" in scope:
            scope = ""
        return web.json_response({"token": self._authority.token(scope)})


@pytest.fixture
async def tokens(authority: Authority) -> AsyncIterator[tuple[Tokens, str]]:
    service = Tokens(authority)
    async for address in serving(service):
        yield service, address


@pytest.fixture
def guarded(tmp_path: Path, tokens: tuple[Tokens, str], authority: Authority) -> Iterator[str]:
    """A registry that sends its clients to the token service."""
    folder = tmp_path / "registry-data"
    folder.mkdir()
    auth = (
        f"auth:\n  token:\n    realm: http://{tokens[1]}/token\n    service: registry\n    issuer: tokens\n"
        f"    rootcertbundle: {authority.certificate_file}\n"
    )
    yield from with_registry(folder, auth=auth)


@pytest.mark.parametrize(
    ("name", "auth", "asked"),
    [
        ("public/app", None, ("GET", "")),
        ("private/app", v.AuthConfig(username=USER, password=PASSWORD), ("GET", "Basic ")),
        ("private/app", v.AuthConfig(identity_token=REFRESH), ("POST", REFRESH)),
        ("private/app", v.AuthConfig(username="<token>", password=REFRESH), ("POST", REFRESH)),
    ],
)
async def test_a_token(
    tmp_path: Path,
    guarded: str,
    tokens: tuple[Tokens, str],
    authority: Authority,
    name: str,
    auth: v.AuthConfig | None,
    asked: tuple[str, str],
) -> None:
    pusher = registries.Pusher(guarded, token=authority.token(f"repository:{name}:pull,push"))
    await asyncio.to_thread(push, pusher, name, LAYERS[1:])
    store = ImageStore(tmp_path / "store", SystemClock())
    await store.pull(f"{guarded}/{name}:1", auth)
    assert await store.resolve(f"{guarded}/{name}:1") is not None
    [(method, scope, secret)] = tokens[0].asked
    assert (method, scope) == (asked[0], f"repository:{name}:pull")
    assert secret.startswith(asked[1])


@pytest.mark.parametrize(
    ("auth", "why"),
    [
        (None, "pull access denied, repository does not exist or may require authorization: no basic auth credentials"),
        (v.AuthConfig(username=USER, password="wrong"), "failed to fetch oauth token: unexpected status: 401"),
        (v.AuthConfig(identity_token="wrong"), "failed to fetch oauth token: unexpected status: 401"),
        (v.AuthConfig(registry_token="wrong"), "pull access denied"),
    ],
)
async def test_no_token(
    tmp_path: Path, guarded: str, authority: Authority, auth: v.AuthConfig | None, why: str
) -> None:
    pusher = registries.Pusher(guarded, token=authority.token("repository:private/app:pull,push"))
    await asyncio.to_thread(push, pusher, "private/app", LAYERS[1:])
    store = ImageStore(tmp_path / "store", SystemClock())
    with pytest.raises(ImageFailure, match=why) as caught:
        await store.pull(f"{guarded}/private/app:1", auth)
    assert caught.value.reason == "ErrImagePull"


async def test_a_token_that_was_given(tmp_path: Path, guarded: str, authority: Authority) -> None:
    pusher = registries.Pusher(guarded, token=authority.token("repository:private/app:pull,push"))
    await asyncio.to_thread(push, pusher, "private/app", LAYERS[1:])
    store = ImageStore(tmp_path / "store", SystemClock())
    token = authority.token("repository:private/app:pull")
    await store.pull(f"{guarded}/private/app:1", v.AuthConfig(registry_token=token))


def test_challenges() -> None:
    header = 'Bearer realm="https://a/t?x=1,2",service="s \\"q\\"",scope=repository:a:pull, Basic realm="b"'
    assert access.challenges([header]) == {
        "bearer": {"realm": "https://a/t?x=1,2", "service": 's "q"', "scope": "repository:a:pull"},
        "basic": {"realm": "b"},
    }
    assert access.challenges(['Basic realm="x"', "Negotiate"]) == {"basic": {"realm": "x"}}
    assert access.challenges(["Negotiate"]) == {"negotiate": {}}
    assert access.challenges([]) == {}


async def test_a_password_is_not_sent_to_a_stranger_without_tls(tmp_path: Path, authority: Authority) -> None:
    """The registry has TLS; where it sends for a token has none and is no loopback address."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="http://tokens.example/t"'})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate_file, authority.key_file)
    runner = web.AppRunner(application(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        store = ImageStore(tmp_path / "store", SystemClock(), RegistrySettings(ca_file=authority.certificate_file))
        with pytest.raises(ImageFailure, match="a password is not sent without TLS"):
            await store.pull(
                f"127.0.0.1:{runner.addresses[0][1]}/app:1", v.AuthConfig(username=USER, password=PASSWORD)
            )
    finally:
        await runner.cleanup()


# Certificates


@pytest.fixture
def secure(tmp_path: Path, authority: Authority) -> Iterator[str]:
    """A registry with TLS."""
    folder = tmp_path / "registry-data"
    folder.mkdir()
    yield from with_registry(folder, tls=(authority.certificate_file, authority.key_file))


def push_secure(address: str, authority: Authority) -> None:
    os.environ["SSL_CERT_FILE"] = str(authority.certificate_file)
    try:
        push(registries.Pusher(address, scheme="https"), "app", LAYERS[1:])
    finally:
        del os.environ["SSL_CERT_FILE"]


async def test_an_authority_of_ones_own(tmp_path: Path, secure: str, authority: Authority) -> None:
    await asyncio.to_thread(push_secure, secure, authority)
    reference = f"{secure}/app:1"
    with pytest.raises(ImageFailure, match=r"tls: failed to verify certificate") as caught:
        await ImageStore(tmp_path / "store", SystemClock()).pull(reference, None)
    assert caught.value.reason == "RegistryUnavailable"
    by_file = RegistrySettings(ca_file=authority.certificate_file)
    assert await ImageStore(tmp_path / "store", SystemClock(), by_file).pull(reference, None)
    folder = tmp_path / "certs.d" / secure
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(authority.certificate_file.read_bytes())
    by_folder = RegistrySettings(certificate_folders=(tmp_path / "certs.d",))
    assert await ImageStore(tmp_path / "store", SystemClock(), by_folder).pull(reference, None)


async def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    store = ImageStore(tmp_path / "store", SystemClock(), RegistrySettings(ca_file=broken))
    with pytest.raises(ImageFailure, match=r"a certificate for 127.0.0.1:1 cannot be used"):
        await store.pull("127.0.0.1:1/app:1", None)


def test_who_is_loopback() -> None:
    assert all(map(settings.is_loopback, ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]))
    assert not any(
        map(settings.is_loopback, ["10.0.0.1:5000", "registry.example", "127.0.0.1.example", "[2001:db8::1]"])
    )


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert settings.proxy("https://registry.example/v2/") == "http://proxy.example:3128"
    assert settings.proxy("https://a.inside.example/v2/") is None
    assert settings.proxy("https://127.0.0.1:5000/v2/") is None


# Lines that break


class Breaking:
    """Stands before a registry: breaks off the first transfers of each blob, and counts the bytes that passed."""

    def __init__(self, registry: str, breaks: int, after: int, ranges: bool = True) -> None:
        self._registry = registry
        self._breaks = breaks
        self._after = after
        self._ranges = ranges
        self.passed: dict[str, int] = {}
        self.asked: list[str] = []
        self._broken: dict[str, int] = {}

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        headers = {k: request.headers[k] for k in ("Accept", "Range") if k in request.headers}
        if not self._ranges:
            headers.pop("Range", None)
        if "/blobs/" in request.path and "Range" in request.headers:
            self.asked.append(request.headers["Range"])
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{self._registry}{request.path_qs}", headers=headers) as answer,
        ):
            response = web.StreamResponse(status=answer.status)
            for key in ("Content-Type", "Content-Length", "Content-Range"):
                if key in answer.headers:
                    response.headers[key] = answer.headers[key]
            await response.prepare(request)
            sent = 0
            async for piece in answer.content.iter_chunked(64 * 1024):
                large = "/blobs/" in request.path and int(answer.headers["Content-Length"]) > self._after
                if large and sent >= self._after and self._broken.get(request.path, 0) < self._breaks:
                    self._broken[request.path] = self._broken.get(request.path, 0) + 1
                    assert request.transport is not None
                    request.transport.abort()
                    break
                await response.write(piece)
                sent += len(piece)
                self.passed[request.path] = self.passed.get(request.path, 0) + len(piece)
            return response


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "registry-data"
    folder.mkdir()
    yield from with_registry(folder)


async def test_a_transfer_goes_on_where_it_broke_off(tmp_path: Path, plain: str) -> None:
    _, large, _ = await asyncio.to_thread(push, registries.Pusher(plain), "app")
    breaking = Breaking(plain, breaks=2, after=2_000_000)
    async for address in serving(breaking):
        store = ImageStore(tmp_path / "store", SystemClock())
        await store.pull(f"{address}/app:1", None)
        assert len(breaking.asked) == 2
        size = len(gzip.compress(LAYERS[0], 1, mtime=0))
        assert breaking.passed[f"/v2/app/blobs/{large}"] < 1.5 * size, "what had come was not fetched again"


async def test_a_registry_without_ranges(tmp_path: Path, plain: str) -> None:
    await asyncio.to_thread(push, registries.Pusher(plain), "app")
    async for address in serving(Breaking(plain, breaks=1, after=2_000_000, ranges=False)):
        store = ImageStore(tmp_path / "store", SystemClock())
        assert await store.pull(f"{address}/app:1", None)


async def test_a_pull_that_failed_is_taken_up_by_the_next(tmp_path: Path, plain: str) -> None:
    _, large, _ = await asyncio.to_thread(push, registries.Pusher(plain), "app")
    breaking = Breaking(plain, breaks=5, after=1_000_000)
    async for address in serving(breaking):
        store = ImageStore(tmp_path / "store", SystemClock())
        with pytest.raises(ImageFailure, match="failed to copy") as caught:
            await store.pull(f"{address}/app:1", None)
        assert caught.value.reason == "RegistryUnavailable"
        assert [path.name for path in store.layout.partial.iterdir()] == [large.removeprefix("sha256:")]
        before = len(breaking.asked)
        assert await ImageStore(tmp_path / "store", SystemClock()).pull(f"{address}/app:1", None)
        assert breaking.asked[before:], "the next pull asked for the rest"
        assert list(store.layout.partial.iterdir()) == []


async def test_a_pull_that_nobody_waits_for_any_more_ends(tmp_path: Path, plain: str) -> None:
    await asyncio.to_thread(push, registries.Pusher(plain), "app")
    reached, hold = asyncio.Event(), asyncio.Event()
    inner = Breaking(plain, breaks=0, after=0)

    async def slow(request: web.Request) -> web.StreamResponse:
        if "/blobs/" in request.path:
            reached.set()
            await hold.wait()
        return await inner(request)

    async for address in serving(slow):
        store = ImageStore(tmp_path / "store", SystemClock())
        first = asyncio.ensure_future(store.pull(f"{address}/app:1", None))
        second = asyncio.ensure_future(store.pull(f"{address}/app:1", None))
        await reached.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        hold.set()
        assert await second, "the one who still waits gets it"
        reached.clear()
        hold.clear()
        await store.remove(f"{address}/app:1")
        alone = asyncio.ensure_future(store.pull(f"{address}/app:1", None))
        await reached.wait()
        alone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await alone
        hold.set()
        assert await store.list() == []
        assert list(store.layout.tmp.iterdir()) == []


async def test_a_busy_registry_is_asked_again(tmp_path: Path, plain: str) -> None:
    await asyncio.to_thread(push, registries.Pusher(plain), "app", LAYERS[1:])
    inner = Breaking(plain, breaks=0, after=0)
    refused: set[str] = set()

    async def busy(request: web.Request) -> web.StreamResponse:
        if request.path not in refused:
            refused.add(request.path)
            body = {"errors": [{"code": "TOOMANYREQUESTS", "message": "slowly"}]}
            return web.json_response(body, status=429 if len(refused) % 2 else 503)
        return await inner(request)

    async for address in serving(busy):
        assert await ImageStore(tmp_path / "store", SystemClock()).pull(f"{address}/app:1", None)


async def test_what_a_registry_says_reaches_the_user(tmp_path: Path) -> None:
    async def denied(request: web.Request) -> web.StreamResponse:
        body = json.dumps({"errors": [{"code": "DENIED", "message": "ask Ben"}]})
        return web.Response(status=403, text=body, content_type="application/json")

    async for address in serving(denied):
        with pytest.raises(ImageFailure, match=r"pull access denied.*\(DENIED: ask Ben\)"):
            await ImageStore(tmp_path / "store", SystemClock()).pull(f"{address}/app:1", None)
