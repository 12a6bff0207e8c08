"""Which container runtime and which network this machine's node uses."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orlop.cluster.settings import Settings, SettingsError

if TYPE_CHECKING:
    from orlop.clock import Clock
    from orlop.kubelet.network.base import Network
    from orlop.kubelet.runtime.base import Runtime

LONGEST_SCOPE = 10
"""A link's name has at most 15 characters (IFNAMSIZ), some of which its rules' names need."""

DOCKER_SOCKET = Path("/var/run/docker.sock")


def docker_answers() -> bool:
    """Whether a Docker Engine listens on its socket, and this user may use it."""
    return DOCKER_SOCKET.exists() and os.access(DOCKER_SOCKET, os.R_OK | os.W_OK)


def choose_runtime(settings: Settings) -> str:
    """`docker` or `hollow`. Raises SettingsError, saying what is missing and what would do."""
    choice = settings.runtime
    if choice == "hollow":
        return "hollow"
    if choice == "native":
        raise SettingsError("runtime native is not part of this version; use --runtime docker or --runtime hollow")
    missing = []
    if os.geteuid() != 0:
        missing.append("root is needed to set up pod networks (try sudo)")
    if not docker_answers():
        missing.append(
            f"no Docker Engine answers at {DOCKER_SOCKET} (on Debian: apt-get install docker.io, then start dockerd)"
        )
    if shutil.which("nft") is None:
        missing.append("pod networks and Services need the program nft (on Debian: apt-get install nftables conntrack)")
    if missing:
        raise SettingsError(
            "real containers cannot run here: " + "; ".join(missing) + ". For simulated nodes: --runtime hollow"
        )
    return "docker"


def make_runtime(settings: Settings, kind: str, clock: Clock) -> tuple[Runtime, Network]:
    """The runtime and the pod network of this machine's node."""
    from orlop.kubelet.network.bridge import BridgeNetwork
    from orlop.kubelet.runtime.docker import DockerRuntime

    assert kind == "docker"
    state = settings.data_dir / "node"
    network = BridgeNetwork(bridge_name(settings.scope), state / "network", cluster_cidrs=[settings.pod_cidr])
    return DockerRuntime(clock, network, scope=settings.scope, state_dir=state / "docker"), network


def bridge_name(scope: str) -> str:
    """The node's bridge: readable where the cluster's name is short, else told apart by a digest."""
    if len(scope) <= LONGEST_SCOPE:
        return f"br-{scope}"
    return f"br-{hashlib.sha256(scope.encode()).hexdigest()[:LONGEST_SCOPE]}"


def make_proxier(settings: Settings, client: Any, clock: Clock) -> Any:
    """kube-proxy of this machine's node."""
    from orlop.proxy.config import ProxyConfig
    from orlop.proxy.proxier import Proxier

    config = ProxyConfig(hostname_override=settings.node_name, cluster_cidr=settings.pod_cidr, scope=settings.scope)
    return Proxier(client, clock, config)
