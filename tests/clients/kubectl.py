"""A kubectl in a namespace of its own, and older ones."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support.cluster import KUBECTL, Failed, UpCluster

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orlop" / "kubectl"
PACKAGE = "kubernetes-client"
"""Debian 12's, of Kubernetes 1.20: unpacked, not installed."""


class NoKubectl(Exception):
    """Why an older kubectl cannot be had."""


class Kubectl:
    """One program, cluster and namespace."""

    def __init__(self, cluster: UpCluster, namespace: str, program: Path = KUBECTL) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.program = program

    def command(self, *words: str) -> list[str]:
        return [str(self.program), "--context", self.cluster.name, "-n", self.namespace, *words]

    def any(self, *words: str, stdin: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
        """Whatever comes of it."""
        whole = self.cluster.env | env
        command = self.command(*words)
        return subprocess.run(command, env=whole, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    def __call__(self, *words: str, stdin: str | None = None, **env: str) -> str:
        """stdout of what must succeed."""
        done = self.any(*words, stdin=stdin, **env)
        if done.returncode != 0:
            raise Failed(f"kubectl {' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def fails(self, *words: str, stdin: str | None = None) -> str:
        """stderr of what must not succeed."""
        done = self.any(*words, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def get(self, *words: str) -> Any:
        return json.loads(self("get", *words, "-o", "json"))

    def path(self, *words: str) -> str:
        """One value: `path("deployment/web", "{.spec.replicas}")`."""
        *names, template = words
        return self("get", *names, f"-o=jsonpath={template}")


def oldest() -> Path:
    """Debian's kubectl. Raises NoKubectl."""
    kept = CACHE / PACKAGE
    if not kept.exists():
        if shutil.which("apt-get") is None:
            raise NoKubectl("an older kubectl comes from Debian's packages, and this machine has no apt-get")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            script = f"apt-get download -q {PACKAGE} && dpkg -x *.deb . && cp usr/bin/kubectl found"
            done = subprocess.run(
                ["sh", "-c", script], cwd=work, capture_output=True, text=True, timeout=100, check=False
            )
            if done.returncode != 0:
                raise NoKubectl(f"apt-get download {PACKAGE}: {done.stderr[-300:]}")
            (Path(work) / "found").rename(kept)
    return kept
