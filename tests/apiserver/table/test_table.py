"""The table around the rows."""

import msgspec
import pytest

from orlop.api import scheme
from orlop.apiserver import table
from orlop.apiserver.subresources.scale import SCALE

from .conftest import NOW

POD = (
    b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","uid":"7","labels":{"a":"1"}},"status":{"phase":"Failed"}}'
)
PODS = scheme.by_resource("", "v1", "pods")


def decoded(**more):
    return msgspec.json.decode(table.rows(PODS, [POD], NOW, **more))


def test_a_row_carries_the_metadata():
    shown = decoded(metadata=b'{"resourceVersion":"5"}')
    assert shown["kind"] == "Table"
    assert shown["apiVersion"] == "meta.k8s.io/v1"
    assert shown["metadata"] == {"resourceVersion": "5"}
    assert shown["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "p", "uid": "7", "labels": {"a": "1"}},
    }


def test_include_object():
    assert decoded(include="Object")["rows"][0]["object"] == msgspec.json.decode(POD)
    assert decoded(include="None")["rows"][0]["object"] is None


def test_rows_that_are_over_say_so():
    assert decoded()["rows"][0]["conditions"] == [
        {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}
    ]


def test_a_watch_gets_its_columns_once():
    assert decoded(columns=False)["columnDefinitions"] is None


def test_an_empty_list_has_columns():
    shown = msgspec.json.decode(table.rows(PODS, [], NOW))
    assert shown["rows"] == []
    assert shown["columnDefinitions"][0] == {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "Name of the object, unique of its kind in a namespace.",
        "priority": 0,
    }


@pytest.mark.parametrize(
    ("resource", "usual", "wide"),
    [
        ("pods", "Name Ready Status Restarts Age", "IP Node Nominated_Node Readiness_Gates"),
        ("services", "Name Type Cluster-IP External-IP Port(s) Age", "Selector"),
        ("endpoints", "Name Endpoints Age", ""),
        ("namespaces", "Name Status Age", ""),
        ("nodes", "Name Status Roles Age Version", "Internal-IP External-IP OS-Image Kernel-Version Container-Runtime"),
        ("configmaps", "Name Data Age", ""),
        ("secrets", "Name Type Data Age", ""),
        ("serviceaccounts", "Name Age", ""),
        ("events", "Last_Seen Type Reason Object Message", "Subobject Source First_Seen Count Name"),
        ("deployments", "Name Ready Up-to-date Available Age", "Containers Images Selector"),
        ("replicasets", "Name Desired Current Ready Age", "Containers Images Selector"),
        ("controllerrevisions", "Name Controller Revision Age", ""),
        ("leases", "Name Holder Age", ""),
        ("endpointslices", "Name AddressType Ports Endpoints Age", ""),
        ("poddisruptionbudgets", "Name Min_Available Max_Unavailable Allowed_Disruptions Age", ""),
        ("rolebindings", "Name Role Age", "Users Groups ServiceAccounts"),
        ("clusterrolebindings", "Name Role Age", "Users Groups ServiceAccounts"),
        ("priorityclasses", "Name Value Global-Default Age PreemptionPolicy", ""),
        ("ipaddresses", "Name ParentRef", ""),
        ("servicecidrs", "Name CIDRs Age", ""),
        ("roles", "Name Created_At", ""),
        ("clusterroles", "Name Created_At", ""),
    ],
)
def test_columns_are_upstream_s(resource, usual, wide):
    kind = next(kind for kind in scheme.KINDS if kind.plural == resource)
    columns = msgspec.json.decode(table.rows(kind, [], NOW))["columnDefinitions"]
    for priority, names in ((0, usual), (1, wide)):
        assert [c["name"] for c in columns if c["priority"] == priority] == [n.replace("_", " ") for n in names.split()]


def test_every_printer_is_of_a_kind_that_is_served():
    assert set(table.PRINTERS) <= {kind.resource for kind in (*scheme.KINDS, *scheme.OPTIONAL, SCALE)}


def test_a_scale():
    scale = b'{"metadata":{"name":"web"},"spec":{"replicas":3},"status":{"replicas":2}}'
    shown = msgspec.json.decode(table.rows(SCALE, [scale], NOW))
    assert shown["rows"][0]["cells"] == ["web", 3, 2, "<unknown>"]
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]


@pytest.mark.parametrize("kind", [kind for kind in scheme.KINDS if kind.stored], ids=lambda kind: kind.resource)
def test_an_object_without_anything_is_shown(kind):
    shown = msgspec.json.decode(table.rows(kind, [msgspec.json.encode(kind.struct())], NOW))
    assert len(shown["rows"][0]["cells"]) == len(shown["columnDefinitions"])
