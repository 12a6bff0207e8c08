"""Go programs of others, built once from the module proxy and kept in the user's cache folder.

`python -m tests.support.go` builds them all, so that they can be made while something else waits.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orlop" / "go"
LEAST = (1, 26)
"""What client-go 0.37 and helm 4 ask for; Debian's golang-go is older."""
BUILD_SECONDS = 1500
"""From nothing helm takes four minutes on two idle cores; once built it is not built again."""
COMMAND_SECONDS = 3600
"""Kubernetes' own commands have 2,400 packages."""
CLIENTS = Path(__file__).parent.parent / "clients" / "go"
"""Tests on client-go and controller-runtime."""
AGGREGATED = Path(__file__).parent.parent / "clients" / "aggregated"
"""An extension API server on k8s.io/sample-apiserver."""
OPERATOR = Path(__file__).parent.parent / "clients" / "operator"
"""A manager on controller-runtime, with webhooks."""
HELM = ("helm.sh/helm/v4/cmd/helm", "v4.3.1")
FLAGS = "-buildvcs=false -ldflags=-w -gcflags=all=-dwarf=false"
"""Nobody debugs them: a third less to do."""


class NoGo(Exception):
    """Why Go programs cannot be had on this machine."""


def test_binary(folder: Path) -> Path:
    """The tests of the module in `folder` as a program. Raises NoGo."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.go"), folder / "go.mod", folder / "go.sum"]):
        digest.update(file.name.encode() + file.read_bytes())
    name = f"{folder.parent.name}.{digest.hexdigest()[:16]}.test"

    def build(target: Path) -> None:
        _run(["test", "-c", "-o", str(target), "."], folder)
        for older in CACHE.glob(f"{folder.parent.name}.*.test"):
            if older != target:
                older.unlink()

    return _kept(name, build)


def main(folder: Path) -> Path:
    """The program whose module is `folder`. Raises NoGo."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.go"), folder / "go.mod", folder / "go.sum"]):
        digest.update(file.name.encode() + file.read_bytes())

    def build(target: Path) -> None:
        _run(["build", "-o", str(target), "."], folder)
        for older in CACHE.glob(f"{folder.name}.*.main"):
            if older != target:
                older.unlink()

    return _kept(f"{folder.name}.{digest.hexdigest()[:16]}.main", build)


def program(package: str, version: str) -> Path:
    """A program as `go install PACKAGE@VERSION` makes it. Raises NoGo."""

    def build(target: Path) -> None:
        place = CACHE / "install"
        _run(["install", f"{package}@{version}"], CACHE, GOBIN=str(place))
        (place / package.rsplit("/", 1)[1]).rename(target)

    return _kept(f"{package.rsplit('/', 1)[1]}-{version}", build)


def command(folder: Path, package: str) -> Path:
    """The command `package` of one of the modules that the module in `folder` requires. Raises NoGo."""
    digest = hashlib.sha256((folder / "go.sum").read_bytes()).hexdigest()[:16]

    def build(target: Path) -> None:
        _run(["build", "-trimpath", "-o", str(target), package], folder, COMMAND_SECONDS)

    return _kept(f"{package.rsplit('/', 1)[1]}.{digest}", build)


def _kept(name: str, build: Callable[[Path], None]) -> Path:
    target = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with _turn():
        if not target.exists():
            build(target)
    return target


@contextmanager
def _turn() -> Iterator[None]:
    """One build at a time, whoever asks."""
    with open(CACHE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(words: list[str], where: Path, seconds: float = BUILD_SECONDS, **env: str) -> None:
    command = [_toolchain(), *words]
    whole = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": FLAGS} | env
    done = subprocess.run(command, cwd=where, env=whole, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise NoGo(f"{' '.join(command)}: {done.stderr[-2000:]}")


def _toolchain() -> str:
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        raise NoGo("the go command is not installed")
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    numbers = tuple(int(n) for n in version.removeprefix("go").split("-")[0].split(".")[:2])
    if numbers < LEAST:
        raise NoGo(f"{go} is {version}, and {LEAST[0]}.{LEAST[1]} is needed")
    return go


if __name__ == "__main__":
    test_binary(CLIENTS)
    program(*HELM)
    main(AGGREGATED)
    main(OPERATOR)
