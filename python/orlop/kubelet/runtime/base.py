"""The runtime contract: CRI's verbs (k8s.io/cri-api, RuntimeService and ImageService) as asyncio methods.

A runtime makes pod sandboxes (network, IPC, host name) and containers within them, keeps their logs, and tells what
happens by events, so that nothing polls. It knows nothing of the API server. What it has made outlives it: a new
runtime object of the same node finds all of it again by labels. It never touches what another node or cluster made.

`tests/conformance/test_runtime.py` is the contract in executable form.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from orlop.kubelet.runtime import values as v

EXEC_SYNC_MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes kept of each output of `exec_sync`: CRI's own limit, so that a probe cannot fill the kubelet's memory."""

DEFAULT_STOP_TIMEOUT = 30.0
"""Seconds between the stop signal and SIGKILL where a pod does not say: terminationGracePeriodSeconds' default."""

LABEL_POD_NAME = "io.kubernetes.pod.name"
LABEL_POD_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER_NAME = "io.kubernetes.container.name"
"""Labels the kubelet gives sandboxes and containers upstream; tools that look at a node know them."""


class RuntimeFailure(Exception):
    """The runtime could not do what was asked. The text is the runtime's own, fit for an event."""


class NotFound(RuntimeFailure):
    """No such sandbox, container or image (of this node)."""


class Unavailable(RuntimeFailure):
    """The runtime cannot be reached, or is too old; the text says what to do."""


class StartFailure(RuntimeFailure):
    """A container was made but its program could not be started: no such file, not executable, a missing mount.

    Its status then is exited, exit code 128, reason StartError, and this text.
    """


class ExecTimeout(RuntimeFailure):
    """`exec_sync` took longer than allowed; the command was killed."""


class Unsupported(RuntimeFailure):
    """This runtime has no such verb (a simulated container has no files)."""


class ImageFailure(RuntimeFailure):
    """An image cannot be had. `reason` is Kubernetes' word: ErrImagePull, ErrImageNeverPull, ImagePullBackOff,
    ImageInspectError, InvalidImageName, RegistryUnavailable."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Session(Protocol):
    """A command in a container (`exec`) or its main process (`attach`), with its streams.

    Leaving `async with` closes it. Closing does not end the process, except an exec with a TTY (SIGHUP).
    """

    async def read(self) -> tuple[v.LogStream, bytes] | None:
        """The next output; None at the end of both. With a TTY everything is stdout."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends to stdin; returns when there is room for more. Raises RuntimeFailure when nobody reads any more."""
        ...

    async def close_stdin(self) -> None:
        """Ends stdin (the process reads end of file); output goes on."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """Sets the terminal's size in characters."""
        ...

    async def wait(self) -> int:
        """The exit code, once the process has ended. For `attach`: the container's."""
        ...

    async def close(self) -> None:
        """Lets go of the streams."""
        ...

    async def __aenter__(self) -> "Session": ...

    async def __aexit__(self, *exc: object) -> None: ...


