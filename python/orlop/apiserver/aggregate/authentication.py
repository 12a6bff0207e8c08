"""Whom extension API servers shall believe: the ConfigMap kube-system/extension-apiserver-authentication."""

from typing import TYPE_CHECKING

from orlop.api import errors, scheme
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.aggregate.local import BY
from orlop.pki.identities import FRONT_PROXY

if TYPE_CHECKING:
    from orlop.apiserver.core import Core

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"


async def publish(core: "Core", client_ca: bytes, proxy_ca: bytes) -> None:
    """Writes it as this server authenticates: the authorities of clients, and those of who speaks for others."""
    data = {
        "client-ca-file": client_ca.decode(),
        "requestheader-allowed-names": f'["{FRONT_PROXY.user}"]',
        "requestheader-client-ca-file": proxy_ca.decode(),
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }
    row = scheme.of(core_v1.ConfigMap)
    strategy = core.strategies[row.type_key]

    async def change(_: core_v1.ConfigMap) -> core_v1.ConfigMap:
        new: core_v1.ConfigMap = core.objects.get(row, NAMESPACE, NAME) or made
        new.data = {**new.data, **data}
        return new

    made = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=NAME, namespace=NAMESPACE), data=data)
    try:
        await core.objects.create(strategy, made, by=BY)
    except errors.AlreadyExists:
        await core.objects.update(strategy, NAMESPACE, NAME, change, by=BY)
