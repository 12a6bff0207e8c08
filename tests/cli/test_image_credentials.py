"""Whose password goes to which registry."""

import base64
import json
from pathlib import Path

import pytest

from orlop.cli import image_credentials
from orlop.kubelet.runtime.values import AuthConfig


def basic(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


@pytest.mark.parametrize(
    ("reference", "user"),
    [
        ("busybox", "hub"),
        ("docker.io/team/app:1", "hub"),
        ("registry.example/app", "example"),
        ("registry.example:5000/app", "port"),
        ("evil-registry.example/app", None),
        ("registry.example.evil/app", None),
        ("other.example/app", None),
        ("NOT a name", None),
    ],
)
def test_only_its_own_registry_gets_a_password(config: Path, reference: str, user: str | None) -> None:
    entries = {
        "https://index.docker.io/v1/": basic("hub:p"),
        "registry.example": basic("example:p"),
        "http://registry.example:5000/v2/": basic("port:p"),
        "other.example": {},
    }
    config.write_text(json.dumps({"auths": entries}))
    found = image_credentials.find(reference)
    assert (found.username if found else None) == user


def test_forms_of_an_entry(config: Path) -> None:
    entries = {
        "a.example": basic("kate:with:colons"),
        "b.example": {"username": "ben", "password": "p"},
        "c.example": {"auth": "", "identitytoken": "t"},
        "d.example": {"auth": "not base64 at all"},
    }
    config.write_text(json.dumps({"auths": entries}))
    assert image_credentials.find("a.example/x") == AuthConfig(username="kate", password="with:colons")
    assert image_credentials.find("b.example/x") == AuthConfig(username="ben", password="p")
    assert image_credentials.find("c.example/x") == AuthConfig(identity_token="t")
    with pytest.raises(image_credentials.CredentialsError, match=r"auths\['d.example'\].auth is not base64"):
        image_credentials.find("d.example/x")


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": 5}'])
def test_a_file_that_is_none(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(image_credentials.CredentialsError, match="cannot be used"):
        image_credentials.find("busybox")


def test_no_file(config: Path) -> None:
    assert image_credentials.find("busybox") is None
