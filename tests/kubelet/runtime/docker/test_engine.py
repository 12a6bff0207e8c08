"""What a person is told when the engine is not there, too old, or goes away."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from orlop.kubelet.runtime.base import Unavailable
from orlop.kubelet.runtime.docker.engine import Engine


@contextmanager
def engine_of(socket: Path, api_version: str, os_type: str = "linux") -> Iterator[None]:
    answers = {
        "/version": {"Version": "1.2", "ApiVersion": api_version},
        "/info": {"OSType": os_type, "Architecture": "x86_64"},
        "/_ping": "OK",
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = "/" + self.path.rpartition("/")[2]
            body = json.dumps(answers[path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

        def address_string(self) -> str:
            return "unix"

    with socketserver.ThreadingUnixStreamServer(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


async def refused(socket: Path) -> str:
    engine = Engine(str(socket))
    with pytest.raises(Unavailable) as caught:
        await engine.open()
    await engine.close()
    return str(caught.value)


async def test_no_engine(tmp_path: Path) -> None:
    text = await refused(tmp_path / "none.sock")
    assert f"cannot talk to the Docker Engine at unix://{tmp_path}/none.sock" in text
    assert "No such file" in text
    assert "--runtime hollow" in text


async def test_an_engine_that_is_too_old(tmp_path: Path) -> None:
    with engine_of(tmp_path / "old.sock", "1.30"):
        text = await refused(tmp_path / "old.sock")
    assert "Docker Engine 1.2" in text
    assert "is too old: its API is 1.30, at least 1.40 is needed" in text


async def test_an_engine_of_another_system(tmp_path: Path) -> None:
    with engine_of(tmp_path / "win.sock", "1.41", "windows"):
        assert "runs windows containers" in await refused(tmp_path / "win.sock")
