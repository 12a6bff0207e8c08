import os
import shutil
from collections.abc import Iterator

import pytest
from tests.proxy.world import World, world


@pytest.fixture(scope="session")
def machine() -> Iterator[World]:
    """One node, three pods, an outside; shared, as making it takes longer than a test."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("conntrack", "conntrack")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (package {package})")
    with world(pods=3) as made:
        yield made
