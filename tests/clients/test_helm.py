"""helm 4, unmodified: the life of a release of `chart/`, from its install to its uninstall."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import go
from tests.support.cluster import Failed, UpCluster, run

CHART = Path(__file__).parent / "chart"
CRDS = Path(__file__).parent / "chart-crds"
ENDS = {"hollow.orlop/stage": "{run: 0.1}"}
FAILS = {"hollow.orlop/stage": "{run: 0.1, exitCode: 1}"}
pytestmark = [pytest.mark.go, pytest.mark.timeout(go.BUILD_SECONDS + 120)]


class Helm:
    """helm in a namespace of its own."""

    def __init__(self, program: Path, cluster: UpCluster, namespace: str, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.values = folder / "values.yaml"
        self.chart = CHART
        self.env = {
            **cluster.env,
            "HELM_NAMESPACE": namespace,
            **{f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
        }
        self._program = str(program)

    def __call__(self, *words: str) -> str:
        return run(self._program, *words, env=self.env)

    def change(self, command: str, *words: str, **values: Any) -> str:
        """install or upgrade of the release `web`, waiting until all of it is ready."""
        self.values.write_text(yaml.safe_dump({"podAnnotations": ENDS, **values}))
        return self(command, "web", str(self.chart), "-f", str(self.values), "--wait", "--timeout", "60s", *words)

    def fails(self, command: str, *words: str, **values: Any) -> str:
        self.values.write_text(yaml.safe_dump({"podAnnotations": ENDS, **values}))
        whole = [self._program, command, "web", str(self.chart), "-f", str(self.values), "--timeout", "60s", *words]
        done = subprocess.run(whole, env=self.env, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def get(self, *words: str) -> Any:
        return json.loads(self.cluster.kubectl("-n", self.namespace, "get", *words, "-o", "json"))

    def history(self) -> list[tuple[int, str]]:
        return [(r["revision"], r["status"]) for r in json.loads(self("history", "web", "-o", "json"))]


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return go.program(*go.HELM)
    except go.NoGo as error:
        pytest.skip(str(error))


@pytest.fixture
def helm(program: Path, cluster: UpCluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Helm]:
    name = request.node.name.replace("_", "-")[:60]
    cluster.kubectl("create", "namespace", name)
    yield Helm(program, cluster, name, tmp_path)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_the_life_of_a_release(helm: Helm) -> None:
    out = helm.change("install")
    assert "STATUS: deployed" in out
    ready = helm.get("deployment", "web")
    assert ready["status"]["readyReplicas"] == 2
    hooks = {
        c["metadata"]["name"]: c["data"]
        for c in helm.get("configmaps")["items"]
        if "pre" in c["metadata"]["name"] or "post" in c["metadata"]["name"]
    }
    assert hooks == {"web-pre-install": {"revision": "1"}, "web-post-install": {"revision": "1"}}
    assert [p["metadata"]["name"] for p in helm.get("pods")["items"] if "migrate" in p["metadata"]["name"]] == []
    shown = [d for d in yaml.safe_load_all(helm("get", "manifest", "web")) if d]
    assert {d["kind"] for d in shown} == {"ConfigMap", "Service", "Deployment", "HorizontalPodAutoscaler"}
    applied = json.loads(
        helm.cluster.kubectl("-n", helm.namespace, "get", "deployment", "web", "-o", "json", "--show-managed-fields")
    )
    owners = {(m["manager"], m["operation"]) for m in applied["metadata"]["managedFields"]}
    assert ("helm", "Apply") in owners  # helm 4 installs by server-side apply
    assert "Phase:          Succeeded" in helm("test", "web", "--timeout", "60s")

    helm.change("upgrade", greeting="good day", replicas=3)
    assert helm.get("configmap", "web-settings")["data"] == {"greeting": "good day"}
    assert helm.get("deployment", "web")["status"]["readyReplicas"] == 3
    assert helm.get("configmap", "web-pre-upgrade")["data"] == {"revision": "2"}
    helm("rollback", "web", "1", "--wait", "--timeout", "60s")
    assert helm.get("configmap", "web-settings")["data"] == {"greeting": "hello"}
    assert helm.get("deployment", "web")["spec"]["replicas"] == 2
    assert helm.get("configmap", "web-post-rollback")["data"] == {"revision": "1"}  # as it was rendered then
    assert helm.history() == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    status = json.loads(helm("status", "web", "-o", "json"))
    assert status["info"]["status"] == "deployed"
    assert "web" in helm("list", "--filter", "^web$")
    assert "greeting: hello" not in helm("get", "values", "web")
    assert "greeting: hello" in helm("get", "values", "web", "--all")

    # helm's own --wait stops when all that its watches have told of is gone, and may not have heard of the Deployment.
    helm("uninstall", "web", "--cascade", "foreground", "--timeout", "60s")
    helm.cluster.kubectl("-n", helm.namespace, "wait", "--for=delete", "deployment/web", "--timeout=60s")
    assert helm.get("deployments,services,horizontalpodautoscalers")["items"] == []
    assert [p for p in helm.get("pods")["items"] if "-answers" not in p["metadata"]["name"]] == []
    assert helm.get("configmap", "web-pre-delete")["data"] == {"revision": "1"}
    with pytest.raises(Failed, match="release: not found"):
        helm("status", "web")


def test_what_fails_is_rolled_back(helm: Helm) -> None:
    helm.change("install")
    said = helm.fails("upgrade", "--rollback-on-failure", "--wait", podAnnotations=FAILS)
    assert "pre-upgrade hooks failed" in said
    assert helm.history()[-1][1] == "deployed"
    assert helm.get("deployment", "web")["status"]["readyReplicas"] == 2


def test_a_conflict_with_another_manager_is_told(helm: Helm) -> None:
    helm.change("install")
    patch = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"web-settings"},"data":{"greeting":"mine"}}'
    helm.cluster.kubectl("-n", helm.namespace, "apply", "--server-side", "--force-conflicts", "-f", "-", input=patch)
    said = helm.fails("upgrade", greeting="theirs")
    assert 'conflict with "kubectl": .data.greeting' in said
    helm.change("upgrade", "--force-conflicts", greeting="theirs")
    assert helm.get("configmap", "web-settings")["data"] == {"greeting": "theirs"}


def test_dry_runs_and_templates(helm: Helm) -> None:
    out = helm.change("install", "--dry-run=server")
    assert "HorizontalPodAutoscaler" in out  # the capabilities are the server's
    assert helm.get("deployments")["items"] == []
    helm.change("upgrade", "--install")
    assert helm.history() == [(1, "deployed")]


def test_a_chart_that_brings_definitions(helm: Helm) -> None:
    """Objects of a kind are installed in the moment after its definition, hooks among them."""
    helm.chart = CRDS
    helm.change("install")
    boats = {b["metadata"]["name"]: b for b in helm.get("boats")["items"]}
    assert set(boats) == {"web-0", "web-1", "web-pilot"}
    assert boats["web-0"]["spec"]["sails"] == [{"name": "fore", "area": 10}, {"name": "main", "area": 40}]
    assert "spec.masts" in helm.fails("upgrade", masts=0)
    assert "too many sails" in helm.cluster.kubectl_fails(
        *("-n", helm.namespace, "patch", "boat", "web-0", "--type=merge", "-p"),
        json.dumps({"spec": {"sails": [{"name": str(i)} for i in range(7)]}}),
    )
    helm.change("upgrade", masts=3, boats=1)
    assert {b["metadata"]["name"]: b["spec"]["masts"] for b in helm.get("boats")["items"]} == {
        "web-0": 3,
        "web-pilot": 1,
    }
    assert helm.get("configmap", "web-knows-boats")
    helm("rollback", "web", "1", "--wait", "--timeout", "60s")
    assert {b["metadata"]["name"] for b in helm.get("boats")["items"]} == {"web-0", "web-1", "web-pilot"}
    helm("uninstall", "web", "--wait", "--timeout", "60s")
    assert [b["metadata"]["name"] for b in helm.get("boats")["items"]] == ["web-pilot"]  # a hook's objects stay
    helm.cluster.kubectl("delete", "crd", "boats.chart.example.com", "--timeout=30s")
