import os
import shutil
from collections.abc import Iterator

import pytest
from tests.proxy.world import World, world
from tests.support.docker_engine import NoEngine, apt_install


@pytest.fixture(scope="session")
def machine() -> Iterator[World]:
    """One node, three pods, an outside; shared, as making it takes longer than a test."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    programs = {
        "ip": "iproute2",
        "nft": "nftables",
        "iptables": "iptables",
        "conntrack": "conntrack",
        "sysctl": "procps",
    }
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if missing:
        try:
            apt_install(*missing)
        except NoEngine as error:
            pytest.skip(str(error))
    with world(pods=3) as made:
        yield made
