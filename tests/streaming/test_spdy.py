import zlib

import pytest

from orlop.streaming import spdy


def test_the_dictionary_is_the_protocols() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert zlib.adler32(spdy.DICTIONARY) == 0xE3C6A7C2


def test_two_sides_understand_each_other_however_the_bytes_are_cut() -> None:
    there, here = spdy.Framer(), spdy.Framer()
    sent = (
        there.open(1, {"streamType": "error", "port": "80", "requestID": "0"})
        + there.open(3, {"streamType": "data", "port": "80", "requestID": "0"})
        + there.data(3, b"hello")
        + there.data(3, b"", fin=True)
        + there.reset(1)
        + there.ping(7)
    )
    seen = [event for i in range(0, len(sent), 5) for event in here.feed(sent[i : i + 5])]
    assert seen == [
        spdy.Opened(1, {"streamtype": "error", "port": "80", "requestid": "0"}),
        spdy.Opened(3, {"streamtype": "data", "port": "80", "requestid": "0"}),
        spdy.Data(3, b"hello", False),
        spdy.Data(3, b"", True),
        spdy.Reset(1),
        spdy.Pinged(7),
    ]
    answers = here.reply(1) + here.reply(3) + here.data(3, b"hi") + here.goaway(3)
    assert there.feed(answers) == [spdy.Replied(1), spdy.Replied(3), spdy.Data(3, b"hi", False), spdy.Ended()]


@pytest.mark.parametrize("data", [b"\x80\x02\x00\x01\x00\x00\x00\x00", b"\x80\x03\x00\x01\x00\x00\x00\x02ab"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(spdy.SpdyError):
        spdy.Framer().feed(data)


def test_headers_that_never_end_are_refused() -> None:
    there = spdy.Framer()
    bomb = there.open(1, {"x": "y" * (spdy.MAX_HEADERS + 1)})
    with pytest.raises(spdy.SpdyError, match="longer"):
        spdy.Framer().feed(bomb)
