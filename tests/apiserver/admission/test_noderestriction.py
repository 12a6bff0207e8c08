"""What a kubelet may write: each refusal in upstream's words, and that its own work passes."""

from pathlib import Path

import pytest
from tests.apiserver.auth.conftest import Objects, pod

from orlop.api import errors, scheme
from orlop.api.types import authentication_v1, coordination_v1, core_v1, meta_v1
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.admission.noderestriction import MIRROR, NodeRestriction
from orlop.apiserver.auth import Authorizer, User
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects as Registry
from orlop.clock import FakeClock
from orlop.store.memory import MemoryStore

KUBELET = User("system:node:n1", ("system:nodes", "system:authenticated"))
TOKEN = [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "vault"}}]}}]


@pytest.fixture
def hub() -> Objects:
    hub = Objects()
    hub.put(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n1", uid="node-uid")))
    hub.put(pod("mine", uid="mine-uid", volumes=TOKEN))
    hub.put(pod("other", uid="other-uid", nodeName="n2"))
    return hub


@pytest.fixture
def ask(hub: Objects):
    clock = FakeClock()
    registry = Registry(MemoryStore(clock), hub.hub, clock)
    plugin = NodeRestriction(registry, clock, Config(data_dir=Path("unused")), Authorizer(hub))

    async def ask(operation, obj, old=None, name="", subresource="", kind=None, user=KUBELET):
        row = scheme.of(type(kind or obj))
        meta = (kind or obj).metadata
        a = Attributes(operation, row, meta.namespace, name or meta.name, obj, old, user, subresource)
        assert plugin.handles(a)
        await plugin.admit(a)

    return ask


def mirror(**metadata):
    owner = meta_v1.OwnerReference(api_version="v1", kind="Node", name="n1", uid="node-uid", controller=True)
    made = pod("static")
    made.metadata.annotations = {MIRROR: "hash"}
    made.metadata.owner_references = [owner]
    for key, value in metadata.items():
        setattr(made.metadata, key, value)
    return made


def node(name="n1", labels=None, **spec):
    return core_v1.Node(metadata=meta_v1.ObjectMeta(name=name, labels=labels or {}), spec=core_v1.NodeSpec(**spec))


def token(**spec):
    ref = authentication_v1.BoundObjectReference(api_version="v1", kind="Pod", name="mine", uid="mine-uid")
    return authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(**{"bound_object_ref": ref, **spec}))


ACCOUNT = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="app", namespace="default"))


async def refused(asking, message):
    with pytest.raises(errors.Forbidden) as caught:
        await asking
    assert message in caught.value.message


async def test_others_are_no_concern(ask):
    await ask("CREATE", pod("any"), user=User("alice"))


async def test_its_own_pods(ask):
    await ask("DELETE", None, name="mine", kind=pod("mine"))
    await refused(
        ask("DELETE", None, name="other", kind=pod("other")),
        'node "n1" can only delete pods with spec.nodeName set to itself',
    )
    await ask("UPDATE", pod("mine"), pod("mine"), subresource="status")
    await refused(
        ask("UPDATE", pod("other"), pod("other", nodeName="n2"), subresource="status"),
        'node "n1" can only update pod status for pods with spec.nodeName set to itself',
    )
    relabelled = pod("mine")
    relabelled.metadata.labels = {"a": "b"}
    await refused(
        ask("UPDATE", relabelled, pod("mine"), subresource="status"),
        'node "n1" cannot update labels through pod status',
    )
    await refused(ask("UPDATE", pod("mine"), pod("mine")), 'unexpected operation "UPDATE"')
    await refused(ask("CREATE", pod("mine"), subresource="exec"), "only 'status' and 'eviction' are allowed")
    await refused(
        ask("CREATE", pod("other"), subresource="eviction"),
        "node n1 can only evict pods with spec.nodeName set to itself",
    )


async def test_mirror_pods(ask):
    await ask("CREATE", mirror())
    await refused(ask("CREATE", pod("static")), "can only create mirror pods")
    await refused(
        ask("CREATE", mirror(owner_references=[])), "can only create pods with an owner reference set to itself"
    )
    stranger = mirror()
    stranger.metadata.owner_references[0].uid = "another"
    await refused(ask("CREATE", stranger), "node n1 UID mismatch: expected another got node-uid")
    greedy = mirror()
    greedy.spec.service_account_name = "admin"
    await refused(ask("CREATE", greedy), 'node "n1" can not create pods that reference a service account')
    reader = mirror()
    reader.spec.volumes = [core_v1.Volume(name="a", secret=core_v1.SecretVolumeSource(secret_name="s"))]
    await refused(ask("CREATE", reader), 'node "n1" can not create pods that reference secrets')


async def test_its_own_node(ask):
    await ask("CREATE", node(labels={"kubernetes.io/hostname": "n1", "team": "a", "node.kubernetes.io/x": "y"}))
    await ask("UPDATE", node(labels={"team": "b"}), node(labels={"team": "a"}))
    await refused(ask("UPDATE", node("n2"), node("n2")), 'node "n1" is not allowed to modify node "n2"')
    await refused(
        ask("CREATE", node(labels={"node-role.kubernetes.io/master": "", "x.node-restriction.kubernetes.io/y": ""})),
        'node "n1" is not allowed to set the following labels: node-role.kubernetes.io/master, '
        "x.node-restriction.kubernetes.io/y",
    )
    await refused(
        ask("UPDATE", node(), node(labels={"node-restriction.kubernetes.io/secure": "1"})),
        "is not allowed to modify labels: node-restriction.kubernetes.io/secure",
    )
    tainted = node(taints=[core_v1.Taint(key="k", effect="NoSchedule")])
    await refused(ask("UPDATE", node(), tainted), 'node "n1" is not allowed to modify taints')


async def test_its_own_lease(ask):
    def lease(name, namespace="kube-node-lease"):
        return coordination_v1.Lease(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace))

    await ask("CREATE", lease("n1"))
    await refused(ask("CREATE", lease("n2")), "can only access node lease with the same name as the requesting node")
    await refused(ask("CREATE", lease("n1", "default")), 'can only access leases in the "kube-node-lease"')


async def test_tokens_for_its_own_pods(ask):
    async def request(wanted):
        await ask("CREATE", wanted, name="app", subresource="token", kind=ACCOUNT)

    await request(token(audiences=["vault"]))
    await refused(request(token(bound_object_ref=None)), "node requested token not bound to a pod")
    elsewhere = authentication_v1.BoundObjectReference(api_version="v1", kind="Pod", name="other", uid="other-uid")
    await refused(
        request(token(bound_object_ref=elsewhere)), "node requested token bound to a pod scheduled on a different node"
    )
    unnamed = authentication_v1.BoundObjectReference(api_version="v1", kind="Pod", name="mine")
    await refused(request(token(bound_object_ref=unnamed)), "a pod binding without a uid")
    await refused(request(token(audiences=["a", "b"])), "node may only request 0 or 1 audiences")
    await refused(
        request(token(audiences=["bank"])),
        'audience "bank" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this '
        "audience",
    )
