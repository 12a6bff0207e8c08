"""What admission adds to objects, and what it refuses."""

import asyncio
from typing import Any

import pytest
from tests.apiserver.conftest import PODS, Api, pod

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


async def test_a_pod_gets_its_account_token_and_tolerations(api: Api) -> None:
    made = (await api.made(PODS, pod()))["spec"]
    assert made["serviceAccountName"] == made["serviceAccount"] == "default"
    (volume,) = made["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    token, ca, namespace = volume["projected"]["sources"]
    assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert ca["configMap"]["name"] == "kube-root-ca.crt"
    assert namespace["downwardAPI"]["items"][0]["path"] == "namespace"
    (mount,) = made["containers"][0]["volumeMounts"]
    assert mount == {
        "name": volume["name"],
        "readOnly": True,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    assert [(t["key"], t["effect"], t["tolerationSeconds"]) for t in made["tolerations"]] == [
        ("node.kubernetes.io/not-ready", "NoExecute", 300),
        ("node.kubernetes.io/unreachable", "NoExecute", 300),
    ]
    assert (made["priority"], made["preemptionPolicy"]) == (0, "PreemptLowerPriority")


async def test_a_pod_may_decline(api: Api) -> None:
    declined = await api.made(PODS, pod("a", automountServiceAccountToken=False))
    assert "volumes" not in declined["spec"]
    await api.made(
        ACCOUNTS,
        {"metadata": {"name": "quiet"}, "automountServiceAccountToken": False, "imagePullSecrets": [{"name": "s"}]},
    )
    quiet = await api.made(PODS, pod("b", serviceAccountName="quiet"))
    assert "volumes" not in quiet["spec"]
    assert quiet["spec"]["imagePullSecrets"] == [{"name": "s"}]
    own = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]
    kept = await api.made(PODS, pod("c", tolerations=own))
    assert [t["tolerationSeconds"] for t in kept["spec"]["tolerations"]] == [5, 300]


async def test_an_account_that_is_missing(api: Api) -> None:
    answer = await api("POST", PODS, pod(serviceAccountName="nobody"))
    assert answer.status == 403
    assert answer.message == (
        'pods "p" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found'
    )


ENFORCED = {"annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}


def env(name: str, secret: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "other"}}]},
            'volume with secret.secretName="other" is not allowed because service account strict does not reference '
            "that secret",
        ),
        (
            {"containers": [{"name": "c", "image": "i", "env": [env("E", "mine"), env("F", "other")]}]},
            'container c with envVar F referencing secret.secretName="other" is not allowed because service account '
            "strict does not reference that secret",
        ),
        (
            {"initContainers": [{"name": "i", "image": "i", "envFrom": [{"secretRef": {"name": "other"}}]}]},
            'init container i with envFrom referencing secret.secretName="other" is not allowed because service '
            "account strict does not reference that secret",
        ),
        (
            {"imagePullSecrets": [{"name": "pull"}, {"name": "other"}]},
            'imagePullSecrets[1].name="other" is not allowed because service account strict does not reference that '
            "imagePullSecret",
        ),
    ],
)
async def test_an_account_may_limit_secrets_to_its_own(api: Api, spec: dict[str, Any], why: str) -> None:
    secrets = {"secrets": [{"name": "mine"}], "imagePullSecrets": [{"name": "pull"}]}
    await api.made(ACCOUNTS, {"metadata": {"name": "strict", **ENFORCED}, **secrets})
    answer = await api("POST", PODS, pod(serviceAccountName="strict", **spec))
    assert (answer.status, answer.message) == (403, f'pods "p" is forbidden: {why}')
    own = {"volumes": [{"name": "v", "secret": {"secretName": "mine"}}], "imagePullSecrets": [{"name": "pull"}]}
    assert (await api("POST", PODS, pod(serviceAccountName="strict", **own))).status == 201
    debugger = {"name": "d", "image": "i", "terminationMessagePolicy": "File", "env": [env("E", "other")]}
    patch = {"spec": {"ephemeralContainers": [debugger]}}
    answer = await api("PATCH", f"{PODS}/p/ephemeralcontainers", patch, "application/strategic-merge-patch+json")
    assert answer.status == 403
    assert answer.message.startswith('pods "p" is forbidden: ephemeral container d with envVar E referencing')


async def test_a_mirror_pod_refers_to_nothing_secret(api: Api) -> None:
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    for spec, why in (
        ({"serviceAccountName": "default"}, "reference service accounts"),
        ({"containers": [{"name": "c", "image": "i", "env": [env("E", "s")]}]}, "reference secrets"),
    ):
        body = pod(**{"nodeName": "n", "automountServiceAccountToken": False, **spec})
        body["metadata"].update(mirror)
        answer = await api("POST", PODS, body)
        assert (answer.status, answer.message) == (403, f'pods "p" is forbidden: a mirror pod may not {why}')


async def test_the_default_account_of_a_new_namespace_is_waited_for(api: Api) -> None:
    await api.made("/api/v1/namespaces", {"metadata": {"name": "n"}})
    creating = asyncio.ensure_future(api("POST", "/api/v1/namespaces/n/pods", pod()))
    await asyncio.sleep(0.15)
    await api.made("/api/v1/namespaces/n/serviceaccounts", {"metadata": {"name": "default"}})
    assert (await creating).status == 201


