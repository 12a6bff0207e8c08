"""The Docker Engine as this runtime uses it: the SDK's calls in a few threads, long answers as streams."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import docker
import docker.errors
import requests

from orlop.kubelet.runtime.base import RuntimeFailure, Unavailable
from orlop.kubelet.runtime.docker.oom import lowest_score
from orlop.kubelet.runtime.docker.streams import Streams, failure

T = TypeVar("T")

DEFAULT_SOCKET = "/var/run/docker.sock"
MINIMUM_API = (1, 40)
"""Engine 19.03: the oldest API with every field used here."""

THREADS = 8
"""Calls to the engine at once; it works on containers one after the other anyway."""

CALL_SECONDS = 120.0
"""Longest single call; stops, pulls and streams do not come this way."""

ADVICE = (
    "is the Docker Engine installed and running, and may this user use it? "
    "On Debian: apt-get install docker.io. Without it: --runtime hollow"
)


class Engine:
    """One connection pool to one engine on this machine."""

    def __init__(self, socket_path: str = DEFAULT_SOCKET) -> None:
        self.socket_path = socket_path
        self.streams = Streams(socket_path, "1.40")
        self.info: dict[str, Any] = {}
        self.server_version: dict[str, Any] = {}
        self.lowest_oom_score = 0
        self._api: docker.APIClient | None = None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")

    async def open(self) -> None:
        """Connects and agrees on a version. Raises Unavailable."""
        self._api = await self._in_thread(self._connect)
        self.server_version = await self.call(lambda api: api.version())
        self.info = await self.call(lambda api: api.info())
        version = str(self._api.api_version)
        if tuple(int(part) for part in version.split(".")) < MINIMUM_API:
            wanted = ".".join(map(str, MINIMUM_API))
            raise Unavailable(
                f"Docker Engine {self.server_version.get('Version')} at unix://{self.socket_path} is too old: its API "
                f"is {version}, at least {wanted} is needed (Docker 19.03 or newer)"
            )
        if self.info.get("OSType", "linux") != "linux":
            raise Unavailable(f"the Docker Engine at unix://{self.socket_path} runs {self.info['OSType']} containers")
        self.streams = Streams(self.socket_path, version)
        self.lowest_oom_score = await self._in_thread(lowest_score)

    async def close(self) -> None:
        if self._api is not None:
            await self._in_thread(self._api.close)
            self._api = None
        self._pool.shutdown(wait=False)

    async def call(self, work: Callable[[Any], T]) -> T:
        """Runs one call of the SDK's APIClient (untyped: its stubs lag behind) in a thread.

        Raises NotFound, RuntimeFailure, Unavailable in the engine's words."""
        api = self._api
        if api is None:
            raise Unavailable("the Docker Engine is not connected yet")
        return await self._in_thread(lambda: work(api))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: self._translated(work))

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except docker.errors.APIError as error:
            code = error.response.status_code if error.response is not None else 500
            raise failure(code, str(error.explanation or error)) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            raise Unavailable(
                f"cannot talk to the Docker Engine at unix://{self.socket_path} ({_innermost(error)}): {ADVICE}"
            ) from error

    def _connect(self) -> docker.APIClient:
        api = docker.APIClient(
            base_url=f"unix://{self.socket_path}",
            version="auto",
            timeout=int(CALL_SECONDS),
            num_pools=2,
            max_pool_size=THREADS,
        )
        api.ping()
        return api


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def is_conflict(error: RuntimeFailure) -> bool:
    """Whether the engine refused because a container's name is taken."""
    cause = error.__cause__
    return (
        isinstance(cause, docker.errors.APIError) and cause.response is not None and cause.response.status_code == 409
    )
