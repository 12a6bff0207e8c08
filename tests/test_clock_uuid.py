"""Random UUIDs are what the standard library takes for such."""

import uuid

from orlop.clock import SystemClock


def test_uuids_are_of_version_4_and_differ() -> None:
    clock = SystemClock()
    texts = {clock.uuid() for _ in range(1000)}
    assert len(texts) == 1000
    for text in texts:
        read = uuid.UUID(text)
        assert str(read) == text
        assert (read.version, read.variant) == (4, uuid.RFC_4122)
