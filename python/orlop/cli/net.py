"""`orlop net`: where a connection to a Service goes on this node, and why it does not arrive."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from orlop.cli import options
from orlop.clock import SystemClock

Verb = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, run: Verb, what: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        sub.add_argument(
            "--netns", default="", metavar="NAME", help="the node's network namespace, as `ip netns` has it"
        )
        options.add_cluster(sub)
        sub.set_defaults(run_verb=run)
        return sub

    asked = verb("why", why, "walk the way from a client to a Service, and name the first thing that breaks")
    asked.add_argument("source", metavar="FROM", help="[NAMESPACE/]POD, `node`, or an address")
    asked.add_argument("to", metavar="TO[:PORT]", help="SERVICE[.NAMESPACE], NAMESPACE/SERVICE, or an address")
    asked.add_argument("--kubeconfig", type=Path, metavar="FILE", help="of the cluster (default: the one by --name)")
    verb("table", table, "show the forwarding table of this node, with the connections of each backend")
    seen = verb("watch", watch, "show the connections of each backend as they come and go")
    seen.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="between two looks")
    seen.add_argument("--times", type=int, default=0, metavar="N", help="how many looks; 0 for until it is ended")


def run(arguments: argparse.Namespace) -> int:
    from orlop.proxy.backends import ProgramError, Unsupported

    try:
        work: Verb = arguments.run_verb
        return asyncio.run(work(arguments))
    except (ProgramError, Unsupported, ValueError) as error:
        print(f"orlop net {arguments.verb}: {error}", file=sys.stderr)
        return 1


async def why(arguments: argparse.Namespace) -> int:
    """Exit code 1 where something breaks."""
    from orlop.client import kubeconfig
    from orlop.client.client import Client
    from orlop.client.tls import TLSTransport
    from orlop.networkpolicy.explain import Judge
    from orlop.proxy.explain import why as walk

    path = arguments.kubeconfig or options.cluster(arguments).kubeconfig("admin")
    clock = SystemClock()
    client = Client(TLSTransport(kubeconfig.load(path), clock), clock=clock, user_agent="orlop-net")
    try:
        prefix = _prefix(arguments)
        judge = Judge(client, prefix).between
        steps = await walk.why(client, arguments.source, arguments.to, prefix=prefix, scope=arguments.name, judge=judge)
    finally:
        await client.close()
    for step in steps:
        print(f"{'✗' if step.broken else '✓'} {step.name:<10} {step.text}")
        if step.broken:
            print(f"  {'':<10} → {step.fix}")
    return int(steps[-1].broken)


async def table(arguments: argparse.Namespace) -> int:
    """Exit code 1 where nothing is programmed."""
    from orlop.proxy.explain import kernel, show

    found = await kernel.read(_prefix(arguments), arguments.name)
    if not found.modes:
        print("nothing is programmed here: no service proxy has run", file=sys.stderr)
        return 1
    print("\n".join(show.table(found.entries)))
    return 0


async def watch(arguments: argparse.Namespace) -> int:
    """What changed since the look before; all of it at first."""
    from orlop.proxy.explain import kernel, show

    clock = SystemClock()
    before: dict[show.Key, int] = {}
    looks = 0
    while True:
        now = show.connections((await kernel.read(_prefix(arguments), arguments.name)).entries)
        for line in show.moves(before, now):
            print(line, flush=True)
        before = now
        looks += 1
        if arguments.times and looks >= arguments.times:
            return 0
        await clock.sleep(arguments.interval)


def _prefix(arguments: argparse.Namespace) -> Sequence[str]:
    return ("ip", "netns", "exec", arguments.netns) if arguments.netns else ()
