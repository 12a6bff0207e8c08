"""The same container made by runc and by us, seen from inside: its first process and a command in it."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs
from tests.support import docker_engine, runtimes
from tests.support.runtimes import World, until

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.native import groups
from orlop.kubelet.runtime.native.runtime import RUN_DIR, VERSION

pytestmark = pytest.mark.root

PROBE = r"""
grep -E '^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap|SigBlk|SigIgn)' /proc/self/status
echo "umask $(umask)"
cat /proc/self/limits | tr -s ' '
echo "oom $(cat /proc/self/oom_score_adj)"
echo "cwd $(pwd)"
env | grep -v -E '^(SHLVL|_)=' | sort
awk '{ split($6, o, ","); f = ""; for (i in o) if (o[i] ~ /^(ro|rw|nosuid|nodev|noexec)$/) s[o[i]] = 1;
       for (k in s) f = f; n = ("ro" in s) ? "ro" : "rw";
       if ("nosuid" in s) n = n " nosuid"; if ("nodev" in s) n = n " nodev"; if ("noexec" in s) n = n " noexec";
       for (i = 7; $i != "-"; i++) {}; top[$5] = $(i + 1) " " n; delete s }
     END { for (m in top) print "mount", m, top[m] }' /proc/self/mountinfo | sort
for file in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /sys/firmware; do
    echo "masked $file $(ls -A $file 2>&1 | grep -c -v "^$file$") $(cat $file 2>/dev/null | head -c 100 | wc -c)"
