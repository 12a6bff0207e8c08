"""kubectl proxy, get --raw through the proxy subresources, and every option of kubectl logs."""

import base64
import hashlib
import itertools
import os
import re
import signal
import socket
import time
import urllib.request

import pytest

from tests.e2e.conftest import IMAGE, LOG_FILES, LOG_SIZE, Box
from tests.support.cluster import eventually
from tests.support.runtime_view import everything

pytestmark = [pytest.mark.e2e, pytest.mark.root]

KEY = base64.b64encode(b"sixteen bytes of").decode()
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
UPGRADER = (
    'while read -r line && test ${#line} -gt 1; do case $line in GET*) echo "$line" >&2;; esac; done; '
    f"printf 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\\r\\n\\r\\n'; exec cat"
)
"""A server that agrees to any upgrade, and then repeats what it is told."""


def test_raw_requests_and_kubectl_proxy(box: Box) -> None:
    base = f"/api/v1/namespaces/{box.namespace}"
    box.kubectl("expose", "pod", "box", "--port=80", "--target-port=8080")
    assert box.kubectl("get", "--raw", f"{base}/pods/box:8080/proxy/index.html") == "hello\n"
    through = f"{base}/services/box:80/proxy/index.html"
    eventually("the service has its endpoint", lambda: box.kubectl("get", "--raw", through) == "hello\n")
    assert '"box"' in box.kubectl("get", "--raw", "/api/v1/nodes/real/proxy/pods")
    proxy = box.cluster.background("proxy", "--port=0")
    try:
        assert proxy.stdout is not None
        port = int(re.search(r":(\d+)", proxy.stdout.readline()).group(1))  # type: ignore[union-attr]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{through}", timeout=10) as answer:
            assert answer.read() == b"hello\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{base}/pods/box:8080/proxy", timeout=10) as answer:
            assert answer.url.endswith("/proxy/"), "links of the root work only behind a slash"
        _upgrade(box, port, base)
    finally:
        proxy.terminate()
        proxy.wait()
    box.kubectl("delete", "service", "box")


