"""kubectl, unmodified, command by command, on a cluster that works. What streams is tried in tests/e2e."""

import json
import re
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.clients import kubectl as kubectls
from tests.clients.kubectl import Kubectl
from tests.support.cluster import KUBECTL, UpCluster, eventually

WEB = """
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
"""
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\n"


@pytest.fixture
def k(cluster: UpCluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    name = f"k-{zlib.crc32(request.node.name.encode()):08x}"
    cluster.kubectl("create", "namespace", name)
    k = Kubectl(cluster, name)
    eventually("its ServiceAccount", lambda: k.any("get", "serviceaccount", "default").returncode == 0)
    yield k
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_no_command_is_left_out() -> None:
    """Each command of `kubectl --help` is called somewhere in the tests of clients or with real containers."""
    shown = subprocess.run([str(KUBECTL), "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  ([a-z][a-z-]+) {2,}\S", shown, re.M))
    assert len(commands) > 40
    here = Path(__file__)
    sources = [*here.parent.glob("*.py"), *(here.parents[1] / "e2e").glob("*.py")]
    called = set()
    for source in sources:
        called |= set(re.findall(r'[(\[ ]"([a-z][a-z-]+)"[,)]', source.read_text()))
    assert commands - called == set()


def test_edit(k: Kubectl, tmp_path: Path) -> None:
    k("apply", "-f", "-", stdin=MAP)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/a: "1"/a: "2"/\' $1\n')
    editor.chmod(0o755)
    assert "configmap/settings edited" in k("edit", "configmap", "settings", EDITOR=str(editor))
    assert k.path("configmap/settings", "{.data.a}") == "2"
    assert "no changes made" in k.any("edit", "configmap", "settings", EDITOR="true").stderr.lower()
    editor.write_text("#!/bin/sh\nsed -i 's/kind: ConfigMap/kind: ConfigMap\\nbogus: 1/' $1\n")
    spoilt = k.any("edit", "configmap", "settings", EDITOR=str(editor), TMPDIR=str(tmp_path))
    assert 'configmaps "settings" is invalid' in spoilt.stderr
    said = "".join(file.read_text() for file in tmp_path.glob("kubectl-edit-*"))  # what the editor was shown last
    assert 'strict decoding error: unknown field "bogus"' in said


def test_diff_tells_by_its_exit_code(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=WEB)
    assert k.any("diff", "-f", "-", stdin=WEB).returncode == 0
    changed = k.any("diff", "-f", "-", stdin=WEB.replace("img:1", "img:2"))
    assert changed.returncode == 1
    assert re.search(r"^-\s+- image: img:1$", changed.stdout, re.M)
    assert (
        k.any("diff", "--server-side", "--force-conflicts", "-f", "-", stdin=WEB.replace("2\n", "3\n")).returncode == 1
    )


def test_apply_prunes_what_is_no_longer_there(k: Kubectl) -> None:
    both = WEB + "---\n" + MAP.replace("{name: settings}", "{name: settings, labels: {app: web}}")
    k("apply", "-f", "-", "-l", "app=web", "--prune", stdin=both)
    out = k("apply", "-f", "-", "-l", "app=web", "--prune", stdin=WEB)
    assert "configmap/settings pruned" in out
    assert "not found" in k.fails("get", "configmap", "settings")
    for command in ("set-last-applied", "view-last-applied"):
        words = ("-f", "-") if command == "set-last-applied" else ("deployment/web",)
        assert "web" in k("apply", command, *words, stdin=WEB)


def test_patch_in_three_ways(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=WEB)
    side = '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"img"}]}}}}'
    names = "{.spec.template.spec.containers[*].name}"
    k("patch", "deployment/web", "-p", side)
    assert k.path("deployment/web", names) == "side web"
    k("patch", "deployment/web", "--type=json", "-p", '[{"op":"remove","path":"/spec/template/spec/containers/0"}]')
    assert k.path("deployment/web", names) == "web"
    k("patch", "deployment/web", "--type=merge", "-p", side)
    assert k.path("deployment/web", names) == "side"
    k("patch", "deployment/web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":0}}')
    assert k.path("deployment/web", "{.spec.replicas}") == "0"
    assert "(no change)" in k("patch", "deployment/web", "-p", '{"spec":{"replicas":0}}')


