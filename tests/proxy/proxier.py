"""A proxier's process, to be killed: `python -m tests.proxy.proxier MODE NAMESPACE ADDRESS…` serves 10.96.0.10:80."""

import asyncio
import sys

from tests.proxy.objects import endpoint_slice, service
from tests.proxy.world import POD_CIDR

from orlop.clock import SystemClock
from orlop.native import ForwardTable
from orlop.proxy.backends import make
from orlop.proxy.config import ProxyConfig


async def main(mode: str, namespace: str, addresses: list[str]) -> None:
    config = ProxyConfig(hostname_override="here", proxy_mode=mode, cluster_cidr=POD_CIDR)
    backend = make(config, ("ip", "netns", "exec", namespace))
    table = ForwardTable("here")
    table.apply_service(service("web", ["10.96.0.10"]))
    table.apply_slice(endpoint_slice("web", addresses))
    await backend.check()
    await backend.sync(table.difference([]).set)
    print("programmed", flush=True)
    await asyncio.gather(backend.tend(SystemClock()), asyncio.Event().wait())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
