"""What all tests share: cleaning up after themselves is checked here, and skips are not taken lightly in CI."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel import tests as kernel

if TYPE_CHECKING:
    from tests.support.bothservers import Both

CI = os.environ.get("CI") == "true"


MACHINE = ("docker", "network", "root", "e2e", "kernel")
"""Marks of tests that change the machine: one worker runs them all, one after the other."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if kernel.is_inside():
        return
    kernel.take_over(items)
    for item in items:
        if any(item.get_closest_marker(mark) for mark in MACHINE):
            item.add_marker(pytest.mark.xdist_group("machine"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a test that this machine could have run must not be skipped. CI runs as root on Debian: it could."""
    report = yield
    if CI and os.geteuid() == 0 and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where it must run: {report.longrepr}"
    return report


@pytest.fixture
async def servers(tmp_path: Path) -> "AsyncIterator[Both]":
    """Upstream's API server and ours, side by side; skips where there is no Go to build upstream's with."""
    from tests.support import go
    from tests.support.bothservers import both

    try:
        async with both(tmp_path) as servers:
            yield servers
    except go.NoGo as error:
        pytest.skip(str(error))
