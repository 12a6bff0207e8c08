"""`orlop status`: what runs."""

import argparse
import sys

import msgspec

from orlop.cli import options
from orlop.clock import SystemClock
from orlop.cluster import launch
from orlop.cluster.pressure import under_pressure
from orlop.cluster.settings import Settings, SettingsError
from orlop.cluster.supervisor import State


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_cluster(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="for people or for programs")


def run(arguments: argparse.Namespace) -> int:
    settings = options.cluster(arguments)
    state = launch.running(settings)
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.encode({"settings": settings, "state": state}, enc_hook=str) + b"\n")
    elif state is None:
        print(f"cluster {settings.name!r} in {settings.data_dir} is down; `orlop up` starts it")
    else:
        tell(settings, state)
    return 0 if state is not None else 1


def tell(settings: Settings, state: State) -> None:
    now = SystemClock().now()
    print(
        f"cluster {settings.name!r} at {state.server}, up for {int(now - state.started)} s, data in {settings.data_dir}"
    )
    print(f"{'COMPONENT':<12} {'PID':>7} {'RESTARTS':>8}  {'MEMORY':>9}  STATE")
    for child in state.children.values():
        memory = f"{proportional_mib(child.pid):.1f} MiB" if child.pid else "-"
        idle = child.problem or ("waiting to be started again" if child.wanted else "stopped")
        text = child.ready or ("starting" if child.pid else idle)
        print(f"{child.name:<12} {child.pid or '-':>7} {child.restarts:>8}  {memory:>9}  {text}")
    for lack in lacks(settings):
        print(f"missing: {lack}")
    for pressure in under_pressure(settings):
        print(f"pressure: {pressure}")


def lacks(settings: Settings) -> list[str]:
    """What this machine's runtime cannot do, as this user."""
    from orlop.cluster.runtimes import choose_runtime, native_lacks

    try:
        kind = choose_runtime(settings)
    except SettingsError as error:
        return [str(error)]
    if kind == "hollow" and settings.runtime == "auto":
        return ["real containers need root (try sudo), so nodes are simulated; --runtime native runs plain processes"]
    return native_lacks(settings) if kind == "native" else []


def proportional_mib(pid: int) -> float:
    """The process's proportional set size (PSS), the store's mapped pages included."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as table:
            for line in table:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
