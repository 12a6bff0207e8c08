"""Which history a resource's versions are kept in. What changes all the time has its own, kept shorter."""

MAIN = "main"
LEASES = "leases"
EVENTS = "events"
HISTORIES = (MAIN, LEASES, EVENTS)

_APART = {
    "coordination.k8s.io/leases": LEASES,
    "events": EVENTS,
    "events.k8s.io/events": EVENTS,
}


def history_of(resource: str) -> str:
    """The name of the history that keeps this resource."""
    return _APART.get(resource, MAIN)


def histories_of(resource: str | None) -> tuple[str, ...]:
    """The histories a read of this resource (None: of all) depends on."""
    return HISTORIES if resource is None else (history_of(resource),)
