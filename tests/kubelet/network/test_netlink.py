"""Our rtnetlink beside what `ip` says, in network namespaces made for it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orlop.clock import SystemClock
from orlop.kubelet.network import netns
from orlop.kubelet.network.netlink import MAIN_TABLE, SCOPE_LINK, Netlink, Route

pytestmark = pytest.mark.root


@pytest.fixture
def spaces() -> Iterator[tuple[str, str]]:
    made = tuple(f"/run/netns/orlop-test-{SystemClock().uuid()[:8]}" for _ in range(2))
    for path in made:
        netns.create(path)
    yield made[0], made[1]
    for path in made:
        netns.remove(path)
        assert not Path(path).exists()


def ip(path: str, *words: str) -> Any:
    out = subprocess.run(["ip", "-json", "-details", "-n", Path(path).name, *words], capture_output=True, check=True)
    return json.loads(out.stdout)


def test_links_addresses_and_routes_are_as_ip_shows_them(spaces: tuple[str, str]) -> None:
    here, there = spaces

    def build() -> list[Route]:
        with Netlink() as netlink:
            netlink.add_bridge("br-t", "0a:58:0a:00:00:01")
            netlink.add_veth("cable", "eth0", there, 1400)
            bridge, cable = netlink.need("br-t"), netlink.need("cable")
            netlink.set_link(bridge.index, up=True)
            netlink.set_link(cable.index, up=True, mtu=1400, master=bridge.index, alias="of a test")
            netlink.set_hairpin(cable.index)
            netlink.add_address(bridge.index, "10.9.0.1", 24)
            netlink.add_address(bridge.index, "fd00:9::1", 64)
            with pytest.raises(FileExistsError):
                netlink.add_address(bridge.index, "10.9.0.1", 24)
            netlink.add_route(bridge.index, "10.8.0.0/16", "10.9.0.7", protocol=79)
            netlink.add_route(bridge.index, "10.8.0.0/16", "10.9.0.8", protocol=79, replace=True)
            netlink.add_route(bridge.index, "fd00:8::/64", "fd00:9::7", protocol=79)
            netlink.add_route(bridge.index, "10.7.0.1/32", scope=SCOPE_LINK)
            netlink.add_route(bridge.index, gateway="10.9.0.9")
            assert netlink.need("br-t").address == "0a:58:0a:00:00:01"
            assert netlink.need("cable").master == bridge.index
            assert {a.address for a in netlink.addresses(bridge.index) if a.scope == 0} == {"10.9.0.1", "fd00:9::1"}
            return [r for r in netlink.routes() if r.table == MAIN_TABLE]

    routes = netns.inside(here, build)
    told = {r.destination: (r.gateway, r.protocol) for r in routes}
    assert told["10.8.0.0/16"] == ("10.9.0.8", 79)
    assert told["fd00:8::/64"] == ("fd00:9::7", 79)
    assert told[""] == ("10.9.0.9", 4)
    assert {r["dst"] for r in ip(here, "-4", "route")} == {"default", "10.7.0.1", "10.8.0.0/16", "10.9.0.0/24"}
    [cable] = ip(here, "link", "show", "cable")
    assert (cable["mtu"], cable["master"], cable["ifalias"]) == (1400, "br-t", "of a test")
    assert cable["linkinfo"]["info_slave_data"]["hairpin"] is True
    [eth0] = ip(there, "link", "show", "eth0")
    assert eth0["mtu"] == 1400

    def clear() -> None:
        with Netlink() as netlink:
            index = netlink.need("br-t").index
            netlink.delete_route(index, "10.8.0.0/16", protocol=79)
            assert "10.8.0.0/16" not in {r.destination for r in netlink.routes()}
            netlink.delete_link(netlink.need("cable").index)
            assert netlink.link("cable") is None
            with pytest.raises(OSError, match="no link cable"):
                netlink.need("cable")

    netns.inside(here, clear)


def test_a_long_dump_is_read_whole(spaces: tuple[str, str]) -> None:
    """More routes than fit into one answer of the kernel's."""

    def build() -> int:
        with Netlink() as netlink:
            index = netlink.need("lo").index
            netlink.set_link(index, up=True)
            for i in range(2000):
                netlink.add_route(index, f"10.{i // 256}.{i % 256}.0/24", scope=SCOPE_LINK, protocol=79)
            return sum(r.protocol == 79 for r in netlink.routes())

    assert netns.inside(spaces[0], build) == 2000
