"""`--config` and `--plugin` of commands that explain a scheduler: what it was started with."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orlop.scheduler.explain.terms import Terms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The same as those of `orlop scheduler`."""
    parser.add_argument(
        "--config",
        type=Path,
        default=None,
        metavar="FILE",
        help="the scheduler's KubeSchedulerConfiguration (v1), where it has one: its profiles, plug-ins and weights",
    )
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a Python plug-in of the scheduler; may be repeated",
    )


def of(arguments: argparse.Namespace) -> "Terms":
    """The terms that the arguments name. Raises SettingsError."""
    from orlop.cli.scheduler import configured, found_plugins
    from orlop.scheduler.explain.terms import Terms
    from orlop.scheduler.plugins import points

    arguments.scheduler_name = None
    plugins = found_plugins(arguments)
    return Terms(configured(arguments, points(plugins)), plugins)
