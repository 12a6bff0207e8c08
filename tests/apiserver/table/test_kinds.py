"""The other kinds, against hand-written rows."""

import msgspec
import pytest

from orlop.api import scheme
from orlop.apiserver import table

from .conftest import NOW

TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "img:1"}, {"name": "b", "image": "img:2"}]}}
SELECTOR = {
    "matchLabels": {"app": "web"},
    "matchExpressions": [{"key": "tier", "operator": "In", "values": ["x", "y"]}],
}


@pytest.mark.parametrize(
    ("document", "cells"),
    [
        (
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "spec": {"replicas": 3, "selector": SELECTOR, "template": TEMPLATE},
                "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
            },
            ["x", "2/3", 3, 1, "60m", "a,b", "img:1,img:2", "app=web,tier in (x,y)"],
        ),
        (
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "spec": {"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"}}, "template": TEMPLATE},
                "status": {"replicas": 2, "readyReplicas": 1},
            },
            ["x", 3, 2, 1, "60m", "a,b", "img:1,img:2", "a=1,b=2"],
        ),
        (
            {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": {
                    "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1", "controller": True}
                    ]
                },
                "revision": 4,
            },
            ["x", "daemonset.apps/d", 4, "60m"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Service",
                "spec": {
                    "type": "ClusterIP",
                    "clusterIPs": ["10.96.0.10"],
                    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
                    "selector": {"k": "v", "a": "b"},
                },
            },
            ["x", "ClusterIP", "10.96.0.10", "<none>", "53/UDP,53/TCP", "60m", "a=b,k=v"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Service",
                "spec": {
                    "type": "LoadBalancer",
                    "clusterIPs": ["10.96.0.11"],
                    "externalIPs": ["9.9.9.9"],
                    "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
                },
                "status": {"loadBalancer": {"ingress": [{"ip": "8.8.8.8"}, {"hostname": "a.example"}]}},
            },
            ["x", "LoadBalancer", "10.96.0.11", "8.8.8.8,a.example,9.9.9.9", "80:30080/TCP", "60m", "<none>"],
        ),
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}},
            ["x", "LoadBalancer", "<none>", "<pending>", "<none>", "60m", "<none>"],
        ),
        (
            {"apiVersion": "v1", "kind": "Service", "spec": {"type": "ExternalName", "externalName": "db.example"}},
            ["x", "ExternalName", "<none>", "db.example", "<none>", "60m", "<none>"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Endpoints",
                "subsets": [
                    {
                        "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
                        "ports": [{"port": 80}, {"port": 443}],
                    },
                    {"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]},
                ],
            },
            ["x", "10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 2 more...", "60m"],
        ),
        ({"apiVersion": "v1", "kind": "Endpoints"}, ["x", "<none>", "60m"]),
        (
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "addressType": "IPv4",
                "ports": [{"port": 80}, {"name": "named"}, {}],
                "endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(1, 6)],
            },
            ["x", "IPv4", "80,named,*", "10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...", "60m"],
        ),
        (
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4"},
            ["x", "IPv4", "<unset>", "<unset>", "60m"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {
                    "labels": {
                        "node-role.kubernetes.io/control-plane": "",
                        "kubernetes.io/role": "worker",
                        "node-role.kubernetes.io/": "",
                    }
                },
                "spec": {"unschedulable": True},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
                    "nodeInfo": {
                        "kubeletVersion": "v1.37.0",
                        "osImage": "Debian",
                        "kernelVersion": "6.1",
                        "containerRuntimeVersion": "docker://20",
                    },
                },
            },
            [
                "x",
                "Ready,SchedulingDisabled",
                "control-plane,worker",
                "60m",
                "v1.37.0",
                "10.1.0.1",
                "<none>",
                "Debian",
                "6.1",
                "docker://20",
            ],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "Node",
                "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
            },
            ["x", "NotReady", "<none>", "60m", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
        ),
        ({"apiVersion": "v1", "kind": "Namespace", "status": {"phase": "Active"}}, ["x", "Active", "60m"]),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"}, "binaryData": {"c": "AA=="}},
            ["x", 3, "60m"],
        ),
        ({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"a": "MQ=="}}, ["x", "Opaque", 1, "60m"]),
        ({"apiVersion": "v1", "kind": "ServiceAccount"}, ["x", "60m"]),
        (
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "spec": {"holderIdentity": "n1"},
            },
            ["x", "n1", "60m"],
        ),
        (
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "spec": {"minAvailable": "50%"},
                "status": {"disruptionsAllowed": 2},
            },
            ["x", "50%", "N/A", 2, "60m"],
        ),
        (
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "spec": {"maxUnavailable": 1},
            },
            ["x", "N/A", "1", 0, "60m"],
        ),
        (
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "value": 1000,
                "preemptionPolicy": "Never",
            },
            ["x", 1000, False, "60m", "Never"],
        ),
        (
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "roleRef": {"kind": "ClusterRole", "name": "view"},
                "subjects": [
                    {"kind": "User", "name": "u1"},
                    {"kind": "User", "name": "u2"},
                    {"kind": "Group", "name": "g"},
                    {"kind": "ServiceAccount", "name": "s", "namespace": "ns"},
                ],
            },
            ["x", "ClusterRole/view", "60m", "u1, u2", "g", "ns/s"],
        ),
        (
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IPAddress",
                "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "web"}},
            },
            ["x", "services/default/web"],
        ),
        (
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IPAddress",
                "spec": {"parentRef": {"group": "Example.com", "resource": "gateways", "name": "g"}},
            },
            ["x", "gateways.example.com/g"],
        ),
        (
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "ServiceCIDR",
                "spec": {"cidrs": ["10.96.0.0/16", "fd00::/108"]},
            },
            ["x", "10.96.0.0/16,fd00::/108", "60m"],
        ),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"},
            ["x", "2025-12-31T23:00:00Z"],
        ),
    ],
)
def test_rows(show, document, cells):
    assert show(document) == cells


