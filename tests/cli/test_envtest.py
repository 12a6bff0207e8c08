"""`orlop envtest`: the programs that it writes, and what they say of what they cannot do."""

import os
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.support.cluster import ORLOP, eventually


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    subprocess.run([*ORLOP, "envtest", str(folder)], check=True, capture_output=True)
    return folder


def said(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_three_programs_that_tell_their_flags(assets: Path) -> None:
    assert sorted(file.name for file in assets.iterdir()) == ["etcd", "kube-apiserver", "kubectl"]
    for name in ("etcd", "kube-apiserver", "kubectl"):
        assert os.access(assets / name, os.X_OK)
        help_text = subprocess.run(
            [assets / name, "--help"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert "insecure-port" not in help_text  # by which envtest knows how old a version is


def test_what_is_refused(assets: Path, tmp_path: Path) -> None:
    apiserver = assets / "kube-apiserver"
    nobody = "--etcd-servers=http://127.0.0.1:9"
    assert "orlop decides by Node,RBAC alone" in said(apiserver, nobody, "--authorization-mode=AlwaysAllow")
    text = said(apiserver, nobody, "--authorization-mode=RBAC", "--goaway-chance=0")
    assert "is not the etcd that `orlop envtest` writes" in text
    assert "without effect in orlop: --goaway-chance=0" in text
    assert "must be http://ADDRESS:PORT" in said(
        assets / "etcd", "--listen-client-urls=https://h:1", f"--data-dir={tmp_path}"
    )
    alone = said(*ORLOP, "apiserver", f"--data-dir={tmp_path}", f"--tls-cert-file={tmp_path}")
    assert "--tls-cert-file and --tls-private-key-file go together" in alone


def test_etcd_is_well_until_it_is_told_to_end(assets: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    words = [f"--listen-client-urls={url}", f"--data-dir={tmp_path / 'data'}", "--listen-peer-urls=http://h:1"]
    with subprocess.Popen([assets / "etcd", *words]) as etcd:

        def asked(path: str) -> bytes:
            with urllib.request.urlopen(url + path, timeout=5) as answer:
                found: bytes = answer.read()
                return found

        assert b'"true"' in eventually("an answer", lambda: asked("/health"))
        assert asked("/orlop/store").decode() == str(tmp_path / "data")
        etcd.terminate()
        assert etcd.wait(10) == 0
