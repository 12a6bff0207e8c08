"""Images of the embedded runtime: a store on disk, archives into it and out of it, registries."""

from orlop.kubelet.runtime.native.images.layout import default_root
from orlop.kubelet.runtime.native.images.model import ImageConfig, StoredImage
from orlop.kubelet.runtime.native.images.store import ImageStore

__all__ = ["ImageConfig", "ImageStore", "StoredImage", "default_root"]
