"""Which FlowSchema a request belongs to, by what its answer's headers say."""

from typing import Any

import pytest
from tests.apiserver.conftest import MAPS, Api, pod

from orlop.apiserver.auth import User
from orlop.apiserver.auth.user import ANONYMOUS
from orlop.apiserver.server import ApiServer

PATH = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMAS, LEVELS = f"{PATH}/flowschemas", f"{PATH}/prioritylevelconfigurations"
EVERYBODY = "system:authenticated"
SCHEDULER = User("system:kube-scheduler", (EVERYBODY,))
NODE = User("system:node:n", ("system:nodes", EVERYBODY))
ACCOUNT = User(
    "system:serviceaccount:kube-system:x", ("system:serviceaccounts", "system:serviceaccounts:kube-system", EVERYBODY)
)
OTHER = User("system:serviceaccount:default:x", ("system:serviceaccounts", "system:serviceaccounts:default", EVERYBODY))
JOE = User("joe", (EVERYBODY,))
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x"


async def schema_of(api: Api, server: ApiServer, user: User, path: str) -> str:
    """The name of the schema of a user's GET, or "" where it has none."""
    schemas = {s["metadata"]["uid"]: s for s in (await api("GET", SCHEMAS)).body["items"]}
    levels = {level["metadata"]["uid"]: level for level in (await api("GET", LEVELS)).body["items"]}
    theirs = Api(server, user)
    headers = (await theirs("GET", path)).headers
    await theirs.transport.close()
    if "x-kubernetes-pf-flowschema-uid" not in headers:
        assert "x-kubernetes-pf-prioritylevel-uid" not in headers
        return ""
    schema = schemas[headers["x-kubernetes-pf-flowschema-uid"]]
    level = levels[headers["x-kubernetes-pf-prioritylevel-uid"]]
    assert schema["spec"]["priorityLevelConfiguration"]["name"] == level["metadata"]["name"]
    return str(schema["metadata"]["name"])


@pytest.mark.parametrize(
    ("user", "path", "name"),
    [
        (User("admin", ("system:masters", EVERYBODY)), MAPS, "exempt"),
        (ANONYMOUS, "/healthz", "probes"),
        (ANONYMOUS, MAPS, "global-default"),
        (JOE, "/version", "global-default"),
        (JOE, MAPS, "global-default"),
        (SCHEDULER, LEASE, "system-leader-election"),
        (SCHEDULER, "/api/v1/pods", "kube-scheduler"),
        (NODE, "/api/v1/nodes/n", "system-node-high"),
        (NODE, LEASE, "system-node-high"),
        (NODE, "/api/v1/pods", "system-nodes"),
        (ACCOUNT, LEASE, "system-leader-election"),
        (ACCOUNT, MAPS, "kube-system-service-accounts"),
        (OTHER, MAPS, "service-accounts"),
    ],
)
async def test_requests_belong_to_upstreams_schemas(
    api: Api, server: ApiServer, user: User, path: str, name: str
) -> None:
    assert await schema_of(api, server, user, path) == name


async def test_streams_belong_to_none(api: Api, server: ApiServer) -> None:
    await api("POST", "/api/v1/namespaces/default/pods", pod())
    assert await schema_of(api, server, JOE, "/api/v1/namespaces/default/pods/p/log") == ""


def schema(name: str, precedence: int, level: str, **rule: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": level},
            "rules": [{"subjects": [{"kind": "User", "user": {"name": "joe"}}], **rule}],
        },
    }


async def test_schemas_that_users_write_count_at_once(api: Api, server: ApiServer) -> None:
    maps: dict[str, Any] = {
        "verbs": ["list"],
        "apiGroups": [""],
        "resources": ["configmaps"],
        "namespaces": ["default"],
    }
    await api.made(SCHEMAS, schema("b", 700, "workload-low", resourceRules=[maps]))
    assert await schema_of(api, server, JOE, MAPS) == "b"
    assert await schema_of(api, server, JOE, f"{MAPS}/x") == "global-default"
    assert await schema_of(api, server, JOE, "/api/v1/configmaps") == "global-default"
    # Of equal precedence the name decides; without its level a schema counts for nobody.
    await api.made(SCHEMAS, schema("a", 700, "nowhere", resourceRules=[maps]))
    assert await schema_of(api, server, JOE, MAPS) == "b"
    limited = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    await api.made(LEVELS, {"metadata": {"name": "nowhere"}, "spec": limited})
    assert await schema_of(api, server, JOE, MAPS) == "a"
    await api.made(
        SCHEMAS,
        schema("c", 3, "exempt", nonResourceRules=[{"verbs": ["*"], "nonResourceURLs": ["/version", "/vers/*"]}]),
    )
    assert await schema_of(api, server, JOE, "/version") == "c"
    assert (await api("DELETE", f"{SCHEMAS}/c")).status == 200
    assert await schema_of(api, server, JOE, "/version") == "global-default"