async def test_priority_classes(api: Api) -> None:
    critical = await api.made(PODS, pod("a", priorityClassName="system-node-critical"))
    assert critical["spec"]["priority"] == 2000001000
    missing = await api("POST", PODS, pod("b", priorityClassName="nope"))
    assert missing.message == 'pods "b" is forbidden: no PriorityClass with name nope was found'
    wrong = await api("POST", PODS, pod("c", priority=7))
    assert "the integer value of priority (7) must not be provided in pod spec" in wrong.message
    await api.made(CLASSES, {"metadata": {"name": "usual"}, "value": 9, "globalDefault": True})
    second = await api("POST", CLASSES, {"metadata": {"name": "other"}, "value": 9, "globalDefault": True})
    assert "PriorityClass usual is already marked as default" in second.message
    assert (await api.made(PODS, pod("d")))["spec"]["priorityClassName"] == "usual"


async def test_a_new_node_takes_no_pods_yet(api: Api) -> None:
    made = await api.made("/api/v1/nodes", {"metadata": {"name": "n"}})
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def claim(name: str, **spec: object) -> dict[str, object]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": {**asked, **spec}}


async def test_storage_is_protected_from_the_start(api: Api) -> None:
    made = await api.made(CLAIMS, claim("a"))
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}}
    volume = await api.made("/api/v1/persistentvolumes", {"metadata": {"name": "a"}, "spec": spec})
    assert volume["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]


async def test_the_newest_default_class_is_for_claims_that_name_none(api: Api) -> None:
    assert "storageClassName" not in (await api.made(CLAIMS, claim("before")))["spec"]
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    await api.made(STORAGE, {"metadata": {"name": "usual", "annotations": mark}, "provisioner": "example.com/a"})
    await api.made(STORAGE, {"metadata": {"name": "other"}, "provisioner": "example.com/a"})
    assert (await api.made(CLAIMS, claim("after")))["spec"]["storageClassName"] == "usual"
    assert (await api.made(CLAIMS, claim("none", storageClassName="")))["spec"]["storageClassName"] == ""
    assert (await api.made(CLAIMS, claim("own", storageClassName="other")))["spec"]["storageClassName"] == "other"


async def test_a_claim_grows_when_it_is_bound_and_its_class_allows_it(api: Api) -> None:
    await api.made(STORAGE, {"metadata": {"name": "fixed"}, "provisioner": "example.com/a"})
    elastic = {"metadata": {"name": "elastic"}, "provisioner": "example.com/a", "allowVolumeExpansion": True}
    await api.made(STORAGE, elastic)
    merge = "application/merge-patch+json"
    more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    for name in ("fixed", "elastic"):
        await api.made(CLAIMS, claim(name, storageClassName=name))
        bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        assert (await api("PATCH", f"{CLAIMS}/{name}/status", bound, merge)).status == 200
    refused = await api("PATCH", f"{CLAIMS}/fixed", more, merge)
    assert (refused.status, refused.message) == (
        403,
        'persistentvolumeclaims "fixed" is forbidden: only dynamically provisioned pvc can be resized and the '
        "storageclass that provisions the pvc must support resize",
    )
    assert (await api("PATCH", f"{CLAIMS}/elastic", more, merge)).status == 200


async def test_a_pod_that_gets_its_node_is_told_its_place(api: Api) -> None:
    place = {"topology.kubernetes.io/zone": "z", "topology.kubernetes.io/region": "r"}
    await api.made(
        "/api/v1/nodes", {"metadata": {"name": "n", "labels": {**place, "topology.kubernetes.io/rack": "k"}}}
    )
    mine = {"app": "a", "topology.kubernetes.io/zone": "elsewhere"}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await api.made("/api/v1/namespaces/default/pods", {"metadata": {"name": "p", "labels": mine}, "spec": spec})
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert (await api("POST", "/api/v1/namespaces/default/pods/p/binding", binding)).status == 201
    found = (await api("GET", "/api/v1/namespaces/default/pods/p")).body
    assert found["metadata"]["labels"] == {"app": "a", **place}
    # As upstream's, a binding's condition is on no generation.
    (condition,) = found["status"]["conditions"]
    assert (condition["type"], condition["status"], "observedGeneration" in condition) == (
        "PodScheduled",
        "True",
        False,
    )
    named = {"metadata": {"name": "q"}, "spec": {**spec, "nodeName": "n"}}
    made = await api.made("/api/v1/namespaces/default/pods", named)
    assert made["metadata"]["labels"] == place


async def test_a_pod_is_not_resized_beyond_its_node(api: Api) -> None:
    for name, system in (("n", "linux"), ("w", "windows")):
        node = {"metadata": {"name": name, "labels": {"kubernetes.io/os": system}}}
        await api.made("/api/v1/nodes", node)
        has = {"status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}}
        await api("PATCH", f"/api/v1/nodes/{name}/status", has, "application/merge-patch+json")

    async def resized(name: str, node: str, cpu: str) -> Any:
        def spec(cpu: str) -> dict[str, Any]:
            return {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]}

        pods = "/api/v1/namespaces/default/pods"
        await api.made(pods, {"metadata": {"name": name}, "spec": {**spec("1"), "nodeName": node}})
        return await api(
            "PATCH", f"{pods}/{name}/resize", {"spec": spec(cpu)}, "application/strategic-merge-patch+json"
        )

    assert (await resized("a", "n", "1500m")).status == 200
    large = await resized("b", "n", "3")
    assert large.message == (
        'pods "b" is forbidden: node didn\'t have enough allocatable resources: cpu, requested: 3000, allocatable: 2000'
    )
    assert large.body["details"]["causes"] == [{"reason": "NodeCapacity"}]
    assert (await resized("c", "w", "1500m")).body["details"]["causes"] == [{"reason": "UnsupportedPlatform"}]
    assert (await resized("d", "gone", "2")).message == 'pods "d" is forbidden: node "gone" not found'
