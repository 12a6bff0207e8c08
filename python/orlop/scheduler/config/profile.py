"""What the scheduler goes by, made of a configuration: profiles with their plug-ins in order, times, extenders."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from orlop.scheduler.config import types


@dataclass(frozen=True)
class Profile:
    """What the pods of one spec.schedulerName are decided by."""

    name: str
    points: Mapping[str, tuple[str, ...]]
    """The plug-ins of each extension point, in their order."""
    weights: Mapping[str, int]
    """The weight of each score."""
    args: Mapping[str, types.Args] = field(default_factory=dict)
    """Arguments of upstream's plug-ins, defaults filled in."""

    def runs(self, plugin: str, point: str) -> bool:
        """Whether a plug-in runs at an extension point."""
        return plugin in self.points[point]

    def for_core(self) -> bytes:
        """The profile as `SchedulerCore` takes it."""
        return msgspec.json.encode(
            {
                "schedulerName": self.name,
                "preFilter": self.points["preFilter"],
                "filter": self.points["filter"],
                "postFilter": self.points["postFilter"],
                "score": [{"name": name, "weight": self.weights[name]} for name in self.points["score"]],
                "args": self.args,
            }
        )


@dataclass(frozen=True)
class LeaderElection:
    """How one of several schedulers is chosen; times in seconds."""

    enabled: bool = True
    name: str = "kube-scheduler"
    namespace: str = "kube-system"
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


@dataclass(frozen=True)
class Settings:
    """A configuration that is known to be right."""

    profiles: tuple[Profile, ...]
    initial_backoff: float = 1.0
    """Seconds after the first refusal of a pod."""
    max_backoff: float = 10.0
    """Seconds at most."""
    extenders: tuple[types.Extender, ...] = ()
    leader_election: LeaderElection | None = None
    """None: the configuration does not say; what started the scheduler does."""
    kubeconfig: str = ""
    """clientConnection.kubeconfig: used where the command line names none."""
