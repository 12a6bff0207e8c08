"""kubectl's side of a cluster: the context in the user's kubeconfig."""

import base64
from pathlib import Path

import yaml

from orlop.client import kubeconfig
from orlop.cluster.settings import Settings


def use_context(settings: Settings) -> Path:
    """Merges the cluster's context into the user's kubeconfig and makes it the current one. Returns the file."""
    document = yaml.safe_load(settings.kubeconfig("admin").read_text(encoding="utf-8"))
    cluster = document["clusters"][0]["cluster"]
    user = document["users"][0]["user"]
    entry = kubeconfig.Entry(
        name=settings.name,
        server=settings.server,
        ca_data=base64.b64decode(cluster["certificate-authority-data"]),
        client_certificate_data=base64.b64decode(user["client-certificate-data"]),
        client_key_data=base64.b64decode(user["client-key-data"]),
    )
    return kubeconfig.merge(entry, set_current=True)


def forget_context(settings: Settings) -> None:
    """Takes the cluster's context out of the user's kubeconfig."""
    kubeconfig.remove(settings.name)
