"""The real hub, filled by hand."""

from typing import Any

import msgspec
import pytest

from orlop.api import scheme
from orlop.api.types import core_v1, meta_v1
from orlop.clock import FakeClock
from orlop.native import Hub

ADDED, MODIFIED, DELETED = 1, 2, 3


class Objects:
    """A hub whose objects a test puts and removes."""

    def __init__(self, ring: int = 64) -> None:
        hub = self.hub = Hub(ring)
        for kind in scheme.KINDS:
            fields = [("spec.nodeName", "spec.nodeName")] if kind.plural == "pods" else []
            hub.declare(kind.resource, fields, kind.namespaced, kind.api_version, kind.kind)
        hub.start(1)
        self.get, self.list, self.watch = hub.get, hub.list, hub.watch

    @property
    def revision(self) -> int:
        return self.hub.revision

    def put(self, obj: Any) -> None:
        """Creates the object or replaces it."""
        kind = scheme.of(type(obj))
        where = kind.resource, obj.metadata.namespace, obj.metadata.name
        there = self.get(*where)
        self._apply(where, MODIFIED if there else ADDED, msgspec.json.encode(obj))

    def remove(self, resource: str, namespace: str, name: str) -> None:
        there = self.get(resource, namespace, name)
        assert there is not None
        self._apply((resource, namespace, name), DELETED, there[0])

    def _apply(self, where: tuple[str, str, str], change: int, value: bytes) -> None:
        self.hub.apply([(*where, self.hub.revision + 1, change, value)])


@pytest.fixture
def hub() -> Objects:
    return Objects()


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
