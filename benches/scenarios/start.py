"""How fast it starts and how little it costs when nothing happens.

World: an empty cluster in a fresh folder; one pod of one busybox container whose image is present.
Figures: `orlop apiserver` from exec to /readyz; `orlop.Cluster()` in a fresh process; `orlop up` to the first pod
Ready; proportional memory and CPU of the whole control plane at rest. The work is checked: an object written is read
back.
"""

import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.cluster.settings import free_port

RUNS = int(os.environ.get("ORLOP_BENCH_RUNS", "5"))
IDLE_SECONDS = float(os.environ.get("ORLOP_BENCH_IDLE", "30"))
SETTLE_SECONDS = min(10.0, IDLE_SECONDS)
KUBECTL = Path(sys.executable).parent / "kubectl"
ORLOP = [sys.executable, "-m", "orlop.cli.main"]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: first}
spec:
  containers: [{name: main, image: "orlop-hello:1", command: [sleep, "600"]}]
"""


def median(name: str, values: list[float], bar: float, unit: str = "s") -> None:
    spread = f"of {len(values)}: {min(values):.3f} … {max(values):.3f}"
    print(f"{name:<58} {statistics.median(values):8.3f} {unit}  ({spread}; bar {bar:g})")


def apiserver() -> float:
    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    port = free_port("127.0.0.1")
    began = time.monotonic()
    process = subprocess.Popen(
        [*ORLOP, "apiserver", f"--data-dir={folder}", f"--secure-port={port}", f"--write-kubeconfig={folder}/admin"],
        stderr=subprocess.DEVNULL,
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        while True:
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=context, timeout=1) as answer:
                    if answer.read() == b"ok":
                        break
            except OSError:
                time.sleep(0.002)
        took = time.monotonic() - began
        deadline = time.monotonic() + 5
        while not (folder / "admin").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        run(str(KUBECTL), f"--kubeconfig={folder}/admin", "create", "configmap", "checked", "--from-literal=a=1")
        assert (
            run(str(KUBECTL), f"--kubeconfig={folder}/admin", "get", "configmap", "checked", "-o=jsonpath={.data.a}")
            == "1"
        )
        return took
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def in_process() -> float:
    code = (
        "import time; t = time.monotonic()\n"
        "import orlop\n"
        "with orlop.Cluster() as c:\n"
        "    took = time.monotonic() - t\n"
        "    assert c.wait('node/hollow-0', 'condition=Ready', timeout=10)\n"
        "print(took)"
    )
    return float(run(sys.executable, "-c", code))


def run(*command: str, **more: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **more)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def make_image() -> None:
    """The image of the pod is present."""
    run(str(Path(__file__).parents[2] / "scripts" / "hello-image"), "docker")


def whole() -> tuple[float, float, float]:
    """(seconds from `orlop up` to the first pod Ready, MiB, share of a core at rest)"""
    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    env = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
    name = f"bench-{os.getpid()}"
    common = ["--name", name, "--data-dir", str(folder / "data")]
    try:
        began = time.monotonic()
        run(
            *ORLOP,
            "up",
            *common,
            "--runtime=docker",
            "--secure-port=0",
            "--pod-cidr=10.233.0.0/16",
            "--service-cidr=10.234.0.0/16",
            env=env,
        )
        run(str(KUBECTL), "apply", "-f", "-", env=env, input=POD)
        run(str(KUBECTL), "wait", "--for=condition=Ready", "pod/first", "--timeout=30s", env=env)
        took = time.monotonic() - began
        run(str(KUBECTL), "delete", "pod", "first", "--grace-period=0", "--force", env=env)
        time.sleep(SETTLE_SECONDS)
        import json

        state = json.loads(run(*ORLOP, "status", *common, "-o", "json", env=env))["state"]
        pids = [state["pid"], *(c["pid"] for c in state["children"].values())]
        cpu = sum(machine.cpu_seconds(p) for p in pids)
        time.sleep(IDLE_SECONDS)
        share = (sum(machine.cpu_seconds(p) for p in pids) - cpu) / IDLE_SECONDS
        memory = sum(machine.proportional_mib(p, without="data.mdb") for p in pids)
        return took, memory, share
    finally:
        run(*ORLOP, "down", *common, "--purge", env=env)
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    print(machine.line())
    median("orlop apiserver: exec to /readyz ok", [apiserver() for _ in range(RUNS)], 0.7)
    median("orlop.Cluster(): import to ready, one hollow node", [in_process() for _ in range(RUNS)], 1.0)
    if os.geteuid() != 0:
        print("the whole cluster with real containers needs root: left out")
        return
    if reason := machine.without_engine():
        print(f"the whole cluster with real containers: left out, {reason}")
        return
    make_image()
    results = [whole() for _ in range(max(1, RUNS // 2))]
    median("orlop up to first pod Ready, image present", [r[0] for r in results], 3.0)
    median("whole control plane at rest, PSS without LMDB's pages", [r[1] for r in results], 120, "MiB")
    median("whole control plane at rest, share of a core", [100 * r[2] for r in results], 1.0, "%")


if __name__ == "__main__":
    main()
