"""`orlop up --proxy-mode`: what the machine lacks for a mode is said at the start, by the mode's own check."""

import asyncio
import os
from pathlib import Path

import pytest

from orlop.cli import up
from orlop.cluster.runtimes import lacking_proxy_modes, proxy_config
from orlop.cluster.settings import Settings, SettingsError, load

pytestmark = [pytest.mark.root]

HAS_IPVS = os.path.exists("/proc/net/ip_vs")


def settings(folder: Path, mode: str) -> Settings:
    return Settings(data_dir=folder, name="modes", node_name="here", proxy_mode=mode)


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("rules need root")


def test_a_mode_that_works_lacks_nothing_and_is_the_nodes(tmp_path: Path) -> None:
    one = settings(tmp_path, "nftables,ipvs")
    assert asyncio.run(lacking_proxy_modes(one)) == {}
    assert proxy_config(one, "here").proxy_modes == ("nftables", "ipvs")
    one.save()
    kept = load(tmp_path)
    assert kept is not None
    assert kept.proxy_mode == "nftables,ipvs"


@pytest.mark.skipif(HAS_IPVS, reason="this kernel has IPVS")
def test_what_is_missing_is_said_and_the_next_mode_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = asyncio.run(lacking_proxy_modes(settings(tmp_path, "ipvs,nftables")))
    assert "ip_vs" in lacking["ipvs"]
    up.warn(settings(tmp_path, "ipvs,nftables"))
    assert "the ipvs proxy cannot run here, trying the next mode" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="--proxy-mode=ipvs,nftables"):
        up.warn(settings(tmp_path, "ipvs"))


def test_an_unknown_mode_names_the_flag_and_the_modes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match='--proxy-mode: Unsupported value: "pigeon"'):
        asyncio.run(lacking_proxy_modes(settings(tmp_path, "pigeon")))
