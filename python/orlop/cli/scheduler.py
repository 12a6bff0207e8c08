"""`orlop scheduler`: a scheduler alone."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock
from orlop.cluster.leading import led
from orlop.cluster.settings import SettingsError

if TYPE_CHECKING:
    from orlop.scheduler.config import Settings
    from orlop.scheduler.plugins import Loaded


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
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a Python plug-in, enabled unless --config says otherwise; may be repeated, and packages may offer some",
    )
    parser.add_argument(
        "--scheduler-name",
        action="append",
        default=None,
        metavar="NAME",
        help="the spec.schedulerName it works for; may be repeated (default: default-scheduler); not with --config",
    )


def run(arguments: argparse.Namespace) -> int:
    from orlop.scheduler.plugins import points
    from orlop.scheduler.scheduler import Scheduler

    plugins = found_plugins(arguments)
    settings = configured(arguments, points(plugins))

    async def work(client: Client, clock: Clock) -> None:
        elected = settings.leader_election
        if elected is not None:
            await Scheduler(client, clock, settings=settings, plugins=plugins, leader_elect=elected.enabled).run()
        else:
            await led(
                arguments, client, clock, lambda: Scheduler(client, clock, settings=settings, plugins=plugins).run()
            )

    return component.run(arguments, "scheduler", work)


def found_plugins(arguments: argparse.Namespace) -> "dict[str, Loaded]":
    """The Python plug-ins that there are. Raises SettingsError."""
    from orlop.scheduler.plugins import PluginNotFound, load

    sys.path.insert(0, "")  # `orlop` is a script: the folder that it is started in is not among those looked through
    try:
        return load(arguments.plugin)
    except PluginNotFound as error:
        raise SettingsError(f"--plugin {error}") from error


def configured(arguments: argparse.Namespace, known: Mapping[str, Iterable[str]]) -> "Settings":
    """The scheduler's settings; `known` are the extension points of Python plug-ins. Raises SettingsError."""
    from orlop.scheduler import config

    if arguments.config is None:
        names = arguments.scheduler_name or [config.DEFAULT_NAME]
        return config.Settings(tuple(config.standard(name, known) for name in names))
    if arguments.scheduler_name:
        raise SettingsError("--scheduler-name: with --config, the profiles say what names there are")
    try:
        return config.load(arguments.config, known)
    except (OSError, config.ConfigurationError) as error:
        raise SettingsError(f"--config {arguments.config}: {error}") from error
