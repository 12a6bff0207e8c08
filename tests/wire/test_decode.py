"""Bodies become canonical JSON, and what is wrong with them is told in Kubernetes' words."""

import json

import pytest
from hypothesis import given, strategies as st

from orlop.native import WireError, wire_decode, wire_peek


def test_a_deployment_is_settled() -> None:
    body = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "labels": None},
        "spec": {"replicas": 0, "replicsa": 3, "template": {"spec": {"hostNetwork": False, "containers": []}}},
    }
    text, unknown, duplicate = wire_decode("apps/v1.Deployment", "json", json.dumps(body).encode())
    assert json.loads(text) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": None,
            "template": {"metadata": {}, "spec": {"containers": []}},
            "strategy": {},
        },
        "status": {},
    }
    assert text.startswith(b'{"apiVersion":"apps/v1","kind":"Deployment",')
    assert unknown == ['unknown field "spec.replicsa"']
    assert duplicate == []


def test_a_type_error_is_a_wire_error() -> None:
    with pytest.raises(WireError) as caught:
        wire_decode("apps/v1.Deployment", "json", b'{"spec":{"replicas":"3"}}')
    assert str(caught.value) == (
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )
    with pytest.raises(ValueError, match="media is json, yaml or protobuf"):
        wire_decode("core/v1.Pod", "cbor", b"{}")


def test_peek_reads_version_and_kind() -> None:
    assert wire_peek("json", b'{"metadata":{"kind":"x"},"kind":"Pod","apiVersion":"v1"}') == ("v1", "Pod")
    assert wire_peek("json", b"{}") == ("", "")


def test_yaml_is_read_as_sigs_yaml_reads_it() -> None:
    text, unknown, duplicate = wire_decode(
        "core/v1.ConfigMap", "yaml", b"kind: ConfigMap\ndata:\n  a: 'yes'\n  a: 'no'\nextra: 1\n"
    )
    assert json.loads(text) == {"kind": "ConfigMap", "metadata": {}, "data": {"a": "no"}}
    assert unknown == ['unknown field "extra"']
    assert duplicate == ['yaml: unmarshal errors:\n  line 4: key "a" already set in map']
    with pytest.raises(WireError, match=r"cannot unmarshal bool into Go struct field ConfigMap.data of type string"):
        wire_decode("core/v1.ConfigMap", "yaml", b"data:\n  a: yes\n")


def values() -> st.SearchStrategy[object]:
    scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
    return st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=20)


@given(st.dictionaries(st.text(), values()))
def test_without_a_type_every_value_is_kept(value: dict[str, object]) -> None:
    text, unknown, duplicate = wire_decode("", "json", json.dumps(value).encode())
    assert json.loads(text) == value
    assert (unknown, duplicate) == ([], [])


@given(
    st.binary() | st.text().map(str.encode), st.sampled_from(["core/v1.Pod", "apiextensions/v1.JSONSchemaProps", ""])
)
def test_no_body_can_break_it(body: bytes, key: str) -> None:
    try:
        text, _, _ = wire_decode(key, "json", body)
    except WireError:
        return
    again, _, _ = wire_decode(key, "json", text)
    assert again == text
