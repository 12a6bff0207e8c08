"""What is measured of the machine and its disks."""

import os
from pathlib import Path

import pytest

from orlop.clock import FakeClock
from orlop.kubelet.eviction.machine import filesystem, layout_of, memory, processes
from orlop.kubelet.eviction.meter import PACE, Meter, pod_files
from orlop.kubelet.eviction.signals import Layout, Observation
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime import diskuse
from orlop.kubelet.runtime.hollow import HollowRuntime
from tests.kubelet.eviction.pods import pod

MEMINFO = """MemTotal:       1000 kB
MemFree:         100 kB
Buffers:          20 kB
Cached:          500 kB
SwapCached:        0 kB
AnonPages:       200 kB
Inactive(file):  300 kB
Slab:            100 kB
"""


def test_memory_and_processes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    working_set = 200 + 500 + 20 - 300
    assert memory(tmp_path) == Observation((1000 - working_set) * 1024, 1000 * 1024)
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/pid_max").write_text("32768\n")
    (tmp_path / "sys/kernel/threads-max").write_text("1000\n")
    (tmp_path / "loadavg").write_text("0.10 0.20 0.30 2/345 6789\n")
    assert processes(tmp_path) == Observation(655, 1000)


def test_memory_is_the_root_control_group_s() -> None:
    """Version 1 has the figure ready: the parts of /proc/meminfo come to the same, but for what changes meanwhile."""
    group = Path("/sys/fs/cgroup/memory")
    if not (group / "memory.usage_in_bytes").exists():
        pytest.skip("control groups are of version 2 here, whose root has no such file")
    found = memory()
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    used = int((group / "memory.usage_in_bytes").read_text()) - int(stat["total_inactive_file"])
    assert abs(found.capacity - found.available - used) < found.capacity // 10


def test_this_machine() -> None:
    space, inodes = filesystem(Path("/nonexistent/folder"))
    assert 0 < space.available <= space.capacity
    assert inodes.available <= inodes.capacity
    assert 0 < memory().available < memory().capacity
    assert 0 < processes().available < processes().capacity


def test_which_file_systems_are_apart(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is but one file system")
    assert layout_of(tmp_path, tmp_path / "images", tmp_path / "layers") == Layout()
    assert layout_of(tmp_path, shm / "images", shm / "layers") == Layout(images_apart=True, layers_with_images=True)
    assert layout_of(tmp_path, shm / "images", tmp_path) == Layout(images_apart=True, layers_with_images=False)


def test_a_directory_s_files_count_once_and_as_they_lie_on_disk(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    empty = diskuse.measure(root)
    assert empty.inodes == 2
    (root / "file").write_bytes(b"x" * 100_000)
    os.link(root / "file", root / "sub" / "again")
    (root / "link").symlink_to("/")
    with (root / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    found = diskuse.measure(root)
    assert found.inodes == 2 + 3
    assert 100_000 <= found.bytes - empty.bytes < 200_000
    assert diskuse.measure(tmp_path / "none") == diskuse.NOTHING


def test_a_log_and_what_was_rotated_away(tmp_path: Path) -> None:
    for name in ("0.log", "0.log.20260101-000000", "1.log", "10.log"):
        (tmp_path / name).write_bytes(b"x" * 5000)
    assert diskuse.measure_files(tmp_path / "0.log").inodes == 2
    assert diskuse.measure_files(tmp_path / "0.log").bytes >= 10_000
    assert diskuse.measure_files(tmp_path / "none" / "0.log") == diskuse.NOTHING


def test_a_pod_s_own_files(tmp_path: Path) -> None:
    data = tmp_path / "volumes/kubernetes.io~empty-dir/data"
    data.mkdir(parents=True)
    (data / "file").write_bytes(b"x" * 9000)
    (tmp_path / "etc-hosts").write_text("127.0.0.1 localhost\n")
    volumes, files = pod_files(tmp_path, ["data", "other"])
    assert list(volumes) == ["data"]
    assert volumes["data"].bytes >= 9000
    assert files.inodes == 1


async def test_many_files_are_measured_seldom(tmp_path: Path) -> None:
    """The pace is by the number of files, not by time, which a busy machine stretches."""

    class Bare(HollowRuntime):
        """A runtime without containers, whose pods' volumes are real."""

        simulated_use = None  # type: ignore[assignment]

    clock = FakeClock()
    meter = Meter(clock, Bare(clock, HollowNetwork()), tmp_path)
    one = pod("p", volumes=[{"name": "data", "emptyDir": {}}])
    data = tmp_path / "p/volumes/kubernetes.io~empty-dir/data"
    data.mkdir(parents=True)
    for number in range(400):
        (data / str(number)).touch()
    first = (await meter.disks([one]))["p"]
    (data / "more").touch()
    assert (await meter.disks([one]))["p"] is first
    await clock.advance(400 * PACE)
    assert (await meter.disks([one]))["p"] is first
    await clock.advance(5 * PACE)
    assert (await meter.disks([one]))["p"].volumes["data"].inodes == 402
    await meter.disks([])
    assert meter._disks == {}, "what is gone is forgotten"
