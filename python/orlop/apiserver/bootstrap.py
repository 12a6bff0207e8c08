"""What a cluster has from its first moment: namespaces, roles, system classes, flow control, the Services' range."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, meta_v1, networking_v1, scheduling_v1
from orlop.apiserver import legacytokens
from orlop.apiserver.auth.policy import reconcile
from orlop.apiserver.auth.policy.reconcile import Policy
from orlop.apiserver.core import Core
from orlop.apiserver.registry import flowdefaults
from orlop.apiserver.registry.addresses import IP_RESOURCE, ServiceAddresses
from orlop.apiserver.registry.objects import split_stored
from orlop.store.base import Attribution, Conflict, Key, Write

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
BY = Attribution("system:apiserver", "kube-apiserver")

SYSTEM_CLASSES = (
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
)


async def bootstrap(core: Core) -> None:
    """Makes what is missing, changes what is out of date."""
    await _create_missing(core, [core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)) for name in NAMESPACES])
    await _create_missing(core, [legacytokens.tracking(core.clock.now())])
    await asyncio.gather(
        _policy(core),
        _create_missing(
            core,
            [
                scheduling_v1.PriorityClass(metadata=meta_v1.ObjectMeta(name=name), value=value, description=text)
                for name, value, text in SYSTEM_CLASSES
            ],
        ),
        _create_missing(core, [*flowdefaults.schemas(), *flowdefaults.levels()]),
        _addresses(core),
    )
    await _service_cidr(core)


async def create(core: Core, obj: Any) -> None:
    """Creates an object as the server itself; what is there stays."""
    strategy = core.strategies[scheme.of(type(obj)).type_key]
    strategy.default(obj)
    try:
        await core.objects.create(strategy, obj, by=BY)
    except errors.AlreadyExists:
        return


async def _create_missing(core: Core, objects: Iterable[Any]) -> None:
    missing = []
    for obj in objects:
        kind = scheme.of(type(obj))
        if core.hub.get(kind.resource, obj.metadata.namespace, obj.metadata.name) is None:
            missing.append(create(core, obj))
    await asyncio.gather(*missing)


async def _policy(core: Core) -> None:
    """The bootstrap roles and bindings, brought up to date without taking away what people added."""

    def current(wanted: Policy) -> Policy | None:
        kind = scheme.of(type(wanted))
        found: Policy | None = core.objects.get(kind, wanted.metadata.namespace, wanted.metadata.name)
        return found

    creates = []
    for write in reconcile(current):
        kind = scheme.of(type(write.object))
        if write.replaces is None:
            creates.append(create(core, write.object))
        elif write.recreate:
            await _delete(core, kind, write.replaces)
            creates.append(create(core, write.object))
        else:
            await _replace(core, kind, write.object)
    await asyncio.gather(*creates)


async def _delete(core: Core, kind: Kind, obj: Any) -> None:
    await core.objects.delete(
        core.strategies[kind.type_key], obj.metadata.namespace, obj.metadata.name, meta_v1.DeleteOptions(), by=BY
    )


async def _replace(core: Core, kind: Kind, obj: Any) -> None:
    strategy = core.strategies[kind.type_key]

    async def change(_: Any) -> Any:
        strategy.default(obj)
        return obj

    await core.objects.update(strategy, obj.metadata.namespace, obj.metadata.name, change, by=BY)


async def _addresses(core: Core) -> None:
    """Address objects and Services agree: after a crash of an older version, or a restored copy, they may not."""
    hooks = core.objects.hooks["services"]
    assert isinstance(hooks, ServiceAddresses)
    kind = scheme.by_resource("", "v1", "services")
    assert kind is not None
    held: dict[str, core_v1.Service] = {}
    for value in core.hub.list("services", None, "", "", 0, None).items:
        service = core.objects.decode(kind, value)
        for ip in service.spec.cluster_ips:
            if ip and ip != "None":
                held[ip] = service
    writes = []
    for ip, service in held.items():
        if core.hub.get(IP_RESOURCE, "", ip) is None:
            writes.append(hooks.address_write(ip, service.metadata))
    for value in core.hub.list(IP_RESOURCE, None, "", "", 0, None).items:
        address = _address(core, value)
        parent = address.spec.parent_ref
        if parent is not None and parent.resource == "services" and address.metadata.name not in held:
            key = Key(IP_RESOURCE, "", address.metadata.name)
            revision = int(address.metadata.resource_version)
            writes.append(Write(key, split_stored(value), revision, delete=True, by=BY))
    for write in writes:
        with suppress(Conflict):  # somebody has seen to it meanwhile
            await core.objects.writer.commit(write)


def _address(core: Core, value: bytes) -> networking_v1.IPAddress:
    kind = scheme.by_resource("networking.k8s.io", "v1", "ipaddresses")
    assert kind is not None
    address: networking_v1.IPAddress = core.objects.decode(kind, value)
    return address


async def _service_cidr(core: Core) -> None:
    await _create_missing(
        core,
        [
            networking_v1.ServiceCIDR(
                metadata=meta_v1.ObjectMeta(name="kubernetes"),
                spec=networking_v1.ServiceCIDRSpec(cidrs=[str(network) for network in core.config.service_cidrs]),
            )
        ],
    )
