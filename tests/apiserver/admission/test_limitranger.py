"""LimitRanges: defaults and bounds."""

from typing import Any

import pytest
from tests.apiserver.conftest import PODS, Api, pod

RANGES = "/api/v1/namespaces/default/limitranges"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


async def limits(api: Api, *items: dict[str, Any]) -> None:
    await api.made(RANGES, {"metadata": {"name": "r"}, "spec": {"limits": list(items)}})


def asking(*resources: dict[str, Any], **spec: Any) -> dict[str, Any]:
    containers = [{"name": f"c{n}", "image": "img", "resources": r} for n, r in enumerate(resources)]
    return pod("p", containers=containers, **spec)


async def test_defaults(api: Api) -> None:
    await limits(api, {"type": "Container", "default": {"cpu": "2", "memory": "1Gi"}, "defaultRequest": {"cpu": "1"}})
    init = [{"name": "i", "image": "img"}]
    made = await api.made(PODS, asking({}, {"limits": {"cpu": "3"}}, initContainers=init))
    first, second = (c["resources"] for c in made["spec"]["containers"])
    assert first == {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}
    # A limit that is named is a request as well, before a LimitRange is looked at.
    assert second == {"limits": {"cpu": "3", "memory": "1Gi"}, "requests": {"cpu": "3", "memory": "1Gi"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c0; cpu, memory limit for container c0; "
        "memory request for container c1; memory limit for container c1; "
        "cpu, memory request for init container i; cpu, memory limit for init container i"
    )


CONTAINER = {
    "type": "Container",
    "min": {"cpu": "100m"},
    "max": {"cpu": "1", "memory": "1Gi"},
    "maxLimitRequestRatio": {"cpu": "2"},
    "default": {"cpu": "400m", "memory": "1Gi"},
    "defaultRequest": {"cpu": "300m", "memory": "1Gi"},
}
POD = {"type": "Pod", "max": {"cpu": "1"}, "min": {"memory": "64Mi"}}


@pytest.mark.parametrize(
    ("item", "resources", "message"),
    [
        (
            CONTAINER,
            [{"requests": {"cpu": "50m"}, "limits": {"cpu": "300m"}}],
            "[minimum cpu usage per Container is 100m, but request is 50m, "
            "cpu max limit to request ratio per Container is 2, but provided ratio is 6.000000]",
        ),
        (
            CONTAINER,
            [{"limits": {"memory": "2Gi"}}],
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        (
            CONTAINER,
            [{"requests": {"cpu": "200m"}, "limits": {"cpu": "500m"}}],
            "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000",
        ),
        (
            POD,
            [{"requests": {"cpu": "1", "memory": "1Gi"}}],
            "maximum cpu usage per Pod is 1.  No limit is specified",
        ),
        (
            POD,
            [{"limits": {"cpu": "600m", "memory": "1Gi"}}, {"limits": {"cpu": "600m"}}],
            "maximum cpu usage per Pod is 1, but limit is 1200m",
        ),
        (POD, [{"limits": {"cpu": "1"}}], "minimum memory usage per Pod is 64Mi.  No request is specified"),
    ],
)
async def test_bounds(api: Api, item: dict[str, Any], resources: list[dict[str, Any]], message: str) -> None:
    await limits(api, item)
    refused = await api("POST", PODS, asking(*resources))
    assert refused.status == 403
    assert refused.message == f'pods "p" is forbidden: {message}'


async def test_init_containers_and_sidecars_count_for_the_pod(api: Api) -> None:
    await limits(api, {"type": "Pod", "max": {"cpu": "1"}})

    def with_init(cpu: str, **more: str) -> dict[str, Any]:
        init = {"name": "i", "image": "img", "resources": {"limits": {"cpu": cpu}}, **more}
        return asking({"limits": {"cpu": "500m"}}, initContainers=[init])

    assert "but limit is 1100m" in (await api("POST", PODS, with_init("1100m"))).message
    assert "but limit is 1200m" in (await api("POST", PODS, with_init("700m", restartPolicy="Always"))).message
    await api.made(PODS, with_init("700m"))


async def test_claims(api: Api) -> None:
    await limits(api, {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}})

    def claim(storage: str) -> dict[str, Any]:
        resources = {"requests": {"storage": storage}}
        return {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}

    for storage, message in (
        ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
        ("6Gi", "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"),
    ):
        refused = await api("POST", CLAIMS, claim(storage))
        assert refused.message == f'persistentvolumeclaims "c" is forbidden: {message}'
    await api.made(CLAIMS, claim("2Gi"))


async def test_a_resize_keeps_within_bounds_and_other_updates_are_left_alone(api: Api) -> None:
    await api.made(PODS, asking({"requests": {"cpu": "1"}}))
    await limits(api, {"type": "Container", "max": {"cpu": "2"}})
    labelled = {"metadata": {"labels": {"a": "b"}}}
    assert (await api("PATCH", f"{PODS}/p", labelled, "application/merge-patch+json")).status == 200
    resources = {"spec": {"containers": [{"name": "c0", "resources": {"requests": {"cpu": "3"}}}]}}
    refused = await api("PATCH", f"{PODS}/p/resize", resources, "application/strategic-merge-patch+json")
    assert "maximum cpu usage per Container is 2.  No limit is specified" in refused.message
