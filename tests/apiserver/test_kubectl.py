"""The real kubectl against the server over TLS, and a small kubelet behind it."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from tests.apiserver.conftest import PODS, Api, pod

from orlop import pki
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.clock import SystemClock
from orlop.cluster.settings import primary_address
from orlop.kubelet.server import upgrade
from orlop.pki.identities import Names
from orlop.streaming import portforward

KUBECTL = Path(sys.executable).parent / "kubectl"
pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl is not in the environment")


class Kubectl:
    def __init__(self, config: Path) -> None:
        self.config = config

    async def __call__(self, *arguments: str, stdin: str | None = None, fails: bool = False) -> str:
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"KUBECONFIG": str(self.config), "HOME": str(self.config.parent), "PATH": "/usr/bin:/bin"},
        )
        try:
            async with asyncio.timeout(30):
                out, err = await process.communicate((stdin or "").encode())
        except TimeoutError:
            process.kill()
            raise
        assert (process.returncode != 0) == fails, (arguments, out, err)
        return (err if fails else out).decode()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ApiServer]:
    config = Config(data_dir=tmp_path, store="lmdb", secure_port=0, write_kubeconfig=tmp_path / "kubeconfig")
    async with ApiServer(config) as server:
        yield server


@pytest.fixture
def kubectl(served: ApiServer) -> Kubectl:
    assert served.config.write_kubeconfig is not None
    return Kubectl(served.config.write_kubeconfig)


async def test_everyday_commands(kubectl: Kubectl) -> None:
    assert "Server Version: v1.37" in await kubectl("version")
    assert (await kubectl("get", "--raw", "/readyz")) == "ok"
    await kubectl("create", "configmap", "a", "--from-literal=k=v")
    assert json.loads(await kubectl("get", "cm", "a", "-o", "json"))["data"] == {"k": "v"}
    await kubectl("label", "cm", "a", "x=y")
    await kubectl("annotate", "cm", "a", "note=n")
    assert "a" in await kubectl("get", "cm", "-l", "x=y")
    await kubectl("patch", "cm", "a", "-p", '{"data":{"k":"w"}}')
    await kubectl("patch", "cm", "a", "--type=json", "-p", '[{"op":"add","path":"/data/n","value":"1"}]')
    assert json.loads(await kubectl("get", "cm", "a", "-o", "json"))["data"] == {"k": "w", "n": "1"}
    await kubectl("create", "deployment", "web", "--image=nginx", "--replicas=0")
    await kubectl("scale", "deployment", "web", "--replicas=3")
    assert "0/3" in await kubectl("get", "deployment", "web")
    assert "deployment.apps/web" in await kubectl("get", "all")
    await kubectl("create", "service", "clusterip", "web", "--tcp=80")
    assert "10.96." in await kubectl("get", "svc", "web", "-o", "wide")
    assert (await kubectl("auth", "can-i", "create", "pods")).strip() == "yes"
    assert "kubernetes-admin" in await kubectl("auth", "whoami")
    assert "deployments" in await kubectl("api-resources", "--api-group=apps")
    await kubectl("create", "namespace", "n")
    assert "already exists" in await kubectl("create", "namespace", "n", fails=True)
    assert 'pods "nope" not found' in await kubectl("get", "pod", "nope", fails=True)
    assert "Type:" in await kubectl("describe", "svc", "web")
    await kubectl("delete", "cm", "a")
    await kubectl("wait", "--for=delete", "cm/a", "--timeout=5s")


async def test_a_wait_and_a_watch(served: ApiServer, kubectl: Kubectl) -> None:
    api = Api(served)
    await api.made("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    made = await api.made(PODS, pod())
    waiting = asyncio.ensure_future(kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=10s"))
    await asyncio.sleep(0.5)
    made["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    made["status"]["phase"] = "Running"
    await api("PUT", f"{PODS}/p/status", made)
    assert "pod/p condition met" in await waiting
    await api.transport.close()


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, store="lmdb", secure_port=None)
    maps = "/api/v1/namespaces/default/configmaps"
    async with ApiServer(config) as server:
        made = await Api(server).made(maps, {"metadata": {"name": "a"}})
    async with ApiServer(config) as server:
        assert (await Api(server)("GET", f"{maps}/a")).body == made


class FakeKubelet:
    """Logs, exec and attach as a kubelet answers them, without containers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.peers: list[str] = []
        self.port = self.echo = 0

    async def log(self, request: web.Request) -> web.StreamResponse:
        self._note(request)
        if request.match_info["container"] == "none":
            raise web.HTTPBadRequest(text="container is waiting to start")
        answer = web.StreamResponse()
        await answer.prepare(request)
        for i in range(3):
            await answer.write(f"line {i}\n".encode())
        if request.query.get("follow"):
            await asyncio.sleep(0.3)
            await answer.write(b"late\n")
        return answer

    async def exec(self, request: web.Request) -> web.WebSocketResponse:
        self._note(request)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await socket.prepare(request)
        if request.query.get("input"):
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[:1] == b"\0":
                    await socket.send_bytes(b"\1" + message.data[1:].upper())
                elif message.type is WSMsgType.BINARY and message.data == b"\xff\0":
                    break
        else:
            await socket.send_bytes(b"\1" + " ".join(request.query.getall("command")).encode() + b"\n")
        status = {
            "status": "Failure",
            "reason": "NonZeroExitCode",
            "message": "command terminated with non-zero exit code",
            "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
        }
        done = {"status": "Success"} if request.query.getall("command")[0] != "false" else status
        await socket.send_bytes(b"\3" + json.dumps(done).encode())
        await socket.close()
        return socket

    async def forward(self, request: web.Request) -> web.WebSocketResponse:
        """An echo in capitals behind every port."""
        self._note(request)
        socket = await upgrade.open_websocket(request, portforward.TUNNEL)

        async def dial(port: int) -> portforward.Connection:
            return await asyncio.open_connection("127.0.0.1", self.echo)

        await portforward.SpdyForwarding(upgrade.Tunnel(socket), dial).run()
        return socket

    async def capitals(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
            await writer.drain()
        writer.close()

    def _note(self, request: web.Request) -> None:
        self.asked.append((request.path, {k: request.query.getall(k) for k in request.query}))
        transport = request.transport
        assert transport is not None
        certificate = transport.get_extra_info("peercert")
        self.peers.append(dict(part[0] for part in certificate["subject"])["commonName"])


@pytest.fixture
async def kubelet(served: ApiServer) -> AsyncIterator[FakeKubelet]:
    fake = FakeKubelet()
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", fake.log)
    app.router.add_get("/portForward/{namespace}/{pod}", fake.forward)
    app.router.add_get("/exec/{namespace}/{pod}/{container}", fake.exec)
    folder = pki.Folder(served.config.data_dir / "pki", SystemClock())
    pair = folder.kubelet("n", Names.of(["n"]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder.ca_file))
    context.load_cert_chain(pair.certificate_file, pair.key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    fake.port = runner.addresses[0][1]
    echo = await asyncio.start_server(fake.capitals, "127.0.0.1", 0)
    fake.echo = echo.sockets[0].getsockname()[1]
    api = Api(served)
    await api.made("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    node: dict[str, Any] = {
        "metadata": {"name": "n"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": fake.port}},
        },
    }
    await api.made("/api/v1/nodes", node)
    two = pod("p", nodeName="n")
    two["spec"]["containers"].append({"name": "none", "image": "img"})
    made = await api.made(PODS, two)
    made["status"]["phase"] = "Running"
    await api("PUT", f"{PODS}/p/status", made)
    yield fake
    await api.transport.close()
    echo.close()
    await runner.cleanup()


async def test_logs(kubectl: Kubectl, kubelet: FakeKubelet) -> None:
    assert await kubectl("logs", "p", "-c", "c", "--tail=5") == "line 0\nline 1\nline 2\n"
    path, query = kubelet.asked[-1]
    assert path == "/containerLogs/default/p/c"
    assert query["tailLines"] == ["5"]
    assert kubelet.peers == ["kube-apiserver-kubelet-client"]
    assert (await kubectl("logs", "p", "-c", "c", "-f")).endswith("late\n")
    assert "container is waiting to start" in await kubectl("logs", "p", "-c", "none", fails=True)


async def test_logs_need_a_container_where_there_are_several(served: ApiServer, kubelet: FakeKubelet) -> None:
    api = Api(served)
    answer = await api("GET", f"{PODS}/p/log")
    assert answer.status == 400
    assert answer.message == "a container name must be specified for pod p, choose one of: [c none]"
    wrong = await api("GET", f"{PODS}/p/log?container=x")
    assert wrong.message == "container x is not valid for pod p"
    await api.transport.close()


async def test_exec(kubectl: Kubectl, kubelet: FakeKubelet) -> None:
    assert await kubectl("exec", "p", "-c", "c", "--", "echo", "a b") == "echo a b\n"
    assert await kubectl("exec", "-i", "p", "-c", "c", "--", "cat", stdin="hello\n") == "HELLO\n"
    assert "exit code 7" in await kubectl("exec", "p", "-c", "c", "--", "false", fails=True)


async def test_port_forward(served: ApiServer, kubelet: FakeKubelet) -> None:
    process = await asyncio.create_subprocess_exec(
        str(KUBECTL),
        "port-forward",
        "pod/p",
        ":80",
        stdout=asyncio.subprocess.PIPE,
        env={"KUBECONFIG": str(served.config.write_kubeconfig), "HOME": "/nonexistent"},
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
        port = int(line.split("127.0.0.1:")[1].split()[0])

        async def talk(text: bytes) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(text)
            answer = await asyncio.wait_for(reader.readexactly(len(text)), 10)
            writer.close()
            return answer

        assert await asyncio.gather(talk(b"one"), talk(b"two")) == [b"ONE", b"TWO"]
        assert await talk(b"x" * 300_000 + b"bye") == b"X" * 300_000 + b"BYE"
    finally:
        process.terminate()
        await process.wait()


async def test_requests_are_passed_on_to_pods_and_services(
    served: ApiServer, kubelet: FakeKubelet, kubectl: Kubectl
) -> None:
    async def echo(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(text=f"{request.method} {request.path_qs} {body.decode()}", headers={"x-mine": "1"})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    address = primary_address()  # no endpoint may be at the loopback address
    site = web.TCPSite(runner, address, 0)
    await site.start()
    port = runner.addresses[0][1]
    api = Api(served)
    found = (await api("GET", f"{PODS}/p")).body
    found["status"]["podIP"] = address
    found["status"]["podIPs"] = [{"ip": address}]
    await api("PUT", f"{PODS}/p/status", found)
    answer = await api("GET", f"{PODS}/p:{port}/proxy/a/b?c=d")
    assert answer.raw == b"GET /a/b?c=d "
    assert answer.headers["x-mine"] == "1"
    sent = await api("POST", f"{PODS}/http:p:{port}/proxy/x/", b"hello", media="text/plain")
    assert sent.raw == b"POST /x/ hello"
    services = "/api/v1/namespaces/default/services"
    await api.made(services, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80, "name": "http"}]}})
    nobody = await api("GET", f"{services}/web:http/proxy/")
    assert (nobody.status, nobody.message) == (503, 'no endpoints available for service "web"')
    await api.made(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        },
    )
    assert await kubectl("get", "--raw", f"{services}/web:http/proxy/q") == "GET /q "
    node = await api("GET", "/api/v1/nodes/n/proxy/containerLogs/default/p/c")
    assert node.raw.startswith(b"line 0")
    await runner.cleanup()
    await api.transport.close()
