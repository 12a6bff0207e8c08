"""`orlop why-here`: why a placed pod is on its node."""

import argparse
import sys

from orlop.cli import reach, terms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Each node's total is the sum of score × weight over the plug-ins. The highest total wins, among equals the "
        "lot. `orlop why POD --node NAME` tells what spoke against another node."
    )
    parser.add_argument("pod", metavar="POD", help="the pod's name, also as NAMESPACE/NAME")
    reach.add_arguments(parser)
    terms.add_arguments(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="for people or for programs")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from orlop.cli import whytext
    from orlop.client.client import Client
    from orlop.scheduler.explain.answers import NotPlaced, why_here
    from orlop.scheduler.explain.results import WhyHere

    given = terms.of(arguments)

    async def work(client: Client, namespace: str) -> WhyHere:
        return await why_here(client, *reach.pod_of(arguments.pod, namespace), terms=given)

    try:
        found = reach.run(arguments, work)
    except NotPlaced as error:
        print(f"orlop why-here: {error}", file=sys.stderr)
        return 1
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    else:
        print("\n".join(whytext.here(found, whytext.Style())))
    return 0
