"""Random UUIDs are what the standard library takes for such."""

import os
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


def test_a_child_does_not_draw_its_parents_uuids() -> None:
    clock = SystemClock()
    clock.uuid()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, clock.uuid().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 36).decode() != clock.uuid()
    os.close(reader)
    os.close(writer)
