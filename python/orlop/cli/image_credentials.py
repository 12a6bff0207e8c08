"""Who you are to registries, from the file that `docker login` and `nerdctl login` write."""

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import names


class CredentialsError(Exception):
    """The file cannot be read; the text says what is wrong with it."""


def find(reference: str) -> v.AuthConfig | None:
    """The entry for the registry of an image; None where there is none. Credential helpers are not asked.

    Raises CredentialsError.
    """
    path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
    try:
        entries = dict((json.loads(path.read_bytes()).get("auths") or {}).items())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise CredentialsError(f"{path} cannot be used: {error}") from error
    try:
        registry, _ = names.registry(names.split(names.familiar(reference))[0])
    except ImageFailure:
        return None  # the pull itself says what is wrong
    wanted = {registry} | ({"index.docker.io", "registry-1.docker.io"} if registry == names.DEFAULT_REGISTRY else set())
    for key, entry in entries.items():
        if _host(key) in wanted and isinstance(entry, dict):
            return _auth(entry, f"{path}: auths[{key!r}]")
    return None


def _host(key: str) -> str:
    """`https://index.docker.io/v1/` and `index.docker.io` name the same."""
    return key.split("://", 1)[-1].split("/", 1)[0]


def _auth(entry: dict[str, Any], where: str) -> v.AuthConfig | None:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise CredentialsError(f"{where}.auth is not base64 of NAME:PASSWORD") from error
    token = str(entry.get("identitytoken") or "")
    if not user and not token:
        return None
    return v.AuthConfig(username=user, password=password.rstrip("\0"), identity_token=token)
