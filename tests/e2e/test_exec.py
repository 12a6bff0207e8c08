"""exec, attach, run and cp through real kubectl, over WebSocket and over SPDY/3.1."""

import concurrent.futures
import hashlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import IMAGE, Box
from tests.support.cluster import KUBECTL, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]

MANY = 100 * 1024 * 1024
"""Bytes that must come through unharmed."""
PATTERN = os.urandom(1 << 20)
PROMPT = "[#$] "

Way = dict[str, str]


def test_exit_codes_and_both_outputs(box: Box, way: Way) -> None:
    script = "echo out; echo err >&2; exit 7"
    done = box.run("exec", "box", "--", "sh", "-c", script, **way)
    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert done.stderr.splitlines() == [b"err", b"command terminated with exit code 7"]
    assert box.run("exec", "box", "--", "true", **way).returncode == 0
    assert box.run("exec", "box", "--", "sh", "-c", "kill -9 $$", **way).returncode == 137
    missing = box.run("exec", "box", "--", "no-such-program", **way)
    assert missing.returncode in (126, 127)
    assert b"no-such-program" in missing.stdout + missing.stderr


def test_errors_before_the_streams(box: Box, way: Way) -> None:
    """A Status with its code, whichever protocol was asked for."""
    assert b'pods "nobody" not found' in box.run("exec", "nobody", "--", "ls", **way).stderr
    where = f"/api/v1/namespaces/{box.namespace}/pods/box/exec?command=ls&stdout=1&container="
    assert b"Upgrade request required" in box.run("get", "--raw", where + "box", **way).stderr
    assert b"container x is not valid for pod box" in box.run("get", "--raw", where + "x", **way).stderr
    box.kubectl("run", "done", f"--image={IMAGE}", "--restart=Never", "--command", "--", "true")
    box.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=30s")
    ended = box.run("exec", "done", "--", "ls", **way)
    assert ended.returncode == 1
    assert b"cannot exec into a container in a completed pod; current phase is Succeeded" in ended.stderr
    box.kubectl("delete", "pod", "done", "--now")


def test_stdin_ends(box: Box, way: Way) -> None:
    assert box.run("exec", "-i", "box", "--", "cat", input=b"over stdin\n", **way).stdout == b"over stdin\n"
    assert box.run("exec", "-i", "box", "--", "wc", "-c", **way).stdout.strip() == b"0"
    # A program that stops reading is no failure.
    assert box.run("exec", "-i", "box", "--", "head", "-c", "3", input=PATTERN, **way).stdout == PATTERN[:3]


def test_a_hundred_mebibytes_both_ways(box: Box, way: Way, tmp_path: Path) -> None:
    source = tmp_path / "big"
    with source.open("wb") as file:
        for _ in range(MANY // len(PATTERN)):
            file.write(PATTERN)
    expected = hashlib.sha256(PATTERN * (MANY // len(PATTERN))).hexdigest()
    command = f"{_kubectl(box)} exec -i box -- sh -c 'tee /dev/stderr 2>/tmp/sum.in' < {source} | sha256sum"
    done = subprocess.run(
        ["sh", "-c", command], env={**box.cluster.env, **way}, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.split()[0] == expected
    assert box.sh("sha256sum < /tmp/sum.in; rm /tmp/sum.in").split()[0] == expected


def test_a_slow_reader_holds_the_command_back(box: Box, way: Way) -> None:
    """What nobody reads is not gathered anywhere: the command waits, and so do the servers' memories."""
    before = _memory(box)
    command = [*_kubectl(box).split(), "exec", "box", "--", "sh", "-c", "echo $$ > /tmp/pid; exec cat /dev/zero"]
    with subprocess.Popen(command, env={**box.cluster.env, **way}, stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        slow.stdout.read(1)

        def position() -> str:
            return box.sh("cut -d' ' -f1 /proc/$(cat /tmp/pid)/schedstat")

        def stalled() -> bool:
            first = position()
            box.sh("sleep 0.5")
            return first == position()

        eventually("the command waits", stalled, 60)
        grown = _memory(box) - before
        slow.kill()
    box.sh("kill $(cat /tmp/pid) 2> /dev/null; true")  # it may have ended by itself: nobody reads any more
    assert grown < 64 << 20, f"{grown >> 20} MiB were gathered"


def test_many_at_once(box: Box, way: Way) -> None:
    def one(i: int) -> bytes:
        return box.run(
            "exec", "-i", "box", "--", "sh", "-c", f"cat; echo {i}", input=PATTERN[: 10_000 * i], **way
        ).stdout

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [PATTERN[: 10_000 * i] + f"{i}\n".encode() for i in range(16)]


def test_a_terminal(box: Box, way: Way) -> None:
    with box.terminal("exec", "-it", "box", "--", "sh", **way) as terminal:
        terminal.expect(PROMPT)
        terminal.type("stty size; tty\n")
        terminal.expect(r"\r\n30 100\r\n/dev/pts/")
        terminal.resize(44, 133)
        terminal.type("until stty size | grep 44; do sleep 0.1; done\n")
        terminal.expect(r"\r\n44 133\r\n")
        terminal.type("exit 5\n")
        assert terminal.exit_code() == 5


def test_a_terminal_that_goes_away_hangs_its_programs_up(box: Box, way: Way) -> None:
    with box.terminal("exec", "-it", "box", "--", "sh", "-c", "echo $$ > /tmp/tty; exec sleep 4321", **way):
        eventually("it runs", lambda: "sleep 4321" in box.sh("ps"))
    eventually("it is gone", lambda: "sleep 4321" not in box.sh("ps"))


def test_attach(box: Box, way: Way) -> None:
    script = "while read line; do echo got $line; done; echo end; sleep 1000"
    box.kubectl("run", "reader", f"--image={IMAGE}", "-i", "--attach=false", "--command", "--", "sh", "-c", script)
    box.kubectl("wait", "--for=condition=Ready", "pod/reader", "--timeout=30s")
    with subprocess.Popen(
        [*_kubectl(box).split(), "attach", "-i", "reader"],
        env={**box.cluster.env, **way},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as attached:
        assert attached.stdin is not None
        assert attached.stdout is not None
        attached.stdin.write("one\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == "got one\n"
        attached.stdin.write("two\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == "got two\n"
        attached.kill()
    assert "got one\ngot two\n" in box.kubectl("logs", "reader")
    box.kubectl("delete", "pod", "reader", "--now")


def test_run_on_a_terminal(box: Box, way: Way) -> None:
    words = ("run", "tmp", "-it", "--rm", "--restart=Never", f"--image={IMAGE}", "--", "sh")
    with box.terminal(*words, **way) as terminal:
        terminal.expect("If you don't see a command prompt")
        # kubectl makes the window one larger and back, so that what runs there draws itself anew.
        terminal.type("until stty size | grep '30 100'; do sleep 0.1; done; exit 3\n")
        terminal.expect(r"\r\n30 100\r\n")
        terminal.expect('pod "tmp" deleted')
        assert terminal.exit_code(60) == 3


def test_cp(box: Box, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "big").write_bytes(PATTERN * 20)
    (tree / "sub" / "small").write_text("hello\n")
    (tree / "sub" / "tool").write_text("#!/bin/sh\n")
    (tree / "sub" / "tool").chmod(0o755)
    (tree / "link").symlink_to("sub/small")
    box.kubectl("cp", str(tree), "box:/tmp/tree")
    listed = box.sh("cd /tmp/tree && sha256sum big && cat sub/small && ls -l sub/tool && readlink link || true")
    assert hashlib.sha256(PATTERN * 20).hexdigest() in listed
    assert "hello" in listed
    assert "-rwxr-xr-x" in listed
    back = tmp_path / "back"
    box.kubectl("cp", "box:/tmp/tree", str(back))
    assert (back / "big").read_bytes() == PATTERN * 20
    assert (back / "sub" / "small").read_text() == "hello\n"
    box.kubectl("cp", "box:/tmp/tree/sub/small", str(tmp_path / "one"))
    assert (tmp_path / "one").read_text() == "hello\n"
    box.sh("rm -r /tmp/tree")


def test_an_older_kubectl(box: Box) -> None:
    """The one of this machine, which is some versions behind."""
    found = next((p for p in ("/usr/local/bin/kubectl", "/usr/bin/kubectl") if Path(p).exists()), None)
    if found is None:
        pytest.skip("this machine has no other kubectl")
    command = [found, "--context", box.cluster.name, "-n", box.namespace, "exec", "-i", "box", "--", "cat"]
    done = subprocess.run(command, env=box.cluster.env, input=PATTERN, capture_output=True, timeout=60, check=False)
    assert done.stdout == PATTERN, done.stderr


def test_a_kubelet_that_dies_ends_the_streams(box: Box, way: Way) -> None:
    """The client is told, and does not wait for ever; what ran in the pod runs on."""
    command = [*_kubectl(box).split(), "exec", "box", "--", "sh", "-c", "echo on; sleep 1000"]
    with subprocess.Popen(command, env={**box.cluster.env, **way}, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"on\n"
        os.kill(int(box.cluster.state()["children"]["node"]["pid"]), signal.SIGKILL)
        code = running.wait(30)
    # client-go takes a SPDY connection that is lost for one that has ended.
    assert code != 0 or way["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] == "false"
    eventually("a new kubelet serves", lambda: box.sh("echo back") == "back\n", 60)


def _kubectl(box: Box) -> str:
    return f"{KUBECTL} --context {box.cluster.name} -n {box.namespace}"


def _memory(box: Box) -> int:
    """Resident bytes of the API server and the kubelet together."""
    total = 0
    for name in ("apiserver", "node"):
        pid = box.cluster.state()["children"][name]["pid"]
        match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert match is not None
        total += int(match.group(1)) * 1024
    return total
