import os
import shutil
from collections.abc import Iterator

import pytest
from tests.networkpolicy.world import World, world
from tests.support.docker_engine import NoEngine, apt_install


@pytest.fixture(scope="session")
def machines() -> Iterator[World]:
    """Two nodes, five pods, an outside; shared, as making it takes longer than a test."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    missing = [p for program, p in {"ip": "iproute2", "nft": "nftables"}.items() if shutil.which(program) is None]
    if missing:
        try:
            apt_install(*missing)
        except NoEngine as error:
            pytest.skip(str(error))
    with world() as made:
        yield made