def test_replace_with_and_without_force(k: Kubectl) -> None:
    k("create", "-f", "-", stdin=MAP)
    before = k.get("configmap", "settings")["metadata"]
    assert "replaced" in k("replace", "-f", "-", stdin=MAP.replace("'1'", "'2'"))
    assert k.get("configmap", "settings")["metadata"]["uid"] == before["uid"]
    stale = MAP.replace("{name: settings}", f"{{name: settings, resourceVersion: '{before['resourceVersion']}'}}")
    assert "the object has been modified" in k.fails("replace", "-f", "-", stdin=stale)
    k("replace", "--force", "-f", "-", stdin=MAP)
    assert k.get("configmap", "settings")["metadata"]["uid"] != before["uid"]


def test_run_expose_and_delete(k: Kubectl) -> None:
    k("run", "one", "--image=img", "--port=80", "--expose", "--labels=app=one", "--env=A=1", "--restart=Never")
    k("wait", "--for=condition=Ready", "pod/one", "--timeout=30s")
    assert k.path("service/one", "{.spec.ports[0].port}") == "80"
    dry = k("run", "two", "--image=img", "--dry-run=server", "-o", "yaml", "--command", "--", "sleep", "1")
    assert yaml.safe_load(dry)["spec"]["containers"][0]["command"] == ["sleep", "1"]
    k("expose", "pod", "one", "--name=more", "--port=8080", "--target-port=80", "--type=NodePort")
    assert int(k.path("service/more", "{.spec.ports[0].nodePort}")) >= 30000
    assert "force deleted" in k("delete", "pod", "one", "--force", "--grace-period=0")
    assert "not found" in k.fails("get", "pod", "one")


def test_every_generator_of_create(k: Kubectl) -> None:
    shown = k("create", "--help")
    kinds = set(re.findall(r"^  ([a-z]+) {2,}(?:Create|Request) ", shown, re.M))
    name = k.namespace
    generators = {
        "clusterrole": [name, "--verb=get", "--resource=pods,deployments.apps", "--non-resource-url=/logs/*"],
        "clusterrolebinding": [name, f"--clusterrole={name}", "--serviceaccount=default:a", "--group=g"],
        "configmap": ["m", "--from-literal=a=b", f"--from-file=this={__file__}"],
        "cronjob": ["c", "--image=img", "--schedule=*/5 * * * *", "--restart=OnFailure"],
        "deployment": ["d", "--image=img", "--replicas=0", "--port=80"],
        "ingress": ["i", "--rule=h.example/p*=s:80,tls=t", "--default-backend=s:80", "--annotation=a=b"],
        "job": ["j", "--image=img"],
        "namespace": [f"{name}-n"],
        "poddisruptionbudget": ["b", "--selector=a=b", "--max-unavailable=50%"],
        "priorityclass": [name, "--value=5", "--description=d", "--preemption-policy=Never"],
        "quota": ["q", "--hard=pods=3,requests.cpu=1", "--scopes=NotTerminating"],
        "role": ["r", "--verb=get", "--resource=pods/log", "--resource-name=x"],
        "rolebinding": ["r", "--role=r", "--user=u"],
        "secret": ["generic", "s", "--from-literal=a=b", "--type=example.com/x"],
        "service": ["clusterip", "v", "--tcp=80:8080"],
        "serviceaccount": ["a"],
        "token": ["default", "--duration=1h", "--audience=me"],
    }
    assert set(generators) == kinds
    try:
        for kind, words in generators.items():
            out = k("create", kind, *words)
            assert out.count(".") == 2 if kind == "token" else "created" in out, kind
        more = {
            "docker-registry": ["secret", "docker-registry", "dr", "--docker-username=u", "--docker-password=p"],
            "nodeport": ["service", "nodeport", "np", "--tcp=80"],
            "loadbalancer": ["service", "loadbalancer", "lb", "--tcp=80"],
            "externalname": ["service", "externalname", "en", "--external-name=example.com"],
            "from a cronjob": ["job", "again", "--from=cronjob/c"],
        }
        for words in more.values():
            assert "created" in k("create", *words)
    finally:
        k("delete", "clusterrolebinding,clusterrole,priorityclass", name, "--ignore-not-found")
        k("delete", "namespace", f"{name}-n", "--ignore-not-found", "--wait=false")


