"""Five hundred CustomResourceDefinitions in one process: what each takes of memory, and how long discovery and OpenAPI
take to be up to date again after one of them has changed.

Half of them have a small schema, half one of forty fields in two versions. Refreshing is the time of the first request
after the change is served, less that of the next: what has to be made anew.
"""

import asyncio
import gc
import json
import statistics
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

COUNT = scaled(500)
CHANGES = 5
ADMIN = User("admin", ("system:masters", "system:authenticated"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
DOCUMENTS = {
    "discovery, aggregated": ("/apis", AGGREGATED),
    "discovery, groups": ("/apis", "application/json"),
    "OpenAPI v3, root": ("/openapi/v3", "application/json"),
    "OpenAPI v3, one group": ("/openapi/v3/apis/g0.example.com/v1", "application/json"),
    "OpenAPI v2, JSON": ("/openapi/v2", "application/json"),
    "OpenAPI v2, protobuf": ("/openapi/v2", PROTOBUF),
}


def schema(fields: int, described: str = "") -> dict[str, Any]:
    text = {"type": "string", "maxLength": 100, "description": f"a field of the specification {described}"}
    spec = {"type": "object", "properties": {f"field{i}": text for i in range(fields)}}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "properties": {"spec": spec, "status": free}}


def definition(i: int, described: str = "") -> dict[str, Any]:
    large = i % 2 == 1

    def version(name: str, storage: bool) -> dict[str, Any]:
        whole = {"openAPIV3Schema": schema(40 if large else 4, described)}
        return {"name": name, "served": True, "storage": storage, "subresources": {"status": {}}, "schema": whole}

    group = f"g{i % (COUNT // 5)}.example.com"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things{i}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": f"things{i}s", "kind": f"Thing{i}"},
            "versions": [version("v1", True), *([version("v2", False)] if large else [])],
        },
    }


def resident() -> int:
    """Bytes of this process in memory that are its own."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say what this process takes")


async def main() -> None:
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        async with ApiServer(Config(data_dir=Path(folder), store="memory", secure_port=None)) as server:
            transport = ASGITransport(server.app, ADMIN)
            headers = {"content-type": "application/json", "user-agent": "bench/1"}

            async def read(path: str, accept: str) -> int:
                answer = await transport.request("GET", path, {"accept": accept}, b"")
                assert answer.status in (200, 404), answer.body
                return len(answer.body)

            async def served(i: int) -> None:
                group = definition(i)["spec"]["group"]
                for _ in iter(int, 1):
                    if (await transport.request("GET", f"/apis/{group}/v1/things{i}s", {}, b"")).status == 200:
                        return
                    await asyncio.sleep(0.001)

            for path, accept in DOCUMENTS.values():
                await read(path, accept)
            gc.collect()
            before, began, cpu = resident(), time.perf_counter(), time.process_time()
            for i in range(COUNT):
                body = json.dumps(definition(i)).encode()
                answer = await transport.request("POST", DEFINITIONS, headers, body)
                assert answer.status == 201, answer.body
            for i in range(COUNT):
                await served(i)
            took, spent = time.perf_counter() - began, time.process_time() - cpu
            print(f"{COUNT} definitions served after {took:.2f} s, {spent / COUNT * 1e3:.2f} ms of CPU each")
            gc.collect()
            print(f"memory {(resident() - before) / COUNT / 1024:.0f} KiB each, before documents were read")
            for path, accept in DOCUMENTS.values():
                await read(path, accept)
            gc.collect()
            print(f"memory {(resident() - before) / COUNT / 1024:.0f} KiB each, all documents read")
            times: dict[str, list[float]] = {name: [] for name in DOCUMENTS}
            for turn in range(CHANGES):
                body = definition(1, f"changed {turn}")
                patch = json.dumps({"spec": {"versions": body["spec"]["versions"]}}).encode()
                merge = headers | {"content-type": "application/merge-patch+json"}
                before_change = server.core.custom.changes
                answer = await transport.request("PATCH", f"{DEFINITIONS}/{body['metadata']['name']}", merge, patch)
                assert answer.status == 200, answer.body
                for _ in iter(int, 1):
                    if server.core.custom.changes != before_change:
                        break
                    await asyncio.sleep(0.001)
                for name, (path, accept) in DOCUMENTS.items():
                    at = time.perf_counter()
                    await read(path, accept)
                    first = time.perf_counter() - at
                    at = time.perf_counter()
                    size = await read(path, accept)
                    times[name].append(first - (time.perf_counter() - at))
                    sizes[name] = size
            for name, found in times.items():
                print(
                    f"{name:24} refreshed in {statistics.median(found) * 1e3:7.1f} ms (most {max(found) * 1e3:.1f}), "
                    f"{sizes[name] / 1024:.0f} KiB"
                )
            await transport.close()


sizes: dict[str, int] = {}

if __name__ == "__main__":
    asyncio.run(main())
