"""`orlop COMMAND`: the list of commands, and how a failure is told."""

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence

COLLECT_AFTER = 20_000
"""Objects that may be made before the collector looks for cycles: what is imported stays, and to look at all of it
again and again is a tenth of a start."""

COMMANDS = {
    "up": "start a cluster in the background",
    "down": "stop a cluster and leave nothing of it running",
    "status": "what runs, and since when",
    "node": "list, stop, start or kill the nodes of a cluster",
    "kubeconfig": "print the admin kubeconfig of a cluster",
    "why": "why a pod is not running, and the smallest change that would place it",
    "why-here": "why a placed pod is on its node: scores beside the next best",
    "plan": "where the pods of a manifest would go, without writing anything",
    "logs": "print or follow the logs of a cluster's components",
    "image": "the images of the embedded runtime: load, pull, list, remove",
    "store": "check, back up, restore and look into a cluster's store",
    "bench": "measure an API server, beside a peer if there is one",
    "envtest": "write the programs that controller-runtime's envtest starts",
    "version": "print the versions",
    "apiserver": "run an API server alone",
    "scheduler": "run a scheduler against an API server",
    "controller-manager": "run controllers against an API server",
    "kubelet": "run a node's agent against an API server",
    "proxy": "run a service proxy against an API server",
    "dns": "run a node's DNS server against an API server",
    "networkpolicy": "hold a node's pods to the NetworkPolicies of an API server",
    "net": "where connections to Services go on this node, and why one does not arrive",
}
"""Each is the module `orlop.cli.<name>` with `add_arguments(parser)` and `run(arguments) -> exit code`."""


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Names a default where there is one to name."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def parser(command: str | None) -> argparse.ArgumentParser:
    """The parser; only the module of the command that is run is imported."""
    top = argparse.ArgumentParser(
        prog="orlop",
        description="A Kubernetes-compatible container orchestrator.",
        epilog="`orlop COMMAND --help` tells more about each.",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help_text in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            formatter_class=Help,
        )
        if name == command:
            module(name).add_arguments(sub)
    return top


def module(name: str) -> "Command":
    """The module of a command."""
    return importlib.import_module("orlop.cli." + name.replace("-", "_"))  # type: ignore[return-value]


class Command:
    """What a command's module looks like."""

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None: ...

    @staticmethod
    def run(arguments: argparse.Namespace) -> int:
        raise TypeError("a command is a module")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 1: it failed; 2: the command line is wrong."""
    gc.set_threshold(COLLECT_AFTER)
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((w for w in words if not w.startswith("-")), None)
    arguments = parser(command if command in COMMANDS else None).parse_args(words)
    try:
        return module(arguments.command).run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except Exception as error:
        from orlop.cluster.failures import fatal

        message = fatal(error) or expected(error)
        if message is None:
            raise
        print(f"orlop {arguments.command}: {message}", file=sys.stderr)
        return 1


def expected(error: Exception) -> str | None:
    """The message of an error whose text is meant for a person."""
    from orlop.api.errors import ApiError
    from orlop.client.kubeconfig import KubeconfigError

    return str(error) if isinstance(error, KubeconfigError | ApiError) else None


if __name__ == "__main__":
    sys.exit(main())
