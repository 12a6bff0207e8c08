"""Which variant of an image a machine takes."""

import platform
from typing import Any

import pytest

from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import platforms


def entry(text: str) -> dict[str, Any]:
    system, architecture, *variant = text.split("/")
    found = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
    return {"digest": text, "platform": found}


@pytest.mark.parametrize(
    ("machine", "offered", "chosen"),
    [
        ("x86_64", ["linux/arm64", "linux/amd64", "windows/amd64"], "linux/amd64"),
        ("aarch64", ["linux/amd64", "linux/arm64"], "linux/arm64"),
        ("aarch64", ["linux/arm64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("armv7l", ["linux/arm", "linux/arm/v5", "linux/arm/v6", "linux/arm64/v8"], "linux/arm/v6"),
        ("armv6l", ["linux/arm/v7", "linux/arm/v5"], "linux/arm/v5"),
        ("sparc", ["linux/sparc"], "linux/sparc"),
    ],
)
def test_the_best_that_runs_here(
    monkeypatch: pytest.MonkeyPatch, machine: str, offered: list[str], chosen: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert platforms.choose([entry(text) for text in offered], "it")["digest"] == chosen


def test_none_that_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "armv6l")
    with pytest.raises(ImageFailure, match=r"linux/arm/v6; it has linux/amd64, linux/arm/v7"):
        platforms.choose([entry("linux/arm/v7"), entry("linux/amd64"), {"platform": {"os": "unknown"}}], "it")
    with pytest.raises(ImageFailure, match="it has none"):
        platforms.choose([], "it")


def test_one_that_says_nothing_is_taken() -> None:
    assert platforms.choose([{"digest": "x"}], "it")["digest"] == "x"
