"""Plug-ins that are off until --enable-admission-plugins names them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.conftest import Api

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import bootstrap
from orlop.apiserver.admission import ASKED_FOR
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    config = Config(data_dir=tmp_path, store="memory", secure_port=None, enable_admission_plugins=ASKED_FOR)
    async with ApiServer(config) as server:
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        await bootstrap.create(server.core, account)
        yield Api(server)


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}


async def test_images_are_pulled_always(api: Api) -> None:
    inits = [{"name": "i", "image": "i:1", "imagePullPolicy": "Never"}]
    made = await api.made(PODS, pod("p", initContainers=inits))
    spec = made["spec"]
    assert [c["imagePullPolicy"] for c in (*spec["initContainers"], *spec["containers"])] == ["Always", "Always"]


async def test_new_external_addresses_are_refused(api: Api) -> None:
    ports = [{"port": 80}]
    service = {"metadata": {"name": "s"}, "spec": {"ports": ports, "externalIPs": ["192.0.2.1"]}}
    refused = await api("POST", SERVICES, service)
    assert refused.status == 403
    assert refused.message == 'services "s" is forbidden: Use of external IPs is denied by admission control'
    await api.made(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    add = {"spec": {"externalIPs": ["192.0.2.1"]}}
    assert (await api("PATCH", f"{SERVICES}/s", add, "application/merge-patch+json")).status == 403


async def test_required_anti_affinity_is_for_nodes(api: Api) -> None:
    def apart(name: str, key: str) -> dict[str, Any]:
        term = {"topologyKey": key, "labelSelector": {}}
        rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        return pod(name, affinity=rule)

    await api.made(PODS, apart("p", "kubernetes.io/hostname"))
    refused = await api("POST", PODS, apart("q", "zone"))
    assert refused.message == (
        'pods "q" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key '
        "kubernetes.io/hostname is allowed"
    )


async def test_who_asks_for_devices_tolerates_their_taint(api: Api) -> None:
    has = {"example.com/b": "1", "example.com/a": "2", "cpu": "1"}
    containers = [{"name": "c", "image": "i", "resources": {"requests": has, "limits": has}}]
    made = await api.made(PODS, pod("p", containers=containers))
    ours = [t for t in made["spec"]["tolerations"] if t["key"].startswith("example.com/")]
    assert ours == [{"key": f"example.com/{n}", "operator": "Exists", "effect": "NoSchedule"} for n in "ab"]


async def test_a_namespace_chooses_nodes(api: Api) -> None:
    note = {"metadata": {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "disk=ssd, zone=a"}}}
    assert (await api("PATCH", "/api/v1/namespaces/default", note, "application/merge-patch+json")).status == 200
    made = await api.made(PODS, pod("p", nodeSelector={"arch": "arm64"}))
    assert made["spec"]["nodeSelector"] == {"arch": "arm64", "disk": "ssd", "zone": "a"}
    refused = await api("POST", PODS, pod("q", nodeSelector={"zone": "b"}))
    assert refused.message == (
        'pods "q" is forbidden: pod node label selector conflicts with its namespace node label selector'
    )
