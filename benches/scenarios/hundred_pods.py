"""A full node: how fast a hundred pods get ready on it, and what its kubelet costs when nothing happens to them.

World: one node with a fresh cluster; a hundred pods of one busybox container each, `sleep`, whose image is present.
Figures, for each runtime that works here: seconds from the first create to the last pod Ready; share of a core and
proportional memory of the node's process (kubelet, proxy, DNS) with these pods at rest. The work is checked: every pod
has an address of its own, and a command in each of a few of them answers. For docker the engine's own time stands
beside it: the same containers, two a pod, made straight through its API by as many threads as the runtime has.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine

PODS = int(os.environ.get("ORLOP_BENCH_PODS", "100"))
IDLE_SECONDS = float(os.environ.get("ORLOP_BENCH_IDLE", "30"))
SETTLE_SECONDS = 15.0
LIMIT_SECONDS = 300.0
ENGINE_THREADS = 8
"""As orlop.kubelet.runtime.docker.engine."""
READY_BAR, CORE_BAR, MEMORY_BAR = 10.0, 0.01, 60.0
KUBECTL = Path(sys.executable).parent / "kubectl"
ORLOP = [sys.executable, "-m", "orlop.cli.main"]
RUNTIMES = os.environ.get("ORLOP_BENCH_RUNTIMES", "docker,native").split(",")


def run(*command: str, check: bool = True, **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, **more)
    if done.returncode and check:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout if done.returncode == 0 else ""


def pods(runtime: str) -> str:
    container = {"name": "main", "image": "orlop-hello:1", "command": ["sleep", "100000"]}
    if runtime == "native":
        container["image"] = "host"
    items = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{i}", "labels": {"bench": "hundred"}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        }
        for i in range(PODS)
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


class One:
    """A cluster on one runtime."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
        self.env = {**os.environ, "KUBECONFIG": str(self.folder / "kubeconfig")}
        self.common = ["--name", f"bench-{os.getpid()}", "--data-dir", str(self.folder / "data")]

    def orlop(self, *words: str, check: bool = True) -> str:
        return run(*ORLOP, *words, *self.common, env=self.env, check=check)

    def kubectl(self, *words: str, **more: Any) -> str:
        return run(str(KUBECTL), *words, env=self.env, **more)

    def up(self) -> bool:
        ranges = ["--pod-cidr=10.233.0.0/16", "--service-cidr=10.234.0.0/16"]
        return bool(self.orlop("up", "--secure-port=0", f"--runtime={self.runtime}", *ranges, check=False))

    def down(self) -> None:
        self.orlop("down", "--purge", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self) -> float:
        """Seconds from the first create to the last pod Ready."""
        self.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=60s")
        watch = subprocess.Popen(
            [str(KUBECTL), "get", "pods", "-l", "bench=hundred", "--watch", "--output-watch-events", "-o", "json"],
            stdout=subprocess.PIPE,
            env=self.env,
        )
        assert watch.stdout is not None
        os.set_blocking(watch.stdout.fileno(), False)
        decoder, text, done = json.JSONDecoder(), "", set[str]()
        began = time.monotonic()
        shown = began
        # Not `apply`: it would look at each pod first.
        create = subprocess.Popen(
            [str(KUBECTL), "create", "-f", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=self.env,
            text=True,
        )
        assert create.stdin is not None
        create.stdin.write(pods(self.runtime))
        create.stdin.close()
        while len(done) < PODS:
            text += (watch.stdout.read() or b"").decode()
            while text := text.lstrip():
                try:
                    event, end = decoder.raw_decode(text)
                except json.JSONDecodeError:
                    break
                text = text[end:]
                if ready(event["object"]):
                    done.add(event["object"]["metadata"]["name"])
            now = time.monotonic()
            if now - shown >= 1:
                print(f"  {self.runtime}: {len(done):3} of {PODS} ready after {now - began:5.1f} s", flush=True)
                shown = now
            if now - began > LIMIT_SECONDS:
                sys.exit(f"only {len(done)} of {PODS} pods are ready after {LIMIT_SECONDS:g} s")
            time.sleep(0.02)
        took = time.monotonic() - began
        watch.terminate()
        watch.wait()
        create.wait()
        self.check()
        return took

    def check(self) -> None:
        found = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        assert len({pod["status"]["podIP"] for pod in found}) == PODS
        for i in (0, PODS // 2, PODS - 1):
            assert self.kubectl("exec", f"pod-{i}", "--", "echo", str(i)).strip() == str(i)

    def rest(self) -> tuple[float, float]:
        """(share of a core, MiB) of the node's process."""
        time.sleep(SETTLE_SECONDS)
        pid = json.loads(self.orlop("status", "-o", "json"))["state"]["children"]["node"]["pid"]
        before = machine.cpu_seconds(pid)
        time.sleep(IDLE_SECONDS)
        return (machine.cpu_seconds(pid) - before) / IDLE_SECONDS, machine.proportional_mib(pid)


def engine_alone() -> float:
    """Seconds that the Docker Engine takes for the same containers without anything of ours."""
    import docker

    api = docker.APIClient(version="auto", num_pools=2, max_pool_size=ENGINE_THREADS)
    made: list[str] = []

    def one(index: int) -> None:
        name = f"bench-{os.getpid()}-{index}"
        for suffix, mode in (("a", "none"), ("b", f"container:{name}-a")):
            host = api.create_host_config(network_mode=mode)
            created = api.create_container(
                "orlop-hello:1", ["sleep", "100000"], name=f"{name}-{suffix}", host_config=host
            )
            made.append(created["Id"])
            api.start(created["Id"])

    began = time.monotonic()
    try:
        with ThreadPoolExecutor(ENGINE_THREADS) as pool:
            list(pool.map(one, range(PODS)))
        return time.monotonic() - began
    finally:
        with ThreadPoolExecutor(ENGINE_THREADS) as pool:
            list(pool.map(lambda i: api.remove_container(i, force=True), made))


def main() -> None:
    print(machine.line())
    if os.geteuid() != 0:
        print("real containers need root: left out")
        return
    for runtime in RUNTIMES:
        one = One(runtime)
        try:
            if not one.up():
                print(f"{runtime}: does not run here, left out")
                continue
            took = one.fill()
            share, memory = one.rest()
        finally:
            one.down()
        print(f"{runtime}: {PODS} pods created to Ready {took:29.2f} s    (bar {READY_BAR:g})")
        if runtime == "docker":
            print(f"docker: the engine alone, the same containers {engine_alone():17.2f} s")
        print(f"{runtime}: node process at rest, share of a core {share:19.4f}      (bar {CORE_BAR:g})")
        print(f"{runtime}: node process at rest, proportional memory {memory:14.1f} MiB  (bar {MEMORY_BAR:g})")


if __name__ == "__main__":
    main()
