"""What a person sees: help, mistakes, and what to do about them."""

import asyncio
import os
import socket
import subprocess
from pathlib import Path

import lmdb
import pytest
import yaml

from orlop.cli.main import COMMANDS
from orlop.clock import SystemClock
from orlop.store.lmdb import LmdbStore
from tests.support.cluster import ORLOP


def orlop(*words: str, env: dict[str, str] | None = None, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*ORLOP, *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(env or {})},
    )


def test_help_lists_every_command() -> None:
    text = orlop("--help").stdout
    for name, what in COMMANDS.items():
        assert name in text
        assert what.split(",")[0] in " ".join(text.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_a_person_can_read(command: str) -> None:
    done = orlop(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: orlop {command}" in done.stdout


def test_the_roles_of_orlops_own_controllers_are_printed() -> None:
    roles = list(yaml.safe_load_all(orlop("controller-manager", "--print-roles").stdout))
    names = ["system:controller:local-path-provisioner", "system:controller:service-address-repair-controller"]
    assert [(r["kind"], r["metadata"]["name"]) for r in roles] == [
        (kind, name) for kind in ("ClusterRole", "ClusterRoleBinding") for name in names
    ]
    account = {"kind": "ServiceAccount", "name": "local-path-provisioner", "namespace": "kube-system"}
    assert account in roles[2]["subjects"]
    assert all(role["rules"] for role in roles[:2])


def test_wrong_flags() -> None:
    done = orlop("up", "--nope")
    assert done.returncode == 2
    assert "unrecognized arguments: --nope" in done.stderr
    assert orlop("sideways").returncode == 2
    bad = orlop("up", "--runtime", "cloud")
    assert bad.returncode == 2
    assert "invalid choice: 'cloud'" in bad.stderr
    bad = orlop("apiserver", "--data-dir=x", "--history", "pods=soon")
    assert bad.returncode == 2
    assert "the age 'soon' is not a duration such as 10m, 24h or 7d" in " ".join(bad.stderr.split())
    assert orlop("store").returncode == 2


def failed(*words: str, **more: object) -> str:
    done = orlop(*words, **more)  # type: ignore[arg-type]
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_flags_of_the_listener(tmp_path: Path) -> None:
    where = ("apiserver", f"--data-dir={tmp_path}", "--secure-port=0")
    assert "--tls-sni-cert-key: only.crt: expected CERTIFICATE,KEY" in failed(*where, "--tls-sni-cert-key=only.crt")
    said = failed(*where, "--http2-max-streams-per-connection=-1")
    assert "--http2-max-streams-per-connection: -1: choose 0 or more" in said
    said = failed(*where, "--tls-cipher-suites=TLS_RSA_WITH_RC4_128_SHA")
    assert "cipher suite TLS_RSA_WITH_RC4_128_SHA: there is none of this name; choose from TLS_" in said
    said = failed(*where, f"--tls-sni-cert-key={tmp_path}/no.crt,{tmp_path}/no.key")
    assert f"{tmp_path}/no.crt: there is no such file" in said
    bad = orlop(*where, "--tls-min-version=VersionTLS10")
    assert bad.returncode == 2
    assert "invalid choice: 'VersionTLS10'" in bad.stderr


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = failed("up", "--runtime=hollow", "--data-dir", str(tmp_path / "d"), "--secure-port", port)
        assert f"port {port} on 127.0.0.1 is taken by another process" in said
        assert "--secure-port" in said
        alone = failed("apiserver", "--data-dir", str(tmp_path / "a"), "--secure-port", port)
        assert "--secure-port" in alone


def test_no_cluster(tmp_path: Path) -> None:
    said = failed("status", "--data-dir", str(tmp_path / "none"))
    assert "there is no cluster" in said
    assert "orlop up" in said


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    said = failed("scheduler", "--kubeconfig", str(tmp_path / "none"))
    assert str(tmp_path / "none") in said


def test_a_controller_that_is_not_known(tmp_path: Path) -> None:
    said = failed("controller-manager", "--kubeconfig", str(tmp_path / "x"), "--controllers", "nope")
    assert "'nope' is not in the list of known controllers" in said


def test_a_cluster_whose_folder_holds_the_images(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    if os.geteuid() == 0:  # there are the images of root's clusters
        said = failed("up", "--runtime", "hollow", "--name", "images", env=home)
        assert "--name images: the folder of that name holds the images; choose another name" in said
        assert "apart from the images in /var/lib/orlop/images" in failed("up", "--data-dir", "/var/lib/orlop")
    for folder in ("", "store/here"):
        flags = ("--data-dir", str(tmp_path / folder), "--image-dir", str(tmp_path / "store"))
        assert f"must be apart from the images in {tmp_path}/store" in failed("up", *flags, env=home)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["up", "kubelet"])
def test_what_is_kept_of_logs(tmp_path: Path, command: str) -> None:
    where = {"up": ("--data-dir",), "kubelet": ("--kubeconfig", str(tmp_path / "x"), "--root-dir")}[command]
    start = (command, "--runtime", "hollow", *where, str(tmp_path / "folder"))
    assert "containerLogMaxSize '10 MB': quantities" in failed(*start, "--container-log-max-size", "10 MB")
    assert "containerLogMaxSize '0' must be greater than 0" in failed(*start, "--container-log-max-size", "0")
    assert "containerLogMaxFiles 1 must be greater than 1" in failed(*start, "--container-log-max-files", "1")


def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()

    async def make() -> None:
        store = LmdbStore(str(folder), SystemClock())
        await store.open()
        await store.close()

    asyncio.run(make())
    with lmdb.open(str(folder), max_dbs=16) as outside:
        meta = outside.open_db(b"meta")
        with outside.begin(write=True) as txn:
            txn.put(b"format", b"99", db=meta)
    before = (folder / "data.mdb").read_bytes()
    said = failed("apiserver", "--data-dir", str(tmp_path), "--secure-port", "0")
    assert "has format 99, and this version of orlop knows formats up to" in said
    assert (folder / "data.mdb").read_bytes() == before


def test_a_full_disk_is_named() -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    folder = Path("/tmp") / f"orlop-full-{os.getpid()}"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(folder)], check=True)
    try:
        said = failed("apiserver", "--data-dir", str(folder), "--secure-port", "0")
        assert "has no room: free space on its disk" in said
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def test_version() -> None:
    assert "Kubernetes API v1.37" in orlop("version").stdout


def test_a_component_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*ORLOP, "apiserver", "--data-dir", str(tmp_path), "--secure-port", "0", "--log-format", "json"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "serving at" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 0
