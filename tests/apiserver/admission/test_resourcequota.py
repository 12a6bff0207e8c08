"""Quotas as the API server charges them."""

import asyncio
from typing import Any

from tests.apiserver.conftest import MAPS, PODS, SERVICES, Api, config_map, pod
from tests.apiserver.crd import conftest as crd

QUOTAS = "/api/v1/namespaces/default/resourcequotas"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"
PATCH = "application/merge-patch+json"


async def quota(api: Api, name: str, hard: dict[str, str], **spec: Any) -> None:
    """A quota that is counted: nothing is there yet."""
    body = {"metadata": {"name": name}, "spec": {"hard": hard, **spec}}
    await api.made(QUOTAS, body)
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    assert (await api("PATCH", f"{QUOTAS}/{name}/status", status, PATCH)).status == 200


async def used(api: Api, name: str) -> Any:
    return (await api("GET", f"{QUOTAS}/{name}")).body["status"]["used"]


def asking(name: str, **resources: Any) -> dict[str, Any]:
    return pod(name, containers=[{"name": "c", "image": "img", "resources": resources}])


def claim(name: str, storage: str, **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"storage": storage}}
    return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec}}


async def test_what_is_too_much(api: Api) -> None:
    await quota(api, "compute", {"requests.cpu": "1", "limits.memory": "1Gi", "pods": "2"})
    await api.made(PODS, asking("a", requests={"cpu": "600m"}, limits={"memory": "512Mi"}))
    assert await used(api, "compute") == {"requests.cpu": "600m", "limits.memory": "512Mi", "pods": "1"}
    refused = await api("POST", PODS, asking("b", requests={"cpu": "500m"}, limits={"memory": "1Gi"}))
    assert refused.status == 403
    assert refused.message == (
        'pods "b" is forbidden: exceeded quota: compute, requested: limits.memory=1Gi,requests.cpu=500m, '
        "used: limits.memory=512Mi,requests.cpu=600m, limited: limits.memory=1Gi,requests.cpu=1"
    )
    assert await used(api, "compute") == {"requests.cpu": "600m", "limits.memory": "512Mi", "pods": "1"}


async def test_custom_resources_are_counted(api: Api) -> None:
    """By `count/PLURAL.GROUP`, many at once too, and in whichever version they come."""
    two = [crd.version(), crd.version("v2", storage=False)]
    await crd.define(api, crd.definition(*two))
    await quota(api, "widgets", {"count/widgets.example.com": "3"})
    path = crd.WIDGETS.replace("/v1/", "/v2/")
    wanted = [api("POST", path, {**crd.widget(f"w{i}"), "apiVersion": "example.com/v2"}) for i in range(6)]
    answers = await asyncio.gather(*wanted)
    assert sorted(answer.status for answer in answers) == [201] * 3 + [403] * 3
    refused = next(answer for answer in answers if answer.status == 403)
    assert refused.message.endswith(
        "is forbidden: exceeded quota: widgets, requested: count/widgets.example.com=1, "
        "used: count/widgets.example.com=3, limited: count/widgets.example.com=3"
    )
    assert refused.message.startswith('widgets.example.com "w')
    assert await used(api, "widgets") == {"count/widgets.example.com": "3"}


async def test_what_has_to_be_named(api: Api) -> None:
    await quota(api, "compute", {"cpu": "1", "limits.memory": "1Gi"})
    refused = await api("POST", PODS, asking("a", requests={"cpu": "1"}))
    assert refused.message == 'pods "a" is forbidden: failed quota: compute: must specify limits.memory for: c'


async def test_a_quota_that_is_not_counted_yet(api: Api) -> None:
    await api.made(QUOTAS, {"metadata": {"name": "new"}, "spec": {"hard": {"pods": "0"}}})
    await api.made(PODS, pod("a"))
    status = {"status": {"hard": {"pods": "0"}}}
    assert (await api("PATCH", f"{QUOTAS}/new/status", status, PATCH)).status == 200
    refused = await api("POST", PODS, pod("b"))
    assert refused.message == 'pods "b" is forbidden: status unknown for quota: new, resources: pods'