def event(**more):
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "type": "Normal",
        "reason": "Started",
        "message": "Started container c\n",
        **more,
    }


@pytest.mark.parametrize(
    ("document", "last", "source", "first", "count"),
    [
        (
            event(
                source={"component": "kubelet", "host": "n1"},
                firstTimestamp="2025-12-31T23:00:00Z",
                lastTimestamp="2025-12-31T23:59:00Z",
                count=5,
            ),
            "60s",
            "kubelet, n1",
            "60m",
            5,
        ),
        (
            event(
                reportingComponent="default-scheduler",
                reportingInstance="s-0",
                eventTime="2025-12-31T23:58:00.000000Z",
            ),
            "2m",
            "default-scheduler, s-0",
            "2m",
            1,
        ),
        (
            event(
                reportingComponent="default-scheduler",
                eventTime="2025-12-31T23:00:00.000000Z",
                series={"count": 9, "lastObservedTime": "2025-12-31T23:59:30.000000Z"},
            ),
            "30s",
            "default-scheduler",
            "60m",
            9,
        ),
        (event(), "<unknown>", "", "<unknown>", 1),
    ],
)
def test_events(show, document, last, source, first, count):
    middle = ["Normal", "Started", "pod/p", "spec.containers{c}", source, "Started container c"]
    assert show(document) == [last, *middle, first, count, "x"]


