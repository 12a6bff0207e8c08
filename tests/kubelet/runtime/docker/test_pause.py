import platform
import signal
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from orlop.kubelet.runtime.docker import pause


@pytest.fixture
def program(tmp_path: Path) -> Path:
    machine = platform.machine()
    if machine not in ("x86_64", "aarch64"):
        pytest.skip(f"no pause program for {machine}")
    path = tmp_path / "pause"
    path.write_bytes(pause.program(machine))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGINT])
def test_it_waits_until_it_is_told_to_end(program: Path, ends: signal.Signals) -> None:
    process = subprocess.Popen([program])
    process.send_signal(signal.SIGCHLD)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.send_signal(ends)
    assert process.wait(5) == 0


def test_it_reaps_what_it_inherits(program: Path) -> None:
    """A shell leaves it a child that has ended: that must be gone, not a zombie."""
    process = subprocess.Popen(["/bin/sh", "-c", f"sleep 0.1 & exec {program}"])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        for _ in range(100):
            if not children.read_text():
                return
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        pytest.fail(f"it still has the children {children.read_text()}")
    finally:
        process.kill()
        process.wait()


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        assert {member.mode for member in tar} == {0o755}
        return {member.name: read.read() for member in tar if (read := tar.extractfile(member))}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_image_is_the_program_alone(machine: str) -> None:
    assert pause.archive(machine) == pause.archive(machine)
    layer = members(pause.archive(machine))["layer.tar"]
    assert members(layer) == {"pause": pause.program(machine)}
    assert pause.image_name(machine).startswith("orlop/pause:")


def test_an_unknown_machine() -> None:
    with pytest.raises(pause.NoPauseProgram, match="mips64"):
        pause.program("mips64")
