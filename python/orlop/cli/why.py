"""`orlop why`: why a pod is not running, and the smallest change that would place it."""

import argparse
import sys

from orlop.cli import reach, terms

EXPLAINED = """
reads the cluster through your kubeconfig and asks the scheduler's own core, without writing anything. It works with any
Kubernetes API server; with orlop's scheduler it explains the very state of the last decision.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"It {' '.join(EXPLAINED.split())}"
    parser.add_argument("pod", metavar="POD", help="the pod's name, also as NAMESPACE/NAME")
    reach.add_arguments(parser)
    terms.add_arguments(parser)
    parser.add_argument(
        "--node", default=None, metavar="NAME", help="only this node: all that speaks for or against it"
    )
    parser.add_argument("--now", action="store_true", help="the present state, not that of the last decision")
    parser.add_argument("--changes", type=int, default=5, metavar="N", help="how many changes to tell, at most")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="for people or for programs")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from orlop.cli import whytext
    from orlop.client.client import Client
    from orlop.scheduler.explain.answers import NoSuchNode, why, why_node
    from orlop.scheduler.explain.results import Why, WhyNode

    given = terms.of(arguments)

    async def work(client: Client, namespace: str) -> Why | WhyNode:
        where = reach.pod_of(arguments.pod, namespace)
        if arguments.node is not None:
            return await why_node(
                client, *where, arguments.node, changes=arguments.changes, now=arguments.now, terms=given
            )
        return await why(client, *where, changes=arguments.changes, now=arguments.now, terms=given)

    try:
        found = reach.run(arguments, work)
    except NoSuchNode as error:
        print(f"orlop why: {error}", file=sys.stderr)
        return 1
    if arguments.output == "json":
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        return 0
    style = whytext.Style()
    print("\n".join(whytext.node(found, style) if isinstance(found, WhyNode) else whytext.why(found, style)))
    return 0
