"""The way to the API server from within a pod: by what every pod is given (client-go's rest.InClusterConfig)."""

import os
from collections.abc import Mapping
from pathlib import Path

from orlop.client.tls import Settings

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def settings(environ: Mapping[str, str] = os.environ, folder: Path = FOLDER) -> Settings | None:
    """The connection as the pod's ServiceAccount; None where this is no pod, or one without a token."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token = folder / "token"
    if not host or not port or not token.exists():
        return None
    namespace = folder / "namespace"
    return Settings(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca_data=(folder / "ca.crt").read_bytes(),
        token_file=str(token),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )
