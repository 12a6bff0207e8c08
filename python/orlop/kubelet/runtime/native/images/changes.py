"""How an imported root file system runs: Dockerfile instructions, as `docker import --change` takes them."""

import json
import re
import shlex
from typing import Any

from orlop.kubelet.runtime.native.images.model import bad

Config = dict[str, Any]
"""The `config` of an image configuration under construction, with OCI's field names."""

_PAIR = re.compile(r"[A-Za-z_][\w.-]*(/[\w.-]+)*")


def apply(config: Config, instruction: str) -> None:
    """Makes one change, such as `CMD ["httpd", "-f"]` or `ENV PORT=80`. Raises ImageFailure."""
    word, _, rest = instruction.strip().partition(" ")
    rest = rest.strip()
    what = word.upper()
    if not rest:
        raise bad(f"the change {instruction!r} says nothing after {word or 'its first word'}")
    if what in ("CMD", "ENTRYPOINT"):
        config["Cmd" if what == "CMD" else "Entrypoint"] = command(rest)
    elif what == "ENV":
        for key, value in _pairs(rest, instruction):
            set_env(config, key, value)
    elif what == "LABEL":
        config.setdefault("Labels", {}).update(_pairs(rest, instruction))
    elif what == "EXPOSE":
        ports = (port if "/" in port else f"{port}/tcp" for port in rest.split())
        config.setdefault("ExposedPorts", {}).update({port: {} for port in ports})
    elif what == "VOLUME":
        config.setdefault("Volumes", {}).update({path: {} for path in words(rest)})
    elif what in ("USER", "WORKDIR", "STOPSIGNAL"):
        config[{"USER": "User", "WORKDIR": "WorkingDir", "STOPSIGNAL": "StopSignal"}[what]] = rest
    else:
        known = "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR"
        raise bad(f"the change {instruction!r} is none of {known}")


def command(text: str) -> list[str]:
    """A JSON list as it is; anything else is a line for a shell, as in a Dockerfile."""
    listed = _listed(text)
    return listed if listed is not None else ["/bin/sh", "-c", text]


def words(text: str) -> list[str]:
    """A JSON list as it is, or words as a shell splits them. Raises ImageFailure."""
    listed = _listed(text)
    try:
        return listed if listed is not None else shlex.split(text)
    except ValueError as error:
        raise bad(f"{text!r} cannot be split into words: {error}") from error


def set_env(config: Config, key: str, value: str) -> None:
    """One variable; a later value replaces an earlier one."""
    others = [item for item in config.get("Env", []) if not item.startswith(f"{key}=")]
    config["Env"] = [*others, f"{key}={value}"]


def _listed(text: str) -> list[str] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, list) and all(isinstance(word, str) for word in value) else None


def _pairs(text: str, instruction: str) -> list[tuple[str, str]]:
    """`KEY=VALUE …`, or the old form `KEY VALUE`."""
    first, _, rest = text.partition(" ")
    if "=" not in first:
        found = [(first, rest.strip())]
    else:
        found = [(key, value) for key, _, value in (word.partition("=") for word in words(text))]
    for key, _ in found:
        if _PAIR.fullmatch(key) is None:
            raise bad(f"the change {instruction!r} has no KEY=VALUE at {key!r}")
    return found
