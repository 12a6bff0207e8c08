"""How a command that asks an API server reaches it: by a kubeconfig, as kubectl does."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orlop.client.client import Client

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which cluster, and which namespace of it."""
    parser.add_argument(
        "-n", "--namespace", default=None, metavar="NAME", help="the pod's namespace (default: the context's)"
    )
    parser.add_argument(
        "--kubeconfig", default=None, metavar="FILE", help="how to reach the API server (default: as kubectl)"
    )
    parser.add_argument(
        "--context", default=None, metavar="NAME", help="the kubeconfig's context (default: the current)"
    )


def run(arguments: argparse.Namespace, work: Callable[[Client, str], Awaitable[T]]) -> T:
    """What `work` gives for a client and the namespace meant. Raises KubeconfigError, ApiError."""
    from orlop.client import kubeconfig
    from orlop.client.tls import TLSTransport
    from orlop.clock import SystemClock

    settings = kubeconfig.load(arguments.kubeconfig, arguments.context)
    clock = SystemClock()

    async def main() -> T:
        client = Client(TLSTransport(settings, clock), clock=clock, user_agent=f"orlop-{arguments.command}")
        try:
            return await work(client, arguments.namespace or settings.namespace or "default")
        finally:
            await client.close()

    return asyncio.run(main())


def pod_of(text: str, namespace: str) -> tuple[str, str]:
    """Namespace and name: `web-0`, `pod/web-0` and `shop/web-0` are all understood."""
    where, slash, name = text.rpartition("/")
    if not slash or where in ("pod", "pods", "po"):
        return namespace, name
    return where, name
