"""Images from and to registries (OCI distribution specification 1.1, the "registry v2 API")."""

from orlop.kubelet.runtime.native.images.registry.client import Registry, RegistryError
from orlop.kubelet.runtime.native.images.registry.settings import RegistrySettings

__all__ = ["Registry", "RegistryError", "RegistrySettings"]
