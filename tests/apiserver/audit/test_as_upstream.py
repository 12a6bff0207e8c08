"""The audit log of the same requests, beside the one that Kubernetes' own kube-apiserver writes of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.webhooks.conftest import HookServer, annotate, configuration, deny
from tests.support import go
from tests.support.bothservers import OUR_AUDIT, THEIR_AUDIT, Both, both, differing, even

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(2 * go.COMMAND_SECONDS)]

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: None, users: [system:apiserver, system:anonymous]}
- {level: None, nonResourceURLs: ["/readyz*"]}
- {level: RequestResponse, namespaces: [full]}
- {level: Metadata, namespaces: [little], omitStages: [RequestReceived]}
- {level: Request, namespaces: [asked], omitManagedFields: true}
- {level: Metadata, nonResourceURLs: ["*"]}
- level: RequestResponse
  resources: [{group: apiextensions.k8s.io}]
  verbs: [create, delete]
"""
POD: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False}
NAMESPACES = ("full", "little", "asked")

Ask = Callable[..., Any]


class Asker:
    """Sends each request to both servers, one after the other, so that each log has them in order."""

    def __init__(self, servers: Both) -> None:
        self.servers = servers

    async def __call__(
        self, method: str, path: str, body: Any = None, media: str = "application/json", **more: str
    ) -> list[Any]:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        query = {k: v for k, v in more.items() if k[0].islower()}
        headers = {k.replace("_", "-"): v for k, v in more.items() if k[0].isupper()}
        found = []
        for client in self.servers.clients:
            sent = {"content-type": media, **headers} if data else headers
            found.append(await client.request(method, path, query=query, body=data, headers=sent))
        assert found[0].status == found[1].status, (method, path, [f.body for f in found])
        return found


async def requests(ask: Asker, namespace: str) -> None:
    """What a user does in a namespace, right and wrong."""
    inside = f"/api/v1/namespaces/{namespace}"
    maps, one = f"{inside}/configmaps", f"{inside}/configmaps/a"
    await ask("POST", maps, {"metadata": {"name": "a"}, "data": {"x": "1"}}, Audit_ID="mine")
    await ask("POST", maps, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    await ask("POST", maps, {"metadata": {"name": "A B"}})
    await ask("POST", maps, b"[nonsense")
    await ask("POST", f"{inside}/pods", {"metadata": {"name": "p"}, "spec": POD})
    await ask("POST", f"{inside}/pods", {"metadata": {"name": "q"}, "spec": POD})
    await ask("GET", one)
    await ask("GET", f"{maps}/none")
    await ask("GET", one, Accept="application/vnd.kubernetes.protobuf")
    await ask("GET", one, Accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    await ask("GET", maps)
    await ask("GET", maps, fieldSelector="metadata.name=a")
    await ask("GET", maps, watch="1", timeoutSeconds="1")
    await ask("PUT", one, {"metadata": {"name": "a"}, "data": {"y": "2"}})
    await ask("PUT", f"{maps}/none", {"metadata": {"name": "none", "resourceVersion": "5", "uid": "u"}})
    await ask("PATCH", one, {"data": {"z": "3"}}, "application/merge-patch+json")
    await ask("PATCH", one, [{"op": "test", "path": "/data/z", "value": "7"}], "application/json-patch+json")
    applied = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {w: '4'}\n"
    await ask("PATCH", one, applied, "application/apply-patch+yaml", fieldManager="me")
    await ask("PATCH", f"{inside}/pods/p/status", {"status": {"phase": "Running"}}, "application/merge-patch+json")
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"},
    }
    await ask("POST", f"{inside}/pods/p/binding", binding)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "q"}}
    await ask("POST", f"{inside}/pods/q/eviction", eviction, dryRun="All")
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    await ask("POST", f"{inside}/serviceaccounts/default/token", wanted)
    await ask("GET", one, Impersonate_User="bob", Impersonate_Group="dev")
    await ask("GET", one, Impersonate_User="system:serviceaccount:full:default")
    await ask("GET", one, X_Forwarded_For="10.1.2.3, 10.2.3.4")
    await ask("GET", f"{inside}/endpoints")
    await ask("GET", f"{inside}/nosuch")
    await ask("POST", one, {})
    await ask("DELETE", one, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
    await ask("DELETE", maps)
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await ask("POST", deployments, {"metadata": {"name": "d"}, "spec": spec})
    await ask(
        "PUT", f"{deployments}/d/scale", {"metadata": {"name": "d", "namespace": namespace}, "spec": {"replicas": 1}}
    )
    await ask("PATCH", f"{deployments}/d/scale", {"spec": {"replicas": 2}}, "application/merge-patch+json")
    await ask("GET", f"{deployments}/d", Accept="application/yaml")


ADMISSION = "/apis/admissionregistration.k8s.io/v1"
VALIDATIONS = {
    "matchConstraints": {
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
        ]
    },
    "validations": [
        {"expression": "object.metadata.name != 'bad'"},
        {"expression": "object.metadata.name != 'worse'", "messageExpression": "'no ' + object.metadata.name"},
    ],
    "auditAnnotations": [{"key": "name", "valueExpression": "'called ' + object.metadata.name"}],
}


