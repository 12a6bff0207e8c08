"""Operators as their authors write them, unmodified: controller-runtime with a kind in two versions, kopf."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orlop.apiserver.server import ApiServer
from tests.apiserver.test_kubectl import Kubectl
from tests.support import go, webhooks

pytestmark = [pytest.mark.go, pytest.mark.timeout(go.BUILD_SECONDS + 120)]


def schema(**spec: Any) -> dict[str, Any]:
    status = {"type": "object", "properties": {"afloat": {"type": "boolean"}}}
    spec = {"type": "object", "properties": spec | {"crew": {"type": "integer"}}}
    whole = {"type": "object", "properties": {"spec": spec, "status": status}}
    return {"served": True, "storage": False, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": whole}}


def definition(client: dict[str, Any]) -> dict[str, Any]:
    one = schema(place={"type": "string", "pattern": "^-?[0-9]+,-?[0-9]+$"}) | {"name": "v1", "storage": True}
    two = schema(x={"type": "integer"}, y={"type": "integer"}) | {"name": "v2"}
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ships.fleet.example.com"},
        "spec": {
            "group": "fleet.example.com",
            "names": {"plural": "ships", "kind": "Ship"},
            "scope": "Namespaced",
            "versions": [one, two],
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }


def configuration(kind: str, client: dict[str, Any], path: str) -> dict[str, Any]:
    """A webhook configuration for ships."""
    hook = {
        "name": "ships.fleet.example.com",
        "clientConfig": client | {"url": f"{client['url'].rpartition('/')[0]}{path}"},
        "rules": [
            {
                "apiGroups": ["fleet.example.com"],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["ships"],
            }
        ],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "ships"},
        "webhooks": [hook],
    }


def ship(version: str, name: str = "s", **spec: Any) -> str:
    metadata = {"name": name}
    return json.dumps(
        {"apiVersion": f"fleet.example.com/{version}", "kind": "Ship", "metadata": metadata, "spec": spec}
    )


@pytest.fixture
async def operator(tmp_path: Path, served: ApiServer, kubectl: Kubectl) -> AsyncIterator[dict[str, Any]]:
    """The running operator; gives the client configuration of its webhooks."""
    try:
        program = await asyncio.to_thread(go.main, go.OPERATOR)
    except go.NoGo as error:
        pytest.skip(str(error))
    authority, port = webhooks.Authorities(), webhooks.free_port()
    authority.pair(tmp_path / "operator", "localhost")
    client = {"url": f"https://localhost:{port}/convert", "caBundle": authority.bundle}
    await kubectl("apply", "-f", "-", stdin=json.dumps(definition(client)))
    await kubectl("wait", "--for=condition=Established", "crd/ships.fleet.example.com", "--timeout=10s")
    with (tmp_path / "operator.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(program),
            f"--certificates={tmp_path / 'operator'}",
            f"--port={port}",
            env={"KUBECONFIG": str(served.config.write_kubeconfig), "HOME": str(tmp_path)},
            stdout=log,
            stderr=log,
        )
    try:
        await webhooks.listening(port)
        yield client
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(tmp_path / 'operator.log').read_text()[-3000:]}") from None
    finally:
        process.kill()
        await process.wait()


async def test_two_versions_and_a_controller(operator: dict[str, Any], kubectl: Kubectl) -> None:
    """The controller works on v2, what is stored is v1: every read and write of it is converted."""
    await kubectl("apply", "-f", "-", stdin=ship("v1", place="3,4"))
    await kubectl("wait", "ship/s", "--for=jsonpath={.status.afloat}=true", "--timeout=20s")
    two = json.loads(await kubectl("get", "ships.v2.fleet.example.com", "s", "-o", "json"))
    assert (two["spec"], two["status"]) == ({"x": 3, "y": 4}, {"afloat": True})
    assert two["metadata"]["finalizers"] == ["fleet.example.com/moored"]
    await kubectl("apply", "-f", "-", stdin=ship("v2", "t", x=-1, y=2))
    await kubectl("wait", "ships.v1.fleet.example.com/t", "--for=jsonpath={.spec.place}=-1,2", "--timeout=20s")
    await kubectl("patch", "ships.v2.fleet.example.com", "t", "--type=merge", "-p", '{"spec":{"x":5}}')
    assert await kubectl("get", "ships.v1.fleet.example.com", "t", "-o", "jsonpath={.spec.place}") == "5,2"
    assert "integer" in await kubectl("explain", "ship.spec.x", "--api-version=fleet.example.com/v2")
    await kubectl("delete", "ships", "--all", "--timeout=20s")


async def test_defaulting_and_validating(operator: dict[str, Any], kubectl: Kubectl) -> None:
    await configured(operator, kubectl)
    await kubectl("apply", "-f", "-", stdin=ship("v1", place="1,2"))
    assert await kubectl("get", "ships.v1.fleet.example.com", "s", "-o", "jsonpath={.spec.crew}") == "7"
    await kubectl("delete", "ships", "--all", "--timeout=20s")


async def test_webhooks_are_asked_about_other_versions(operator: dict[str, Any], kubectl: Kubectl) -> None:
    """matchPolicy Equivalent: a webhook for v1 is asked about v2 too, in v1."""
    await configured(operator, kubectl)
    await kubectl("apply", "-f", "-", stdin=ship("v2", "t", x=1, y=2))
    assert await kubectl("get", "ships.v2.fleet.example.com", "t", "-o", "jsonpath={.spec.crew}") == "7"


async def configured(operator: dict[str, Any], kubectl: Kubectl) -> None:
    """Applies the configurations of the webhooks; returns when they count."""
    paths = {"MutatingWebhookConfiguration": "mutate", "ValidatingWebhookConfiguration": "validate"}
    for kind, path in paths.items():
        body = configuration(kind, operator, f"/{path}-fleet-example-com-v1-ship")
        await kubectl("apply", "-f", "-", stdin=json.dumps(body))
    async with asyncio.timeout(20):  # the configuration counts once it has been seen
        for _ in iter(int, 1):
            with contextlib.suppress(AssertionError):
                await kubectl("create", "--dry-run=server", "-f", "-", stdin=ship("v1", "try", place="1,1"))
                large = ship("v1", "try", place="1,1", crew=101)
                refused = await kubectl("create", "--dry-run=server", "-f", "-", stdin=large, fails=True)
                assert "no ship has more than 100 hands" in refused
                break


KOPF = Path(__file__).parent / "kopf_operator.py"


def fields() -> dict[str, Any]:
    """The definition that the operator on kopf works on."""
    spec = {"type": "object", "properties": {"crop": {"type": "string"}, "acres": {"type": "integer"}}}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    whole = {"type": "object", "properties": {"spec": spec, "status": free}}
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "fields.farm.example.com"},
        "spec": {
            "group": "farm.example.com",
            "names": {"plural": "fields", "kind": "Field"},
            "scope": "Namespaced",
            "versions": [version | {"schema": {"openAPIV3Schema": whole}}],
        },
    }


def field(name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": "farm.example.com/v1", "kind": "Field", "metadata": {"name": name}, "spec": spec})


@contextlib.asynccontextmanager
async def kopf(folder: Path, served: ApiServer, kubectl: Kubectl, **env: str) -> AsyncIterator[None]:
    """The operator on kopf, running within the block."""
    await kubectl("apply", "-f", "-", stdin=json.dumps(fields()))
    await kubectl("wait", "--for=condition=Established", "crd/fields.farm.example.com", "--timeout=10s")
    with (folder / "kopf.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kopf", "run", "--standalone", "--all-namespaces", str(KOPF)),
            env={
                "KUBECONFIG": str(served.config.write_kubeconfig),
                "HOME": str(folder),
                "PATH": "/usr/bin:/bin",
                **env,
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}\n{(folder / 'kopf.log').read_text()[-3000:]}") from None
    finally:
        process.terminate()
        await process.wait()


async def test_kopf(tmp_path: Path, served: ApiServer, kubectl: Kubectl) -> None:
    async with kopf(tmp_path, served, kubectl):
        await kubectl("apply", "-f", "-", stdin=field("north", crop="wheat"))
        await kubectl("wait", "field/north", "--for=jsonpath={.status.sow.sown}=wheat", "--timeout=20s")
        found = json.loads(await kubectl("get", "field", "north", "-o", "json"))
        assert found["metadata"]["finalizers"] == ["farm.example.com/ploughed"]
        await kubectl("patch", "field", "north", "--type=merge", "-p", '{"spec":{"crop":"rye"}}')
        await kubectl("wait", "field/north", "--for=jsonpath={.status.changed}=wheat to rye", "--timeout=20s")
        await kubectl("delete", "field", "north", "--timeout=20s")
        event = ("--for=create", "events", "--field-selector=reason=Ploughed")
        assert "condition met" in await kubectl("wait", *event, "--timeout=20s")


async def test_kopf_with_webhooks(tmp_path: Path, served: ApiServer, kubectl: Kubectl) -> None:
    authority, port = webhooks.Authorities(), webhooks.free_port()
    certificate, key = authority.pair(tmp_path / "kopf", "localhost")
    bundle = tmp_path / "kopf" / "ca.crt"
    bundle.write_bytes(authority.pem)
    env = {"PORT": str(port), "CERTIFICATE": str(certificate), "KEY": str(key), "AUTHORITY": str(bundle)}
    async with kopf(tmp_path, served, kubectl, **{f"WEBHOOK_{name}": value for name, value in env.items()}):
        async with asyncio.timeout(30):
            for _ in iter(int, 1):
                with contextlib.suppress(AssertionError):
                    text = field("try", crop="stones")
                    refused = await kubectl("create", "--dry-run=server", "-f", "-", stdin=text, fails=True)
                    assert "stones do not grow" in refused
                    break
        await kubectl("apply", "-f", "-", stdin=field("south", crop="oats"))
        assert await kubectl("get", "field", "south", "-o", "jsonpath={.spec.acres}") == "1"
        await kubectl("wait", "field/south", "--for=jsonpath={.status.sow.sown}=oats", "--timeout=20s")
        await kubectl("delete", "field", "south", "--timeout=20s")
