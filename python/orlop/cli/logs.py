"""`orlop logs`: the components' logs."""

import argparse
import os
import sys

from orlop.cli import options
from orlop.cluster import launch
from orlop.cluster.settings import SettingsError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_cluster(parser)
    parser.add_argument("component", nargs="?", help="apiserver, manager, node or supervisor (default: all)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("--tail", type=int, default=50, metavar="LINES", help="lines of each from the end")


def run(arguments: argparse.Namespace) -> int:
    files = launch.log_files(options.cluster(arguments))
    if arguments.component:
        if arguments.component not in files:
            raise SettingsError(f"no log of {arguments.component!r}; there are: {', '.join(files) or 'none'}")
        files = {arguments.component: files[arguments.component]}
    if not files:
        raise SettingsError("there are no logs yet")
    command = ["tail", f"--lines={arguments.tail}"]
    if arguments.follow:
        command.append("--follow=name")
    sys.stdout.flush()
    os.execvp("tail", [*command, *(str(path) for path in files.values())])
