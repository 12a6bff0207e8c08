"""Pods that run this machine's own programs: its files, read-only, where programs linked here look for them."""

import sys
from pathlib import Path
from typing import Any

SYSTEM = ("/usr", "/lib", "/lib64")
PYTHON = str(Path(sys.prefix).resolve() / "bin" / "python")
"""The interpreter of the tests, with everything that is installed for it."""


def folders() -> list[str]:
    """What the interpreter and the C library need; none of them within another."""
    wanted = {*SYSTEM, str(Path(sys.prefix).resolve()), str(Path(sys.base_prefix).resolve())}
    present = sorted(folder for folder in wanted if Path(folder).is_dir())
    return [one for one in present if not any(one.startswith(other + "/") for other in present)]


def mounted(container: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The container with these folders mounted, and the pod's volumes for them."""
    paths = folders()
    mounts = [{"name": f"machine-{n}", "mountPath": path, "readOnly": True} for n, path in enumerate(paths)]
    volumes = [{"name": f"machine-{n}", "hostPath": {"path": path}} for n, path in enumerate(paths)]
    return {**container, "volumeMounts": [*container.get("volumeMounts", []), *mounts]}, volumes
