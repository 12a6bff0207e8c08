"""Which container runtime and which network the real nodes use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orlop.cluster.settings import Settings, SettingsError, primary_address

if TYPE_CHECKING:
    from orlop.clock import Clock
    from orlop.cluster.nodes import RealNode
    from orlop.kubelet.network.base import Network
    from orlop.kubelet.network.guarded import Admit
    from orlop.kubelet.runtime import values as v
    from orlop.kubelet.runtime.base import Runtime
    from orlop.proxy.config import ProxyConfig

DOCKER_SOCKET = Path("/var/run/docker.sock")


def docker_answers() -> bool:
    """Whether a Docker Engine listens on its socket, and this user may use it."""
    return DOCKER_SOCKET.exists() and os.access(DOCKER_SOCKET, os.R_OK | os.W_OK)


def choose_runtime(settings: Settings) -> str:
    """`native`, `docker` or `hollow`. Raises SettingsError, saying what is missing and what would do.

    Where nothing is asked for: `native`, and without root, where it could run plain processes only, `hollow`.
    """
    choice = settings.runtime
    root = os.geteuid() == 0
    if choice == "hollow" or (choice == "auto" and not root):
        return "hollow"
    kind = "native" if choice == "auto" else choice
    missing = []
    if kind == "docker":
        if not root:
            missing.append("root is needed to set up pod networks (try sudo)")
        if not docker_answers():
            missing.append(
                f"no Docker Engine answers at {DOCKER_SOCKET} "
                "(on Debian: apt-get install docker.io, then start dockerd)"
            )
    if kind == "native" and root:
        missing += native_lacks(settings)
    if root and shutil.which("nft") is None:
        missing.append("pod networks and Services need the program nft (on Debian: apt-get install nftables conntrack)")
    if missing:
        raise SettingsError(
            "real containers cannot run here: " + "; ".join(missing) + ". For simulated nodes: --runtime hollow"
        )
    return kind


def native_lacks(settings: Settings) -> list[str]:
    """What the embedded runtime misses on this machine, as this user; empty for nothing."""
    from orlop.kubelet.runtime.native.missing import missing

    return missing(settings.data_dir)


def make_runtime(
    settings: Settings,
    node: RealNode,
    kind: str,
    clock: Clock,
    network: Network | None = None,
    log_limits: v.LogLimits | None = None,
    admit: Admit | None = None,
) -> tuple[Runtime, Network]:
    """The runtime and the pod network of a real node; `network` in place of its own where only containers matter.
    `admit` is waited for before anything runs in a new sandbox."""
    from orlop.kubelet.network.bridge import BridgeNetwork
    from orlop.kubelet.runtime.values import LogLimits

    log_limits = log_limits or LogLimits()
    if network is None and os.geteuid() == 0:
        network = BridgeNetwork(bridge_name(settings.scope), node.state / "network", cluster_cidrs=settings.pod_cidrs)
        if admit is not None:
            from orlop.kubelet.network.guarded import GuardedNetwork

            network = GuardedNetwork(network, admit)
    elif network is None:
        from orlop.kubelet.runtime.native.host_network import HostNetwork

        network = HostNetwork(primary_address())
    if kind == "docker":
        from orlop.kubelet.runtime.docker import DockerRuntime

        docker = DockerRuntime(
            clock,
            network,
            scope=node.scope,
            state_dir=node.state / "docker",
            host_netns=node.netns_path,
            log_limits=log_limits,
        )
        return docker, network
    from orlop.kubelet.runtime.native.images import ImageStore, default_root
    from orlop.kubelet.runtime.native.runtime import NativeRuntime

    images = ImageStore(settings.image_dir or default_root(), clock)
    native = NativeRuntime(
        clock, network, scope=node.scope, state_dir=node.state / "native", images=images, log_limits=log_limits
    )
    return native, network


def bridge_name(scope: str) -> str:
    """The bridge of a node's pods. Each node's namespace has its own under the same name."""
    from orlop.kubelet.network import links

    return links.scoped_name("br", scope)


def make_proxier(settings: Settings, node: RealNode, client: Any, clock: Clock) -> Any:
    """kube-proxy of a real node."""
    from orlop.proxy.proxier import Proxier

    return Proxier(client, clock, proxy_config(settings, node.name))


def proxy_config(settings: Settings, node_name: str) -> ProxyConfig:
    """How the proxy of a node works. Raises ValueError that names the flag."""
    from orlop.proxy.config import ProxyConfig

    return ProxyConfig(
        hostname_override=node_name,
        proxy_mode=settings.proxy_mode,
        cluster_cidr=settings.pod_cidr,
        scope=settings.scope,
    )


async def lacking_proxy_modes(settings: Settings) -> dict[str, str]:
    """What this machine lacks for each of the proxy modes that come before the first that it can run; raises
    SettingsError where it can run none of them, or where one is unknown."""
    from dataclasses import replace

    from orlop.proxy.backends import Unsupported, make

    lacking: dict[str, str] = {}
    try:
        config = proxy_config(settings, settings.node_name)
        backends = {mode: make(replace(config, proxy_mode=mode)) for mode in config.proxy_modes}
    except ValueError as error:
        raise SettingsError(str(error)) from None
    for mode, backend in backends.items():
        try:
            await backend.check()
            return lacking
        except Unsupported as error:
            lacking[mode] = str(error)
    told = "; ".join(f"{mode}: {why}" for mode, why in lacking.items())
    raise SettingsError(
        f"--proxy-mode={settings.proxy_mode} cannot run on this machine: {told}. "
        f"To use another one where that is so: --proxy-mode={settings.proxy_mode},nftables"
    )