def test_rollouts(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=WEB)
    assert "successfully rolled out" in k("rollout", "status", "deployment/web", "--timeout=30s")
    k("annotate", "deployment/web", "kubernetes.io/change-cause=second")
    k("set", "image", "deployment/web", "web=img:2")
    assert "successfully rolled out" in k("rollout", "status", "deployment/web", "--timeout=30s")
    history = k("rollout", "history", "deployment/web")
    assert re.search(r"^2\s+second$", history, re.M)
    assert "img:1" in k("rollout", "history", "deployment/web", "--revision=1")
    k("rollout", "undo", "deployment/web", "--to-revision=1")
    k("rollout", "status", "deployment/web", "--timeout=30s")
    assert k.path("deployment/web", "{.spec.template.spec.containers[0].image}") == "img:1"
    k("rollout", "pause", "deployment/web")
    assert "paused" in k.fails("rollout", "undo", "deployment/web")
    k("rollout", "resume", "deployment/web")
    k("rollout", "restart", "deployment/web")
    assert "kubectl.kubernetes.io/restartedAt" in k("get", "deployment", "web", "-o", "yaml")
    k("scale", "deployment/web", "--replicas=3", "--current-replicas=2")
    assert "Expected replicas to be 2" in k.fails("scale", "deployment/web", "--replicas=4", "--current-replicas=2")
    k("autoscale", "deployment/web", "--min=1", "--max=5", "--cpu=50%")
    assert k.path("hpa/web", "{.spec.maxReplicas}") == "5"


def test_set(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=WEB + "---\n" + MAP)
    k("create", "serviceaccount", "worker")
    k("create", "rolebinding", "r", "--clusterrole=view", "--user=u")
    k("create", "service", "clusterip", "v", "--tcp=80")
    k("set", "env", "deployment/web", "--from=configmap/settings", "--prefix=P_")
    k("set", "resources", "deployment/web", "-c=web", "--requests=cpu=10m", "--limits=cpu=20m,memory=32Mi")
    k("set", "serviceaccount", "deployment/web", "worker")
    k("set", "selector", "service/v", "app=web")
    k("set", "subject", "rolebinding/r", "--serviceaccount=default:a")
    spec = k.get("deployment", "web")["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "worker"
    assert spec["containers"][0]["env"][0]["valueFrom"]["configMapKeyRef"] == {"key": "a", "name": "settings"}
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "10m"}
    assert k.path("service/v", "{.spec.selector.app}") == "web"
    assert [s["kind"] for s in k.get("rolebinding", "r")["subjects"]] == ["User", "ServiceAccount"]
    assert "A=1" in k("set", "env", "deployment/web", "A=1", "--list")


def test_labels_and_annotations(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=MAP)
    k("label", "configmap/settings", "a=1", "b=2")
    assert "already has a value" in k.fails("label", "configmap/settings", "a=2")
    k("label", "configmap/settings", "a=2", "b-", "--overwrite")
    assert k.get("configmap", "settings")["metadata"]["labels"] == {"a": "2"}
    assert "settings" in k("label", "configmap", "-l", "a=2", "--list")
    k("annotate", "configmap", "--all", "note=x")
    assert "note=x" in k("annotate", "configmap/settings", "--list")
    assert "a valid label must be" in k.fails("label", "configmap/settings", "a=not a value")


OUTPUTS = {
    "json": '"kind": "List"',
    "yaml": "kind: List",
    "kyaml": 'kind: "List"',
    "name": "configmap/settings",
    "wide": "NAME",
    "go-template={{range .items}}{{.metadata.name}} {{end}}": "settings",
    "jsonpath={.items[*].metadata.name}": "settings",
    "jsonpath-as-json={.items[*].data}": '"a": "1"',
    "custom-columns=WHO:.metadata.name,A:.data.a": "settings",
    "template={{len .items}}": "2",
}


@pytest.mark.parametrize("form", OUTPUTS)
def test_outputs_of_get(k: Kubectl, form: str) -> None:
    k("apply", "-f", "-", stdin=MAP)
    eventually("the root certificate", lambda: k.any("get", "configmap", "kube-root-ca.crt").returncode == 0)
    assert OUTPUTS[form] in k("get", "configmap", "-o", form)


