"""The scheduler's configuration: KubeSchedulerConfiguration v1, read as it is."""

from orlop.scheduler.config.profile import LeaderElection, Profile, Settings
from orlop.scheduler.config.read import DEFAULT_NAME, ConfigurationError, load, read, settings, standard

__all__ = [
    "DEFAULT_NAME",
    "ConfigurationError",
    "LeaderElection",
    "Profile",
    "Settings",
    "load",
    "read",
    "settings",
    "standard",
]
