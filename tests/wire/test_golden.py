"""Every kind of Kubernetes' own fixtures, through every media type, both ways."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.wire import golden

from orlop.native import WireError, wire_decode, wire_encode_protobuf, wire_peek

LEAST_KINDS = 190
"""v0.37.2 has 193: fewer would mean that the fixtures were not found."""


@pytest.fixture(scope="module")
def fixtures() -> Iterator[dict[str, Path]]:
    where = golden.folder()
    if isinstance(where, str):
        pytest.skip(where)
    found = golden.kinds(where)
    assert len(found) >= LEAST_KINDS
    return found


def suffixed(path: Path, suffix: str) -> bytes:
    return path.with_name(path.name + suffix).read_bytes()


def test_json_stays_as_it_is(fixtures: dict[str, Path]) -> None:
    for key, path in fixtures.items():
        body = suffixed(path, ".json")
        text, unknown, duplicate = wire_decode(key, "json", body)
        assert (json.loads(text), unknown, duplicate) == (json.loads(body), [], []), key
        assert wire_decode(key, "json", text)[0] == text, key


def test_yaml_says_the_same_as_json(fixtures: dict[str, Path]) -> None:
    for key, path in fixtures.items():
        text, unknown, duplicate = wire_decode(key, "yaml", suffixed(path, ".yaml"))
        assert (text, unknown, duplicate) == (wire_decode(key, "json", suffixed(path, ".json"))[0], [], []), key
        assert wire_peek("yaml", suffixed(path, ".yaml")) == wire_peek("json", suffixed(path, ".json")), key


def test_protobuf_says_the_same_as_json(fixtures: dict[str, Path]) -> None:
    for key, path in fixtures.items():
        wire = suffixed(path, ".pb")
        assert wire_decode(key, "protobuf", wire)[0] == wire_decode(key, "json", suffixed(path, ".json"))[0], key
        assert wire_peek("protobuf", wire) == wire_peek("json", suffixed(path, ".json")), key


def test_protobuf_is_written_byte_for_byte(fixtures: dict[str, Path]) -> None:
    for key, path in fixtures.items():
        text, _, _ = wire_decode(key, "json", suffixed(path, ".json"))
        assert wire_encode_protobuf(key, text) == suffixed(path, ".pb"), key


def test_truncated_protobuf_is_an_error_or_less(fixtures: dict[str, Path]) -> None:
    for key in ("core/v1.Pod", "apps/v1.Deployment", "rbac/v1.ClusterRole", "core/v1.Secret"):
        wire = suffixed(fixtures[key], ".pb")
        for end in range(0, len(wire), 7):
            try:
                text, _, _ = wire_decode(key, "protobuf", wire[:end])
            except WireError:
                continue
            json.loads(text)
