"""Equal parts of cached objects are one."""

import msgspec
import pytest

from orlop.api.types.base import ApiStruct
from orlop.client import sharing
from orlop.client.decode import decode
from orlop.client.sharing import share
from orlop.controllers.views import PodView


class Part(ApiStruct):
    name: str = ""
    other: str = ""


class Twin(ApiStruct):
    name: str = ""


def test_equal_parts_are_one() -> None:
    first = share([Part(name="a" * 3, other="b" * 3)])
    again = share([Part(name="".join(["a"] * 3), other="bbb")])
    assert again is first
    assert share({"k": "v"}) is share({"k": "v"})


def test_unlike_parts_are_not() -> None:
    assert share([Part(name="a")]) != share([Part(name="b")])
    assert share({"a": "b"}) != share({"a": "c"})
    assert isinstance(share(Part(name="a")), Part)
    assert isinstance(share(Twin(name="a")), Twin), "parts of two types with the same JSON stay of their types"
    assert share([]) == []
    assert share({}) == {}


def test_parts_of_unlike_wholes_are_shared_too() -> None:
    a = share([Part(name="x1"), Part(name="y1")])
    b = share([Part(name="x1"), Part(name="z1")])
    assert a[0] is b[0]


def test_it_does_not_remember_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MAX_KNOWN", 4)
    for i in range(100):
        assert share({"n": str(i)}) == {"n": str(i)}
        assert len(sharing._known) <= 6


def test_pods_of_one_template_share_what_they_have_in_common() -> None:
    def pod(name: str, ready: str) -> PodView:
        conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        body = {
            "metadata": {"name": name, "namespace": "ns", "labels": {"app": "web"}},
            "spec": {"nodeName": "n", "volumes": [{"name": "token"}, {"name": "d", "persistentVolumeClaim": {}}]},
            "status": {"phase": "Running", "conditions": conditions},
        }
        return decode(PodView, msgspec.json.encode(body))

    a, b, c = pod("a", "True"), pod("b", "True"), pod("c", "False")
    assert a.metadata.labels is b.metadata.labels is c.metadata.labels
    assert a.status.conditions is b.status.conditions
    assert c.status.conditions[0].status == "False"
    assert [volume.name for volume in a.spec.volumes] == ["d"]
    assert (a.metadata.name, b.metadata.name) == ("a", "b")
