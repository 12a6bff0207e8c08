"""The fixtures of the Go module k8s.io/api: every kind with every field set, as JSON, YAML and protobuf."""

import functools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support import docker_engine

MODULE = "k8s.io/api@v0.37.2"
FOLDERS = {"internal": "apiserverinternal"}
"""Where a type key's folder is not the first label of the API group."""

META = {
    *("APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "Status", "WatchEvent", "List"),
    *("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "ApplyOptions"),
}
"""Kinds that travel as v1 but are declared in meta/v1."""


@functools.cache
def folder() -> Path | str:
    """Where the fixtures are (Go's module cache, outside this repository), or why they cannot be had."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        if os.geteuid() != 0:
            return "the go client is not installed, and only root can install it"
        try:
            docker_engine.apt_install("golang-go")
        except docker_engine.NoEngine as error:
            return str(error)
        go = "go"
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "go.mod").write_text("module fixtures\n")
        env = os.environ | {"GOFLAGS": "-mod=mod"}
        got = subprocess.run(
            [go, "mod", "download", "-json", MODULE], cwd=work, env=env, capture_output=True, timeout=100
        )
    if got.returncode != 0:
        return f"go mod download {MODULE}: {got.stdout.decode()[-300:]}{got.stderr.decode()[-300:]}"
    return Path(json.loads(got.stdout)["Dir"]) / "testdata" / "HEAD"


def kinds(where: Path) -> dict[str, Path]:
    """Type key → the fixture's path without its suffix."""
    out = {}
    for path in sorted(where.glob("*.json")):
        *group, version, kind = path.name.removesuffix(".json").split(".")
        home = FOLDERS.get(group[0], group[0])
        key = f"meta/v1.{kind}" if home == "core" and kind in META else f"{home}/{version}.{kind}"
        out[key] = path.with_suffix("")
    return out
