"""Identity from client certificates."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
from tests.front.conftest import Serve, Served

from orlop import pki
from orlop.api import errors
from orlop.apiserver.auth import LOCAL_USER, Authenticator, User
from orlop.apiserver.auth.x509 import PEER, Peer
from orlop.clock import FakeClock, SystemClock
from orlop.pki.identities import Names


@pytest.fixture
async def served(serve: Serve) -> AsyncIterator[Served]:
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

    async with serve(app) as served:
        yield served


async def ask(served: Served, pair: pki.KeyPair | None, times: int = 1) -> list[str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.context(pair))
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


async def test_a_certificate_names_user_and_groups(folder, served):
    answers = await ask(served, folder.client(pki.ADMIN), times=2)
    want = "kubernetes-admin|system:masters,system:authenticated|authentication.kubernetes.io/credential-id"
    assert answers == [want, want]
    answer = (await ask(served, folder.client(pki.node("n1"))))[0]
    assert answer.startswith("system:node:n1|system:nodes,system:authenticated|")


async def test_without_a_certificate_nobody_is_known(served):
    assert await ask(served, None) == ["system:anonymous|system:unauthenticated|"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_keeps_its_identity(folder, served, version):
    """Go's clients resume: the certificate is then not sent again."""
    pair = folder.client(pki.SCHEDULER)
    context = served.context(pair)
    context.minimum_version = context.maximum_version = version

    def request(session):
        plain = socket.create_connection(("127.0.0.1", served.port))
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


async def test_another_authority_s_certificate_does_not_get_in(served, tmp_path):
    foreign = pki.Folder(tmp_path / "foreign", SystemClock()).client(pki.ADMIN)
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(served, foreign)


async def test_a_server_s_certificate_is_no_client_s(folder, served):
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await ask(served, folder.apiserver(Names.of(["127.0.0.1"])))


def test_a_certificate_that_ended_during_the_connection_does_not_count():
    clock = FakeClock()
    authenticator = Authenticator([], clock)
    state = {PEER: Peer(User("alice"), clock.now() + 1)}
    assert authenticator.authenticate({"state": state}, {}).name == "alice"
    state = {PEER: Peer(User("alice"), clock.now() - 1)}
    with pytest.raises(errors.Unauthorized):
        authenticator.authenticate({"state": state}, {})


def test_a_caller_in_the_process_is_who_it_says():
    clock = FakeClock()
    scheduler = User("system:kube-scheduler")
    assert Authenticator([], clock).authenticate({"state": {LOCAL_USER: scheduler}}, {}) is scheduler
