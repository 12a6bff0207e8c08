"""The real nodes of a cluster: this machine, and beside it network namespaces that stand for machines of their own."""

from ipaddress import ip_network
from pathlib import Path
from typing import Literal

import msgspec

from orlop.cluster.settings import Settings, SettingsError

MAX_NODES = 64
"""Each costs a process of some 40 MiB; more nodes than that are better had as hollow ones."""

NETNS_DIR = Path("/run/netns")
"""Where iproute2 keeps named network namespaces: `ip netns exec NAME` finds those of the nodes."""


class RealNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node with real containers. The first is the machine itself."""

    index: int
    name: str
    component: str
    """Its process, log file and line in `orlop status`."""
    scope: str
    """Marks what is this node's among the containers of the machine."""
    state: Path
    """The network's and the runtime's files."""
    kubelet_root: Path
    netns: str = ""
    """The name of its network namespace; empty for the machine's own."""
    addresses: tuple[str, ...] = ()
    """Of a namespace, one per IP family."""

    @property
    def netns_path(self) -> str:
        """The file that holds the namespace open; empty for the machine's own."""
        return str(NETNS_DIR / self.netns) if self.netns else ""


NodeState = Literal["stopped", "killed", "cut"]
"""What a person did to a node: ended its kubelet and proxy, took its power, pulled its network cable."""


def real_nodes(settings: Settings, count: int | None = None) -> list[RealNode]:
    """The machine and the namespaces beside it, `count` of them (else as the settings say)."""
    return [real_node(settings, index) for index in range(1, (count or settings.nodes) + 1)]


def real_node(settings: Settings, index: int) -> RealNode:
    """The node of this number; 1 is the machine."""
    if index == 1:
        return RealNode(
            index=1,
            name=settings.node_name,
            component="node",
            scope=settings.scope,
            state=settings.data_dir / "node",
            kubelet_root=settings.data_dir / "kubelet",
        )
    name = f"node{index}"
    root = nodes_dir(settings) / name
    return RealNode(
        index=index,
        name=name,
        component=name,
        scope=f"{settings.scope}/{name}",
        state=root / "node",
        kubelet_root=root / "kubelet",
        netns=f"orlop-{settings.name}-{name}",
        addresses=tuple(str(ip_network(cidr)[index]) for cidr in settings.node_cidrs),
    )


def nodes_dir(settings: Settings) -> Path:
    """Where the nodes beside the machine keep their state."""
    return settings.data_dir / "nodes"


def known_nodes(settings: Settings) -> list[RealNode]:
    """All nodes there are traces of: those of the settings, and those that an earlier, larger cluster left."""
    indexes = set(range(1, settings.nodes + 1))
    for folder in nodes_dir(settings).glob("node*"):
        number = folder.name.removeprefix("node")
        if number.isdigit():
            indexes.add(int(number))
    return [real_node(settings, index) for index in sorted(indexes)]


def find_node(settings: Settings, name: str) -> RealNode:
    """The real node of this name. Raises SettingsError."""
    nodes = real_nodes(settings)
    for node in nodes:
        if node.name == name:
            return node
    raise SettingsError(f"there is no node {name!r} to act on; there are {', '.join(node.name for node in nodes)}")


def states_file(settings: Settings) -> Path:
    return settings.data_dir / "run" / "nodes.json"


def read_states(settings: Settings) -> dict[str, NodeState]:
    """What was done to which node, by name; one that is not named works."""
    try:
        return msgspec.json.decode(states_file(settings).read_bytes(), type=dict[str, NodeState])
    except FileNotFoundError:
        return {}


def write_state(settings: Settings, node: RealNode, state: NodeState | None) -> None:
    """Notes what is to be done to a node; None: it is to work."""
    states = read_states(settings)
    states.pop(node.name, None)
    if state is not None:
        states[node.name] = state
    path = states_file(settings)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(states))
    fresh.rename(path)