class RuntimeService(Protocol):
    """CRI's RuntimeService. Ids are the runtime's own, full length. Calls may run side by side."""

    async def open(self) -> None:
        """Connects, and finds what earlier runs made. Raises Unavailable with what to do about it."""
        ...

    async def close(self) -> None:
        """Lets go; sandboxes and containers run on."""
        ...

    async def cleanup(self) -> None:
        """Removes everything this node's runtime has made: containers, sandboxes and their network, helper images."""
        ...

    async def version(self) -> v.Version: ...

    async def status(self) -> v.RuntimeStatus: ...

    # Pod sandboxes

    async def run_pod_sandbox(self, config: v.PodSandboxConfig) -> str:
        """Makes and starts a sandbox, network included, and returns its id. On failure nothing is left."""
        ...

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        """Stops its containers at once and frees its network. Safe to repeat; an unknown id is fine."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        """Removes it and all its containers, running ones by force. Safe to repeat; an unknown id is fine."""
        ...

    async def pod_sandbox_status(self, sandbox_id: str) -> v.PodSandboxStatus:
        """Raises NotFound."""
        ...

    async def list_pod_sandbox(self, labels: Mapping[str, str] | None = None) -> list[v.PodSandbox]:
        """All of this node's, those that carry all of `labels`."""
        ...

    # Containers

    async def create_container(
        self, sandbox_id: str, config: v.ContainerConfig, sandbox_config: v.PodSandboxConfig
    ) -> str:
        """Makes a container from an image that is present, and returns its id. Raises ImageFailure, NotFound."""
        ...

    async def start_container(self, container_id: str) -> None:
        """Raises StartFailure."""
        ...

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        """The stop signal, after `timeout_seconds` SIGKILL; returns when it has ended. An unknown id is fine."""
        ...

    async def remove_container(self, container_id: str) -> None:
        """Removes it and its log, running or not. An unknown id is fine."""
        ...

    async def container_status(self, container_id: str) -> v.ContainerStatus:
        """Raises NotFound."""
        ...

    async def list_containers(
        self, *, sandbox_id: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[v.Container]:
        """All of this node's in every state, newest first."""
        ...

    async def update_container_resources(self, container_id: str, resources: v.Resources) -> None:
        """Changes the limits of a running container; what is not set stays."""
        ...

    # Streams

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_seconds: float | None = None
    ) -> v.ExecResult:
        """Runs a command to its end. Raises ExecTimeout; RuntimeFailure when it cannot be started.

        A command that is not there ends with exit code 126 or 127, as in a shell."""
        ...

    async def exec(self, container_id: str, command: list[str], *, stdin: bool = False, tty: bool = False) -> Session:
        """Starts a command and hands over its streams."""
        ...

    async def attach(self, container_id: str, *, stdin: bool = False) -> Session:
        """The streams of the container's main process, from now on; TTY as the container has it."""
        ...

    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the pod's own localhost at this port. Raises RuntimeFailure when nobody listens."""
        ...

    # Logs and events

    def logs(self, container_id: str, options: v.LogOptions) -> AsyncGenerator[bytes, None]:
        """The log as a client is shown it, in chunks of whole lines where possible; a dead container's too.

        With `follow` it goes on until the container has ended and everything is read. With `timestamps` each line
        starts with RFC3339Nano. Ending the iteration (aclose) frees everything. Raises NotFound.
        """
        ...

    async def reopen_container_log(self, container_id: str) -> None:
        """After a log file was renamed: writes to a new one. Nothing where the runtime rotates by itself."""
        ...

    def events(self) -> AsyncGenerator[v.ContainerEvent, None]:
        """What happens from now on, of this node's only. The first event is always `relist`: by then the stream is
        connected, so a list made after it misses nothing. After a lost connection `relist` comes again."""
        ...

    # Resource use

    async def container_stats(self, container_id: str) -> v.ContainerStats:
        """Raises NotFound when it does not run."""
        ...

    async def list_pod_sandbox_stats(self) -> list[v.PodSandboxStats]:
        """All running sandboxes."""
        ...

    async def container_disk_stats(self, container_id: str) -> v.ContainerDiskStats:
        """What its writable layer and logs take, running or not; as slow as looking at each file. Raises NotFound."""
        ...

    async def filesystems(self) -> v.Filesystems:
        """Where images and writable layers are."""
        ...


class ImageService(Protocol):
    """CRI's ImageService."""

    async def list_images(self) -> list[v.Image]: ...

    async def image_status(self, image: str) -> v.Image | None:
        """By name, name@digest or id (sha256:…); None when it is not present. Raises ImageFailure (InvalidImageName,
        ImageInspectError)."""
        ...

    async def pull_image(self, image: str, auth: v.AuthConfig | None = None) -> str:
        """Fetches it and returns its id. Raises ImageFailure (ErrImagePull, RegistryUnavailable)."""
        ...

    async def remove_image(self, image: str) -> None:
        """An image that is not there is fine; one in use raises RuntimeFailure."""
        ...

    async def image_fs_info(self) -> v.FilesystemUsage: ...


class Runtime(RuntimeService, ImageService, Protocol):
    """A whole container runtime."""


ProbeKind = Literal["startup", "readiness", "liveness"]


@runtime_checkable
class SimulatedProbes(Protocol):
    """A runtime whose containers are not there to be probed; the kubelet asks this instead of connecting."""

    async def probe(self, container_id: str, kind: ProbeKind) -> bool:
        """Whether this probe succeeds now."""
        ...


class SimulatedUse(NamedTuple):
    """What all simulated containers of a node take together: bytes, processes."""

    memory: int
    disk: int
    images: int
    pids: int


@runtime_checkable
class SimulatedResources(Protocol):
    """A runtime whose containers use nothing: the kubelet asks this instead of measuring the machine."""

    def simulated_use(self) -> SimulatedUse: ...

    def simulated_volumes(self, pod_uid: str) -> dict[str, int]:
        """Bytes in each of the pod's volumes, by name."""
        ...
