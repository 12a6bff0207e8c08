"""Python plug-ins for the scheduler: what they see, and how they are found and run."""

from orlop.scheduler.plugins.api import Nodes, Plugin, Pod, Refused
from orlop.scheduler.plugins.loaded import POINTS, Loaded, PluginFailed, PluginNotFound, PluginRefused, load, points

__all__ = [
    "POINTS",
    "Loaded",
    "Nodes",
    "Plugin",
    "PluginFailed",
    "PluginNotFound",
    "PluginRefused",
    "Pod",
    "Refused",
    "load",
    "points",
]
