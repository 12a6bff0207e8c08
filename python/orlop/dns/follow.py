"""Watches to zone: what an event changes is changed before the next question is read."""

import asyncio
from collections.abc import Callable

import msgspec

from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer
from orlop.client.decode import Head, Meta
from orlop.dns import names, publish, records
from orlop.dns.records import ServiceView, SliceView
from orlop.dns.zone import Zone
from orlop.tasks import run_all

SERVICE_NAME = "kubernetes.io/service-name"
"""The label by which a slice belongs to a Service."""


class NamespaceView(Head):
    __kind__ = core_v1.Namespace


class _PodIP(ApiStruct):
    ip: str = ""


class _PodStatus(ApiStruct):
    phase: str = ""
    pod_ips: list[_PodIP] = msgspec.field(default_factory=list, name="podIPs")


class PodView(ApiStruct):
    """What is asked of a Pod."""

    __kind__ = core_v1.Pod
    metadata: Meta = msgspec.field(default_factory=Meta)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class Follower:
    """Keeps the zone at what the API says. `changed` is told which names' answers may be others than before."""

    def __init__(
        self, client: Client, zone: Zone, changed: Callable[[set[bytes]], None], *, pods: bool = False
    ) -> None:
        """`pods`: also each pod's own name, by its address."""
        self._zone = zone
        self._changed = changed
        self._services: Informer[ServiceView] = Informer(client, ServiceView)
        self._slices: Informer[SliceView] = Informer(
            client, SliceView, indexers={"service": lambda one: [_service_of(one)]}
        )
        self._namespaces: Informer[NamespaceView] = Informer(client, NamespaceView)
        self._services.on_change(self._service)
        self._slices.on_change(self._slice)
        self._namespaces.on_change(self._namespace)
        self._all: list[Informer[ServiceView] | Informer[SliceView] | Informer[NamespaceView] | Informer[PodView]] = [
            self._services,
            self._slices,
            self._namespaces,
        ]
        if pods:
            self._pods: Informer[PodView] = Informer(client, PodView)
            self._pods.on_change(self._pod)
            self._all.append(self._pods)

    async def run(self) -> None:
        """Follows until cancelled."""
        await run_all(*(informer.run() for informer in self._all))

    async def synced(self) -> None:
        """Returns when everything that was there is known."""
        await asyncio.gather(*(informer.synced() for informer in self._all))

    def on_published(self, changed: Callable[[], None]) -> None:
        """`changed` is told when the Service kube-dns or one of its slices may be another."""

        def service(old: ServiceView | None, new: ServiceView | None) -> None:
            meta = (new or old).metadata  # type: ignore[union-attr]
            if (meta.namespace, meta.name) == (publish.NAMESPACE, publish.NAME):
                changed()

        def slices(old: SliceView | None, new: SliceView | None) -> None:
            if _service_of(new or old) == f"{publish.NAMESPACE}/{publish.NAME}":  # type: ignore[arg-type]
                changed()

        self._services.on_change(service)
        self._slices.on_change(slices)

    def _service(self, old: ServiceView | None, new: ServiceView | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        self._refresh(meta.namespace, meta.name)

    def _slice(self, old: SliceView | None, new: SliceView | None) -> None:
        for key in {_service_of(one) for one in (old, new) if one is not None}:
            namespace, _, name = key.partition("/")
            self._refresh(namespace, name)

    def _refresh(self, namespace: str, name: str) -> None:
        service = self._services.get(namespace, name)
        named = {}
        if service is not None:
            slices = self._slices.by_index("service", f"{namespace}/{name}")
            named = dict(records.of_service(service, slices, self._zone.origin))
        self._changed(self._zone.replace(("service", namespace, name), named))

    def _namespace(self, old: NamespaceView | None, new: NamespaceView | None) -> None:
        name = (new or old).metadata.name  # type: ignore[union-attr]
        named = records.of_namespace(name, self._zone.origin) if new is not None else {}
        self._changed(self._zone.replace(("namespace", name), named))

    def _pod(self, old: PodView | None, new: PodView | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        named = {}
        if new is not None and new.status.phase not in ("Succeeded", "Failed"):
            at = names.label(meta.namespace) + names.label("pod") + self._zone.origin
            for one in new.status.pod_ips:
                if one.ip:
                    type_, data = records.address(one.ip)
                    named[names.label(records.dashed(one.ip)) + at] = {type_: (data,)}
        self._changed(self._zone.replace(("pod", meta.namespace, meta.name), named))


def _service_of(one: SliceView) -> str:
    return f"{one.metadata.namespace}/{one.metadata.labels.get(SERVICE_NAME, '')}"