@pytest.mark.parametrize(
    ("document", "cells"),
    [
        (
            {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": 3, "template": TEMPLATE}},
            ["x", "0/3", "60m", "a,b", "img:1,img:2"],
        ),
        (
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "spec": {
                    "selector": SELECTOR,
                    "template": {"spec": {**TEMPLATE["spec"], "nodeSelector": {"os": "linux"}}},
                },
                "status": {
                    "desiredNumberScheduled": 5,
                    "currentNumberScheduled": 4,
                    "numberReady": 3,
                    "updatedNumberScheduled": 2,
                    "numberAvailable": 1,
                },
            },
            ["x", 5, 4, 3, 2, 1, "os=linux", "60m", "a,b", "img:1,img:2", "app=web,tier in (x,y)"],
        ),
        (
            {"apiVersion": "v1", "kind": "ReplicationController", "spec": {"replicas": 2, "selector": {"a": "b"}}},
            ["x", 2, 0, 0, "60m", "", "", "a=b"],
        ),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {"completions": 3, "parallelism": 1, "template": TEMPLATE},
                "status": {"succeeded": 1, "startTime": "2025-12-31T23:58:00Z"},
            },
            ["x", "Running", "1/3", "2m", "60m", "a,b", "img:1,img:2", "<none>"],
        ),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {"parallelism": 2},
                "status": {
                    "succeeded": 1,
                    "startTime": "2025-12-31T23:58:00Z",
                    "completionTime": "2025-12-31T23:58:05Z",
                    "conditions": [
                        {"type": "SuccessCriteriaMet", "status": "True"},
                        {"type": "Complete", "status": "True"},
                    ],
                },
            },
            ["x", "Complete", "1/1 of 2", "5s", "60m", "", "", "<none>"],
        ),
        (
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "spec": {"schedule": "* * * * *", "suspend": False, "timeZone": "Europe/Berlin"},
                "status": {"active": [{}], "lastScheduleTime": "2025-12-31T23:59:30Z"},
            },
            ["x", "* * * * *", "Europe/Berlin", "False", 1, "30s", "60m", "", "", "<none>"],
        ),
        (
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "spec": {
                    "minReplicas": 1,
                    "maxReplicas": 5,
                    "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                    "metrics": [
                        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
                        {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"averageValue": "10"}}},
                        {"type": "External", "external": {"metric": {"name": "r"}, "target": {"value": "7"}}},
                    ],
                },
                "status": {
                    "currentReplicas": 2,
                    "currentMetrics": [
                        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 30}}}
                    ],
                },
            },
            ["x", "Deployment/d", "cpu: 30%/80%, <unknown>/10 + 1 more...", "1", 5, 2, "60m"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "spec": {
                    "capacity": {"storage": "5Gi"},
                    "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "claimRef": {"namespace": "n", "name": "c"},
                    "volumeMode": "Filesystem",
                },
                "status": {"phase": "Bound"},
            },
            ["x", "5Gi", "RWO,RWX", "Retain", "Bound", "n/c", "", "<unset>", "", "60m", "Filesystem"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "spec": {"volumeName": "v", "storageClassName": "fast", "volumeMode": "Block"},
                "status": {"phase": "Bound", "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOncePod"]},
            },
            ["x", "Bound", "v", "5Gi", "RWOP", "fast", "<unset>", "60m", "Block"],
        ),
        (
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": "p",
            },
            ["x (default)", "p", "Delete", "Immediate", False, "60m"],
        ),
        (
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "spec": {"rules": [{"host": h} for h in "abcd"], "tls": [{}]},
                "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h"}]}},
            },
            ["x", "<none>", "a,b,c + 1 more...", "1.2.3.4,h", "80, 443", "60m"],
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}},
            ["x", "<none>", "60m"],
        ),
        (
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "status": {"hard": {"pods": "3", "limits.cpu": "2"}, "used": {"pods": "1", "limits.cpu": "500m"}},
            },
            ["x", "pods: 1/3", "limits.cpu: 500m/2", "60m"],
        ),
        (
            {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "spec": {"signerName": "a/b", "username": "u", "expirationSeconds": 3600},
                "status": {"conditions": [{"type": "Approved"}], "certificate": "eA=="},
            },
            ["x", "60m", "a/b", "u", "60m", "Approved,Issued"],
        ),
        (
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {}, {"ip": "1.1.1.1"}, {"ip": "9.9.9.9"}]}},
            },
            ["x", "<none>", "*", "1.1.1.1,9.9.9.9", "80", "60m"],
        ),
        (
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "spec": {
                    "group": "e.io",
                    "scope": "Namespaced",
                    "names": {"kind": "Foo", "shortNames": ["f", "fo"]},
                    "versions": [
                        {"name": "v1", "served": True, "storage": True},
                        {"name": "v1beta1", "served": True, "deprecated": True},
                        {"name": "v1alpha1", "served": False},
                    ],
                },
                "status": {"conditions": [{"type": "Established", "status": "True"}]},
            },
            ["x", "Namespaced", "v1(storage),v1beta1(deprecated)", "2025-12-31T23:00:00Z", "e.io", "Foo", "f,fo", True],
        ),
        (
            {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "DeviceTaintRule",
                "spec": {
                    "taint": {"key": "k", "value": "v", "effect": "NoSchedule", "timeAdded": "2025-12-31T23:00:00Z"}
                },
            },
            ["x", "k", "v", "NoSchedule", "60m", "60m"],
        ),
        (
            {
                "apiVersion": "storagemigration.k8s.io/v1",
                "kind": "StorageVersionMigration",
                "spec": {"resource": {"group": "apps", "resource": "deployments"}},
            },
            ["x", "deployments.apps", "Unknown"],
        ),
        (
            {
                "apiVersion": "storagemigration.k8s.io/v1",
                "kind": "StorageVersionMigration",
                "spec": {"resource": {"resource": "pods"}},
                "status": {"conditions": [{"type": "Succeeded", "status": "True"}]},
            },
            ["x", "pods", "Succeeded"],
        ),
        (
            {
                "apiVersion": "coordination.k8s.io/v1beta1",
                "kind": "LeaseCandidate",
                "spec": {"leaseName": "l", "binaryVersion": "1.37.0", "emulationVersion": "1.36.0"},
            },
            ["x", "l", "1.37.0", "1.36.0", "60m"],
        ),
        (
            {
                "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
                "kind": "PriorityLevelConfiguration",
                "spec": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 3}},
            },
            ["x", "Exempt", "<none>", "<none>", "<none>", "<none>", "60m"],
        ),
        *(
            (
                {
                    "apiVersion": "admissionregistration.k8s.io/v1",
                    "kind": "ValidatingAdmissionPolicyBinding",
                    "spec": {"policyName": "p", **spec},
                },
                ["x", "p", shown, "60m"],
            )
            for spec, shown in [
                ({}, "<unset>"),
                ({"paramRef": {"name": "a"}}, "*/a"),
                ({"paramRef": {"name": "a", "namespace": "n"}}, "n/a"),
                (
                    {"paramRef": {"selector": SELECTOR}},
                    "&LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:"
                    "[]LabelSelectorRequirement{LabelSelectorRequirement{Key:tier,Operator:In,Values:[x y],},},}",
                ),
            ]
        ),
        *(
            (
                {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "status": status},
                ["x", shown, "60m"],
            )
            for status, shown in [
                ({}, "pending"),
                ({"reservedFor": [{"name": "p"}]}, "pending"),
                ({"allocation": {"devices": {}}, "reservedFor": [{"name": "p"}]}, "allocated,reserved"),
            ]
        ),
    ],
)
def test_rows_of_more_kinds(show, document, cells):
    assert show(document) == cells


def test_a_selector_that_is_wrong_is_shown_as_such(show):
    wrong = {"matchExpressions": [{"key": "a", "operator": "Nonsense", "values": []}]}
    document = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"selector": wrong}}
    assert show(document)[-1] == "<error>"
    assert show({**document, "kind": "Deployment"})[-1] == "<invalid>"


def test_flow_schemas_are_listed_as_they_are_tried():
    kind = scheme.by_kind("flowcontrol.apiserver.k8s.io/v1", "FlowSchema")
    given = [("b", 9), ("a", 9), ("z", 1)]
    stored = [msgspec.json.encode({"metadata": {"name": n}, "spec": {"matchingPrecedence": p}}) for n, p in given]
    shown = msgspec.json.decode(table.rows(kind, stored, NOW))
    assert [row["cells"][0] for row in shown["rows"]] == ["z", "a", "b"]
