"""What admission by others adds to a create: one webhook beside a bare HTTPS call, and twenty policies.

One process plays both ends, so the webhook's own answer is in all figures: what is told is the difference.
"""

import asyncio
import base64
import json
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from aiohttp import ClientSession, TCPConnector, web

from benches.machine import line as describe, scaled
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport
from orlop.clock import SystemClock
from orlop.pki.authority import Authority, certificate_pem, key_pem, new_key
from orlop.pki.identities import Identity, Names

COUNT = scaled(1_000)
ROUNDS = 3
POLICIES = 20
ADMIN = User("admin", ("system:masters", "system:authenticated"))
MAPS = "/api/v1/namespaces/kube-system/configmaps"
GROUP = "/apis/admissionregistration.k8s.io/v1"
JSON = {"content-type": "application/json", "user-agent": "bench/1"}
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "data": {f"key{i}": "v" * 50 for i in range(20)}}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}


async def answer(request: web.Request) -> web.Response:
    review = json.loads(await request.read())
    response = {"uid": review["request"]["uid"], "allowed": True}
    return web.json_response({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response})


async def serve(folder: Path) -> tuple[web.AppRunner, int, str]:
    """The webhook: its runner, its port, its authority."""
    key, authority = new_key(), Authority.create(new_key(), SystemClock())
    names = Names((), (ip_address("127.0.0.1"),))
    (folder / "crt").write_bytes(certificate_pem(authority.issue(key, Identity("hook", "hook"), names)))
    (folder / "key").write_bytes(key_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner, runner.addresses[0][1], certificate_pem(authority.certificate).decode()


async def timed(work: Callable[[int], Awaitable[None]]) -> tuple[float, float]:
    """Median latency and mean CPU time of one, in microseconds."""
    taken, cpu = [], time.process_time()
    for i in range(COUNT):
        began = time.perf_counter()
        await work(i)
        taken.append(time.perf_counter() - began)
    return median(taken) * 1e6, (time.process_time() - cpu) / COUNT * 1e6


class Cluster:
    """A server in this process."""

    def __init__(self, server: ApiServer) -> None:
        self.transport = ASGITransport(server.app, ADMIN)
        self._made = 0

    async def post(self, path: str, body: dict[str, Any]) -> None:
        made = await self.transport.request("POST", path, JSON, json.dumps(body).encode())
        assert made.status == 201, made.body

    async def delete(self, path: str) -> None:
        assert (await self.transport.request("DELETE", path, JSON, b"")).status == 200

    async def create(self, _: int) -> None:
        self._made += 1
        await self.post(MAPS, BODY | {"metadata": {"name": f"m{self._made}"}})


async def webhook(cluster: Cluster, folder: Path) -> None:
    runner, port, ca = await serve(folder)
    url = f"https://127.0.0.1:{port}/"
    asked: dict[str, Any] = {"uid": "u", "object": BODY | {"metadata": {"name": "m"}}}
    review = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}).encode()
    tls = ssl.create_default_context(cadata=ca)
    async with ClientSession(connector=TCPConnector(ssl=tls)) as session:

        async def bare(_: int) -> None:
            async with session.post(url, data=review, headers=JSON) as told:
                await told.read()

        await bare(0)
        for _ in range(ROUNDS):
            call, plain = await timed(bare), await timed(cluster.create)
            hook = {
                "name": "bench.example.com",
                "rules": [RULE],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"url": url, "caBundle": base64.b64encode(ca.encode()).decode()},
            }
            path = f"{GROUP}/validatingwebhookconfigurations"
            await cluster.post(path, {"metadata": {"name": "bench"}, "webhooks": [hook]})
            await cluster.create(0)
            hooked = await timed(cluster.create)
            await cluster.delete(f"{path}/bench")
            added = [h - p for h, p in zip(hooked, plain, strict=True)]
            print(f"bare call      {call[0]:7.0f} µs, {call[1]:5.0f} µs of CPU", flush=True)
            print(f"create         {plain[0]:7.0f} µs, {plain[1]:5.0f} µs of CPU")
            print(f"with a webhook {hooked[0]:7.0f} µs, {hooked[1]:5.0f} µs of CPU", flush=True)
            print(f"  added: {added[0]:.0f} µs, {added[0] / call[0]:.2f} of a bare call; CPU {added[1] / call[1]:.2f}")
    await runner.cleanup()


async def policies(cluster: Cluster) -> None:
    plain = await timed(cluster.create)
    for i in range(POLICIES):
        spec = {
            "matchConstraints": {"resourceRules": [RULE]},
            "variables": [{"name": "keys", "expression": "object.data.filter(k, k.startsWith('key'))"}],
            "validations": [
                {"expression": "size(variables.keys) <= 50"},
                {"expression": f"object.metadata.name != 'forbidden-{i}'", "message": "no"},
            ],
        }
        await cluster.post(f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": f"p{i}"}, "spec": spec})
        bound = {"policyName": f"p{i}", "validationActions": ["Deny"]}
        await cluster.post(f"{GROUP}/validatingadmissionpolicybindings", {"metadata": {"name": f"p{i}"}, "spec": bound})
    await cluster.create(0)
    for _ in range(ROUNDS):
        held = await timed(cluster.create)
        print(f"{POLICIES} policies: {held[1] - plain[1]:.0f} µs of CPU a create more than {plain[1]:.0f}", flush=True)


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as folder:
        async with ApiServer(Config(data_dir=Path(folder), store="memory", secure_port=None)) as server:
            cluster = Cluster(server)
            await webhook(cluster, Path(folder))
            await policies(cluster)
            await cluster.transport.close()


if __name__ == "__main__":
    print(describe())
    asyncio.run(main())