def test_get_sorts_selects_and_pages(k: Kubectl) -> None:
    for i in (3, 1, 2):
        k("create", "configmap", f"m{i}", f"--from-literal=order={9 - i}")
        k("label", "configmap", f"m{i}", f"odd={'yes' if i % 2 else 'no'}")
    names = "-o=jsonpath={.items[*].metadata.name}"
    sort = ("--sort-by=.data.order", "-l", "odd")
    assert k("get", "configmap", *sort, names).split() == ["m3", "m2", "m1"]
    assert k("get", "configmap", "--field-selector=metadata.name=m2", names) == "m2"
    assert k("get", "configmap", "-l", "odd in (yes),odd!=no", names).split() == ["m1", "m3"]
    assert k("get", "configmap", "--chunk-size=1", "-l", "odd", names).split() == ["m1", "m2", "m3"]
    shown = k("get", "configmap", "-L", "odd", "--show-kind", "--show-labels", "-l", "odd=no")
    assert re.search(r"^configmap/m2\s+1\s+\d+s\s+no\s+odd=no$", shown, re.M)
    assert "m1" in k("get", "configmap", "-A", "--no-headers", "-l", "odd=yes")
    assert "No resources found" in k.any("get", "configmap", "-l", "odd=maybe").stderr
    assert k("get", "configmap", "none", "--ignore-not-found") == ""
    assert json.loads(k("get", "--raw", f"/api/v1/namespaces/{k.namespace}/configmaps/m1"))["data"] == {"order": "8"}
    assert "m1" in k("get", "configmap", "m1", "--server-print=false")
    assert k.get("deployments.v1.apps,cm", "-l", "odd=no")["items"][0]["metadata"]["name"] == "m2"


