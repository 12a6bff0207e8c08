"""How a registry is reached: address, scheme, certificates, proxy."""

import ipaddress
import ssl
import urllib.parse
import urllib.request
from pathlib import Path

import msgspec

CERTIFICATE_FOLDERS = (Path("/etc/orlop/certs.d"), Path("/etc/containerd/certs.d"), Path("/etc/docker/certs.d"))
"""Docker's rule: `HOST[:PORT]/*.crt` are authorities for that registry, `NAME.cert` and `NAME.key` are shown to it."""

_DOCKER_HUB = "registry-1.docker.io"


class RegistrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may set."""

    ca_file: Path | None = None
    """Authorities to trust besides the system's."""
    plain_http: bool = False
    """Talk to any registry without TLS, as those on loopback may."""
    certificate_folders: tuple[Path, ...] = CERTIFICATE_FOLDERS


def address(registry: str) -> str:
    """Host and port to connect to."""
    return _DOCKER_HUB if registry == "docker.io" else registry


def is_loopback(host: str) -> bool:
    """Whether a host[:port] is this machine."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def tls(settings: RegistrySettings, registry: str) -> ssl.SSLContext:
    """Blocks on files. Raises OSError (ssl.SSLError is one) for a certificate that cannot be read."""
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    for folder in settings.certificate_folders:
        mine = folder / registry
        if mine.is_dir():
            for authority in sorted(mine.glob("*.crt")):
                context.load_verify_locations(authority)
            for certificate in sorted(mine.glob("*.cert")):
                context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def proxy(url: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY say; this machine needs none, as in Go's programs."""
    parts = urllib.parse.urlsplit(url)
    if is_loopback(parts.netloc) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)
