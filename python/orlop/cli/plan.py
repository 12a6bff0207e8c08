"""`orlop plan`: where a manifest's pods would go, without writing anything."""

import argparse
import sys
from typing import Any

from orlop.cli import reach, terms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit status: 0 where every pod finds a node, 1 where some would stay Pending or the manifest is refused. It "
        "works with any Kubernetes API server."
    )
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        required=True,
        metavar="FILE",
        help="a manifest, a folder of them, or - for stdin; may be repeated",
    )
    reach.add_arguments(parser)
    terms.add_arguments(parser)
    parser.add_argument("--changes", type=int, default=3, metavar="N", help="changes to tell of each, at most")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="for people or for programs")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from orlop.cli import plantext
    from orlop.cli.whytext import Style
    from orlop.client.client import Client
    from orlop.cluster.manifests import ManifestError
    from orlop.scheduler.explain.planner import plan
    from orlop.scheduler.explain.results import Plan

    given = terms.of(arguments)

    async def work(client: Client, namespace: str) -> Plan:
        return await plan(client, objects, namespace, changes=arguments.changes, terms=given)

    try:
        objects = [obj for name in arguments.filename for obj in _read(name)]
    except (ManifestError, OSError) as error:
        print(f"orlop plan: {error}", file=sys.stderr)
        return 1
    found = reach.run(arguments, work)
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        print("\n".join(plantext.lines(found, Style())))
    return 1 if found.pending else 0


def _read(name: str) -> list[dict[str, Any]]:
    import yaml

    from orlop.cluster.manifests import ManifestError, documents

    if name != "-":
        return documents(name)
    try:
        return documents(d for d in yaml.safe_load_all(sys.stdin) if d is not None)
    except yaml.YAMLError as error:
        raise ManifestError(f"error parsing stdin: {error}") from error
