"""The wanted table of one node, kept by watches of Services, EndpointSlices and the Node itself."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from orlop import logging
from orlop.api.types.base import ApiStruct
from orlop.api.types.core_v1 import Node, Service
from orlop.api.types.discovery_v1 import EndpointSlice
from orlop.client.decode import Meta, decode
from orlop.native import ForwardTable
from orlop.proxy.feed import Feed, Watching
from orlop.proxy.metrics import Metrics
from orlop.tasks import first, run_all

PROXIED_BY_US = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"
"""As upstream: another proxy handles what bears service-proxy-name; headless Services have nothing to forward."""
ZONE = "topology.kubernetes.io/zone"
GOING = "ToBeDeletedByClusterAutoscaler"
"""A taint: the node is about to go, load balancers are to send it nothing new (upstream's node eligibility)."""

_log = logging.get("proxy")


class Watch(Protocol):
    """Makes a Watcher."""

    def __call__(self, kind: type[Any], *, labels: str = "", fields: str = "") -> Watching: ...


class _NodeMeta(Meta):
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    deletion_timestamp: str | None = None


class _Taint(ApiStruct):
    key: str = ""


class _NodeSpec(ApiStruct):
    taints: list[_Taint] = msgspec.field(default_factory=list)


class _Node(ApiStruct):
    """What the proxy needs to know of its Node."""

    metadata: _NodeMeta = msgspec.field(default_factory=_NodeMeta)
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)


class Wanted:
    """`table` holds what is wanted once `whole` is true. A node that changes its zone gets a new table."""

    def __init__(self, watch: Watch, node_name: str, metrics: Metrics, changed: Callable[[], None]) -> None:
        """`changed` is told whenever there may be something new in a whole table."""
        self._watch = watch
        self._node_name = node_name
        self._metrics = metrics
        self._changed = changed
        self.table = ForwardTable(node_name)
        self.node_eligible = True
        """Whether load balancers may send this node anything."""
        self._zone = ""
        self._moved = asyncio.Event()
        self._node_known = asyncio.Event()
        node = watch(Node, fields=f"metadata.name={node_name}")
        self._node = Feed(node, "Node", self._take_node, self._no_node, self._note_node)
        self._feeds: tuple[Feed, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether both sets have been told completely."""
        return bool(self._feeds) and all(feed.synced for feed in self._feeds)

    async def run(self) -> None:
        """Follows until cancelled."""
        await run_all(self._node.run(), self._follow())

    async def _follow(self) -> None:
        # Known before the rest, or every table of a node with a zone would be made twice.
        await self._node_known.wait()
        while True:
            self._moved.clear()
            self.table = table = ForwardTable(self._node_name, self._zone)
            services = self._watch(Service, labels=PROXIED_BY_US)
            slices = self._watch(EndpointSlice, labels=PROXIED_BY_US)
            figures = self._metrics
            self._feeds = (
                Feed(
                    services, "Service", table.apply_service, table.delete_service, self._note,
                    figures.service_changes, figures.services_pending,
                ),
                Feed(
                    slices, "EndpointSlice", table.apply_slice, table.delete_slice, self._note,
                    figures.endpoint_changes, figures.endpoints_pending,
                ),
            )  # fmt: skip
            await first(run_all(*(feed.run() for feed in self._feeds)), self._until_moved())

    async def _until_moved(self) -> None:
        await self._moved.wait()

    def _note(self) -> None:
        if self.whole:
            self._changed()

    # --- the Node

    def _take_node(self, data: bytes) -> list[str]:
        node = decode(_Node, data)
        going = node.metadata.deletion_timestamp is not None or any(t.key == GOING for t in node.spec.taints)
        self.node_eligible = not going
        zone = node.metadata.labels.get(ZONE, "")
        if zone != self._zone:
            self._zone = zone
            self._moved.set()
            if self._node_known.is_set():
                _log.info("the node is in another zone: reading all endpoints anew", extra={"zone": zone})
        return []

    def _no_node(self, namespace: str, name: str) -> None:
        """Its zone stays known until it comes back: a Node that is created anew must not change every rule twice."""
        self.node_eligible = False

    def _note_node(self) -> None:
        if self._node.synced:
            self._node_known.set()
