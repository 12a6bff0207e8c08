"""The processes a cluster consists of, by its settings."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from orlop.cluster import components
from orlop.cluster.nodes import RealNode, real_nodes
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import Settings


class Part(msgspec.Struct, frozen=True):
    """One process."""

    name: str
    work: Callable[[components.Ready], Awaitable[None]]
    """Runs until it is cancelled."""
    node: RealNode | None = None
    prepare: Callable[[], None] = lambda: None
    """What is done first, while the process has one thread and no event loop."""
    made_of: str = ""
    """Of the settings that may change while it runs, what it depends on."""


def parts(settings: Settings, kind: str = "") -> dict[str, Part]:
    """By name, in the order of their start. `kind` is the runtime, where it has been chosen. Raises SettingsError."""
    found = [
        Part("apiserver", partial(components.run_apiserver, settings)),
        Part("manager", partial(components.run_manager, settings)),
    ]
    kind = kind or choose_runtime(settings)
    if kind != "hollow":
        found += [_node_part(settings, node) for node in real_nodes(settings)]
    if hollow := components.hollow_names(settings, kind):
        found.append(Part("hollow", partial(components.run_hollow, settings), made_of=str(len(hollow))))
    return {part.name: part for part in found}


def _node_part(settings: Settings, node: RealNode) -> Part:
    several = settings.nodes > 1

    def prepare() -> None:
        if several:
            from orlop.cluster import nodenet

            nodenet.ensure_host(settings)
            if node.netns:
                nodenet.ensure_node(settings, node)
                nodenet.enter_node(node)

    return Part(
        node.component,
        partial(components.run_node, settings, node),
        node=node,
        prepare=prepare,
        made_of="several" if several else "one",
    )


def write_identities(settings: Settings, kind: str) -> None:
    """The kubeconfigs and certificates of all parts. `kind` is the runtime."""
    from orlop.cluster import identities

    real = real_nodes(settings) if kind != "hollow" else []
    names = [*(node.name for node in real), *components.hollow_names(settings, kind)]
    identities.write_all(settings, names, real)
