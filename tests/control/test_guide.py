"""examples/controller, the operator of docs/writing-controllers.md: what it says is what it does."""

import asyncio
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orlop import controller
from orlop.api import errors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client, incluster
from orlop.client.asgi import ASGITransport
from orlop.controllers import Options, all_controllers
from tests.support.customresources import CustomResource
from tests.support.worlds import ADMIN, MANAGER, server

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "controller"
GUIDE = ROOT / "docs" / "writing-controllers.md"


def example() -> Any:
    spec = importlib.util.spec_from_file_location("sites", EXAMPLE / "sites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_operator_makes_follows_and_reports() -> None:
    sites = example()
    async with server() as (real, clock):
        app = CustomResource(real, sites.Site.__kind__)
        client = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="kubectl")
        await client.create(sites.Site(metadata=named("shop"), spec=sites.SiteSpec(image="web:1", replicas=2)))
        operator = controller.Manager(client, clock, [sites.Sites()])
        working = asyncio.ensure_future(operator.run())
        try:
            await asyncio.wait_for(operator.ready(), 10)
            await quiet(operator)
            made = await client.get(apps_v1.Deployment, "shop", "default")
            assert made.spec.replicas == 2
            assert made.spec.template.spec.containers[0].image == "web:1"
            (owner,) = made.metadata.owner_references
            site = await client.get(sites.Site, "shop", "default")
            assert (owner.api_version, owner.kind, owner.uid) == ("example.com/v1", "Site", site.metadata.uid)
            assert owner.controller
            # It follows the Site …
            await client.patch(sites.Site, "shop", "default", {"spec": {"image": "web:2"}})
            await quiet(operator)
            made = await client.get(apps_v1.Deployment, "shop", "default")
            assert made.spec.template.spec.containers[0].image == "web:2"
            # … puts right what others change of what is its own, and leaves alone what is not …
            await client.patch(apps_v1.Deployment, "shop", "default", {"spec": {"replicas": 7, "minReadySeconds": 5}})
            await quiet(operator)
            made = await client.get(apps_v1.Deployment, "shop", "default")
            assert (made.spec.replicas, made.spec.min_ready_seconds) == (2, 5)
            # … reports …
            status = {"status": {"replicas": 2, "readyReplicas": 1}}
            await client.patch(apps_v1.Deployment, "shop", "default", status, subresource="status")
            await quiet(operator)
            assert (await client.get(sites.Site, "shop", "default")).status.ready == 1
            # … and makes anew.
            await client.delete(apps_v1.Deployment, "shop", "default")
            await quiet(operator)
            assert (await client.get(apps_v1.Deployment, "shop", "default")).metadata.uid != made.metadata.uid
        finally:
            working.cancel()
            await asyncio.wait({working})
            await client.close()


async def test_it_works_beside_orlops_own_controllers() -> None:
    """Deployment, ReplicaSet and pods follow from a Site."""
    sites = example()
    async with server() as (real, clock):
        app = CustomResource(real, sites.Site.__kind__)
        client = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="kubectl")
        managers = [
            controller.Manager(client, clock, [sites.Sites()]),
            controller.Manager(
                Client(ASGITransport(app, MANAGER), clock=clock, user_agent="manager"),
                clock,
                all_controllers(Options()),
            ),
        ]
        working = [asyncio.ensure_future(manager.run()) for manager in managers]
        try:
            await asyncio.gather(*(asyncio.wait_for(manager.ready(), 10) for manager in managers))
            await client.create(sites.Site(metadata=named("shop"), spec=sites.SiteSpec(image="web:1", replicas=3)))
            async with asyncio.timeout(10):
                while len((await client.list(core_v1.Pod, "default", labels="site=shop")).items) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            for task in working:
                task.cancel()
            await asyncio.wait(working)
            await client.close()


async def test_a_dry_run_tells_of_the_deployment() -> None:
    sites = example()
    async with server() as (real, clock):
        app = CustomResource(real, sites.Site.__kind__)
        client = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="kubectl")
        await client.create(sites.Site(metadata=named("shop"), spec=sites.SiteSpec(image="web:1")))
        lines: list[str] = []
        manager = controller.Manager(client, clock, [sites.Sites()], dry_run=lines.append)
        working = asyncio.ensure_future(manager.run())
        await asyncio.wait_for(manager.ready(), 10)
        await quiet(manager)
        working.cancel()
        await asyncio.wait({working})
        assert lines[0].startswith("sites-controller: update deployments/default/shop {")
        with pytest.raises(errors.NotFound):
            await client.get(apps_v1.Deployment, "shop", "default")
        await client.close()


def named(name: str) -> Any:
    return meta_v1.ObjectMeta(name=name, namespace="default")


async def quiet(manager: controller.Manager) -> None:
    calm = 0
    while calm < 100:
        await asyncio.sleep(0)
        calm = calm + 1 if manager.idle else 0


def test_the_guide_shows_the_example_and_its_manifests_fit() -> None:
    code = (EXAMPLE / "sites.py").read_text()
    shown = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert shown[0].strip() in code
    assert len([line for line in shown[0].splitlines() if line.strip()]) <= 40
    crd = yaml.safe_load((EXAMPLE / "crd.yaml").read_text())
    site = yaml.safe_load((EXAMPLE / "site.yaml").read_text())
    kind = example().Site.__kind__
    spec = crd["spec"]
    assert (kind.group, kind.plural, kind.kind) == (spec["group"], spec["names"]["plural"], spec["names"]["kind"])
    assert (site["apiVersion"], site["kind"]) == (kind.api_version, kind.kind)


def test_a_pod_finds_its_way(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    assert incluster.settings(environ, tmp_path) is None
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("CA")
    (tmp_path / "namespace").write_text("mine\n")
    assert incluster.settings({}, tmp_path) is None
    found = incluster.settings(environ, tmp_path)
    assert found is not None
    assert (found.server, found.ca_data, found.namespace) == ("https://10.0.0.1:443", b"CA", "mine")
    assert found.token_file == str(tmp_path / "token")
    six = incluster.settings({**environ, "KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path)
    assert six is not None
    assert six.server == "https://[fd00::1]:443"
