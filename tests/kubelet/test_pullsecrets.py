"""Credentials go to the registry they are for, and to no other."""

import base64
import json

import pytest

from orlop.api.types import core_v1
from orlop.kubelet import pullsecrets


def secret(**auths: object) -> core_v1.Secret:
    return core_v1.Secret(data={".dockerconfigjson": json.dumps({"auths": auths}).encode()})


def entry(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:word".encode()).decode()}


def users(secrets: list[core_v1.Secret], image: str) -> list[str]:
    return [auth.username for auth in pullsecrets.candidates(secrets, image)]


@pytest.mark.parametrize(
    ("key", "image", "is_for"),
    [
        ("registry.example.com", "registry.example.com/team/app:1", True),
        ("https://registry.example.com/v1/", "registry.example.com/team/app:1", True),
        ("registry.example.com", "example.com/team/app", False),
        ("example.com", "registry.example.com/team/app", False),
        ("registry.example.com", "registry.example.com:5000/app", False),
        ("registry.example.com:5000", "registry.example.com:5000/app", True),
        ("*.example.com", "registry.example.com/app", True),
        ("*.example.com", "a.registry.example.com/app", False),
        ("registry.example.com/team", "registry.example.com/team/app", True),
        ("registry.example.com/team", "registry.example.com/other/app", False),
        ("https://index.docker.io/v1/", "busybox", True),
        ("docker.io", "library/busybox:1", True),
        ("https://index.docker.io/v1/", "docker.io/library/busybox", True),
        ("io", "busybox", False),
    ],
)
def test_which_registry_a_key_is_for(key: str, image: str, is_for: bool) -> None:
    assert users([secret(**{key: entry("me")})], image) == (["me"] if is_for else [])


def test_the_most_exact_comes_first() -> None:
    keys = secret(**{"r.example.com": entry("all"), "r.example.com/team": entry("team")})
    assert users([keys], "r.example.com/team/app") == ["team", "all"]


def test_the_old_form_of_a_secret() -> None:
    old = core_v1.Secret(data={".dockercfg": json.dumps({"r.example.com": entry("old")}).encode()})
    assert users([old], "r.example.com/app") == ["old"]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"no json", b'{"auths": []}', b'{"auths": {"r.example.com": {"auth": "*"}}}']
)
def test_what_cannot_be_read_is_no_credential(data: bytes) -> None:
    assert users([core_v1.Secret(data={".dockerconfigjson": data})], "r.example.com/app") == []
