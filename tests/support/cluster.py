"""A cluster as a user starts it: `orlop up` in a folder of its own, real kubectl against it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
KUBECTL = BIN / "kubectl"
ORLOP = [sys.executable, "-m", "orlop.cli.main"]


class Failed(AssertionError):
    """A command that should have worked did not; the message holds what it said."""


def run(*command: str, env: dict[str, str] | None = None, input: str | None = None, timeout: float = 90) -> str:
    """stdout of a command that must succeed."""
    done = subprocess.run(command, env=env, input=input, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class UpCluster:
    """One `orlop up`."""

    def __init__(self, name: str, folder: Path, *flags: str) -> None:
        self.name = name
        self.data = folder / "data"
        self.flags = flags
        self.patience = 120.0
        """Seconds that a command may take."""
        self.env = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder)}

    def orlop(self, command: str, *more: str) -> str:
        """`orlop COMMAND` for this cluster."""
        where = ("--name", self.name, "--data-dir", str(self.data))
        return run(*ORLOP, command, *more, *where, env=self.env, timeout=self.patience)

    def up(self) -> str:
        try:
            return self.orlop("up", *self.flags)
        except Failed as error:
            raise Failed(f"{error}\n{self.last_words()}") from None

    def down(self) -> str:
        return self.orlop("down", "--purge")

    def down_now(self) -> bool:
        """Whether nothing of it runs."""
        command = [*ORLOP, "status", "--name", self.name, "--data-dir", str(self.data)]
        return "is down" in subprocess.run(command, capture_output=True, text=True, env=self.env, check=False).stdout

    def apply(self, namespace: str, *objects: dict[str, Any]) -> None:
        """`kubectl apply` of these."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(document))

    def last_words(self) -> str:
        """The ends of the components' logs."""
        texts = []
        for log in sorted((self.data / "logs").glob("*.log")):
            texts.append(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:]))
        return "\n".join(texts)

    def kubectl(self, *words: str, input: str | None = None, timeout: float = 90) -> str:
        """stdout of a kubectl that must succeed."""
        return run(str(KUBECTL), "--context", self.name, *words, env=self.env, input=input, timeout=timeout)

    def kubectl_fails(self, *words: str, input: str | None = None, timeout: float = 90) -> str:
        """stderr of a kubectl that must not succeed."""
        done = subprocess.run(
            [str(KUBECTL), "--context", self.name, *words],
            env=self.env,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode != 0, f"kubectl {' '.join(words)} succeeded:\n{done.stdout}"
        return done.stderr + done.stdout

    def background(self, *words: str) -> "subprocess.Popen[str]":
        """A kubectl that goes on; the caller ends it."""
        return subprocess.Popen(
            [str(KUBECTL), "--context", self.name, *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, *words: str) -> Any:
        """`kubectl get … -o json`."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def state(self) -> dict[str, Any]:
        """What `orlop status` knows."""
        answer: dict[str, Any] = json.loads(self.orlop("status", "-o", "json"))["state"]
        return answer


def eventually(what: str, holds: Callable[[], Any], timeout: float = 30, every: float = 0.2) -> Any:
    """The first true answer of `holds`; fails with `what` (and the last answer or error) after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    last: Any = None
    while time.monotonic() < deadline:
        try:
            last = holds()
        except (Failed, OSError, KeyError, IndexError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(every)
    raise AssertionError(f"not within {timeout:g} s: {what}; last: {last}")
