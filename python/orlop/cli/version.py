"""`orlop version`."""

import argparse
import platform

KUBERNETES = "v1.37.0"
"""The API that is spoken."""


def add_arguments(parser: argparse.ArgumentParser) -> None: ...


def run(arguments: argparse.Namespace) -> int:
    from orlop.native import __version__

    print(f"orlop {__version__}, Kubernetes API {KUBERNETES}, Python {platform.python_version()}")
    return 0
