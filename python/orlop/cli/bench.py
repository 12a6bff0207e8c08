"""`orlop bench`: how much work the API server does for a second of CPU, beside a peer if there is one."""

import argparse
import asyncio
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

START_SECONDS = 180.0
"""An API server is ready in one, on a machine with nothing else to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="those to run; none: list them")
    parser.add_argument("--all", action="store_true", help="run every scenario")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="times each is run, servers in turn")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="all sizes times this")
    parser.add_argument("--kubeconfig", default=None, metavar="FILE", help="a running server instead of a new one")
    parser.add_argument("--pids", type=_pids, default=[], metavar="PID,…", help="its processes, whose CPU is counted")
    parser.add_argument("--peer-kubeconfig", default=None, metavar="FILE", help="a server to compare with")
    parser.add_argument("--peer-pids", type=_pids, default=[], metavar="PID,…", help="its processes")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures")
    parser.add_argument("--plot", type=Path, default=None, metavar="FILE", help="draw them (SVG)")


def _pids(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def run(arguments: argparse.Namespace) -> int:
    import msgspec
    import yaml

    from orlop.bench import bars, report
    from orlop.bench.machine import line as machine
    from orlop.client.kubeconfig import KubeconfigError

    scenarios: dict[str, Any] = yaml.safe_load(
        resources.files("orlop.bench").joinpath("scenarios.yaml").read_text(encoding="utf-8")
    )
    names = list(scenarios) if arguments.all else arguments.scenarios
    unknown = [name for name in names if name not in scenarios]
    if unknown:
        print(f"orlop bench: no such scenario: {', '.join(unknown)}", file=sys.stderr)
        return 2
    if not names:
        print("\n".join(report.listed(scenarios)))
        print("\nRun some: orlop bench NAME…; all, which takes a quarter of an hour and more: orlop bench --all")
        return 0
    wrong = [
        f"--{config} needs --{pids}".replace("_", "-")
        for config, pids in (("kubeconfig", "pids"), ("peer_kubeconfig", "peer_pids"))
        if getattr(arguments, config) and not getattr(arguments, pids)
    ]
    if wrong:
        print(f"orlop bench: {'; '.join(wrong)}: CPU is what is measured", file=sys.stderr)
        return 2
    print(machine())
    runs: dict[str, Any] = {}
    failed: dict[str, str] = {}

    def told(name: str) -> None:
        done = {name: runs[name]}
        print("\n".join(report.lines(done, scenarios) + bars.lines(done, scenarios)), flush=True)

    try:
        asyncio.run(_all(arguments, {name: scenarios[name] for name in names}, runs, failed, told))
    except (KubeconfigError, OSError, RuntimeError) as error:
        print(f"orlop bench: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    if arguments.json is not None:
        figures = {"machine": machine(), "scale": arguments.scale, "scenarios": scenarios, "runs": runs}
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures), indent=2) + b"\n")
    if arguments.plot is not None:
        arguments.plot.write_text(report.plot(runs, scenarios, machine()))
    return 1 if failed else 0


async def _all(
    arguments: argparse.Namespace,
    scenarios: dict[str, Any],
    runs: dict[str, Any],
    failed: dict[str, str],
    told: Callable[[str], None],
) -> None:
    """Runs them one after the other; `told` is called after each. One that fails ends none of the others."""
    from orlop.bench import fresh
    from orlop.bench.http import Target
    from orlop.bench.process import Processes
    from orlop.bench.work import Load

    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    lasting: list[Load] = []
    # Ended from outside, it ends its server too, and leaves nothing behind.
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    process: subprocess.Popen[bytes] | None = None
    try:
        if arguments.kubeconfig is None:
            process = await asyncio.to_thread(_start, folder)
            own = Load(Target.of(str(folder / "admin")), Processes([process.pid]))
        else:
            own = Load(Target.of(arguments.kubeconfig), Processes(arguments.pids))
            lasting.append(own)
        loads = {"orlop": own}
        if arguments.peer_kubeconfig is not None:
            loads["peer"] = Load(Target.of(arguments.peer_kubeconfig), Processes(arguments.peer_pids))
            lasting.append(loads["peer"])
        for load in loads.values():
            await load.prepare()
        for name, sizes in scenarios.items():
            servers = ["orlop"] if sizes["work"] in fresh.WORKS else list(loads)
            results: dict[str, list[dict[str, float]]] = {server: [] for server in servers}
            for _ in range(arguments.runs):
                for server in [one for one in servers if one in results]:
                    try:
                        results[server].append(await _one(loads[server], sizes, arguments.scale))
                    except Exception as error:
                        failed[f"{name} {server}"] = why = _why(error)
                        del results[server]  # the other's figures stand by themselves
                        print(f"{name:<17} {server:<7} failed: {why}", flush=True)
            if results:
                runs[name] = results
                told(name)
    finally:
        for load in lasting:
            try:
                await load.clean()
            except (OSError, TimeoutError) as error:
                print(f"orlop bench: namespace {load.namespace} is left behind: {_why(error)}", file=sys.stderr)
        if process is not None:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait)
        await asyncio.to_thread(shutil.rmtree, folder)


def _why(error: BaseException) -> str:
    """What went wrong, where several tasks of a load ended by it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split()) or type(error).__name__


async def _one(load: Any, sizes: dict[str, Any], scale: float) -> dict[str, float]:
    from orlop.bench import beside, fresh, report, watches, work

    given = {k: v for k, v in sizes.items() if k not in report.NO_SIZES}
    for size in ("objects", "watchers", "events", "leases"):
        if size in given:
            given[size] = max(1, round(given[size] * scale))
    load.one.close()  # a server may have ended it while the other one worked
    name = sizes["work"]
    works = work.WORKS | watches.WORKS | beside.WORKS
    result = await (fresh.WORKS[name](**given) if name in fresh.WORKS else works[name](load, **given))
    told = {
        "per_cpu_second": result.per_cpu_second,
        "count": result.count,
        "seconds": result.seconds,
        "CPU seconds": result.cpu,
    }
    if result.late:
        late = sorted(result.late)
        told |= {"p50 ms": statistics.median(late), "p99 ms": late[len(late) * 99 // 100]}
    return told | result.more


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    """An API server of our own in an empty folder, ready."""
    import time

    command = [sys.executable, "-m", "orlop.cli.main", "apiserver", f"--data-dir={folder}", "--secure-port=0"]
    # A session of its own, as services have, so that the kernel's autogroups give it its share beside other work.
    process = subprocess.Popen(
        [*command, f"--write-kubeconfig={folder}/admin"], stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "admin").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError("the API server did not start")
        time.sleep(0.02)
    return process
