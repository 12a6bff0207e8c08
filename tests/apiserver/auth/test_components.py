"""What our own components ask for, they may: each line is a call that one of them makes."""

import pytest

from orlop.apiserver.auth import Access, Authorizer, User
from orlop.apiserver.auth.policy import bootstrap_policy
from orlop.pki import CONTROLLER_MANAGER, DNS, PROXY, SCHEDULER, node

from .conftest import pod

GROUPS = {
    "deployments": "apps",
    "replicasets": "apps",
    "endpointslices": "discovery.k8s.io",
    "leases": "coordination.k8s.io",
    "tokenreviews": "authentication.k8s.io",
    "subjectaccessreviews": "authorization.k8s.io",
}

CALLS = {
    CONTROLLER_MANAGER: """
        list,watch deployments,replicasets,pods,nodes,namespaces,services,endpointslices,serviceaccounts,configmaps
        list,watch secrets,leases
        get,update,patch deployments,replicasets
        create,delete,update,patch replicasets
        update,patch deployments/status,replicasets/status
        create,delete,patch,update pods
        update,patch pods/status
        create,update,delete,patch endpointslices
        update,patch,delete nodes
        update,patch nodes/status
        create,update,patch configmaps
        create serviceaccounts,serviceaccounts/token
        delete,update namespaces
        update namespaces/finalize,namespaces/status
        delete,deletecollection,patch secrets
        create,patch,update events
        create,get,update leases:kube-controller-manager
        create tokenreviews,subjectaccessreviews
    """,
    SCHEDULER: """
        list,watch pods,nodes,services,replicasets,namespaces
        create pods/binding
        patch,update pods/status
        delete pods
        create,patch,update events
        create,get,update leases:kube-scheduler
    """,
    PROXY: """
        list,watch services,endpointslices,nodes
        create,patch,update events
    """,
    DNS: """
        list,watch services,endpointslices,namespaces,nodes,pods
        get services:kube-dns,nodes:n1
        get endpointslices:kube-dns-n1
    """,
    node("n1"): """
        create,get,patch nodes:n1
        watch,list nodes:n1
        patch,update nodes/status:n1
        watch,list services
        get,watch,list secrets:files
        get,watch,list configmaps:config
        create serviceaccounts/token:app
        patch,update pods/status:p
        get,delete pods:p
        create,patch events
        create tokenreviews,subjectaccessreviews
    """,
}


def calls():
    for identity, text in CALLS.items():
        for line in text.split("\n"):
            verbs, _, targets = line.strip().partition(" ")
            for target in targets.split(",") if targets else ():
                path, _, name = target.partition(":")
                resource, _, subresource = path.partition("/")
                for verb in verbs.split(","):
                    yield identity, verb, resource, subresource, name


@pytest.fixture
def access(hub):
    for obj in bootstrap_policy():
        hub.put(obj)
    volumes = [{"name": "a", "secret": {"secretName": "files"}}, {"name": "b", "configMap": {"name": "config"}}]
    hub.put(pod(serviceAccountName="app", volumes=volumes))
    return Authorizer(hub)


def test_all_of_them(access):
    refused = []
    for identity, verb, resource, subresource, name in calls():
        user = User(identity.user, (*identity.groups, "system:authenticated"))
        cluster = resource in ("nodes", "namespaces") or (not name and verb in ("list", "watch"))
        namespace = "" if cluster else "kube-system" if resource == "leases" else "default"
        asked = Access(verb, resource, GROUPS.get(resource, ""), namespace, name, subresource)
        if not access.authorize(user, asked).allowed:
            refused.append((identity.user, *asked))
    assert not refused


def test_dns_publishes_in_kube_system_alone(access):
    dns = User(DNS.user, ("system:authenticated",))
    for verb, resource in (("create", "services"), ("create", "endpointslices"), ("update", "endpointslices")):
        for namespace in ("kube-system", "default"):
            asked = Access(verb, resource, GROUPS.get(resource, ""), namespace, "")
            assert access.authorize(dns, asked).allowed == (namespace == "kube-system")


def test_the_kubelet_s_own_lease(access):
    kubelet = User("system:node:n1", ("system:nodes",))
    for verb in ("get", "create", "update"):
        name = "" if verb == "create" else "n1"
        asked = Access(verb, "leases", "coordination.k8s.io", "kube-node-lease", name)
        assert access.authorize(kubelet, asked).allowed
