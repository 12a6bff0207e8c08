"""`orlop down`: stops a cluster and takes away what it made on this machine."""

import argparse
import asyncio
import shutil
import sys

from orlop.cli import options
from orlop.client.kubeconfig import KubeconfigError
from orlop.cluster import launch
from orlop.cluster.cleanup import clean_nodes
from orlop.cluster.kubectl import forget_context
from orlop.cluster.settings import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_cluster(parser)
    parser.add_argument("--purge", action="store_true", help="also delete the cluster's objects, keys and logs")


def run(arguments: argparse.Namespace) -> int:
    folder = options.data_dir(arguments)
    settings = load(folder)
    if settings is None:
        print(f"there is no cluster {arguments.name!r} in {folder}")
        return 0
    ran = launch.stop(settings)
    asyncio.run(clean_nodes(settings))
    try:
        forget_context(settings)
    except KubeconfigError as error:  # the user's file may be anything; the cluster goes all the same
        print(f"orlop down: context {settings.name!r} stays in the kubeconfig: {error}", file=sys.stderr)
    if arguments.purge:
        shutil.rmtree(folder)
        print(f"cluster {settings.name!r} is gone, with everything in {folder}")
    elif ran:
        print(f"cluster {settings.name!r} is down; its objects are kept in {folder} (--purge deletes them)")
    else:
        print(f"cluster {settings.name!r} was not running")
    return 0
