"""Why a node ends a pod for good, or never begins it: the pod's phase becomes Failed."""

import msgspec

EVICTED = "Evicted"
"""The reason where a pod went so that the node, or others on it, may go on."""


class Ended(msgspec.Struct, frozen=True):
    """The node's own decision."""

    reason: str
    message: str
    grace: float | None = None
    """Most seconds that its containers have to end; None: the pod's own."""
    disruption: bool = False
    """It went for others' sake: its condition DisruptionTarget says so."""
    rejected: bool = False
    """It was never taken on: nothing of it ran here."""