def test_get_watches(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=MAP)
    command = k.command("get", "configmap", "-w", "--output-watch-events", "--field-selector=metadata.name=settings")
    with subprocess.Popen(command, env=k.cluster.env, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().split() == ["EVENT", "NAME", "DATA", "AGE"]
        assert watching.stdout.readline().split()[:3] == ["ADDED", "settings", "1"]
        k("patch", "configmap/settings", "-p", '{"data":{"b":"2"}}')
        assert watching.stdout.readline().split()[:3] == ["MODIFIED", "settings", "2"]
        k("delete", "configmap", "settings")
        assert watching.stdout.readline().split()[:2] == ["DELETED", "settings"]
        watching.terminate()


def test_wait_in_all_forms(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=WEB + "---\n" + MAP)
    k("wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
    k("wait", "--for=condition=Available=True", "deployment", "--all", "--timeout=30s")
    k("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=30s")
    k("wait", "--for=jsonpath={.status.readyReplicas}=2", "deployment/web", "--timeout=30s")
    k("wait", "--for=jsonpath={.data.a}", "configmap/settings", "--timeout=30s")
    k("wait", "--for=create", "configmap/settings", "--timeout=5s")
    said = k.fails("wait", "--for=condition=Sideways", "deployment/web", "--timeout=1s")
    assert "timed out waiting for the condition" in said
    assert "no matching resources found" in k.fails("wait", "--for=condition=Ready", "pod", "-l", "app=none")
    with subprocess.Popen(
        k.command("wait", "--for=create", "configmap/late", "--timeout=30s"), env=k.cluster.env, stdout=subprocess.PIPE
    ) as waiting:
        k("create", "configmap", "late")
        assert waiting.wait(30) == 0
    with subprocess.Popen(
        k.command("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=30s"), env=k.cluster.env
    ) as waiting:
        k("delete", "deployment", "web")
        assert waiting.wait(40) == 0


def test_delete_in_all_forms(k: Kubectl) -> None:
    def sets() -> int:
        return len(k.get("replicasets")["items"])

    for cascade, left in (("orphan", 1), ("foreground", 0), ("background", 0)):
        k("apply", "-f", "-", stdin=WEB)
        eventually("its ReplicaSet", lambda: sets() == 1)
        k("delete", "deployment", "web", f"--cascade={cascade}")
        eventually("what is left", lambda left=left: sets() == left)
        k("delete", "replicaset", "--all")
        eventually("nothing", lambda: sets() == 0)
    k("apply", "-f", "-", stdin=MAP)
    assert "configmap" in k("delete", "-f", "-", "--dry-run=server", stdin=MAP)
    assert "settings" in k("delete", "-f", "-", stdin=MAP)
    assert k("delete", "-f", "-", "--ignore-not-found", stdin=MAP) == ""
    k("run", "p", "--image=img")
    k("delete", "pod", "p", "--now", "--wait")
    k("create", "configmap", "x")
    k("label", "configmap", "x", "a=b")
    k("delete", "configmap", "-l", "a=b")
    k("create", "configmap", "y")
    assert "y" in k("delete", "configmap", "--field-selector=metadata.name=y")
    k("delete", "--raw", f"/api/v1/namespaces/{k.namespace}/configmaps/kube-root-ca.crt")


def test_nodes(k: Kubectl) -> None:
    node = "hollow-1"
    k("apply", "-f", "-", stdin=WEB)
    k("rollout", "status", "deployment/web", "--timeout=30s")
    try:
        assert "cordoned" in k("cordon", node)
        assert "SchedulingDisabled" in k("get", "node", node)
        k("taint", "node", node, "example.com/t=v:NoSchedule")
        assert "example.com/t=v:NoSchedule" in k("describe", "node", node)
        k("taint", "node", node, "example.com/t:NoSchedule-")
        out = k("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=40s")
        assert "drained" in out
        k("rollout", "status", "deployment/web", "--timeout=30s")
        assert set(k.path("pods", "{.items[*].spec.nodeName}").split()) == {"hollow-0"}
        k("debug", f"node/{node}", "--image=img", "--attach=false", "--profile=general")
    finally:
        assert "uncordoned" in k("uncordon", node)
    assert "Ready" in k("get", "node", node, "-o", "wide")


def test_debug_adds_containers_and_copies(k: Kubectl) -> None:
    k("run", "p", "--image=img")
    k("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    k(
        "debug",
        "p",
        "--image=img",
        "--target=p",
        "--container=d",
        "--attach=false",
        "--profile=general",
        "--",
        "sleep",
        "1",
    )
    assert k.path("pod/p", "{.spec.ephemeralContainers[0].targetContainerName}") == "p"
    k("debug", "p", "--copy-to=copy", "--set-image=p=other", "--attach=false", "--profile=general")
    assert k.path("pod/copy", "{.spec.containers[0].image}") == "other"


def test_events(k: Kubectl) -> None:
    k("apply", "-f", "-", stdin=WEB)
    k("rollout", "status", "deployment/web", "--timeout=30s")
    eventually("word of it", lambda: "ScalingReplicaSet" in k("events", "--for=deployment/web"))
    assert "Scheduled" in k("events", "--types=Normal", "-o", "yaml")
    assert "Scaled up replica set" in k("describe", "deployment", "web")
    assert "REASON" in k("get", "events", "--sort-by=.lastTimestamp")


def test_explain_and_lists_of_resources(k: Kubectl) -> None:
    assert "KIND:       Deployment" in k("explain", "deployment")
    assert "maxSurge" in k("explain", "deployment.spec.strategy", "--recursive")
    assert "VERSION:    v1" in k("explain", "hpa", "--api-version=autoscaling/v1")
    assert "maxSurge" in k("explain", "deployment.spec.strategy.rollingUpdate", "--output=plaintext-openapiv2")
    assert 'the server doesn\'t have a resource type "nonsense"' in k.fails("explain", "nonsense")
    wide = k("api-resources", "-o", "wide", "--sort-by=kind")
    assert re.search(r"^deployments\s+deploy\s+apps/v1\s+true\s+Deployment\s+.*\ball\b", wide, re.M)
    assert "nodes" not in k("api-resources", "--namespaced", "-o", "name").split()
    assert "pods" in k("api-resources", "--categories=all", "-o", "name").split()
    assert {"v1", "apps/v1", "policy/v1"} <= set(k("api-versions").split())


def test_about_the_cluster(k: Kubectl, tmp_path: Path) -> None:
    assert "Kubernetes control plane" in k("cluster-info")
    k("cluster-info", "dump", "--namespaces", k.namespace, f"--output-directory={tmp_path}")
    assert json.loads((tmp_path / "nodes.json").read_text())["items"]
    assert json.loads((tmp_path / k.namespace / "pods.json").read_text())["kind"] == "PodList"
    versions = json.loads(k("version", "-o", "json"))
    assert versions["serverVersion"]["minor"] == "37"
    assert k.cluster.name in k("config", "get-contexts")
    assert "complete" in k("completion", "bash")
    assert "unable to find any kubectl plugins" in k.fails("plugin", "list")
    kuberc = tmp_path / "kuberc"
    kuberc.write_text("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n")
    k("kuberc", "set", "--kuberc", str(kuberc), "--section=defaults", "--command=get", "--option=output=name")
    assert "output" in kuberc.read_text()


def test_access(k: Kubectl) -> None:
    k("create", "serviceaccount", "reader")
    user = f"--as=system:serviceaccount:{k.namespace}:reader"
    assert k.any("auth", "can-i", "get", "pods", user).stdout.strip() == "no"
    k("create", "rolebinding", "r", "--clusterrole=view", f"--serviceaccount={k.namespace}:reader")
    assert k("auth", "can-i", "get", "pods", user) == "yes\n"
    listed = k("auth", "can-i", "--list", user)
    assert re.search(r"^pods\s+\[\]\s+\[\]\s+\[get list watch\]", listed, re.M)
    assert user.partition("=")[2] in k("auth", "whoami", user)
    assert "forbidden" in k.fails("create", "configmap", "m", user)
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: NS}\nrules: []\n"
    assert "reconciled" in k("auth", "reconcile", "-f", "-", stdin=role.replace("NS", k.namespace))


def test_kustomizations(k: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [web.yaml]\nnamePrefix: my-\nimages: [{name: img, newTag: '7'}]\n"
        "configMapGenerator: [{name: settings, literals: [a=1]}]\n"
    )
    built = list(yaml.safe_load_all(k("kustomize", str(tmp_path))))
    assert {d["kind"] for d in built} == {"ConfigMap", "Deployment"}
    assert "deployment.apps/my-web created" in k("apply", "-k", str(tmp_path))
    assert k.path("deployment/my-web", "{.spec.template.spec.containers[0].image}") == "img:7"
    assert "deleted" in k("delete", "-k", str(tmp_path))


def test_certificates(k: Kubectl) -> None:
    from tests.apiserver.test_every_kind import signing_request

    for name, verdict in ((f"{k.namespace}-a", "approve"), (f"{k.namespace}-d", "deny")):
        request = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {"request": signing_request(), "signerName": "example.com/s", "usages": ["client auth"]},
        }
        k("create", "-f", "-", stdin=json.dumps(request))
        k("certificate", verdict, name)
        condition = {"approve": "Approved", "deny": "Denied"}[verdict]
        k("wait", f"--for=condition={condition}", f"csr/{name}", "--timeout=5s")
        k("delete", "csr", name)