async def admission(ask: Asker, hooks: HookServer) -> None:
    """What webhooks and policies note."""

    async def noted(_: dict[str, Any]) -> Any:
        return {"allowed": True, "auditAnnotations": {"seen": "yes"}, "warnings": ["told"]}

    hooks.answers |= {"/a": annotate("a"), "/b": annotate("b"), "/v": noted, "/no": deny(message="no")}
    again = hooks.hook("/a", "secrets", reinvocationPolicy="IfNeeded")
    dead = hooks.hook("/dead", "secrets", failurePolicy="Ignore", clientConfig={"url": "https://127.0.0.1:1/x"})
    refuses = hooks.hook("/no", "secrets", objectSelector={"matchLabels": {"refuse": "me"}})
    mutating = configuration("m", again, hooks.hook("/b", "secrets"), dead)
    validating = configuration("v", hooks.hook("/v", "secrets"), dead, refuses)
    await ask("POST", f"{ADMISSION}/mutatingwebhookconfigurations", mutating)
    await ask("POST", f"{ADMISSION}/validatingwebhookconfigurations", validating)
    await ask("POST", f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": "pol"}, "spec": VALIDATIONS})
    bound = {"policyName": "pol", "validationActions": ["Audit", "Warn"]}
    await ask("POST", f"{ADMISSION}/validatingadmissionpolicybindings", {"metadata": {"name": "b"}, "spec": bound})
    probe = "/api/v1/namespaces/default/secrets"
    for client in ask.servers.clients:
        while True:
            body = json.dumps({"metadata": {"name": "worse"}}).encode()
            query = {"dryRun": "All"}
            answer = await client.request("POST", probe, query=query, body=body)
            if "no worse" in answer.headers.get("warning", "") and "told" in answer.headers.get("warning", ""):
                break
    for namespace in NAMESPACES:
        secrets = f"/api/v1/namespaces/{namespace}/secrets"
        for name in ("good", "bad", "worse"):
            await ask("POST", secrets, {"metadata": {"name": name}})
        await ask("POST", secrets, {"metadata": {"name": "refused", "labels": {"refuse": "me"}}})
        await ask("DELETE", f"{secrets}/good")


def events(log: Path) -> list[dict[str, Any]]:
    """Those of users, in order, with all made even that cannot be the same."""
    found = []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["user"].get("username") != "kubernetes-admin":
            continue
        event.pop("user")
        event.pop("userAgent", None)
        # Clients of ours are in the same process and have no address; orlop knows one way of impersonation.
        event["sourceIPs"] = [ip for ip in event.get("sourceIPs", []) if ip != "127.0.0.1"]
        event.pop("authenticationMetadata", None)
        annotations = event.get("annotations", {})
        for name in [n for n in annotations if n.startswith("apiserver.latency")]:
            del annotations[name]
        shown = even(event)
        if (token := (shown.get("responseObject") or {}).get("status", {})) and "token" in token:
            token["token"] = "…"
        found.append(shown)
    return found


async def test_the_log_is_upstreams(tmp_path: Path, hooks: HookServer) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    try:
        async with both(tmp_path, policy) as servers:
            ask = Asker(servers)
            for namespace in NAMESPACES:
                await ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
                await ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
            for namespace in NAMESPACES:
                await requests(ask, namespace)
            for path in ("/version", "/nosuch", "/apis"):
                await ask("GET", path)
            await ask("GET", "/apis", Impersonate_User="bob")
            await admission(ask, hooks)
    except go.NoGo as error:
        pytest.skip(str(error))
    theirs, ours = events(tmp_path / THEIR_AUDIT), events(tmp_path / OUR_AUDIT)
    named = [[(e["requestURI"], e["verb"], e["stage"]) for e in log] for log in (theirs, ours)]
    assert named[0] == named[1]
    wrong = []
    for i, (their, our) in enumerate(zip(theirs, ours, strict=True)):
        if found := differing(their, our):
            wrong.append("\n  ".join([f"{i}: {their['verb']} {their['requestURI']} ({their['stage']})", *found]))
    assert not wrong, "\n".join([f"{len(wrong)} differ", *wrong])
