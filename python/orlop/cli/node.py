"""`orlop node`: what the nodes of a cluster do, and what happens when one fails."""

import argparse
import asyncio
import sys
from typing import NamedTuple

import msgspec

from orlop.cli import options
from orlop.clock import SystemClock
from orlop.cluster import launch, power
from orlop.cluster.nodes import find_node, read_states, real_nodes
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import Settings, SettingsError

ACTIONS = {
    "stop": "end a node's kubelet and proxy; its containers run on",
    "start": "bring back a node that was stopped, killed or cut off",
    "kill": "as if the machine lost its power: processes, containers and network at once",
    "cut": "pull a node's network cable",
    "heal": "plug the cable in again",
}
DONE = {"stop": "is stopped", "start": "works", "kill": "is dead", "cut": "is cut off", "heal": "is connected again"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the nodes and their state")
    options.add_cluster(listing)
    listing.add_argument("-o", "--output", choices=("text", "json"), default="text", help="for people or for programs")
    for action, help_text in ACTIONS.items():
        one = actions.add_parser(action, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        options.add_cluster(one)
        one.add_argument("node", metavar="NODE", help="its name, as `orlop node list` shows it")


def run(arguments: argparse.Namespace) -> int:
    settings = options.cluster(arguments)
    if arguments.action == "list":
        show(settings, arguments.output)
        return 0
    if choose_runtime(settings) == "hollow":
        raise SettingsError("a cluster of hollow nodes has none to act on; see --nodes of orlop up")
    if launch.running(settings) is None:
        raise SettingsError(f"cluster {settings.name!r} does not run: orlop up starts it")
    asyncio.run(act(settings, arguments.action, arguments.node))
    print(f"node {arguments.node} {DONE[arguments.action]}")
    return 0


async def act(settings: Settings, action: str, name: str) -> None:
    """One of ACTIONS on one node."""
    clock, node = SystemClock(), find_node(settings, name)
    match action:
        case "stop":
            await power.stop(settings, node, clock)
        case "start":
            await power.start(settings, node, clock)
        case "kill":
            await power.kill(settings, node, clock)
        case "cut":
            await power.cut(settings, node)
        case "heal":
            await power.heal(settings, node)


class Row(NamedTuple):
    """One node as it is shown."""

    name: str
    state: str
    pid: int
    restarts: int
    namespace: str
    addresses: list[str]


def rows(settings: Settings) -> list[Row]:
    """The real nodes. `kubectl get nodes` tells what the cluster thinks of them, and of the hollow ones."""
    running = launch.running(settings)
    states = read_states(settings)
    found = []
    for node in real_nodes(settings) if choose_runtime(settings) != "hollow" else []:
        child = running.children.get(node.component) if running is not None else None
        state = "down" if running is None else states.get(node.name, "")
        if not state:
            state = "failed" if child is None or child.problem else "running" if child.ready else "starting"
        addresses = list(node.addresses) or [settings.advertise_address]
        pid, restarts = (child.pid, child.restarts) if child is not None else (0, 0)
        found.append(Row(node.name, state, pid, restarts, node.netns, addresses))
    return found


def show(settings: Settings, output: str) -> None:
    found = rows(settings)
    if output == "json":
        sys.stdout.buffer.write(msgspec.json.encode([row._asdict() for row in found]) + b"\n")
        return
    print(f"{'NODE':<20} {'STATE':<10} {'PID':>7} {'RESTARTS':>8}  {'NETWORK NAMESPACE':<30} ADDRESSES")
    for row in found:
        where, addresses = row.namespace or "(this machine)", ",".join(row.addresses)
        print(f"{row.name:<20} {row.state:<10} {row.pid or '-':>7} {row.restarts:>8}  {where:<30} {addresses}")
    if settings.hollow:
        print(f"and {settings.hollow} hollow ones: kubectl get nodes -l type=hollow")
