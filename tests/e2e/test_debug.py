"""kubectl debug: ephemeral containers, copies of pods, and a look at a node."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import IMAGE, Box
from tests.support.cluster import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]


@pytest.fixture
def patient(box: Box) -> Iterator[str]:
    """A pod that is to be looked at."""
    box.kubectl("run", "patient", f"--image={IMAGE}", "--command", "--", "sleep", "4242")
    box.kubectl("wait", "--for=condition=Ready", "pod/patient", "--timeout=30s")
    yield "patient"
    box.kubectl("delete", "pod", "patient", "--now")


def test_an_ephemeral_container_sees_its_target(box: Box, patient: str) -> None:
    words = ("debug", "patient", "-it", f"--image={IMAGE}", "--target=patient", "--container=look", "--profile=general")
    with box.terminal(*words, "--", "sh") as terminal:
        terminal.expect("If you don't see a command prompt")
        terminal.type("ps; exit 3\n")
        terminal.expect("sleep 4242")
        terminal.expect("Session ended, the ephemeral container will not be restarted")
        assert terminal.exit_code() == 0
    pod = box.cluster.get("-n", box.namespace, "pod", "patient")
    (status,) = [s for s in pod["status"]["ephemeralContainerStatuses"] if s["name"] == "look"]
    ended = eventually(
        "its end is told",
        lambda: box.cluster.get("-n", box.namespace, "pod", "patient")["status"]["ephemeralContainerStatuses"][0][
            "state"
        ]["terminated"],
    )
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert status["restartCount"] == 0
    assert status["ready"] is False
    assert "sleep 4242" in box.kubectl("logs", "patient", "-c", "look")
    pod = box.cluster.get("-n", box.namespace, "pod", "patient")
    assert pod["metadata"]["generation"] == 2
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    described = box.kubectl("describe", "pod", "patient")
    assert "Ephemeral Containers:" in described


def test_what_may_not_be_done_to_ephemeral_containers(box: Box, patient: str) -> None:
    box.kubectl("debug", "patient", f"--image={IMAGE}", "--container=one", "--", "sleep", "500")

    def refused(*containers: str) -> str:
        patch = f'{{"spec":{{"ephemeralContainers":[{",".join(containers)}]}}}}'
        words = ("patch", "pod", "patient", "--subresource=ephemeralcontainers", "--type=merge", "-p", patch)
        return box.cluster.kubectl_fails("-n", box.namespace, *words)

    assert 'existing ephemeral containers "one" may not be removed' in refused()
    changed = f'{{"name":"one","image":"{IMAGE}","command":["ls"]}}'
    assert 'existing ephemeral containers "one" may not be changed' in refused(changed)
    with_ports = f'{{"name":"two","image":"{IMAGE}","ports":[{{"containerPort":80}}]}}'
    assert "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container" in refused(
        with_ports
    )
    lost = f'{{"name":"two","image":"{IMAGE}","targetContainerName":"nobody"}}'
    assert 'spec.ephemeralContainers[0].targetContainerName: Not found: "nobody"' in refused(lost)
    taken = f'{{"name":"patient","image":"{IMAGE}"}}'
    assert 'spec.ephemeralContainers[0].name: Duplicate value: "patient"' in refused(taken)


def test_a_copy(box: Box) -> None:
    words = ("debug", "box", "--copy-to=twin", "--container=box", f"--set-image=box={IMAGE}")
    with box.terminal(*words, "-it", "--", "sh") as terminal:
        terminal.expect("If you don't see a command prompt")
        terminal.type("echo from the $(hostname); exit\n")
        terminal.expect("from the twin")
        terminal.exit_code()
    assert box.cluster.get("-n", box.namespace, "pod", "twin")["spec"]["containers"][0]["command"][0] == "sh"
    box.kubectl("delete", "pod", "twin", "--now")


def test_a_node(box: Box) -> None:
    with box.terminal("debug", "node/real", "-it", f"--image={IMAGE}", "--profile=general", "--", "sh") as terminal:
        name = terminal.expect(r"Creating debugging pod (\S+) with container").group(1)
        terminal.expect("If you don't see a command prompt")
        # The machine's files and processes are there.
        terminal.type("ls -d /host/etc/debian_version; ps | grep -c orlop; exit\n")
        terminal.expect(r"\r\n/host/etc/debian_version\r\n[1-9]")
        terminal.exit_code()
    spec = box.cluster.get("-n", box.namespace, "pod", name)["spec"]
    assert (spec["hostPID"], spec["hostNetwork"], spec["nodeName"]) == (True, True, "real")
    box.kubectl("delete", "pod", name, "--now")
