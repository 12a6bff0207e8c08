"""Publishes the cluster's CA to every namespace as ConfigMap `kube-root-ca.crt`.

Upstream: pkg/controller/certificates/rootcacertpublisher.
"""

import msgspec

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.serviceaccounts import is_terminating

NAME = "kube-root-ca.crt"
FILE = "ca.crt"
DESCRIPTION_ANNOTATION = "kubernetes.io/description"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class RootCAPublisher(Controller):
    """Keeps the ConfigMap as it should be."""

    name = "root-ca-certificate-publisher-controller"
    account = "root-ca-cert-publisher"

    def __init__(self, root_ca: bytes) -> None:
        self.data = {FILE: root_ca.decode()}

    def setup(self, builder: Builder) -> None:
        self.namespaces = builder.for_(core_v1.Namespace)
        self.maps = builder.watches(
            core_v1.ConfigMap, lambda m: [Key("", m.metadata.namespace)], fields=f"metadata.name={NAME}"
        )

    async def reconcile(self, key: Key) -> Result | None:
        namespace = self.namespaces.get("", key.name)
        if namespace is None or namespace.status.phase == "Terminating":
            return None
        found = self.maps.get(key.name, NAME)
        if found is None:
            wanted = core_v1.ConfigMap(
                metadata=meta_v1.ObjectMeta(
                    name=NAME, namespace=key.name, annotations={DESCRIPTION_ANNOTATION: DESCRIPTION}
                ),
                data=self.data,
            )
            try:
                await self.context.client.create(wanted)
            except (errors.AlreadyExists, errors.NotFound):
                pass  # another was faster, or the namespace is gone
            except errors.Forbidden as error:
                if not is_terminating(error):
                    raise
            return None
        if found.data == self.data and found.metadata.annotations.get(DESCRIPTION_ANNOTATION):
            return None
        annotations = {**found.metadata.annotations, DESCRIPTION_ANNOTATION: DESCRIPTION}
        metadata = msgspec.structs.replace(found.metadata, annotations=annotations)
        await self.context.client.update(msgspec.structs.replace(found, metadata=metadata, data=self.data))
        return None
