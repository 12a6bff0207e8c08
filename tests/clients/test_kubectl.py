"""kubectl, unmodified, with every command that asks the API alone."""

import json
from pathlib import Path

import yaml

from tests.apiserver.test_kubectl import Kubectl

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "img:1", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: "1"}
"""


async def test_apply_in_both_ways(kubectl: Kubectl) -> None:
    out = await kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert out.splitlines() == ["deployment.apps/web created", "configmap/settings created"]
    assert "unchanged" in await kubectl("apply", "-f", "-", stdin=MANIFEST)
    # From the client's side to the server's: the fields move without force, and the annotation follows.
    changed = MANIFEST.replace("img:1", "img:2")
    out = await kubectl("apply", "--server-side", "-f", "-", stdin=changed)
    assert "deployment.apps/web serverside-applied" in out
    shown = json.loads(await kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    owners = {(e["manager"], e["operation"]) for e in shown["metadata"]["managedFields"]}
    assert owners == {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")}
    assert shown["spec"]["template"]["spec"]["containers"][0]["image"] == "img:2"
    again = json.loads(await kubectl("get", "deployment", "web", "-o", "json"))
    await kubectl("apply", "--server-side", "-f", "-", stdin=changed)
    after = json.loads(await kubectl("get", "deployment", "web", "-o", "json"))
    assert after["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


async def test_conflicts_are_told_and_forced(kubectl: Kubectl) -> None:
    await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    await kubectl("scale", "deployment/web", "--replicas=5")
    text = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST, fails=True)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in text
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MANIFEST)
    assert await kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"


async def test_diff(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("diff", "-f", "-", stdin=MANIFEST)
    await kubectl("diff", "-f", "-", stdin=MANIFEST.replace("img:1", "img:2"), fails=True)
    await kubectl("diff", "--server-side", "--field-manager=x", "-f", "-", stdin=MANIFEST)


async def test_every_kind_is_listed_by_its_names(kubectl: Kubectl) -> None:
    listed = await kubectl("api-resources", "--no-headers", "-o", "name")
    names = listed.split()
    for name in ("statefulsets.apps", "cronjobs.batch", "storageclasses.storage.k8s.io", "csinodes.storage.k8s.io"):
        assert name in names
    readable = (await kubectl("api-resources", "--verbs=list", "-o", "name")).split()
    assert len(readable) > 55
    await kubectl("get", ",".join(readable))
    for short in ("sts", "ds", "rc", "cj", "hpa", "pv", "pvc", "sc", "quota", "limits", "ing", "netpol", "csr", "crd"):
        await kubectl("get", short, "-A")
    versions = (await kubectl("api-versions")).split()
    assert {"autoscaling/v1", "autoscaling/v2", "resource.k8s.io/v1"} <= set(versions)


async def test_get_all(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("create", "job", "once", "--image=img")
    await kubectl("create", "cronjob", "often", "--image=img", "--schedule=*/5 * * * *")
    await kubectl("autoscale", "deployment", "web", "--min=1", "--max=3", "--cpu=50%")
    await kubectl("expose", "deployment", "web", "--port=80")
    shown = await kubectl("get", "all", "-o", "name")
    assert set(shown.split()) >= {
        "deployment.apps/web",
        "job.batch/once",
        "cronjob.batch/often",
        "horizontalpodautoscaler.autoscaling/web",
        "service/web",
    }
    table = await kubectl("get", "all")
    assert "cpu: <unknown>/50%" in table
    assert "*/5 * * * *" in table


async def test_create_of_everything(kubectl: Kubectl) -> None:
    for arguments in (
        ("namespace", "n"),
        ("quota", "q", "--hard=pods=3"),
        ("ingress", "i", "--rule=h.example/p*=s:80"),
        ("ingress", "t", "--class=c", "--rule=h.example/*=s:http,tls=secret"),
        ("poddisruptionbudget", "b", "--selector=a=b", "--min-available=1"),
        ("priorityclass", "p", "--value=5"),
        ("role", "r", "--verb=get", "--resource=pods"),
        ("rolebinding", "r", "--role=r", "--user=u"),
        ("clusterrole", "c", "--verb=get", "--resource=pods"),
        ("clusterrolebinding", "c", "--clusterrole=c", "--user=u"),
        ("secret", "generic", "s", "--from-literal=a=b"),
        ("configmap", "m", "--from-literal=a=b"),
        ("serviceaccount", "a"),
        ("service", "clusterip", "v", "--tcp=80:80"),
        ("deployment", "d", "--image=img"),
    ):
        assert "created" in await kubectl("create", *arguments)
    assert (await kubectl("create", "token", "a")).count(".") == 2


async def test_changes(kubectl: Kubectl, tmp_path: Path) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("label", "deployment", "web", "tier=front")
    await kubectl("annotate", "deployment", "web", "note=x")
    await kubectl("set", "image", "deployment/web", "web=img:3")
    await kubectl("set", "env", "deployment/web", "A=1")
    await kubectl("set", "resources", "deployment/web", "--limits=cpu=1")
    await kubectl("patch", "deployment", "web", "-p", '{"spec":{"minReadySeconds":3}}')
    await kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"paused":true}}')
    await kubectl("patch", "deployment", "web", "--type=json", "-p", '[{"op":"remove","path":"/spec/paused"}]')
    await kubectl("rollout", "pause", "deployment/web")
    await kubectl("rollout", "resume", "deployment/web")
    await kubectl("rollout", "restart", "deployment/web")
    shown = yaml.safe_load(await kubectl("get", "deployment", "web", "-o", "yaml"))
    container = shown["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"], container["resources"]) == (
        "img:3",
        [{"name": "A", "value": "1"}],
        {"limits": {"cpu": "1"}},
    )
    shown["spec"]["replicas"] = 9
    file = tmp_path / "replace.yaml"
    file.write_text(yaml.safe_dump(shown))
    assert "replaced" in await kubectl("replace", "-f", str(file))
    assert "Replicas:" in await kubectl("describe", "deployment", "web")
    assert "condition met" in await kubectl("wait", "configmap/settings", "--for=jsonpath={.data.a}=1")
    assert "deleted" in await kubectl("delete", "deployment/web", "configmap/settings", "--wait=false")


async def test_explain(kubectl: Kubectl) -> None:
    for path in ("statefulset.spec.volumeClaimTemplates", "hpa.spec.behavior", "cronjob.spec", "netpol.spec.ingress"):
        assert "FIELD" in await kubectl("explain", path)
    assert "SelfSubject" not in await kubectl("auth", "whoami")
    assert await kubectl("auth", "can-i", "create", "statefulsets") == "yes\n"


async def test_certificates(kubectl: Kubectl) -> None:
    from tests.apiserver.test_every_kind import signing_request

    request = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "c"},
        "spec": {"request": signing_request(), "signerName": "example.com/s", "usages": ["client auth"]},
    }
    await kubectl("apply", "-f", "-", stdin=json.dumps(request))
    assert "Pending" in await kubectl("get", "csr", "c")
    assert "approved" in await kubectl("certificate", "approve", "c")
    assert "Approved" in await kubectl("get", "csr", "c")
    await kubectl("certificate", "deny", "c", "--force", fails=True)
