"""The Python clients of others, unmodified: typed, dynamic, watching, applying."""

import asyncio
from typing import Any

import kr8s.asyncio
import kubernetes
import kubernetes_asyncio as k8s_asyncio
import lightkube
import pytest
from kr8s.asyncio.objects import Deployment as Kr8sDeployment
from kubernetes import dynamic
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.core_v1 import ConfigMap

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "img"}]}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
}


async def test_the_official_client(kubeconfig: str) -> None:
    def use() -> None:
        client = kubernetes.config.new_client_from_config(kubeconfig)
        core, batch = kubernetes.client.CoreV1Api(client), kubernetes.client.BatchV1Api(client)
        core.create_namespaced_config_map("default", {"metadata": {"name": "m"}, "data": {"a": "1"}})
        core.patch_namespaced_config_map("m", "default", {"data": {"b": "2"}})
        assert core.read_namespaced_config_map("m", "default").data == {"a": "1", "b": "2"}
        job = {
            "metadata": {"name": "j"},
            "spec": {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
        }
        assert batch.create_namespaced_job("default", job).spec.completions == 1
        batch.patch_namespaced_job_status("j", "default", {"status": {"active": 1, "ready": 0}})
        assert batch.read_namespaced_job_status("j", "default").status.active == 1
        seen = [
            (event["type"], event["object"].metadata.name)
            for event in kubernetes.watch.Watch().stream(core.list_namespaced_config_map, "default", timeout_seconds=1)
        ]
        assert ("ADDED", "m") in seen
        autoscaling = kubernetes.client.AutoscalingV2Api(client)
        spec = {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}
        made = autoscaling.create_namespaced_horizontal_pod_autoscaler(
            "default", {"metadata": {"name": "h"}, "spec": spec}
        )
        assert made.spec.metrics[0].resource.target.average_utilization == 80
        with pytest.raises(kubernetes.client.ApiException, match="404"):
            core.read_namespaced_config_map("none", "default")
        _dynamic(client)

    def _dynamic(client: Any) -> None:
        deployments = dynamic.DynamicClient(client).resources.get(api_version="apps/v1", kind="Deployment")
        applied = deployments.server_side_apply(
            body=DEPLOYMENT, name="d", namespace="default", field_manager="dyn", force_conflicts=True
        )
        assert applied.metadata.managedFields[0].manager == "dyn"
        assert deployments.get(name="d", namespace="default").spec.replicas == 1
        deployments.delete(name="d", namespace="default")

    await asyncio.to_thread(use)


async def test_kubernetes_asyncio(kubeconfig: str) -> None:
    await k8s_asyncio.config.load_kube_config(kubeconfig)
    async with k8s_asyncio.client.ApiClient() as client:
        apps = k8s_asyncio.client.AppsV1Api(client)
        made = await apps.create_namespaced_deployment("default", DEPLOYMENT)
        assert made.metadata.generation == 1
        scale = await apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 4}})
        assert scale.spec.replicas == 4
        listed = await apps.list_deployment_for_all_namespaces(label_selector="!x", limit=1)
        assert [item.spec.replicas for item in listed.items] == [4]


async def test_lightkube(kubeconfig: str) -> None:
    def use() -> None:
        config = lightkube.KubeConfig.from_file(kubeconfig)
        client = lightkube.Client(config=config, field_manager="light")
        client.create(ConfigMap(metadata=ObjectMeta(name="m", namespace="default"), data={"a": "1"}))
        client.patch(ConfigMap, "m", {"data": {"b": "2"}}, namespace="default")
        assert client.get(ConfigMap, "m", namespace="default").data == {"a": "1", "b": "2"}
        made = client.apply(
            StatefulSet.from_dict(
                {
                    "apiVersion": "apps/v1",
                    "kind": "StatefulSet",
                    "metadata": {"name": "s", "namespace": "default"},
                    "spec": {"serviceName": "s", "selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE},
                }
            )
        )
        assert made.spec.podManagementPolicy == "OrderedReady"
        assert made.spec.selector == LabelSelector(matchLabels={"a": "b"})
        assert [s.metadata.name for s in client.list(StatefulSet, namespace="*")] == ["s"]
        client.delete(StatefulSet, "s", namespace="default")

    await asyncio.to_thread(use)


async def test_kr8s(kubeconfig: str) -> None:
    api = await kr8s.asyncio.api(kubeconfig=kubeconfig)
    deployment = await Kr8sDeployment({**DEPLOYMENT, "metadata": {"name": "d", "namespace": "default"}}, api=api)
    await deployment.create()
    await deployment.scale(3)
    await deployment.label({"x": "y"})
    found = [d async for d in api.get("deployments", namespace="default", label_selector={"x": "y"})]
    assert [d.replicas for d in found] == [3]
    kinds = {resource["kind"] for resource in await api.api_resources()}
    assert {"StatefulSet", "CronJob", "ResourceClaim"} <= kinds
    await deployment.delete()
