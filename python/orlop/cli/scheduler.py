"""`orlop scheduler`: a scheduler alone."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock
from orlop.cluster.leading import led
from orlop.cluster.settings import SettingsError

if TYPE_CHECKING:
    from orlop.scheduler.config import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_component(parser)
    parser.add_argument(
        "--config",
        type=Path,
        default=None,
        metavar="FILE",
        help="a KubeSchedulerConfiguration (v1): profiles, plug-ins, extenders, times; its leaderElection counts then",
    )
    options.add_leader_election(parser, "kube-scheduler")
    parser.add_argument(
        "--scheduler-name",
        action="append",
        default=None,
        metavar="NAME",
        help="the spec.schedulerName it works for; may be repeated (default: default-scheduler); not with --config",
    )


def run(arguments: argparse.Namespace) -> int:
    from orlop.scheduler.scheduler import Scheduler

    settings = configured(arguments)

    async def work(client: Client, clock: Clock) -> None:
        elected = settings.leader_election
        if elected is not None:
            await Scheduler(client, clock, settings=settings, leader_elect=elected.enabled).run()
        else:
            await led(arguments, client, clock, lambda: Scheduler(client, clock, settings=settings).run())

    return component.run(arguments, "scheduler", work)


def configured(arguments: argparse.Namespace) -> "Settings":
    """The scheduler's settings. Raises SettingsError."""
    from orlop.scheduler import config

    if arguments.config is None:
        names = arguments.scheduler_name or [config.DEFAULT_NAME]
        return config.Settings(tuple(config.standard(name) for name in names))
    if arguments.scheduler_name:
        raise SettingsError("--scheduler-name: with --config, the profiles say what names there are")
    try:
        return config.load(arguments.config)
    except (OSError, config.ConfigurationError) as error:
        raise SettingsError(f"--config {arguments.config}: {error}") from error
