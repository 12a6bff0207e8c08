"""Volumes and claims: bound to each other, provisioned, reclaimed, expanded, protected, attached."""

from orlop.controllers.persistentvolume.binder import PersistentVolumeBinder as PersistentVolumeBinder
