"""Volumes and claims: bound to each other, provisioned, reclaimed, expanded, protected, attached."""

from orlop.control.controller import Controller


def volume_controllers() -> list[Controller]:
    """All of this folder and the local-path provisioner."""
    from orlop.controllers.localpath import LocalPathProvisioner
    from orlop.controllers.persistentvolume.attach import AttachDetachController
    from orlop.controllers.persistentvolume.binder import PersistentVolumeBinder
    from orlop.controllers.persistentvolume.ephemeral import EphemeralVolumeController
    from orlop.controllers.persistentvolume.expand import ExpandController
    from orlop.controllers.persistentvolume.protection import (
        AttributesClassProtection,
        ClaimProtection,
        VolumeProtection,
    )

    return [
        PersistentVolumeBinder(),
        ClaimProtection(),
        VolumeProtection(),
        AttributesClassProtection(),
        EphemeralVolumeController(),
        ExpandController(),
        AttachDetachController(),
        LocalPathProvisioner(),
    ]