async def test_a_dry_run_is_refused_and_never_charged(api: Api) -> None:
    await quota(api, "maps", {"configmaps": "1"})
    assert (await api("POST", f"{MAPS}?dryRun=All", config_map("a"))).status == 201
    assert await used(api, "maps") == {"configmaps": "0"}
    await api.made(MAPS, config_map("a"))
    assert (await api("POST", f"{MAPS}?dryRun=All", config_map("b"))).status == 403


async def test_many_at_once_get_exactly_what_there_is(api: Api) -> None:
    await quota(api, "one", {"count/configmaps": "7", "configmaps": "9"})
    await quota(api, "two", {"count/configmaps": "8"})
    answers = await asyncio.gather(*(api("POST", MAPS, config_map(f"m{n}")) for n in range(30)))
    made = [a for a in answers if a.status == 201]
    assert len(made) == 7
    assert {a.status for a in answers} == {201, 403}
    assert await used(api, "one") == {"count/configmaps": "7", "configmaps": "7"}
    assert await used(api, "two") == {"count/configmaps": "7"}


async def test_a_name_that_is_taken_is_not_charged(api: Api) -> None:
    await quota(api, "maps", {"configmaps": "5"})
    answers = await asyncio.gather(*(api("POST", MAPS, config_map("same")) for _ in range(6)))
    assert sorted(a.status for a in answers) == [201, 409, 409, 409, 409, 409]
    assert await used(api, "maps") == {"configmaps": "1"}


async def test_quotas_count_themselves(api: Api) -> None:
    await quota(api, "a", {"resourcequotas": "1"})
    await api.made(QUOTAS, {"metadata": {"name": "b"}, "spec": {"hard": {"pods": "1"}}})
    assert await used(api, "a") == {"resourcequotas": "1"}
    refused = await api("POST", QUOTAS, {"metadata": {"name": "c"}, "spec": {"hard": {"pods": "1"}}})
    assert "exceeded quota: a, requested: resourcequotas=1, used: resourcequotas=1" in refused.message


async def test_services_are_charged_with_their_addresses(api: Api) -> None:
    await quota(api, "services", {"services": "3", "services.nodeports": "2", "services.loadbalancers": "1"})
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    await api.made(SERVICES, {"metadata": {"name": "a"}, "spec": {"type": "LoadBalancer", "ports": ports}})
    assert await used(api, "services") == {
        "services": "1",
        "services.nodeports": "2",
        "services.loadbalancers": "1",
    }
    await api.made(SERVICES, {"metadata": {"name": "b"}, "spec": {"ports": ports}})
    grown = await api("PATCH", f"{SERVICES}/b", {"spec": {"type": "NodePort"}}, PATCH)
    assert grown.status == 403
    assert "requested: services.nodeports=2, used: services.nodeports=2, limited: services.nodeports=2" in grown.message
    bare = {"type": "LoadBalancer", "ports": ports, "allocateLoadBalancerNodePorts": False}
    refused = await api("POST", SERVICES, {"metadata": {"name": "c"}, "spec": bare})
    assert "requested: services.loadbalancers=1" in refused.message
    assert "nodeports" not in refused.message


async def test_storage_by_class(api: Api) -> None:
    gold = "gold.storageclass.storage.k8s.io/"
    hard = {"requests.storage": "10Gi", f"{gold}requests.storage": "4Gi", f"{gold}persistentvolumeclaims": "1"}
    await quota(api, "storage", hard)
    await api.made(CLAIMS, claim("a", "3Gi", storageClassName="gold"))
    await api.made(CLAIMS, claim("b", "1Gi", storageClassName="silver"))
    assert await used(api, "storage") == {
        "requests.storage": "4Gi",
        f"{gold}requests.storage": "3Gi",
        f"{gold}persistentvolumeclaims": "1",
    }
    refused = await api("POST", CLAIMS, claim("c", "1Gi", storageClassName="gold"))
    assert f"requested: {gold}persistentvolumeclaims=1, used: {gold}persistentvolumeclaims=1" in refused.message


