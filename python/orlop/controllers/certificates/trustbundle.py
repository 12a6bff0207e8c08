"""Publishes the roots of the API server's certificate: upstream's clustertrustbundlepublisher."""

from contextlib import suppress
from hashlib import sha256

import msgspec

from orlop.api import errors
from orlop.api.types import certificates_v1, meta_v1
from orlop.control import Builder, Controller, Key, Result

SIGNER = "kubernetes.io/kube-apiserver-serving"
HASHED = 12
"""Bytes of the roots' SHA-256 in the name."""

Bundle = certificates_v1.ClusterTrustBundle


class TrustBundlePublisher(Controller):
    """Keeps one ClusterTrustBundle, named by what is in it; those of roots before go."""

    name = "kube-apiserver-serving-clustertrustbundle-publisher-controller"
    account = "kube-apiserver-serving-clustertrustbundle-publisher"

    def __init__(self, root_ca: bytes) -> None:
        self.roots = root_ca.decode()
        self.key = Key("", f"{SIGNER.replace('/', ':')}:{sha256(root_ca).digest()[:HASHED].hex()}")

    def setup(self, builder: Builder) -> None:
        self.bundles = builder.watches(Bundle, lambda _: (self.key,), fields=f"spec.signerName={SIGNER}")

    async def prepare(self) -> None:
        self.context.enqueue(self.key, 0)

    async def reconcile(self, key: Key) -> Result | None:
        client = self.context.client
        found = self.bundles.get(*key)
        spec = certificates_v1.ClusterTrustBundleSpec(signer_name=SIGNER, trust_bundle=self.roots)
        if found is None:
            await client.create(Bundle(metadata=meta_v1.ObjectMeta(name=key.name), spec=spec))
        elif found.spec != spec:
            await client.update(msgspec.structs.replace(found, spec=spec))
        for other in list(self.bundles.items()):
            if other.metadata.name != key.name:
                with suppress(errors.NotFound):
                    await client.delete(Bundle, other.metadata.name)
        return None
