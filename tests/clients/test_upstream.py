"""Kubernetes' own kube-apiserver, kube-controller-manager and kube-scheduler, unmodified, in the places of orlop's.

Each of the stories is told four times: with upstream's controllers, with upstream's scheduler, and with both, on
orlop's API server and simulated nodes; and with all that is orlop's on upstream's API server. What users see must be
the same.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orlop.api import errors
from orlop.api.types import apps_v1, batch_v1, core_v1, discovery_v1, meta_v1, policy_v1, storage_v1
from orlop.apiserver.auth.policy.controllers import own_roles
from orlop.cluster.inprocess import AsyncCluster
from tests.support import go
from tests.support.upstream import APISERVER, MANAGER, SCHEDULER, OnTheirs, WithTheirs

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(2 * go.COMMAND_SECONDS)]


@pytest.fixture(
    params=[(MANAGER,), (SCHEDULER,), (MANAGER, SCHEDULER), (APISERVER,)],
    ids="+".join,
)
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncCluster]:
    try:
        one = OnTheirs(tmp_path) if APISERVER in request.param else WithTheirs(request.param, tmp_path)
    except go.NoGo as error:
        pytest.skip(str(error))
    async with one:
        yield one


async def eventually(what: str, holds: Any, seconds: float = 120) -> Any:
    try:
        async with asyncio.timeout(seconds):
            while not (found := await holds()):  # noqa: ASYNC110  # what programs do tells nobody here
                await asyncio.sleep(0.2)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None


def template(app: str, image: str = "app:1", stage: str = "", **spec: Any) -> core_v1.PodTemplateSpec:
    notes = {"hollow.orlop/stage": stage} if stage else {}
    return core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels={"app": app}, annotations=notes),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="app", image=image)], **spec),
    )


def meta(name: str, namespace: str = "default") -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=name, namespace=namespace)


def selector(app: str) -> meta_v1.LabelSelector:
    return meta_v1.LabelSelector(match_labels={"app": app})


async def test_a_deployment_behind_a_service(cluster: AsyncCluster) -> None:
    client = cluster.client
    spec = apps_v1.DeploymentSpec(replicas=3, selector=selector("web"), template=template("web"))
    await client.create(apps_v1.Deployment(metadata=meta("web"), spec=spec))
    service = core_v1.ServiceSpec(selector={"app": "web"}, ports=[core_v1.ServicePort(port=80)])
    await client.create(core_v1.Service(metadata=meta("web"), spec=service))
    budget = policy_v1.PodDisruptionBudgetSpec(selector=selector("web"), min_available=2)
    await client.create(policy_v1.PodDisruptionBudget(metadata=meta("web"), spec=budget))

    async def complete() -> bool:
        d = await client.get(apps_v1.Deployment, "web", "default")
        s = d.status
        counts = (s.replicas, s.updated_replicas, s.available_replicas, s.observed_generation)
        return counts == (3, 3, 3, d.metadata.generation)

    async def endpoints() -> bool:
        slices = (await client.list(discovery_v1.EndpointSlice, "default")).items
        return sum(len(s.endpoints) for s in slices if s.metadata.name.startswith("web-")) == 3

    async def allowed() -> bool:
        return (await client.get(policy_v1.PodDisruptionBudget, "web", "default")).status.disruptions_allowed == 1

    await eventually("all are available", complete)
    await eventually("all are endpoints", endpoints)
    await eventually("one may go", allowed)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}
    await client.patch(apps_v1.Deployment, "web", "default", patch, type="strategic")
    await eventually("all are new", complete)
    images = {p.spec.containers[0].image for p in (await client.list(core_v1.Pod, "default")).items if _stays(p)}
    assert images == {"app:2"}
    await client.delete(apps_v1.Deployment, "web", "default", propagation="Foreground")

    async def gone() -> bool:
        left = [
            *(await client.list(apps_v1.Deployment, "default")).items,
            *(await client.list(apps_v1.ReplicaSet, "default")).items,
            *(await client.list(core_v1.Pod, "default")).items,
        ]
        return not left

    await eventually("all is gone", gone)


def _stays(pod: core_v1.Pod) -> bool:
    return pod.metadata.deletion_timestamp is None


async def test_jobs(cluster: AsyncCluster) -> None:
    client = cluster.client
    ends = template("work", stage='{"run": 0.1}', restart_policy="Never")
    indexed = batch_v1.JobSpec(completions=4, parallelism=2, completion_mode="Indexed", template=ends)
    await client.create(batch_v1.Job(metadata=meta("indexed"), spec=indexed))
    fails = template("work", stage='{"run": 0.1, "exitCode": 3}', restart_policy="Never")
    limited = batch_v1.JobSpec(backoff_limit=0, template=fails)
    await client.create(batch_v1.Job(metadata=meta("fails"), spec=limited))

    def ended(name: str, how: str) -> Any:
        async def holds() -> batch_v1.Job | None:
            job = await client.get(batch_v1.Job, name, "default")
            return job if any(c.type == how and c.status == "True" for c in job.status.conditions) else None

        return holds

    done = await eventually("the indexed Job is complete", ended("indexed", "Complete"))
    assert (done.status.succeeded, done.status.completed_indexes) == (4, "0-3")
    failed = await eventually("the other has failed", ended("fails", "Failed"))
    assert [c.reason for c in failed.status.conditions] == ["BackoffLimitExceeded"] * 2
    assert not any(p.metadata.finalizers for p in (await client.list(core_v1.Pod, "default")).items)


async def test_sets(cluster: AsyncCluster) -> None:
    client = cluster.client
    spec = apps_v1.StatefulSetSpec(replicas=2, service_name="db", selector=selector("db"), template=template("db"))
    await client.create(apps_v1.StatefulSet(metadata=meta("db"), spec=spec))
    every = apps_v1.DaemonSetSpec(selector=selector("every"), template=template("every"))
    await client.create(apps_v1.DaemonSet(metadata=meta("every"), spec=every))

    async def ready() -> bool:
        db = await client.get(apps_v1.StatefulSet, "db", "default")
        ds = await client.get(apps_v1.DaemonSet, "every", "default")
        return db.status.ready_replicas == 2 and ds.status.number_ready == 2

    await eventually("all are ready", ready)
    names = {p.metadata.name for p in (await client.list(core_v1.Pod, "default", labels="app=db")).items}
    assert names == {"db-0", "db-1"}


async def test_namespaces_and_quotas(cluster: AsyncCluster) -> None:
    client = cluster.client
    await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="guest")))

    async def account() -> bool:
        try:
            await client.get(core_v1.ServiceAccount, "default", "guest")
        except errors.NotFound:
            return False
        return True

    await eventually("it has an account", account)
    quota = core_v1.ResourceQuotaSpec(hard={"pods": "5", "count/configmaps": "10"})
    await client.create(core_v1.ResourceQuota(metadata=meta("all", "guest"), spec=quota))
    spec = apps_v1.DeploymentSpec(replicas=2, selector=selector("web"), template=template("web"))
    await client.create(apps_v1.Deployment(metadata=meta("web", "guest"), spec=spec))

    async def counted() -> bool:
        return (await client.get(core_v1.ResourceQuota, "all", "guest")).status.used.get("pods") == "2"

    await eventually("two pods count", counted)
    await client.delete(core_v1.Namespace, "guest")

    async def gone() -> bool:
        return "guest" not in {n.metadata.name for n in (await client.list(core_v1.Namespace)).items}

    await eventually("the namespace is gone", gone)


@pytest.mark.parametrize("cluster", [(APISERVER,)], indirect=True, ids="+".join)
async def test_the_provisioner_that_only_orlop_has(cluster: AsyncCluster) -> None:
    """On upstream's API server it may do nothing, until the printed roles are applied."""
    client = cluster.client
    with pytest.raises(errors.NotFound):
        await client.get(storage_v1.StorageClass, "local-path")
    for role in own_roles():
        await client.create(role)
    source = core_v1.PersistentVolumeClaimVolumeSource(claim_name="data")
    spec = template("db", volumes=[core_v1.Volume(name="data", persistent_volume_claim=source)]).spec

    async def provided() -> bool:
        return any(c.metadata.name == "local-path" for c in (await client.list(storage_v1.StorageClass)).items)

    async def bound() -> bool:
        return (await client.get(core_v1.PersistentVolumeClaim, "data", "default")).status.phase == "Bound"

    await eventually("there is a default class", provided)
    resources = core_v1.VolumeResourceRequirements(requests={"storage": "1Gi"})
    claim = core_v1.PersistentVolumeClaimSpec(access_modes=["ReadWriteOnce"], resources=resources)
    await client.create(core_v1.PersistentVolumeClaim(metadata=meta("data"), spec=claim))
    await client.create(core_v1.Pod(metadata=meta("db"), spec=spec))
    await eventually("the claim has a volume", bound)
