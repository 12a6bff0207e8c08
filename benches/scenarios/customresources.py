"""Custom resources beside built-in ones: CPU time of creates and gets in one process, without the network.

The custom resource has a schema of forty fields with a rule; the ConfigMap is of the same size (2.7 KB).
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches.machine import line as describe, scaled
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport

COUNT = scaled(3_000)
ADMIN = User("admin", ("system:masters", "system:authenticated"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/kube-system/widgets"
MAPS = "/api/v1/namespaces/kube-system/configmaps"
VALUE = "v" * 50

FIELDS: dict[str, Any] = {f"field{i}": {"type": "string", "maxLength": 100} for i in range(38)}
FIELDS |= {"replicas": {"type": "integer", "minimum": 0, "default": 1}, "max": {"type": "integer", "default": 10}}
SPEC = {
    "type": "object",
    "properties": FIELDS,
    "x-kubernetes-validations": [{"rule": "self.replicas <= self.max"}],
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}},
            }
        ],
    },
}


def widget(i: int) -> bytes:
    spec = {f"field{k}": VALUE for k in range(38)}
    meta = {"name": f"w{i}"}
    return json.dumps({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": spec}).encode()


def config_map(i: int) -> bytes:
    data = {f"field{k}": VALUE for k in range(40)}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"w{i}"}, "data": data}).encode()


async def measure(transport: ASGITransport, path: str, body: Any) -> tuple[float, float]:
    """CPU seconds of a create and of a get."""
    headers = {"content-type": "application/json", "user-agent": "bench/1"}
    bodies = [body(i) for i in range(COUNT)]
    began = time.process_time()
    for data in bodies:
        answer = await transport.request("POST", path, headers, data)
        assert answer.status == 201, answer.body
    made = time.process_time()
    for i in range(COUNT):
        await transport.request("GET", f"{path}/w{i}", headers, b"")
    return (made - began) / COUNT, (time.process_time() - made) / COUNT


async def main() -> None:
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        async with ApiServer(Config(data_dir=Path(folder), store="memory", secure_port=None)) as server:
            transport = ASGITransport(server.app, ADMIN)
            body = json.dumps(DEFINITION).encode()
            await transport.request("POST", DEFINITIONS, {"content-type": "application/json"}, body)
            for _ in iter(int, 1):
                if (await transport.request("GET", WIDGETS, {}, b"")).status == 200:
                    break
                await asyncio.sleep(0.01)
            maps = await measure(transport, MAPS, config_map)
            widgets = await measure(transport, WIDGETS, widget)
            await transport.close()
    for what, ours, theirs in zip(("create", "get"), widgets, maps, strict=True):
        print(
            f"{what:8} custom resource {ours * 1e6:8.1f} µs   ConfigMap {theirs * 1e6:8.1f} µs   "
            f"{theirs / ours:5.0%} of its rate"
        )


if __name__ == "__main__":
    asyncio.run(main())