done
(echo 0 > /proc/sys/kernel/panic) 2>/dev/null && echo "panic writable" || echo "panic read-only"
(echo x > /rootfile) 2>/dev/null && echo "root writable" || echo "root read-only"
mkdir /tmp/made 2>/dev/null && rmdir /tmp/made && echo "mkdir allowed" || echo "mkdir refused"
unshare -U true 2>/dev/null && echo "user namespace allowed" || echo "user namespace refused"
ls /dev | sort | tr '\n' ' '; echo
ls -l /dev/null /dev/zero /dev/random | awk '{ print $1, $3, $4, $5, $6 }'
ls /proc/self/fd | wc -l
ls -ld /proc/1/fd/1 >/dev/null 2>&1; echo "pid1 $(cat /proc/1/comm)"
"""
SECURITY = {
    "default": v.SecurityContext(),
    "user": v.SecurityContext(run_as_user=1000, run_as_group=3000, supplemental_groups=(4000, 4001)),
    "image's own groups": v.SecurityContext(run_as_user=1000),
    "no new privileges": v.SecurityContext(no_new_privs=True),
    "user without privileges": v.SecurityContext(run_as_user=1000, no_new_privs=True, drop_capabilities=("ALL",)),
    "capabilities": v.SecurityContext(add_capabilities=("NET_ADMIN", "SYS_PTRACE"), drop_capabilities=("CHOWN",)),
    "all dropped but one": v.SecurityContext(drop_capabilities=("ALL",), add_capabilities=("NET_BIND_SERVICE",)),
    "read-only": v.SecurityContext(readonly_rootfs=True),
    "unconfined": v.SecurityContext(seccomp="unconfined"),
    "privileged": v.SecurityContext(privileged=True),
    "open proc": v.SecurityContext(unmasked_proc=True),
    "localhost": v.SecurityContext(seccomp="localhost/PROFILE"),
    "localhost, no new privileges": v.SecurityContext(seccomp="localhost/PROFILE", no_new_privs=True),
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    docker_engine.apt_install_missing("runc", "runc")
    async with runtimes.opened("native", tmp_path / "state") as opened:
        yield opened


class Runc:
    """The container of a folder of ours, made by runc: the same config.json over the same layers."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.name = f"orlop-test-{uuid4().hex[:8]}"
        self.bundle = scratch / self.name
        self.state = scratch / "runc"
        self.config = json.loads((folder / "config.json").read_text())
        self.layers = ":".join(os.readlink(link) for link in sorted((folder / "l").iterdir()))
        self.config["linux"]["cgroupsPath"] = f"/orlop-test-runc/{self.name}"

    def __enter__(self) -> "Runc":
        for name in ("rootfs", "upper", "work"):
            (self.bundle / name).mkdir(parents=True)
        options = f"lowerdir={self.layers},upperdir={self.bundle}/upper,workdir={self.bundle}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(self.bundle / "rootfs")], check=True)
        (self.bundle / "config.json").write_text(json.dumps(self.config))
        return self

    def __exit__(self, *exc: object) -> None:
        self.call("delete", "--force", self.name, check=False)
        subprocess.run(["umount", str(self.bundle / "rootfs")], check=True)
        groups.remove("/orlop-test-runc")

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["runc", "--root", str(self.state), *arguments]
        return subprocess.run(
            command, check=check, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def init(self) -> None:
        with (self.bundle / "out").open("w+") as out:
            command = ["runc", "--root", str(self.state), "run", "-d", "-b", str(self.bundle), self.name]
            subprocess.run(command, check=True, stdout=out, stderr=out, stdin=subprocess.DEVNULL, timeout=60)

    def exec(self, command: list[str]) -> str:
        return self.call("exec", self.name, *command).stdout


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def comparable(found: list[str]) -> list[str]:
    """libcontainer leaves nosuid, nodev and noexec out where it mounts control groups for a privileged container."""
    return [re.sub(r"^(mount /sys/fs/cgroup/\S+ \S+ rw).*", r"\1", line) for line in found]


@pytest.mark.parametrize("name", SECURITY)
async def test_seen_from_inside_it_is_the_same(world: World, tmp_path: Path, name: str) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    data = tmp_path / "data"
    data.mkdir()
    probe = data / "probe"
    probe.write_text(PROBE)
    security = SECURITY[name]
    security = structs.replace(security, seccomp=security.seccomp.replace("PROFILE", str(profile)))
    fields: dict[str, Any] = {
        "command": ("/bin/sh", "-c", "sh /data/probe > /dev/stderr; touch /data/$MARK 2>/dev/null; exec sleep 600"),
        "envs": (("MARK", "done"), ("B", "x=y")),
        "mounts": (
            v.Mount(container_path="/data", host_path=str(data)),
            v.Mount(container_path="/ro", host_path=str(data), readonly=True),
        ),
        "working_dir": "/var",
        "security": security,
        "resources": v.Resources(oom_score_adj=321, pids_limit=50),
    }
    data.chmod(0o777)
    container_id = await world.run({}, **fields)
    await wait_for_probe(world, container_id)
    ours = lines((await world.log(container_id)).decode())
    ours_exec = lines((await world.runtime.exec_sync(container_id, ["sh", "/data/probe"])).stdout.decode())
    folder = tmp_path / "state" / "containers" / container_id
    with Runc(folder, tmp_path) as runc:
        await asyncio.to_thread(runc.init)
        out = runc.bundle / "out"
        await until(lambda: "pid1" in out.read_text())
        theirs = lines(out.read_text())
        theirs_exec = lines(await asyncio.to_thread(runc.exec, ["sh", "/data/probe"]))
    assert comparable(ours) == comparable(theirs)
    assert comparable(ours_exec) == comparable(theirs_exec)
    status = {line.split(":")[0]: line.split(":")[1].strip() for line in ours_exec if ":\t" in line}
    first = {line.split(":")[0]: line.split(":")[1].strip() for line in ours if ":\t" in line}
    for field in ("Seccomp", "Seccomp_filters", "NoNewPrivs", "CapEff", "CapBnd", "CapPrm", "Uid", "Gid", "Groups"):
        assert status[field] == first[field], field


async def wait_for_probe(world: World, container_id: str) -> None:
    async with (
        asyncio.timeout(30),
        aclosing(world.runtime.logs(container_id, v.LogOptions(follow=True))) as chunks,
    ):
        seen = b""
        async for chunk in chunks:
            seen += chunk
            if b"pid1" in seen:
                return


async def test_a_kept_filter_serves_the_next_container_and_a_broken_one_is_made_again(world: World) -> None:
    probe = "grep '^Seccomp' /proc/self/status; unshare -U true 2>/dev/null && echo escaped"
    sandbox_id = await world.runtime.run_pod_sandbox(pod := world.pod())

    async def confined(name: str) -> list[str]:
        metadata = v.ContainerMetadata(name=name)
        container_id = await world.container(sandbox_id, pod, {"command": ("/bin/sh", "-c", probe)}, metadata=metadata)
        await world.ended(container_id)
        return lines((await world.log(container_id)).decode())

    first = await confined("first")
    assert first == ["Seccomp:\t2", "Seccomp_filters:\t1"]
    [kept] = (RUN_DIR / world.scope / "filters" / VERSION).iterdir()
    whole, made = kept.read_bytes(), kept.stat().st_ino
    assert await confined("second") == first
    assert kept.stat().st_ino == made
    kept.write_bytes(whole[:-3])
    assert await confined("third") == first
    assert kept.read_bytes() == whole
    assert list(kept.parent.iterdir()) == [kept]
