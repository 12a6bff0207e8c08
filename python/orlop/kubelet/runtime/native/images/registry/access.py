"""Who we are to a registry: what its WWW-Authenticate asks for (RFC 9110 section 11, "Docker Registry v2
authentication via central service")."""

import base64
import re
from collections.abc import Iterable

from orlop.kubelet.runtime import values as v

_CHALLENGE = re.compile(r"\s*(?P<scheme>[A-Za-z][\w-]*)\s+(?=[\w-]+=)")
_PARAMETER = re.compile(r'\s*,?\s*(?P<key>[\w-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))')


def challenges(headers: Iterable[str]) -> dict[str, dict[str, str]]:
    """The parameters of each challenge by its scheme in lower case."""
    found: dict[str, dict[str, str]] = {}
    for header in headers:
        at = 0
        while (start := _CHALLENGE.match(header, at)) is not None:
            at = start.end()
            parameters: dict[str, str] = {}
            while (item := _PARAMETER.match(header, at)) is not None:
                value = item["quoted"] if item["quoted"] is not None else item["plain"]
                parameters[item["key"].lower()] = re.sub(r"\\(.)", r"\1", value)
                at = item.end()
            found[start["scheme"].lower()] = parameters
            if (comma := re.compile(r"\s*,").match(header, at)) is not None:
                at = comma.end()
        if not found and header.strip():
            found[header.split()[0].lower()] = {}
    return found


def basic(auth: v.AuthConfig | None) -> str | None:
    """The header for a user and a password; None where there are none."""
    if auth is None or not auth.username or is_token(auth):
        return None
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def is_token(auth: v.AuthConfig) -> bool:
    """Whether the credentials are a refresh token: docker's config.json then has the user `<token>`."""
    return bool(auth.identity_token) or auth.username == "<token>"


def refresh_token(auth: v.AuthConfig) -> str:
    return auth.identity_token or auth.password
