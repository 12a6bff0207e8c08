"""`orlop scheduler`: a scheduler alone."""

import argparse

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock
from orlop.cluster.leading import led


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_component(parser)
    options.add_leader_election(parser, "kube-scheduler")
    parser.add_argument(
        "--scheduler-name",
        action="append",
        default=None,
        metavar="NAME",
        help="the spec.schedulerName it works for; may be repeated (default: default-scheduler)",
    )


def run(arguments: argparse.Namespace) -> int:
    from orlop.scheduler.scheduler import Scheduler

    async def work(client: Client, clock: Clock) -> None:
        names = arguments.scheduler_name or ["default-scheduler"]
        await led(arguments, client, clock, lambda: Scheduler(client, clock, names=names).run())

    return component.run(arguments, "scheduler", work)
