"""One cluster for all end-to-end tests, with short timings; each test has a namespace of its own.

They run on orlop's own runtime, those marked `on_docker` on a Docker Engine too. ORLOP_E2E_RUNTIME=docker runs all of
them there, and there alone.
"""

import json
import os
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import docker_engine, images
from tests.support.cluster import KUBECTL, UpCluster
from tests.support.terminal import Terminal

IMAGE = "orlop-hello:1"
EXAMPLES = Path(__file__).parents[2] / "examples"

RUNTIME = os.environ.get("ORLOP_E2E_RUNTIME", "native")
"""What containers run on where a test does not say."""

LOG_SIZE, LOG_FILES = 1 << 20, 3
"""What the cluster keeps of a container's log."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once for each runtime that the test is to hold for."""
    if "runtime" not in metafunc.fixturenames:
        return
    twice = metafunc.definition.get_closest_marker("on_docker") is not None and RUNTIME == "native"
    kinds = ["native", "docker"] if twice else [RUNTIME]
    rows = [pytest.param(kind, marks=[pytest.mark.docker] if kind == "docker" else []) for kind in kinds]
    metafunc.parametrize("runtime", rows, indirect=True, scope="session")


@pytest.fixture(scope="session")
def runtime(request: pytest.FixtureRequest) -> list[str]:
    """The flags of `orlop up` for one of the runtimes, which has the image of the examples."""
    if os.geteuid() != 0:
        pytest.skip("pod networks need root")
    kind: str = request.param
    if kind == "native":
        return ["--runtime=native", f"--image-dir={images.native_store(IMAGE).layout.root}"]
    try:
        docker_engine.ensure()
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))
    images.busybox(IMAGE)
    return [f"--runtime={kind}"]


@pytest.fixture(scope="session")
def cluster(runtime: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpCluster]:
    """A running cluster of three nodes: this machine ("real") and two network namespaces beside it."""
    folder = tmp_path_factory.mktemp("e2e")
    one = UpCluster(
        f"e2e-{os.getpid()}",
        folder,
        *runtime,
        "--secure-port=0",
        "--node-name=real",
        "--nodes=3",
        "--pod-cidr=10.231.0.0/16",
        "--service-cidr=10.232.0.0/16",
        "--node-monitor-grace-period=4",
        "--default-toleration-seconds=3",
        "--node-lease-duration-seconds=4",
        f"--container-log-max-size={LOG_SIZE}",
        f"--container-log-max-files={LOG_FILES}",
    )
    try:
        one.up()
        yield one
    finally:
        one.down()


@pytest.fixture
def namespace(cluster: UpCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that is gone after the test."""
    words = request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()
    name = f"t-{words[:45].rstrip('-')}-{zlib.crc32(words.encode()):08x}"
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


class Box:
    """A pod with a shell, for everything that streams."""

    def __init__(self, cluster: UpCluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def kubectl(self, *words: str, input: str | None = None) -> str:
        """A kubectl in the box's namespace that must succeed."""
        return self.cluster.kubectl("-n", self.namespace, *words, input=input)

    def keep(self, pod: str, script: str) -> None:
        """That a pod of this name is ready on node "real"; it is made again where a node's end took it along."""
        phase = "-o=jsonpath={.status.phase}{.metadata.deletionTimestamp}"
        if self.kubectl("get", "pod", pod, "--ignore-not-found", phase) != "Running":
            self.kubectl("delete", "pod", pod, "--ignore-not-found", "--now")
            pinned = json.dumps({"spec": {"nodeName": "real"}})
            image = f"--image={IMAGE}"
            self.kubectl("run", pod, image, "--overrides", pinned, "--command", "--", "sh", "-c", script)
        self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")

    def sh(self, script: str) -> str:
        """What a script in the pod prints."""
        return self.kubectl("exec", "box", "--", "sh", "-c", script)

    def run(self, *words: str, input: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
        """A kubectl in the namespace, whatever comes of it, in bytes."""
        command = [str(KUBECTL), "--context", self.cluster.name, "-n", self.namespace, *words]
        whole = {**self.cluster.env, **env}
        return subprocess.run(command, env=whole, input=input, capture_output=True, timeout=90, check=False)

    def terminal(self, *words: str, **env: str) -> Terminal:
        """A kubectl in the namespace, on a terminal."""
        command = [str(KUBECTL), "--context", self.cluster.name, "-n", self.namespace, *words]
        return Terminal(command, {**self.cluster.env, **env})


@pytest.fixture
def box(cluster: UpCluster) -> Box:
    """The pod `box`, which serves /www on 8080. One for all tests."""
    box = Box(cluster, "streams")
    if cluster.kubectl("get", "namespace", "streams", "--ignore-not-found", "-o", "name") == "":
        cluster.kubectl("create", "namespace", "streams")
    box.keep("box", "exec httpd -f -p 8080 -h /www")
    return box


WAYS = {
    "websocket": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "true", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "true"},
    "spdy": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false", "KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"},
}


@pytest.fixture(params=sorted(WAYS))
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables that make kubectl speak one protocol or the other."""
    return WAYS[request.param]
