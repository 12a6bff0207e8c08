"""By whose terms a pod is explained: the profiles and Python plug-ins of its scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from orlop.scheduler.config import DEFAULT_NAME, Profile, Settings, standard
from orlop.scheduler.plugins import Loaded

EXTENDERS = "extenders are not asked: what they would refuse or prefer is not in this"


@dataclass(frozen=True)
class Terms:
    """What a scheduler was started with; by default what it has without being told anything."""

    settings: Settings = field(default_factory=lambda: Settings((standard(DEFAULT_NAME, {}),)))
    plugins: Mapping[str, Loaded] = field(default_factory=dict)

    @cached_property
    def profiles(self) -> Mapping[str, Profile]:
        """By spec.schedulerName."""
        return {profile.name: profile for profile in self.settings.profiles}

    def profile(self, name: str) -> Profile:
        """The profile of a spec.schedulerName; the first where there is none."""
        return self.profiles.get(name) or self.settings.profiles[0]

    @property
    def notes(self) -> list[str]:
        """What is left out, each in a sentence."""
        return [EXTENDERS] if self.settings.extenders else []
