"""What probes and lifecycle hooks do: run a command, ask over HTTP, open a TCP connection."""

import asyncio
import ssl
from typing import NamedTuple

import aiohttp

from orlop.api.types import core_v1
from orlop.kubelet.runtime import base, values as v

MAX_BODY = 10 * 1024
"""Bytes of an HTTP answer that are read: it only goes into a message (upstream: maxRespBodyLength)."""

USER_AGENT = "kube-probe/1.37"


class Outcome(NamedTuple):
    """Whether it succeeded; what to tell when not."""

    success: bool
    message: str = ""


class Handlers:
    """Runs actions of pods on this node."""

    def __init__(self, runtime: base.Runtime) -> None:
        self._runtime = runtime
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes what was opened."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def execute(self, container: v.ContainerStatus, command: list[str], timeout: float) -> Outcome:
        """Exit code 0 within `timeout` seconds. Raises RuntimeFailure when it cannot be told."""
        try:
            result = await self._runtime.exec_sync(container.id, command, timeout)
        except base.ExecTimeout:
            return Outcome(False, f'command timed out: "{" ".join(command)}" timed out after {timeout:g}s')
        if result.exit_code == 0:
            return Outcome(True)
        output = (result.stdout + result.stderr)[:MAX_BODY].decode(errors="replace")
        return Outcome(False, output or f"command exited with {result.exit_code}")

    async def http(
        self, action: core_v1.HTTPGetAction, container: core_v1.Container, ip: str, timeout: float
    ) -> Outcome:
        """A status from 200 to 399 within `timeout` seconds. Certificates are not checked, as upstream."""
        port = port_number(action.port, container)
        if port is None:
            return Outcome(False, f"couldn't find port: {action.port}")
        host = action.host or ip
        scheme = (action.scheme or "HTTP").lower()
        shown = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{shown}:{port}{action.path if action.path.startswith('/') else '/' + action.path}"
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"} | {h.name: h.value for h in action.http_headers}
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0, ssl=_unchecked())
            )
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.get(url, headers=headers, allow_redirects=True, max_redirects=10) as answer,
            ):
                body = await answer.content.read(MAX_BODY)
                if 200 <= answer.status < 400:
                    return Outcome(True)
                return Outcome(False, f"HTTP probe failed with statuscode: {answer.status}" if body is not None else "")
        except TimeoutError:
            return Outcome(
                False,
                f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(False, f'Get "{url}": {_words(error, host, port)}')

    async def tcp(
        self, action: core_v1.TCPSocketAction, container: core_v1.Container, ip: str, timeout: float
    ) -> Outcome:
        """A connection is accepted within `timeout` seconds."""
        port = port_number(action.port, container)
        if port is None:
            return Outcome(False, f"couldn't find port: {action.port}")
        host = action.host or ip
        try:
            async with asyncio.timeout(timeout):
                _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return Outcome(True)
        except TimeoutError:
            return Outcome(False, f"dial tcp {host}:{port}: i/o timeout")
        except OSError as error:
            return Outcome(False, _words(error, host, port))


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: BaseException, host: str, port: int) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ConnectionRefusedError):
        return f"dial tcp {host}:{port}: connect: connection refused"
    if isinstance(cause, OSError) and cause.strerror:
        return f"dial tcp {host}:{port}: connect: {cause.strerror.lower()}"
    return str(cause) or type(cause).__name__


def port_number(port: int | str, container: core_v1.Container) -> int | None:
    """A port by number, or by the name of one of the container's ports."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    return next((p.container_port for p in container.ports if p.name == port), None)
