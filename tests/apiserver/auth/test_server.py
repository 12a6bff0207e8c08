"""Access through the whole API server: the same rules for everyone, in the order of a request."""

import json

import pytest

from orlop.api import errors
from orlop.api.types import authentication_v1, coordination_v1, core_v1, meta_v1, rbac_v1
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport
from orlop.client.client import Client
from orlop.clock import SystemClock

from .conftest import account


@pytest.fixture
async def server(tmp_path):
    config = Config(data_dir=tmp_path, store="memory", secure_port=None)
    async with ApiServer(config) as server:
        await client_as(server, "kubernetes-admin", "system:masters").create(account("default", uid=""))
        yield server


def client_as(server, user, *groups):
    transport = ASGITransport(server.app, User(user, (*groups, "system:authenticated")))
    return Client(transport, clock=SystemClock(), user_agent="test")


@pytest.fixture
def admin(server):
    return client_as(server, "kubernetes-admin", "system:masters")


async def get(server, path, **headers):
    """Status and body of a request by someone whom nobody vouches for in the process."""
    transport = ASGITransport(server.app, None)
    response = await transport.request("GET", path, {k.replace("_", "-"): v for k, v in headers.items()}, b"")
    return response.status, response.body


def secret(name="s"):
    return core_v1.Secret(metadata=meta_v1.ObjectMeta(name=name, namespace="default"))


def pod(name="p", **spec):
    containers = [core_v1.Container(name="c", image="i")]
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=core_v1.PodSpec(containers=containers, node_name="n1", **spec),
    )


async def test_a_component_may_do_its_work_and_no_more(server, admin):
    await admin.create(secret())
    scheduler = client_as(server, "system:kube-scheduler")
    await scheduler.list(core_v1.Pod)
    with pytest.raises(errors.Forbidden) as caught:
        await scheduler.get(core_v1.Secret, "s", "default")
    assert caught.value.message == (
        'secrets "s" is forbidden: User "system:kube-scheduler" cannot get resource "secrets" in API group "" in the '
        'namespace "default"'
    )


async def test_nobody_known_sees_health_alone(server):
    assert await get(server, "/readyz") == (200, b"ok")
    status, body = await get(server, "/api/v1/pods")
    assert status == 403
    assert json.loads(body)["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope'
    )
    assert (await get(server, "/api"))[0] == 403


async def test_a_wrong_token_is_unauthorized_even_for_health(server):
    status, body = await get(server, "/readyz", authorization="Bearer nonsense")
    assert status == 401
    assert json.loads(body)["reason"] == "Unauthorized"


async def test_a_pod_s_token_from_request_to_end(server, admin):
    made = await admin.create(pod())
    ref = authentication_v1.BoundObjectReference(kind="Pod", api_version="v1", name="p", uid=made.metadata.uid)
    request = authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(bound_object_ref=ref))
    token = (await admin.token("default", "default", request)).status.token
    header = {"authorization": f"Bearer {token}"}
    assert (await get(server, "/api", **header))[0] == 200
    assert (await get(server, "/api/v1/namespaces/default/pods", **header))[0] == 403
    await admin.create(
        rbac_v1.RoleBinding(
            metadata=meta_v1.ObjectMeta(name="viewer", namespace="default"),
            subjects=[rbac_v1.Subject(kind="ServiceAccount", name="default", namespace="default")],
            role_ref=rbac_v1.RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="view"),
        )
    )
    assert (await get(server, "/api/v1/namespaces/default/pods", **header))[0] == 200
    await admin.delete(core_v1.Pod, "p", "default", grace=0)
    assert (await get(server, "/api", **header))[0] == 401


async def test_a_kubelet_is_held_to_its_node(server, admin):
    await admin.create(secret("mine"))
    await admin.create(secret("other"))
    volume = core_v1.Volume(name="v", secret=core_v1.SecretVolumeSource(secret_name="mine"))
    await admin.create(pod(volumes=[volume]))
    kubelet = client_as(server, "system:node:n1", "system:nodes")
    await kubelet.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1")))
    assert (await kubelet.list(core_v1.Pod, fields="spec.nodeName=n1")).items
    await kubelet.get(core_v1.Secret, "mine", "default")
    with pytest.raises(errors.Forbidden, match="node: no relationship found between node 'n1' and this object"):
        await kubelet.get(core_v1.Secret, "other", "default")
    with pytest.raises(errors.Forbidden, match=r"can only list/watch pods with spec\.nodeName field selector"):
        await kubelet.list(core_v1.Pod)
    with pytest.raises(errors.Forbidden, match='node "n1" is not allowed to modify node "n2"'):
        await kubelet.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n2")))
    with pytest.raises(errors.Forbidden, match="same name as the requesting node"):
        await kubelet.create(coordination_v1.Lease(metadata=meta_v1.ObjectMeta(name="n2", namespace="kube-node-lease")))
    with pytest.raises(errors.Forbidden, match="node requested token not bound to a pod"):
        await kubelet.token("default", "default", authentication_v1.TokenRequest())


async def test_acting_as_another(server, admin):
    response = await admin.request("GET", "/api/v1/pods", headers={"impersonate-user": "alice"})
    assert response.status == 403
    assert b'User \\"alice\\" cannot list resource' in response.body
    bob = client_as(server, "bob")
    response = await bob.request("GET", "/api", headers={"impersonate-user": "alice"})
    assert response.status == 403
    assert b'cannot impersonate resource \\"users\\"' in response.body


async def test_nobody_raises_himself(server, admin):
    await admin.create(
        rbac_v1.ClusterRoleBinding(
            metadata=meta_v1.ObjectMeta(name="bob"),
            subjects=[rbac_v1.Subject(kind="User", name="bob", api_group="rbac.authorization.k8s.io")],
            role_ref=rbac_v1.RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name="admin"),
        )
    )
    bob = client_as(server, "bob")
    role = rbac_v1.Role(
        metadata=meta_v1.ObjectMeta(name="r", namespace="default"),
        rules=[rbac_v1.PolicyRule(verbs=["get"], api_groups=[""], resources=["pods"])],
    )
    await bob.create(role)
    role.metadata = meta_v1.ObjectMeta(name="r2", namespace="default")
    role.rules[0].resources = ["nodes"]
    with pytest.raises(errors.Forbidden, match="attempting to grant RBAC permissions not currently held"):
        await bob.create(role)


async def test_the_keys_are_published(server, admin):
    keys = json.loads((await admin.request("GET", "/openid/v1/jwks")).body)["keys"]
    assert keys[0]["alg"] == "ES256"
    document = json.loads((await admin.request("GET", "/.well-known/openid-configuration")).body)
    assert document["issuer"] == "https://kubernetes.default.svc.cluster.local"


async def test_roles_survive_a_restart_unchanged(tmp_path):
    config = Config(data_dir=tmp_path, store="lmdb", secure_port=None)
    revisions = []
    for _ in range(2):
        async with ApiServer(config) as server:
            admin = client_as(server, "kubernetes-admin", "system:masters")
            roles = await admin.list(rbac_v1.ClusterRole)
            revisions.append({role.metadata.name: role.metadata.resource_version for role in roles.items})
    assert revisions[0] == revisions[1]
