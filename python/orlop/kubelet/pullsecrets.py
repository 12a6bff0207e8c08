"""Which of a pod's imagePullSecrets are for an image (pkg/credentialprovider/keyring.go)."""

import base64
import binascii
import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from orlop.api.types import core_v1
from orlop.kubelet.runtime import values as v

DEFAULT_REGISTRY = "index.docker.io"
"""Where an image without a host comes from, by the name under which `docker login` keeps it."""
CONFIG_JSON, CONFIG = ".dockerconfigjson", ".dockercfg"
"""The keys of Secrets of types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg."""
DOCKER_HOSTS = ("docker.io", DEFAULT_REGISTRY, "registry-1.docker.io")


def candidates(secrets: Iterable[core_v1.Secret], image: str) -> list[v.AuthConfig]:
    """The credentials whose registry and path the image lies below, the most exact first. Broken entries are no
    credentials."""
    host, path = location(image)
    found: list[tuple[str, v.AuthConfig]] = []
    for secret in secrets:
        for key, entry in _entries(secret).items():
            auth = _auth(key, entry)
            if auth is not None and matches(key, host, path):
                found.append((_bare(key), auth))
    # As upstream: in reverse order of the keys, so that a longer path comes before the shorter it begins with.
    return [auth for _, auth in sorted(found, key=lambda pair: pair[0], reverse=True)]


def location(image: str) -> tuple[str, str]:
    """Host (with its port) and repository of an image's name."""
    first, slash, rest = image.partition("@")[0].partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return (DEFAULT_REGISTRY, rest) if first in DOCKER_HOSTS else (first, rest)
    return DEFAULT_REGISTRY, image


def matches(key: str, host: str, path: str) -> bool:
    """Whether a key of `auths` is for this host and repository. Each label of the key's host may hold `*`."""
    wanted_host, _, wanted_path = _bare(key).partition("/")
    if wanted_host in DOCKER_HOSTS:
        return host == DEFAULT_REGISTRY
    wanted_name, _, wanted_port = wanted_host.partition(":")
    name, _, port = host.partition(":")
    labels, wanted_labels = name.split("."), wanted_name.split(".")
    return (
        port == wanted_port
        and len(labels) == len(wanted_labels)
        and all(fnmatchcase(label, pattern) for label, pattern in zip(labels, wanted_labels, strict=True))
        and path.startswith(wanted_path)
    )


def _bare(key: str) -> str:
    """Without a scheme, and without the version that old files have at the end."""
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    return bare.removesuffix("/v1").removesuffix("/v2")


def _entries(secret: core_v1.Secret) -> dict[str, Any]:
    new = secret.data.get(CONFIG_JSON)
    try:
        document = json.loads(new if new is not None else secret.data.get(CONFIG, b"{}"))
        entries = document.get("auths", {}) if new is not None else document
    except (ValueError, AttributeError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _auth(key: str, entry: Any) -> v.AuthConfig | None:
    if not isinstance(entry, dict):
        return None
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
    token = str(entry.get("identitytoken") or "")
    if not user and not token:
        return None
    return v.AuthConfig(username=user, password=password, server_address=key, identity_token=token)
