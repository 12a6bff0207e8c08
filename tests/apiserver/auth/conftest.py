"""A hub in plain Python, as much of it as access control reads."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.clock import FakeClock


class Listing:
    def __init__(self, items: Sequence[bytes]) -> None:
        self.items = items


class Changes:
    state = "open"

    def __init__(self) -> None:
        self.pending: list[object] = []

    def events(self, max: int, /) -> list[object]:
        taken, self.pending = self.pending[:max], self.pending[max:]
        return taken


class PlainHub:
    def __init__(self) -> None:
        self.revision = 1
        self.objects: dict[tuple[str, str, str], bytes] = {}
        self.watches: list[tuple[str, Changes]] = []

    def put(self, obj: Any, resource: str = "") -> None:
        resource = resource or resource_of(obj)
        self.objects[resource, obj.metadata.namespace, obj.metadata.name] = msgspec.json.encode(obj)
        self._changed(resource)

    def remove(self, resource: str, namespace: str, name: str) -> None:
        del self.objects[resource, namespace, name]
        self._changed(resource)

    def _changed(self, resource: str) -> None:
        self.revision += 1
        for watched, changes in self.watches:
            if watched == resource:
                changes.pending.append(object())

    def get(self, resource: str, namespace: str, name: str, /) -> tuple[bytes, int] | None:
        value = self.objects.get((resource, namespace, name))
        return None if value is None else (value, self.revision)

    def list(
        self, resource: str, namespace: str | None, labels: str, fields: str, limit: int, after: Any, /
    ) -> Listing:
        found = []
        for (of, ns, name), value in self.objects.items():
            if of == resource and namespace in (None, ns):
                decoded = msgspec.json.decode(value)
                have = {
                    "spec.nodeName": decoded.get("spec", {}).get("nodeName", ""),
                    "metadata.name": name,
                }
                if all(have[k] == v for k, _, v in (term.partition("=") for term in fields.split(",") if term)):
                    found.append(value)
        return Listing(found)

    def watch(self, resource: str, *more: Any) -> Changes:
        changes = Changes()
        self.watches.append((resource, changes))
        return changes


def resource_of(obj: Any) -> str:
    group = obj.api_version.rpartition("/")[0]
    plural = obj.kind.lower() + "s"
    return f"{group}/{plural}" if group else plural


@pytest.fixture
def hub() -> PlainHub:
    return PlainHub()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def account(name: str = "app", uid: str = "sa-uid", namespace: str = "default") -> core_v1.ServiceAccount:
    return core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace, uid=uid))


def pod(name: str = "p", uid: str = "pod-uid", namespace: str = "default", **spec: Any) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name=name, namespace=namespace, uid=uid),
        spec=msgspec.convert({"containers": [], "nodeName": "n1", **spec}, core_v1.PodSpec),
    )