def _upgrade(box: Box, port: int, base: str) -> None:
    """A WebSocket through kubectl proxy and the API server to a pod."""
    box.kubectl("run", "sock", f"--image={IMAGE}", "--env", f"S={UPGRADER}", "--command", "--", *_listener())
    box.kubectl("wait", "--for=condition=Ready", "pod/sock", "--timeout=30s")
    box.kubectl("exec", "sock", "--", "sh", "-c", "until nc -w1 127.0.0.1 9 < /dev/null; do sleep 0.1; done")
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(
            f"GET {base}/pods/sock:9/proxy/a?b=c HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
        )
        head = _until(connection, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        assert ACCEPT.encode() in head
        connection.sendall(b"\x00\xffany bytes")
        assert _until(connection, b"any bytes") == b"\x00\xffany bytes"
    assert "GET /a?b=c" in box.kubectl("logs", "sock")
    box.kubectl("delete", "pod", "sock", "--now", "--wait=false")


def _listener() -> list[str]:
    return ["sh", "-c", 'echo "$S" > /tmp/s; exec nc -ll -p 9 -e sh /tmp/s']


def _until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = connection.recv(4096)
        assert part, data
        data += part
    return data


TALKER = f"""
apiVersion: v1
kind: Pod
metadata: {{name: talker, labels: {{app: talker}}}}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - {{name: first, image: "{IMAGE}", command: [echo, prepared]}}
  containers:
  - name: main
    image: {IMAGE}
    command:
    - sh
    - -c
    - |
      for i in $(seq 5); do echo line $i; done; echo oops >&2
      until test -f /tmp/stop; do sleep 0.1; done; echo last words
  - name: side
    image: {IMAGE}
    command: [sh, -c, "echo side; sleep 1000"]
"""


def test_every_option_of_logs(box: Box) -> None:
    box.kubectl("apply", "-f", "-", input=TALKER)
    box.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=30s")
    whole = "".join(f"line {i}\n" for i in range(1, 6)) + "oops\n"

    def logs(*words: str) -> str:
        return box.kubectl("logs", *words)

    main = ("talker", "-c", "main")
    eventually("all is said", lambda: len(logs(*main)) == len(whole))
    assert sorted(logs(*main).splitlines()) == sorted(whole.splitlines())
    assert logs(*main, "--tail=0") == ""
    assert len(logs(*main, "--tail=2").splitlines()) == 2
    assert logs(*main, "--limit-bytes=4") == logs(*main)[:4]
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1$", logs(*main, "--timestamps"), re.MULTILINE)
    assert logs("talker", "-c", "first") == "prepared\n"
    every = logs("talker", "--all-containers", "--prefix")
    for part in ("[pod/talker/first] prepared", "[pod/talker/main] line 5", "[pod/talker/side] side"):
        assert part in every
    assert "[pod/talker/side] side" in logs("-l", "app=talker", "--all-containers", "--prefix", "--tail=-1")
    assert logs(*main, "--since=1h") == logs(*main)
    future = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert logs(*main, f"--since-time={future}") == ""
    assert 'previous terminated container "main" in pod "talker" not found' in box.cluster.kubectl_fails(
        "-n", box.namespace, "logs", *main, "--previous"
    )
    assert "container nobody is not valid for pod talker" in box.cluster.kubectl_fails(
        "-n", box.namespace, "logs", "talker", "-c", "nobody"
    )
    # A container that has ended and is started again still has what it said before; so it is after the node's restart.
    box.kubectl("exec", "talker", "-c", "main", "--", "sh", "-c", "touch /tmp/stop")
    eventually("it runs again", lambda: "last words" in logs(*main, "--previous"))
    os.kill(int(box.cluster.state()["children"]["node"]["pid"]), signal.SIGKILL)
    eventually("logs are there again", lambda: "last words" in logs(*main, "--previous"), 60)
    assert "line 5\n" in logs(*main)
    follow = box.cluster.background("-n", box.namespace, "logs", "-f", "talker", "-c", "side", "--since=1s")
    box.kubectl("exec", "talker", "-c", "side", "--", "sh", "-c", "echo more > /proc/1/fd/1")
    try:
        assert follow.stdout is not None
        while follow.stdout.readline() != "more\n":
            pass
    finally:
        follow.terminate()
        follow.wait()
    box.kubectl("delete", "pod", "talker", "--now", "--wait=false")


LINES = 60_000


@pytest.mark.on_docker
def test_a_log_of_thousands_of_lines_a_second_is_rotated(box: Box, runtime: list[str]) -> None:
    """What is kept has its limit, and who follows sees each line once (an engine's own log may repeat some then)."""
    pause = "[ $((i % 2000)) = 0 ] && sleep 0.1"
    flood = f"i=0; while [ $i -lt {LINES} ]; do echo line $i of the flood; i=$((i+1)); {pause}; done; echo end"
    script = f"until test -f /tmp/go; do sleep 0.1; done; {flood}; exec sleep 1000"
    pinned = '{"spec": {"nodeName": "real"}}'
    box.kubectl("run", "flood", f"--image={IMAGE}", "--overrides", pinned, "--command", "--", "sh", "-c", script)
    box.kubectl("wait", "--for=condition=Ready", "pod/flood", "--timeout=60s")
    uid = box.kubectl("get", "pod", "flood", "-o=jsonpath={.metadata.uid}")
    follow = box.cluster.background("-n", box.namespace, "logs", "-f", "flood")
    try:
        box.kubectl("exec", "flood", "--", "touch", "/tmp/go")
        assert follow.stdout is not None
        seen = list(itertools.takewhile(lambda line: line != "end\n", follow.stdout))
    finally:
        follow.terminate()
        follow.wait()
    if "--runtime=native" in runtime:
        assert seen == [f"line {number} of the flood\n" for number in range(LINES)]
    [log] = [one.log for one in everything(box.cluster, "real") if one.pod_uid == uid and one.log is not None]
    kept = list(log.parent.glob(log.name + "*"))
    assert len(kept) <= LOG_FILES, kept
    assert len(kept) > 1
    assert max(path.stat().st_size for path in kept) < 2 * LOG_SIZE, "between two looks it grows a little"
    assert box.kubectl("logs", "flood", "--tail=1") == "end\n"
    box.kubectl("delete", "pod", "flood", "--now", "--wait=false")
