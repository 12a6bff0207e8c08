"""The certificates an API server of some configuration asks its folder for."""

import contextlib
import socket

from orlop import pki
from orlop.apiserver.config import Config
from orlop.clock import Clock


def advertised(config: Config) -> str:
    """Where pods reach this server."""
    if config.advertise_address:
        return config.advertise_address
    if config.bind_address not in ("0.0.0.0", "::"):
        return config.bind_address
    # Connecting a datagram socket sends nothing: it asks the kernel which address it would send from.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def client_ca(folder: pki.Folder, config: Config) -> bytes:
    """The authorities (PEM) whose certificates say who a client is."""
    own = folder.ca()
    return own if config.client_ca_file is None else own + config.client_ca_file.read_bytes()


def serving_pair(folder: pki.Folder, config: Config) -> pki.KeyPair:
    """What the server shows its clients."""
    if config.tls_files is not None:
        certificate, key = config.tls_files
        return pki.KeyPair(certificate, key, certificate.read_bytes(), key.read_bytes())
    hosts = [config.bind_address, advertised(config), "localhost", "127.0.0.1", socket.gethostname()]
    first = str(config.service_cidrs[0].network_address + 1)
    return folder.apiserver(pki.apiserver_names(hosts, first, config.cluster_domain))


def kubelet_client_pair(folder: pki.Folder) -> pki.KeyPair:
    """What it shows a kubelet."""
    return folder.client(pki.APISERVER_KUBELET_CLIENT)


def front_proxy(folder: pki.Folder, clock: Clock) -> pki.Folder:
    """Where the authority and the certificate are kept by which extension API servers know this one."""
    return pki.Folder(folder.path / "front-proxy", clock)


def make_all(folder: pki.Folder, config: Config, clock: Clock) -> None:
    """Makes them before a server does, which then need not load what makes certificates."""
    if config.service_account_key_file is None:
        folder.service_account_key()
    serving_pair(folder, config)
    kubelet_client_pair(folder)
    front_proxy(folder, clock).client(pki.FRONT_PROXY)
