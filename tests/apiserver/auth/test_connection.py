"""Identity from client certificates, over real TLS on loopback."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from orlop import pki
from orlop.api import errors
from orlop.apiserver.auth import LOCAL_USER, Authenticator, User
from orlop.apiserver.auth.connection import IdentifyingProtocol, keep_fresh, server_context
from orlop.apiserver.auth.x509 import PEER, Peer
from orlop.clock import SystemClock
from orlop.pki.identities import Names


@pytest.fixture
def folder(tmp_path: Path) -> pki.Folder:
    return pki.Folder(tmp_path / "pki", SystemClock())


@pytest.fixture
async def port(folder: pki.Folder):
    authenticator = Authenticator([], SystemClock())

    async def app(scope, receive, send):
        try:
            user = authenticator.authenticate(scope, dict(scope["headers"]))
            status, text = 200, f"{user.name}|{','.join(user.groups)}|{','.join(key for key, _ in user.extra)}"
        except errors.Unauthorized as error:
            status, text = 401, error.message
        body = text.encode()
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})

    folder.ca()
    pair = folder.apiserver(Names.of(["127.0.0.1"]))
    config = uvicorn.Config(app, http=IdentifyingProtocol, lifespan="off", log_level="critical")
    config.load()
    tls = server_context(str(pair.certificate_file), str(pair.key_file), str(folder.ca_file))
    state = ServerState()
    listener = await asyncio.get_running_loop().create_server(
        lambda: IdentifyingProtocol(config, state, {}), "127.0.0.1", 0, ssl=tls
    )
    yield listener.sockets[0].getsockname()[1]
    listener.close()
    for connection in list(state.connections):
        connection.shutdown()


async def ask(port: int, folder: pki.Folder, pair: pki.KeyPair | None, times: int = 1) -> list[str]:
    context = ssl.create_default_context(cafile=folder.ca_file)
    if pair is not None:
        context.load_cert_chain(pair.certificate_file, pair.key_file)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    answers = []
    try:
        for _ in range(times):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            answers.append((await reader.readexactly(length)).decode())
    finally:
        writer.close()
    return answers


async def test_a_certificate_names_user_and_groups(folder, port):
    answers = await ask(port, folder, folder.client(pki.ADMIN), times=2)
    want = "kubernetes-admin|system:masters,system:authenticated|authentication.kubernetes.io/credential-id"
    assert answers == [want, want]
    answer = (await ask(port, folder, folder.client(pki.node("n1"))))[0]
    assert answer.startswith("system:node:n1|system:nodes,system:authenticated|")


async def test_without_a_certificate_nobody_is_known(folder, port):
    assert await ask(port, folder, None) == ["system:anonymous|system:unauthenticated|"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_keeps_its_identity(folder, port, version):
    """Go's clients resume: the certificate is then not sent again."""
    pair = folder.client(pki.SCHEDULER)
    context = ssl.create_default_context(cafile=folder.ca_file)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(pair.certificate_file, pair.key_file)

    def request(session):
        plain = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while chunk := tls.recv(4096):
                answer += chunk
            return answer.rpartition(b"\r\n")[2].split(b"|")[0], tls.session, tls.session_reused

    first, session, reused = await asyncio.to_thread(request, None)
    assert (first, reused) == (b"system:kube-scheduler", False)
    second, _, reused = await asyncio.to_thread(request, session)
    assert (second, reused) == (b"system:kube-scheduler", True)


async def test_another_authority_s_certificate_does_not_get_in(folder, port, tmp_path):
    foreign = pki.Folder(tmp_path / "foreign", SystemClock()).client(pki.ADMIN)
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(port, folder, foreign)


async def test_a_server_s_certificate_is_no_client_s(folder, port):
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(port, folder, folder.apiserver(Names.of(["127.0.0.1"])))


def test_a_certificate_that_ended_during_the_connection_does_not_count(clock):
    authenticator = Authenticator([], clock)
    state = {PEER: Peer(User("alice"), clock.now() + 1)}
    assert authenticator.authenticate({"state": state}, {}).name == "alice"
    state = {PEER: Peer(User("alice"), clock.now() - 1)}
    with pytest.raises(errors.Unauthorized):
        authenticator.authenticate({"state": state}, {})


def test_a_caller_in_the_process_is_who_it_says(clock):
    scheduler = User("system:kube-scheduler")
    assert Authenticator([], clock).authenticate({"state": {LOCAL_USER: scheduler}}, {}) is scheduler


def served(context: ssl.SSLContext) -> bytes | None:
    """The certificate that a new connection is shown."""
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), context.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(3):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[0].getpeercert(binary_form=True)


async def test_a_running_server_shows_its_renewed_certificate(tmp_path, clock):
    folder = pki.Folder(tmp_path / "pki", clock)
    names = Names.of(["127.0.0.1"])
    folder.ca()
    pair = folder.apiserver(names)
    context = server_context(str(pair.certificate_file), str(pair.key_file), str(folder.ca_file))
    first = served(context)
    assert first == ssl.PEM_cert_to_DER_cert(pair.certificate.decode())
    task = asyncio.ensure_future(keep_fresh(context, lambda: folder.apiserver(names), clock))
    try:
        await clock.advance(300 * 86400)
        for _ in range(60):  # the thread that renews takes real time
            if served(context) != first:
                break
            await asyncio.sleep(0.01)
            await clock.advance(86400)
    finally:
        task.cancel()
    assert served(context) not in (first, None)
