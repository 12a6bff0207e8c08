"""An extension API server as its authors write them: k8s.io/sample-apiserver, unmodified, behind this one."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orlop.apiserver.server import ApiServer
from tests.apiserver.test_kubectl import Kubectl
from tests.support import go, webhooks

pytestmark = [pytest.mark.go, pytest.mark.timeout(go.BUILD_SECONDS + 120)]
FLUNDER = """\
apiVersion: wardle.example.com/v1alpha1
kind: Flunder
metadata:
  name: f
  labels: {a: b}
spec:
  reference: other
"""


class Wardle:
    """The extension server as a process."""

    def __init__(self, program: Path, folder: Path, kubeconfig: str) -> None:
        self.port = webhooks.free_port()
        self.authority = webhooks.Authorities()
        self._program, self._folder, self._kubeconfig = program, folder, kubeconfig
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        certificate, key = self.authority.pair(self._folder / "wardle", "api.wardle.svc", "localhost")
        with (self._folder / "wardle.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self._program),
                f"--etcd-folder={self._folder / 'etcd'}",
                f"--secure-port={self.port}",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                *(f"--{part}kubeconfig={self._kubeconfig}" for part in ("", "authentication-", "authorization-")),
                stdout=log,
                stderr=log,
            )

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def log(self) -> str:
        return (self._folder / "wardle.log").read_text()[-3000:]

    async def ask(self, path: str, token: str) -> int:
        """The status that the extension server itself answers with to a token."""
        tls = ssl.create_default_context(cadata=self.authority.pem.decode())
        headers = {"Authorization": f"Bearer {token}"}
        url = f"https://localhost:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=tls) as answer:
            return answer.status


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return go.main(go.AGGREGATED)
    except go.NoGo as error:
        pytest.skip(str(error))


@pytest.fixture
async def wardle(program: Path, tmp_path: Path, served: ApiServer, kubectl: Kubectl) -> AsyncIterator[Wardle]:
    one = Wardle(program, tmp_path, str(served.config.write_kubeconfig))
    await kubectl("create", "namespace", "wardle")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "api", "namespace": "wardle"},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": one.port}]},
    }
    endpoints = webhooks.endpoints("api", one.port)
    endpoints["metadata"]["namespace"] = "wardle"
    await kubectl("create", "-f", "-", stdin=json.dumps(service))
    await kubectl("create", "-f", "-", stdin=json.dumps(endpoints))
    for group, version in (
        ("wardle.example.com", "v1alpha1"),
        ("wardle.example.com", "v1beta1"),
        ("metrics.k8s.io", "v1beta1"),
    ):
        body = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"namespace": "wardle", "name": "api"},
                "caBundle": one.authority.bundle,
            },
        }
        await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body))
    await one.start()
    try:
        await available(kubectl, "v1alpha1.wardle.example.com")
        await available(kubectl, "v1beta1.metrics.k8s.io")
        yield one
    except AssertionError as error:
        raise AssertionError(f"{error}\n{one.log()}") from None
    finally:
        await one.stop()


async def available(kubectl: Kubectl, name: str, status: str = "True") -> None:
    await kubectl("wait", f"--for=condition=Available={status}", f"apiservice/{name}", "--timeout=25s")


async def test_its_objects_are_like_any_others(wardle: Wardle, kubectl: Kubectl) -> None:
    assert "flunders" in await kubectl("api-resources", "--api-group=wardle.example.com")
    assert "FlunderSpec" in await kubectl("explain", "flunder", "--api-version=wardle.example.com/v1alpha1")
    await kubectl("apply", "-f", "-", stdin=FLUNDER)
    assert "configured" in await kubectl("apply", "-f", "-", stdin=FLUNDER.replace("a: b", "a: c"))
    await kubectl("apply", "--server-side", "--field-manager=x", "-f", "-", stdin=FLUNDER.replace("a: b", "d: e"))
    found = json.loads(await kubectl("get", "flunder", "f", "-o", "json"))
    assert found["metadata"]["labels"] == {"d": "e"}, "what was applied before is applied no longer"
    assert "f" in await kubectl("get", "flunders", "-A")
    await kubectl("patch", "flunder", "f", "--type=merge", "-p", '{"metadata":{"annotations":{"x":"y"}}}')
    wrong = await kubectl("apply", "-f", "-", stdin=FLUNDER.replace("reference: other", "bogus: such"), fails=True)
    assert 'unknown field "spec.bogus"' in wrong
    await kubectl("delete", "flunder", "f")
    assert "not found" in await kubectl("get", "flunder", "f", fails=True)


async def test_its_watches_and_protobuf(wardle: Wardle, kubectl: Kubectl) -> None:
    """A finalizer keeps the object until kubectl waits for its end: it says nothing of what was gone before it came."""
    waiting = asyncio.ensure_future(kubectl("wait", "--for=create", "flunder/f", "--timeout=20s"))
    await kubectl("create", "-f", "-", stdin=FLUNDER.replace("name: f", "name: f\n  finalizers: [example.com/held]"))
    assert "condition met" in await waiting
    ending = asyncio.ensure_future(kubectl("delete", "flunder", "f", "--timeout=25s"))
    await kubectl("wait", "--for=jsonpath={.metadata.deletionTimestamp}", "flunder/f", "--timeout=20s")
    assert not ending.done(), "kubectl waits as long as the finalizer holds the object"
    await kubectl("patch", "flunder", "f", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert '"f" deleted' in await ending
    assert "not found" in await kubectl("get", "flunder", "f", fails=True)


async def test_access_is_asked_for_here(wardle: Wardle, kubectl: Kubectl) -> None:
    """Who comes to the extension server directly is known and allowed by this API server's word."""
    path = "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders"
    await kubectl("create", "serviceaccount", "sailor")
    token = (await kubectl("create", "token", "sailor")).strip()
    assert await wardle.ask(path, "nonsense") == 401
    assert await wardle.ask(path, token) == 403
    as_sailor = ("--as=system:serviceaccount:default:sailor", "get", "flunders")
    assert "forbidden" in await kubectl(*as_sailor, fails=True)
    rule = ("--verb=get,list", "--resource=flunders.wardle.example.com")
    await kubectl("create", "role", "sailors", *rule)
    await kubectl("create", "rolebinding", "sailors", "--role=sailors", "--serviceaccount=default:sailor")
    async with asyncio.timeout(30):  # it remembers a refusal for ten seconds
        for _ in iter(int, 1):
            if await wardle.ask(path, token) == 200:
                break
            await asyncio.sleep(0.2)
    assert json.loads(await kubectl(*as_sailor, "-o", "json"))["items"] == []


async def test_kubectl_top(wardle: Wardle, kubectl: Kubectl) -> None:
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}
    node["status"] = {"allocatable": {"cpu": "1", "memory": "128Mi"}}
    await kubectl("create", "-f", "-", stdin=json.dumps(node))
    await kubectl("patch", "node", "n1", "--subresource=status", "--type=merge", "-p", json.dumps(node))
    shown = await kubectl("top", "nodes")
    assert shown.split()[-5:] == ["n1", "250m", "25%", "64Mi", "50%"]
    assert "p1" in await kubectl("top", "pods")


async def test_when_it_dies_and_comes_back(wardle: Wardle, kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=FLUNDER)
    await wardle.stop()
    failed = await kubectl("get", "flunders.v1alpha1.wardle.example.com", fails=True)
    assert "unable to handle the request" in failed or "connection refused" in failed
    await available(kubectl, "v1alpha1.wardle.example.com", "False")
    assert "default" in await kubectl("get", "namespaces"), "the others are served"
    await wardle.start()
    await available(kubectl, "v1alpha1.wardle.example.com")
    assert "f" in await kubectl("get", "flunders")
