"""A webhook server over TLS in this process, with an answer for each path."""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.conftest import Api

from orlop.clock import SystemClock
from orlop.pki.authority import Authority, certificate_pem, key_pem, new_key
from orlop.pki.identities import Identity, Names

MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

Answer = Callable[[dict[str, Any]], Awaitable[Any]]
"""From the request of a review to its response, or to a whole HTTP answer."""


def allow(**more: Any) -> Answer:
    async def answer(_: dict[str, Any]) -> Any:
        return {"allowed": True, **more}

    return answer


def deny(**status: Any) -> Answer:
    async def answer(_: dict[str, Any]) -> Any:
        return {"allowed": False, "status": status} if status else {"allowed": False}

    return answer


def patch(*operations: dict[str, Any]) -> Answer:
    async def answer(_: dict[str, Any]) -> Any:
        return patching(*operations)

    return answer


def patching(*operations: dict[str, Any]) -> dict[str, Any]:
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


def annotate(name: str, value: str = "yes") -> Answer:
    """Adds an annotation."""

    async def answer(asked: dict[str, Any]) -> Any:
        metadata = asked["object"]["metadata"]
        if "annotations" not in metadata:
            return patching({"op": "add", "path": "/metadata/annotations", "value": {name: value}})
        return patching({"op": "add", "path": f"/metadata/annotations/{name}", "value": value})

    return answer


class HookServer:
    """Answers reviews; `answers` says how, by path."""

    def __init__(self, names: Names) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.connections: set[Any] = set()
        self.queries: list[str] = []
        self.hosts: list[str] = []
        self.port = 0
        key = new_key()
        self.authority = Authority.create(new_key(), SystemClock())
        self.certificate = certificate_pem(self.authority.issue(key, Identity("webhook", "webhook"), names))
        self.key = key_pem(key)
        self.ca = base64.b64encode(certificate_pem(self.authority.certificate)).decode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        self.queries.append(request.query_string)
        self.hosts.append(request.headers["host"])
        review = await request.json()
        self.asked.append((request.path, review["request"]))
        response = await self.answers[request.path](review["request"])
        if isinstance(response, web.StreamResponse):
            return response
        return web.json_response(
            {
                "apiVersion": review["apiVersion"],
                "kind": "AdmissionReview",
                "response": {"uid": review["request"]["uid"], **response},
            }
        )

    def of(self, path: str) -> list[dict[str, Any]]:
        """What was asked at a path."""
        return [asked for where, asked in self.asked if where == path]

    def hook(self, path: str, *resources: str, **more: Any) -> dict[str, Any]:
        """A webhook at a path, for creates of these resources unless more is said."""
        rule = {
            "operations": more.pop("operations", ["CREATE"]),
            "apiGroups": more.pop("groups", ["*"]),
            "apiVersions": ["*"],
            "resources": list(resources),
            **more.pop("rule", {}),
        }
        return {
            "name": more.pop("name", f"{path.strip('/')}.example.com"),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca},
            **more,
        }


def configuration(name: str, *hooks: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "webhooks": list(hooks)}


async def serve(server: HookServer, folder: Path) -> web.AppRunner:
    (folder / "hook.crt").write_bytes(server.certificate)
    (folder / "hook.key").write_bytes(server.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hook.crt", folder / "hook.key")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.port = runner.addresses[0][1]
    return runner


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[HookServer]:
    server = HookServer(Names(("hook.default.svc",), (ip_address("127.0.0.1"),)))
    runner = await serve(server, tmp_path)
    yield server
    await runner.cleanup()


@pytest.fixture
async def mutating(api: Api, hooks: HookServer) -> Callable[..., Awaitable[Any]]:
    async def make(name: str, *made: dict[str, Any]) -> Any:
        return await api.made(MUTATING, configuration(name, *made))

    return make


@pytest.fixture
async def validating(api: Api, hooks: HookServer) -> Callable[..., Awaitable[Any]]:
    async def make(name: str, *made: dict[str, Any]) -> Any:
        return await api.made(VALIDATING, configuration(name, *made))

    return make