def test_proxy(k: Kubectl) -> None:
    import urllib.request

    with subprocess.Popen(
        k.command("proxy", "--port=0"), env=k.cluster.env, stdout=subprocess.PIPE, text=True
    ) as proxy:
        assert proxy.stdout is not None
        port = proxy.stdout.readline().rsplit(":", 1)[1].strip()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/{k.namespace}", timeout=10) as answer:
            assert json.loads(answer.read())["metadata"]["name"] == k.namespace
        proxy.terminate()


def test_an_old_kubectl(k: Kubectl, tmp_path: Path) -> None:
    """1.20: discovery one by one, OpenAPI v2, no field validation, no WebSockets."""
    try:
        old = Kubectl(k.cluster, k.namespace, kubectls.oldest())
    except kubectls.NoKubectl as error:
        pytest.skip(str(error))
    assert "v1.20" in old("version")
    assert "created" in old("apply", "-f", "-", stdin=WEB)
    assert "unchanged" in old("apply", "-f", "-", stdin=WEB)
    assert "configured" in k("apply", "-f", "-", stdin=WEB.replace("img:1", "img:2"))
    assert "successfully rolled out" in old("rollout", "status", "deployment/web", "--timeout=30s")
    old("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MAP)
    assert re.search(r"^web\s+2/2\s+2\s+2", old("get", "deployments"), re.M)
    old("scale", "deployment/web", "--replicas=1")
    old("wait", "--for=condition=Available", "deployment/web", "--timeout=30s")
    old("label", "deployment/web", "a=b")
    old("patch", "deployment/web", "-p", '{"spec":{"minReadySeconds":1}}')
    old("expose", "deployment/web", "--port=80")
    old("create", "secret", "generic", "s", "--from-literal=a=b")
    assert "FIELDS" in old("explain", "deployment.spec")
    assert "Replicas:" in old("describe", "deployment", "web")
    assert old.any("diff", "-f", "-", stdin=WEB).returncode == 1
    assert "deployments" in old("api-resources", "--api-group=apps")
    assert old("auth", "can-i", "create", "pods") == "yes\n"
    assert "deleted" in old("delete", "deployment,service", "web")
