"""A manager that only tells what it would do."""

import asyncio

from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.control import Manager
from orlop.controllers import Options, all_controllers
from tests.support.worlds import ADMIN, MANAGER, server

PATIENCE = 50
"""Turns of the loop without a line after which nothing more is said."""


async def test_all_controllers_tell_what_they_would_do_and_write_nothing() -> None:
    async with server() as (app, clock):
        admin = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="kubectl")
        meta = meta_v1.ObjectMeta(name="default", namespace="default")
        await admin.create(core_v1.ServiceAccount(metadata=meta))
        template = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels={"app": "web"}))
        template.spec.containers = [core_v1.Container(name="web", image="web:1")]
        web = apps_v1.Deployment(metadata=meta_v1.ObjectMeta(name="web", namespace="default"))
        web.spec = apps_v1.DeploymentSpec(
            replicas=2, selector=meta_v1.LabelSelector(match_labels={"app": "web"}), template=template
        )
        await admin.create(web)
        alone = apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(name="alone", namespace="default"))
        other = meta_v1.LabelSelector(match_labels={"app": "alone"})
        pod = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels={"app": "alone"}), spec=template.spec)
        alone.spec = apps_v1.ReplicaSetSpec(replicas=2, selector=other, template=pod)
        await admin.create(alone)
        bad = apps_v1.ReplicaSet(metadata=meta_v1.ObjectMeta(name="bad", namespace="default"))
        refused = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels={"app": "alone"}))
        refused.spec.containers = template.spec.containers
        refused.spec.service_account_name = "nobody"
        bad.spec = apps_v1.ReplicaSetSpec(replicas=1, selector=other, template=refused)
        await admin.create(bad)
        await admin.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="default")))
        await admin.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="ending")))
        await admin.delete(core_v1.Namespace, "ending")
        before = await everything(admin)
        lines: list[str] = []
        client = Client(ASGITransport(app, MANAGER), clock=clock, user_agent="manager")
        manager = Manager(
            client, clock, all_controllers(Options(root_ca=b"CA")), leader_elect=True, dry_run=lines.append
        )
        task = asyncio.ensure_future(manager.run())
        await asyncio.wait_for(manager.ready(), 10)
        calm = 0
        while calm < PATIENCE:
            said = len(lines)
            await asyncio.sleep(0)
            calm = calm + 1 if manager.idle and len(lines) == said else 0
        task.cancel()
        await asyncio.wait({task})
        assert await everything(admin) == before
        text = "\n".join(lines)
        assert "deployment-controller: create replicasets/default/web-" in text
        assert "deployment-controller: event Normal ScalingReplicaSet Deployment/default/web: Scaled up" in text
        made = [line for line in lines if line.startswith("replicaset-controller: create pods/default/alone-")]
        assert len(made) == 2
        assert 'refused: create pods/default: pods "bad-" is forbidden: error looking up service account' in text
        assert 'replicaset-controller: update replicasets/default/alone/status {"status":{' in text
        assert "namespace-controller: update namespaces/ending/finalize" in text
        assert "namespace-controller: delete configmaps/ending/*" in text
        assert "root-ca-certificate-publisher-controller: create configmaps/default/kube-root-ca.crt" in text
        assert "update replicasets/default/web" not in text  # there is none yet: what follows is not told


async def everything(client: Client) -> list[str]:
    """Each object with its revision."""
    found = []
    for path in (
        "/api/v1/namespaces",
        "/api/v1/pods",
        "/api/v1/events",
        "/api/v1/configmaps",
        "/api/v1/serviceaccounts",
        "/apis/apps/v1/deployments",
        "/apis/apps/v1/replicasets",
        "/apis/apps/v1/controllerrevisions",
        "/apis/coordination.k8s.io/v1/leases",
    ):
        found.append((await client.request("GET", path)).body.decode().partition('"items"')[2])
    return found


async def test_deletions_are_told_and_not_done() -> None:
    async with server() as (app, clock):
        admin = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="kubectl")
        owner = meta_v1.OwnerReference(api_version="v1", kind="ConfigMap", name="gone", uid="gone")
        meta = meta_v1.ObjectMeta(name="orphan", namespace="default", owner_references=[owner])
        await admin.create(core_v1.ConfigMap(metadata=meta))
        lines: list[str] = []
        controllers = [c for c in all_controllers(Options()) if c.name == "garbage-collector-controller"]
        client = Client(ASGITransport(app, MANAGER), clock=clock, user_agent="manager")
        manager = Manager(client, clock, controllers, dry_run=lines.append)
        task = asyncio.ensure_future(manager.run())
        async with asyncio.timeout(10):
            while not lines:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait({task})
        assert "garbage-collector-controller: delete configmaps/default/orphan" in lines
        await admin.get(core_v1.ConfigMap, "orphan", "default")
