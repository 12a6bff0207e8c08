"""What a kubelet may do, with which objects."""

import pytest

from orlop.apiserver.auth import Access, Authorizer, User

from .conftest import pod

NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
USES = {
    "serviceAccountName": "app",
    "imagePullSecrets": [{"name": "pull"}],
    "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "init-env"}}]}],
    "containers": [
        {
            "name": "c",
            "envFrom": [{"configMapRef": {"name": "all-env"}}],
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "one-env", "key": "k"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "one-config", "key": "k"}}},
            ],
        }
    ],
    "volumes": [
        {"name": "a", "secret": {"secretName": "files"}},
        {"name": "b", "configMap": {"name": "config-files"}},
        {
            "name": "c",
            "projected": {
                "sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "kube-root-ca.crt"}}],
            },
        },
        {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "e", "ephemeral": {}},
    ],
}


@pytest.fixture
def access(hub):
    hub.put(pod(**USES))
    hub.put(pod("elsewhere", volumes=[{"name": "a", "secret": {"secretName": "other"}}], nodeName="n2"))
    return Authorizer(hub)


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        ("secrets", "pull"),
        ("secrets", "init-env"),
        ("secrets", "one-env"),
        ("secrets", "files"),
        ("secrets", "part"),
        ("configmaps", "all-env"),
        ("configmaps", "one-config"),
        ("configmaps", "config-files"),
        ("configmaps", "kube-root-ca.crt"),
        ("persistentvolumeclaims", "data"),
        ("persistentvolumeclaims", "p-e"),
        ("serviceaccounts", "app"),
    ],
)
def test_what_its_pods_refer_to_can_be_read(access, resource, name):
    assert access.authorize(NODE, Access("get", resource, namespace="default", name=name)).allowed
    assert not access.authorize(NODE, Access("get", resource, namespace="other", name=name)).allowed


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (
            Access("get", "secrets", namespace="default", name="other"),
            "no relationship found between node 'n1' and this object",
        ),
        (Access("list", "secrets", namespace="default"), "No Object name found"),
        (Access("list", "secrets"), "can only read namespaced object of this type"),
        (Access("update", "secrets", namespace="default", name="files"), "can only read resources of this type"),
        (Access("list", "pods"), "can only list/watch pods with spec.nodeName field selector"),
        (Access("list", "nodes"), "node 'n1' cannot read all nodes, only its own Node object"),
        (Access("get", "nodes", name="n2"), "node 'n1' cannot read 'n2', only its own Node object"),
        (
            Access("update", "leases", "coordination.k8s.io", "kube-node-lease", "n2"),
            "can only access node lease with the same name as the requesting node",
        ),
        (
            Access("update", "leases", "coordination.k8s.io", "default", "n1"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        (
            Access("create", "serviceaccounts", namespace="default", name="admin", subresource="token"),
            "no relationship found between node 'n1' and this object",
        ),
        (Access("get", "persistentvolumes", name="pv"), "no relationship found between node 'n1' and this object"),
        (Access("delete", "nodes", name="n1"), ""),
        (Access("create", "deployments", "apps", "default"), ""),
    ],
)
def test_nothing_else_can(access, asked, reason):
    assert access.authorize(NODE, asked) == (False, reason and f"node: {reason}")


@pytest.mark.parametrize(
    "asked",
    [
        Access("create", "nodes"),
        Access("get", "nodes", name="n1"),
        Access("patch", "nodes", name="n1", subresource="status"),
        Access("create", "leases", "coordination.k8s.io", "kube-node-lease"),
        Access("update", "leases", "coordination.k8s.io", "kube-node-lease", "n1"),
        Access("patch", "pods", namespace="default", name="p", subresource="status"),
        Access("get", "pods", namespace="default", name="p"),
        Access("delete", "pods", namespace="default", name="p"),
        Access("create", "serviceaccounts", namespace="default", name="app", subresource="token"),
        Access("watch", "services"),
        Access("create", "events", namespace="default"),
        Access("create", "subjectaccessreviews", "authorization.k8s.io"),
    ],
)
def test_a_kubelet_s_work_is_allowed(access, asked):
    assert access.authorize(NODE, asked).allowed


def test_pods_can_be_listed_for_the_own_node_only(access):
    asked = Access("watch", "pods")
    assert access.authorize(NODE, asked, "spec.nodeName=n1").allowed
    assert access.authorize(NODE, asked, "status.phase!=Failed,spec.nodeName=n1").allowed
    assert not access.authorize(NODE, asked, "spec.nodeName=n2").allowed
    assert not access.authorize(NODE, asked, "spec.nodeName!=n1").allowed
    assert not access.authorize(NODE, Access("get", "pods", namespace="default", name="elsewhere")).allowed


def test_a_name_without_the_group_is_no_kubelet(access):
    assert not access.authorize(User("system:node:n1"), Access("create", "nodes")).allowed
