"""A kubeconfig for each component, with its own certificate, and the certificates of those that serve."""

import os
from pathlib import Path

import yaml

from orlop.apiserver import certificates
from orlop.clock import SystemClock
from orlop.cluster import components
from orlop.cluster.nodes import RealNode
from orlop.cluster.settings import Settings
from orlop.pki import identities
from orlop.pki.folder import Folder
from orlop.pki.kubeconfig import kubeconfig


def write_all(settings: Settings, nodes: list[str], real: list[RealNode]) -> None:
    """Writes (or renews) the kubeconfigs of admin, controller manager, scheduler, proxy, DNS, network policy and the
    kubelets of `nodes`, and the certificates with which the API server and the kubelets of `real` serve."""
    clock = SystemClock()
    pki = Folder(settings.pki, clock)
    who = {
        "admin": identities.ADMIN,
        "controller-manager": identities.CONTROLLER_MANAGER,
        "scheduler": identities.SCHEDULER,
        "proxy": identities.PROXY,
        "dns": identities.DNS,
        "network-policy": identities.NETWORK_POLICY,
    } | {f"kubelet-{name}": identities.node(name) for name in nodes}
    ca = pki.ca()
    for component, identity in who.items():
        document = kubeconfig(settings.name, settings.server, ca, pki.client(identity), user=identity.user)
        write_private(settings.kubeconfig(component), yaml.safe_dump(document, sort_keys=False))
    certificates.make_all(pki, components.apiserver_config(settings), clock)
    for node in real:
        components.kubelet_pair(pki, settings, node)


def forget(settings: Settings, node: str) -> None:
    """Deletes the kubeconfig, certificates and keys of a node that is gone."""
    settings.kubeconfig(f"kubelet-{node}").unlink(missing_ok=True)
    for stem in (f"kubelet-{node}", identities.node(node).file):
        for suffix in (".crt", ".key"):
            (settings.pki / f"{stem}{suffix}").unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replaces a file that only its owner may read, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.rename(path)
