"""Requests as a client library sends them: over TLS, by the kubeconfig's certificate, with nothing of orlop's own."""

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

Json = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Api:
    """One user's connection to a server."""

    def __init__(self, kubeconfig: Path, folder: Path, *, http2: bool = False) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server: str = cluster["server"]
        files = {name: folder / name for name in ("certificate-authority", "client-certificate", "client-key")}
        for name, file in files.items():
            file.write_bytes(base64.b64decode({**cluster, **user}[f"{name}-data"]))
        self.tls = ssl.create_default_context(cafile=str(files["certificate-authority"]))
        self.tls.load_cert_chain(files["client-certificate"], files["client-key"])
        self.http = httpx.Client(base_url=self.server, verify=self.tls, http2=http2, timeout=30)

    def __call__(self, method: str, path: str, body: Any = None, media: str = "application/json", **headers: str):  # type: ignore[no-untyped-def]
        """The answer to a request; header names have underscores."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            sent["content-type"] = media
        return self.http.request(method, path, content=content, headers=sent)

    def get(self, path: str, **headers: str) -> Json:
        """The object at a path that must be there."""
        return self._ok(self("GET", path, **headers))

    def post(self, path: str, body: Any) -> Json:
        return self._ok(self("POST", path, body))

    def put(self, path: str, body: Any) -> Json:
        return self._ok(self("PUT", path, body))

    def merge(self, path: str, body: Any) -> Json:
        """A merge patch that must succeed."""
        return self._ok(self("PATCH", path, body, MERGE_PATCH))

    def apply(self, path: str, body: Any, manager: str, *, force: bool = False) -> httpx.Response:
        """A server-side apply, whatever comes of it."""
        query = f"?fieldManager={manager}&force={str(force).lower()}"
        return self("PATCH", path + query, body, APPLY_PATCH)

    def refused(self, code: int, method: str, path: str, body: Any = None, media: str = "application/json") -> Json:
        """The Status of a request that must be refused with `code`."""
        answer = self(method, path, body, media)
        assert answer.status_code == code, answer.text
        status = answer.json()
        assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
        assert status["code"] == code
        return status

    @contextmanager
    def watch(self, path: str, *, accept: str = "application/json", **query: Any) -> Iterator[Iterator[Json]]:
        """The events of a watch, as they come."""
        asked = {"watch": "true", "timeoutSeconds": "20"} | {name: str(value) for name, value in query.items()}
        with self.http.stream("GET", path, params=asked, headers={"accept": accept}) as answer:
            assert answer.status_code == 200, answer.read()
            yield (json.loads(line) for line in answer.iter_lines() if line)

    @staticmethod
    def _ok(answer: httpx.Response) -> Json:
        assert answer.is_success, (answer.status_code, answer.text)
        found: Json = answer.json()
        return found


class Namespace:
    """A namespace of the test's own, and the paths of what is in it."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name
        self.maps = f"/api/v1/namespaces/{name}/configmaps"
        self.pods = f"/api/v1/namespaces/{name}/pods"
        self.secrets = f"/api/v1/namespaces/{name}/secrets"
        self.services = f"/api/v1/namespaces/{name}/services"
        self.accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
        self.deployments = f"/apis/apps/v1/namespaces/{name}/deployments"
        self.sets = f"/apis/apps/v1/namespaces/{name}/replicasets"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{name}/leases"
        self.slices = f"/apis/discovery.k8s.io/v1/namespaces/{name}/endpointslices"
        self.budgets = f"/apis/policy/v1/namespaces/{name}/poddisruptionbudgets"


def config_map(name: str, **more: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def pod(name: str, **spec: Any) -> Json:
    """A pod that no scheduler takes, unless its spec says otherwise."""
    spec = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "img"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def deployment(name: str, replicas: int = 1) -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "img"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
