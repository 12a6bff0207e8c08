from pathlib import Path

import pytest

from orlop.kubelet.runtime import cgroups
from orlop.kubelet.runtime.cgroups import Usage


def tree(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_version_1(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "proc/42/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n2:pids:/docker/x\n1:name=systemd:/\n",
            "fs/memory/docker/x/memory.usage_in_bytes": "1000\n",
            "fs/memory/docker/x/memory.stat": "cache 700\ntotal_inactive_file 300\ntotal_rss 400\n",
            "fs/cpuacct/docker/x/cpuacct.usage": "123456\n",
            "fs/pids/docker/x/pids.current": "5\n",
        },
    )
    groups = cgroups.of_process(42, tmp_path / "fs", tmp_path / "proc")
    assert groups.usage() == Usage(cpu_nanoseconds=123456, memory=1000, working_set=700, rss=400, pids=5)


def test_version_2(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "proc/42/cgroup": "0::/system.slice/docker-x.scope\n",
            "fs/system.slice/docker-x.scope/memory.current": "1000\n",
            "fs/system.slice/docker-x.scope/memory.stat": "anon 400\ninactive_file 300\n",
            "fs/system.slice/docker-x.scope/cpu.stat": "usage_usec 123\nuser_usec 100\n",
        },
    )
    groups = cgroups.of_process(42, tmp_path / "fs", tmp_path / "proc")
    assert groups.usage() == Usage(cpu_nanoseconds=123_000, memory=1000, working_set=700, rss=400, pids=0)


def test_a_group_that_is_gone(tmp_path: Path) -> None:
    tree(tmp_path, {"proc/42/cgroup": "0::/gone\n"})
    with pytest.raises(FileNotFoundError):
        cgroups.of_process(42, tmp_path / "fs", tmp_path / "proc").usage()
    with pytest.raises(FileNotFoundError):
        cgroups.of_process(43, tmp_path / "fs", tmp_path / "proc")
