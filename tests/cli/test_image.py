"""`orlop image`, as people use it: no cluster runs."""

import base64
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubelet.runtime.native.images import making
from tests.support import docker_engine, registries
from tests.support.cluster import ORLOP

USER, PASSWORD = "kate", "pass:word"
BASE = making.layer(making.member("etc", None), making.member("etc/os", b"base"))
TOP = making.layer(making.member("etc/app", b"app" * 1000))


class Images:
    """The command on a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.docker_config = folder / "docker-config"
        self.docker_config.mkdir()

    def run(self, *words: str | Path, stdin: bytes = b"", code: int = 0) -> str:
        """What it prints; on failure what it says."""
        done = subprocess.run(
            [*ORLOP, "image", "--image-dir", self.folder / "store", *words],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env={**os.environ, "DOCKER_CONFIG": str(self.docker_config)},
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert b"Traceback" not in done.stderr
        return (done.stderr if code else done.stdout).decode()

    def names(self) -> list[str]:
        return [name for image in json.loads(self.run("list", "-o", "json")) for name in image["names"]]


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path)


def archive(name: str = "team/app:1", *layers: bytes) -> bytes:
    return making.docker_archive({name: layers or (BASE, TOP)})


def test_load_list_tag_inspect_save_rm(images: Images, tmp_path: Path) -> None:
    assert images.run("load", "-", stdin=archive()) == "Loaded image: team/app:1\n"
    header, row, host = images.run("list").splitlines()
    assert header.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert row.split()[:2] == ["team/app", "1"]
    assert host.split()[:2] == ["host", "latest"]
    short = row.split()[2]
    assert images.run("ls", "-q").split()[0] == short
    images.run("tag", short, "app:2")
    assert images.names() == ["team/app:1", "app:2", "host:latest"]
    [shown] = json.loads(images.run("inspect", "app:2"))
    assert shown["RepoTags"] == ["team/app:1", "app:2"]
    assert shown["RootFS"]["Layers"] == [making.digest(BASE), making.digest(TOP)]
    assert all(Path(folder).is_dir() for folder in shown["LowerDirs"])
    images.run("save", "app:2", "-o", tmp_path / "app.tar")
    assert images.run("rm", "team/app:1", "app:2") == "Removed: team/app:1\nRemoved: app:2\n"
    assert images.names() == ["host:latest"]
    assert images.run("load", tmp_path / "app.tar", "-q").strip() == shown["Id"]
    assert images.names() == ["app:2", "host:latest"]


def test_save_to_a_pipe_and_load_from_it(images: Images) -> None:
    images.run("load", stdin=archive())
    done = subprocess.run(
        [*ORLOP, "image", "save", "--image-dir", images.folder / "store", "team/app:1"],
        capture_output=True,
        check=True,
    )
    images.run("rm", "team/app:1")
    assert images.run("load", stdin=done.stdout) == "Loaded image: team/app:1\n"


def test_import(images: Images, tmp_path: Path) -> None:
    (tmp_path / "fs.tar").write_bytes(BASE)
    words = ("--entrypoint", "/init -v", "--cmd", '["a b", "c"]', "--env", "A=1", "-c", "WORKDIR /srv")
    assert images.run("load", tmp_path / "fs.tar", "--import", "mine:1", *words) == "Loaded image: mine:1\n"
    [shown] = json.loads(images.run("inspect", "mine:1"))
    config = shown["Config"]
    assert (config["Entrypoint"], config["Cmd"], config["WorkingDir"]) == (["/init", "-v"], ["a b", "c"], "/srv")
    assert config["Env"][1:] == ["A=1"]


def test_host_is_there_and_says_what_it_hides(images: Images) -> None:
    [shown] = json.loads(images.run("inspect", "host"))
    assert shown["LowerDirs"] == ["/"]
    assert "/root" in shown["MaskedPaths"]


def test_prune(images: Images) -> None:
    images.run("load", stdin=archive("app:1", BASE))
    images.run("load", stdin=archive("app:1", BASE, TOP))
    assert images.run("list").splitlines()[2].split()[:2] == ["<none>", "<none>"]
    assert images.run("prune").splitlines()[-1].startswith("1 image(s), ")
    assert images.names() == ["app:1", "host:latest"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("load", "/no/such.tar"), "/no/such.tar: no such file or folder"),
        (("load", "-"), "the archive is damaged, or is none"),
        (("load", "-", "--cmd", "x"), "go with --import NAME"),
        (("load", "-", "--import", "X"), 'couldn\'t parse image name "X": invalid reference format: repository name'),
        (("load", "-", "--import", "x", "--env", "A"), "--env 'A': write KEY=VALUE"),
        (("load", "-", "--import", "x", "-c", "RUN x"), "is none of CMD, ENTRYPOINT"),
        (("rm", "nothing"), "no such image: nothing"),
        (("rm", "host"), "cannot be removed"),
        (("tag", "nothing", "x"), "no such image: nothing"),
        (("inspect", "nothing"), "no such image: nothing"),
        (("save", "nothing", "-o", "/tmp/never.tar"), "no such image: nothing"),
        (
            ("pull", "127.0.0.1:1/app"),
            'Get "https://127.0.0.1:1/v2/app/manifests/latest": dial tcp 127.0.0.1:1: connect',
        ),
        (("pull", "UPPER"), "couldn't parse image name"),
        (("pull", "x", "--user", "kate"), "give the password: --user NAME:PASSWORD, or --password-stdin"),
        (("pull", "x", "--password-stdin"), "goes with --user NAME"),
    ],
)
def test_mistakes(images: Images, words: tuple[str, ...], says: str) -> None:
    text = images.run(*words, stdin=b"rubbish" * 200, code=1)
    assert text.startswith(f"orlop image {words[0]}: ")
    assert says in text
    assert not Path("/tmp/never.tar").exists()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [*ORLOP, "image", "--image-dir", tmp_path / "file", "list"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the image store {tmp_path / 'file'} cannot be used" in done.stderr


# Pulling


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that asks for a password, with an image in it."""
    folder = tmp_path_factory.mktemp("closed")
    try:
        registries.install_with_passwords()
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))
    with registries.running(folder, auth=registries.passwords(folder, USER, PASSWORD)) as address:
        pusher = registries.Pusher(address, USER, PASSWORD)
        document = making.config([BASE, TOP])
        for data in (document, BASE, TOP):
            pusher.blob("team/app", data)
        pusher.manifest("team/app", "1", making.manifest_of(document, [BASE, TOP], ""))
        yield address


