"""A kubeconfig that holds one cluster, one user, and the context that joins them."""

from base64 import b64encode
from typing import Any

from orlop.pki.folder import KeyPair


def kubeconfig(name: str, server: str, ca: bytes, pair: KeyPair, user: str = "") -> dict[str, Any]:
    """The document (for yaml.safe_dump) by which kubectl reaches `server` as the owner of `pair`.

    Cluster and context are called `name`, the user `user` or `name`; everything is embedded, so that the file can be
    copied elsewhere. See https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
    """
    user = user or name
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _text(ca)}}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": _text(pair.certificate), "client-key-data": _text(pair.key)},
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }


def _text(pem: bytes) -> str:
    return b64encode(pem).decode()
