"""The words of exec and attach."""

import json

import pytest

from orlop.streaming import channels
from orlop.streaming.channels import TerminalSize


def test_the_client_s_favourite_is_taken() -> None:
    assert channels.negotiate(["v9.channel.k8s.io", channels.V4, channels.V5], channels.SPDY) == channels.V4
    assert channels.negotiate(["v9.channel.k8s.io"], channels.SPDY) is None


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b'{"Width":80,"Height":24}', TerminalSize(80, 24)),
        (b"80x24", None),
        (b'{"Width":"wide"}', None),
    ],
)
def test_sizes(data: bytes, size: TerminalSize | None) -> None:
    assert channels.resize_of(data) == size


def test_last_words() -> None:
    seven = json.loads(channels.last_words(channels.V5, channels.exit_status(7)))
    assert seven["reason"] == "NonZeroExitCode"
    assert seven["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    assert json.loads(channels.last_words(channels.V4, channels.exit_status(0)))["status"] == "Success"
    # Older clients take any word on this channel for a failure.
    assert channels.last_words(channels.V3, channels.exit_status(0)) == b""
    old = channels.last_words(channels.V1, channels.exit_status(7))
    assert old == b"command terminated with non-zero exit code: exit status 7"
    failed = json.loads(channels.last_words(channels.V5, channels.failure("no runtime")))
    assert (failed["code"], failed["message"]) == (500, "Internal error occurred: no runtime")
