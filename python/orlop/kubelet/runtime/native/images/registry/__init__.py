"""Images from registries (OCI distribution specification 1.1, the "registry v2 API").

`client` and what uses it is imported when something is pulled: the HTTP library takes longer to import than most
commands take to run.
"""

from orlop.kubelet.runtime.native.images.registry.settings import RegistrySettings

__all__ = ["RegistrySettings"]