def test_pull(images: Images, closed: str) -> None:
    reference = f"{closed}/team/app:1"
    assert "no basic auth credentials" in images.run("pull", reference, code=1)
    image_id = images.run("pull", reference, "--user", f"{USER}:{PASSWORD}").strip()
    assert image_id == making.digest(making.config([BASE, TOP]))
    assert images.names() == [reference, "host:latest"]
    assert making.digest(TOP)[7:19] not in images.run("ls", "--digests")
    images.run("pull", reference, "--user", USER, "--password-stdin", stdin=PASSWORD.encode() + b"\n")


def test_pull_with_what_docker_login_left(images: Images, closed: str) -> None:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = {"auths": {"registry.example": {"auth": "bm9ib2R5Og=="}, f"http://{closed}/v2/": {"auth": auth}}}
    (images.docker_config / "config.json").write_text(json.dumps(config))
    assert images.run("pull", "-q", f"{closed}/team/app:1").startswith("sha256:")
    (images.docker_config / "config.json").write_text("{")
    assert "config.json cannot be used" in images.run("pull", f"{closed}/team/app:1", code=1)


def test_progress_on_a_terminal(images: Images, closed: str) -> None:
    controller, terminal = pty.openpty()
    command = [*ORLOP, "image", "--image-dir", images.folder / "store", "pull", f"{closed}/team/app:1"]
    process = subprocess.Popen(
        [*command, "--user", f"{USER}:{PASSWORD}"], stdin=terminal, stdout=subprocess.DEVNULL, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(controller, 65536)
        except OSError:  # the terminal's other side is closed
            break
        shown += piece
    os.close(controller)
    assert process.wait() == 0, shown
    lines = shown.decode().replace("\r", "").split("\n")
    assert lines[-1] == ""
    for line, layer in zip(lines[-3:-1], (BASE, TOP), strict=True):
        assert line.endswith(f"\x1b[2K{making.digest(layer)[7:19]}: Pull complete")
    assert "\x1b[2A" in shown.decode()
