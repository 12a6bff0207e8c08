"""`orlop kubeconfig`: prints the admin kubeconfig, or merges it into the user's."""

import argparse
import sys

from orlop.cli import options
from orlop.cluster.kubectl import use_context


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_cluster(parser)
    parser.add_argument("--merge", action="store_true", help="merge it into your kubeconfig instead of printing it")


def run(arguments: argparse.Namespace) -> int:
    settings = options.cluster(arguments)
    if arguments.merge:
        print(f"context {settings.name!r} is in {use_context(settings)}")
    else:
        sys.stdout.write(settings.kubeconfig("admin").read_text(encoding="utf-8"))
    return 0