async def test_scopes(api: Api) -> None:
    await api.made(CLASSES, {"metadata": {"name": "high"}, "value": 10})
    await api.made(CLASSES, {"metadata": {"name": "low"}, "value": 1})

    def classes(operator: str, *values: str) -> dict[str, Any]:
        wanted = {"scopeName": "PriorityClass", "operator": operator, **({"values": values} if values else {})}
        return {"matchExpressions": [wanted]}

    await quota(api, "best-effort", {"pods": "9"}, scopes=["BestEffort"])
    await quota(api, "not-best-effort", {"pods": "9"}, scopes=["NotBestEffort"])
    await quota(api, "terminating", {"pods": "9"}, scopes=["Terminating"])
    await quota(api, "long", {"pods": "9"}, scopes=["NotTerminating", "NotBestEffort"])
    await quota(api, "high", {"pods": "1"}, scopeSelector=classes("In", "high"))
    await quota(api, "not-high", {"pods": "9"}, scopeSelector=classes("NotIn", "high"))
    await quota(api, "any-class", {"pods": "9"}, scopeSelector=classes("Exists"))
    await quota(api, "no-class", {"pods": "9"}, scopeSelector=classes("DoesNotExist"))
    await quota(api, "cross", {"pods": "9"}, scopes=["CrossNamespacePodAffinity"])
    await api.made(PODS, pod("a"))
    await api.made(PODS, pod("b", priorityClassName="high", activeDeadlineSeconds=9))
    asks = [{"name": "c", "image": "img", "resources": {"requests": {"cpu": "1"}}}]
    term = {"topologyKey": "zone", "namespaceSelector": {}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    await api.made(PODS, pod("c", priorityClassName="low", containers=asks, affinity=affinity))
    names = (await api("GET", QUOTAS)).body["items"]
    assert {q["metadata"]["name"]: q["status"]["used"]["pods"] for q in names} == {
        "best-effort": "2",
        "not-best-effort": "1",
        "terminating": "1",
        "long": "1",
        "high": "1",
        "not-high": "2",
        "any-class": "2",
        "no-class": "1",
        "cross": "1",
    }
    refused = await api("POST", PODS, pod("d", priorityClassName="high"))
    assert "exceeded quota: high, requested: pods=1, used: pods=1, limited: pods=1" in refused.message


async def test_a_pod_that_comes_into_a_scope_is_charged(api: Api) -> None:
    await quota(api, "terminating", {"pods": "1"}, scopes=["Terminating"])
    for name in "ab":
        await api.made(PODS, pod(name))
    deadline = {"spec": {"activeDeadlineSeconds": 9}}
    assert (await api("PATCH", f"{PODS}/a", deadline, PATCH)).status == 200
    assert await used(api, "terminating") == {"pods": "1"}
    assert (await api("PATCH", f"{PODS}/b", deadline, PATCH)).status == 403


async def test_growth_is_charged_and_what_has_happened_is_not_refused(api: Api) -> None:
    await quota(api, "storage", {"requests.storage": "4Gi"})
    await api.made(CLAIMS, claim("a", "4Gi"))
    allocated = {"status": {"allocatedResources": {"storage": "5Gi"}}}
    assert (await api("PATCH", f"{CLAIMS}/a/status", allocated, PATCH)).status == 200
    assert await used(api, "storage") == {"requests.storage": "5Gi"}


async def test_a_resize_is_charged(api: Api) -> None:
    await quota(api, "compute", {"requests.cpu": "1"})
    await api.made(PODS, asking("a", requests={"cpu": "500m"}))
    for cpu, status in (("900m", 200), ("1100m", 403)):
        resources = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}}
        media = "application/strategic-merge-patch+json"
        assert (await api("PATCH", f"{PODS}/a/resize", resources, media)).status == status
    assert await used(api, "compute") == {"requests.cpu": "900m"}
