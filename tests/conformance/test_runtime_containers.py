"""What only real containers can show: processes, files, limits, streams. Over every runtime that has them."""

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ExecTimeout, RuntimeFailure, Session, StartFailure
from tests.support import runtimes
from tests.support.runtimes import World


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("native", marks=pytest.mark.root),
        pytest.param("native", marks=[pytest.mark.kernel, pytest.mark.campaign], id="native-cgroup2"),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with runtimes.opened(request.param, tmp_path / "state") as opened:
        yield opened


def all_capabilities() -> int:
    return (1 << int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1) - 1


def own_capabilities() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)


def sh(script: str) -> dict[str, Any]:
    return {"command": ("/bin/sh", "-c", script)}


async def output(world: World, does: dict[str, Any], pod: v.PodSandboxConfig | None = None, **fields: Any) -> str:
    """What a container prints before it ends."""
    pod = pod or world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    container_id = await world.container(sandbox_id, pod, does, **fields)
    await world.ended(container_id)
    text = (await world.log(container_id)).decode()
    await world.runtime.remove_pod_sandbox(sandbox_id)
    return text


async def prints(world: World, container_id: str, wanted: bytes) -> None:
    """Waits until its log begins with this."""
    async with asyncio.timeout(20), aclosing(world.runtime.logs(container_id, v.LogOptions(follow=True))) as chunks:
        seen = b""
        async for chunk in chunks:
            seen += chunk
            if seen.startswith(wanted):
                return
    raise AssertionError(f"it printed {seen!r}")


async def drain(session: Session) -> dict[str, bytes]:
    found = {"stdout": b"", "stderr": b""}
    while (chunk := await session.read()) is not None:
        found[chunk[0]] += chunk[1]
    return found


# Commands


async def test_exec_sync(world: World) -> None:
    container_id = await world.run(world.sleeps())
    result = await world.runtime.exec_sync(container_id, ["sh", "-c", "echo out; echo err >&2; exit 9"])
    assert result == v.ExecResult(stdout=b"out\n", stderr=b"err\n", exit_code=9)
    assert (await world.runtime.exec_sync(container_id, ["/no/such/program"])).exit_code in (126, 127)
    results = await asyncio.gather(*(world.runtime.exec_sync(container_id, ["echo", str(n)]) for n in range(6)))
    assert [r.stdout for r in results] == [f"{n}\n".encode() for n in range(6)]


async def test_exec_sync_over_its_time_is_killed(world: World) -> None:
    container_id = await world.run(world.sleeps())
    with pytest.raises(ExecTimeout):
        await world.runtime.exec_sync(container_id, ["sleep", "4711"], 0.5)
    gone = "while ps | grep -q 's[l]eep 4711'; do sleep 0.1; done"
    await world.runtime.exec_sync(container_id, ["sh", "-c", gone], 10)


async def test_exec_streams_are_whole_and_binary(world: World) -> None:
    container_id = await world.run(world.sleeps())
    data = bytes(range(256)) * 8192
    async with await world.runtime.exec(container_id, ["cat"], stdin=True) as session:

        async def send() -> None:
            await session.write(data)
            await session.close_stdin()

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(send())
            received = group.create_task(drain(session))
        assert hashlib.sha256(received.result()["stdout"]).digest() == hashlib.sha256(data).digest()
        assert await session.wait() == 0


async def test_exec_half_close_leaves_output_open(world: World) -> None:
    container_id = await world.run(world.sleeps())
    async with await world.runtime.exec(
        container_id, ["sh", "-c", "cat; sleep 0.3; echo end; exit 5"], stdin=True
    ) as s:
        await s.write(b"in\n")
        await s.close_stdin()
        assert await drain(s) == {"stdout": b"in\nend\n", "stderr": b""}
        assert await s.wait() == 5


async def test_exec_with_a_terminal(world: World) -> None:
    container_id = await world.run(world.sleeps())
    async with await world.runtime.exec(container_id, ["sh"], stdin=True, tty=True) as session:
        await session.resize(101, 33)
        await session.write(b"stty size; tty; echo to-err >&2; exit 4\n")
        async with asyncio.timeout(10):
            found = await drain(session)
            assert await session.wait() == 4
    assert found["stderr"] == b""
    assert b"33 101" in found["stdout"]
    assert b"/dev/pts/" in found["stdout"]
    assert b"to-err\r\n" in found["stdout"]


async def test_a_terminal_that_is_closed_hangs_its_program_up(world: World) -> None:
    container_id = await world.run(world.sleeps())
    command = ["sh", "-c", "echo $$ > /tmp/hung; exec sleep 4321"]
    session = await world.runtime.exec(container_id, command, stdin=True, tty=True)
    there = "grep -q 4321 /proc/$(cat /tmp/hung)/cmdline"
    await world.runtime.exec_sync(container_id, ["sh", "-c", f"until {there}; do sleep 0.05; done"], 20)
    await session.close()
    await world.runtime.exec_sync(container_id, ["sh", "-c", f"while {there}; do sleep 0.05; done"], 20)


async def test_no_hang_up_is_ignored_because_the_kubelet_does(world: World) -> None:
    show = ("grep", "SigIgn", "/proc/self/status")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        first = await output(world, {"command": show})
        command = await world.runtime.exec_sync(await world.run(world.sleeps()), list(show))
    finally:
        signal.signal(signal.SIGHUP, before)
    for line in (first, command.stdout):
        assert int(line.split()[1], 16) & 1 << signal.SIGHUP - 1 == 0, line


async def test_a_container_in_the_process_namespace_of_another(world: World) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    target = await world.container(sandbox_id, pod, sh("exec sleep 4242"))
    # The one that looks gets a number that hardly a process of the machine has.
    await world.runtime.exec_sync(target, sh("i=0; while [ $i -lt 250 ]; do $(:); i=$((i+1)); done")["command"])
    metadata = v.ContainerMetadata(name="look")
    found = await world.container(sandbox_id, pod, sh("ps; ls /sys/fs/cgroup"), metadata=metadata, pid_target=target)
    await world.ended(found)
    seen = await world.log(found)
    assert b"sleep 4242" in seen
    assert b"memory" in seen
    assert (await world.runtime.container_status(target)).state == "running"


async def test_attach(world: World) -> None:
    container_id = await world.run(sh("read line; echo got $line; echo oops >&2; exit 6"), stdin=True)
    async with await world.runtime.attach(container_id, stdin=True) as session:
        waiting = asyncio.ensure_future(session.wait())
        await session.write(b"hello\n")
        async with asyncio.timeout(10):
            assert await drain(session) == {"stdout": b"got hello\n", "stderr": b"oops\n"}
            assert await waiting == 6


async def test_attach_to_a_terminal(world: World) -> None:
    script = "echo ready; read line; stty size; tty; echo to-err >&2; echo got $line; read line; exit 3"
    container_id = await world.run(sh(script), stdin=True, tty=True)
    await prints(world, container_id, b"ready")
    async with await world.runtime.attach(container_id, stdin=True) as session:
        await session.resize(101, 33)
        await session.write(b"hello\n")
        seen = b""
        async with asyncio.timeout(20):
            while b"got hello" not in seen:
                chunk = await session.read()
                assert chunk is not None
                assert chunk[0] == "stdout"
                seen += chunk[1]
            assert b"33 101" in seen
            assert b"/dev/" in seen
            assert b"to-err" in seen
            await session.write(b"\n")
            assert await session.wait() == 3
    assert b"got hello" in await world.log(container_id)


async def test_two_attached_clients_see_the_same(world: World) -> None:
    container_id = await world.run(sh("read line; seq 1 20000; exit 0"), stdin=True)
    wanted = "".join(f"{n}\n" for n in range(1, 20001)).encode()
    async with (
        await world.runtime.attach(container_id, stdin=True) as first,
        await world.runtime.attach(container_id) as second,
    ):
        await first.write(b"go\n")
        async with asyncio.timeout(30):
            results = await asyncio.gather(drain(first), drain(second))
    assert [hashlib.sha256(r["stdout"]).digest() for r in results] == [hashlib.sha256(wanted).digest()] * 2
    assert await world.log(container_id) == wanted


async def test_stdin_once_ends_with_the_first_client(world: World) -> None:
    container_id = await world.run(sh("cat; echo end; exit 5"), stdin=True, stdin_once=True)
    async with await world.runtime.attach(container_id, stdin=True) as session:
        await session.write(b"in\n")
        await session.close_stdin()
        async with asyncio.timeout(20):
            assert await drain(session) == {"stdout": b"in\nend\n", "stderr": b""}
            assert await session.wait() == 5


async def test_port_forward(world: World) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    container_id = await world.container(sandbox_id, pod, sh("httpd -f -p 127.0.0.1:8080 -h /www"))
    async with asyncio.timeout(10):
        await world.runtime.exec_sync(container_id, ["sh", "-c", "until netstat -ltn | grep :8080; do sleep 0.1; done"])
    reader, writer = await world.runtime.port_forward(sandbox_id, 8080)
    writer.write(b"GET /index.html HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"\r\n\r\nhello\n")
    writer.close()
    with pytest.raises(RuntimeFailure, match="localhost:8081"):
        await world.runtime.port_forward(sandbox_id, 8081)


# How a program starts and ends


async def test_command_and_args_replace_entrypoint_and_cmd(world: World) -> None:
    assert await output(world, {"command": ("echo", "a"), "args": ("b", "$(c)")}) == "a b $(c)\n"
    assert await output(world, {"args": ("echo", "only args")}) == "only args\n"


async def test_environment_and_working_directory(world: World) -> None:
    text = await output(world, sh("echo $A-$B; pwd"), envs=(("A", "x y"), ("B", "=")), working_dir="/var")
    assert text == "x y-=\n/var\n"


async def test_a_program_that_is_not_there(world: World) -> None:
    with pytest.raises(StartFailure, match=r'exec: "nope": executable file not found in \$PATH'):
        await world.run({"command": ("nope",)})
    [row] = await world.runtime.list_containers()
    assert row.state == "exited"
    status = await world.runtime.container_status(row.id)
    assert (status.state, status.exit_code, status.reason) == ("exited", 128, "StartError")
    assert "nope" in status.message


async def test_killed_by_a_signal(world: World) -> None:
    container_id = await world.run(world.sleeps())
    os.kill((await world.runtime.container_status(container_id)).pid, signal.SIGKILL)
    status = await world.ended(container_id)
    assert (status.exit_code, status.reason) == (137, "Error")


async def test_stop_signal_and_grace(world: World) -> None:
    container_id = await world.run(
        sh("trap 'echo usr1; exit 11' USR1; echo ready; while :; do sleep 0.1; done"), stop_signal="SIGUSR1"
    )
    await prints(world, container_id, b"ready\n")
    await world.runtime.stop_container(container_id, 10)
    assert (await world.runtime.container_status(container_id)).exit_code == 11


async def test_out_of_memory_is_named(world: World) -> None:
    limits = v.Resources(memory_limit_in_bytes=16 << 20)
    eats = sh("x=a; while :; do x=$x$x; done")
    async with aclosing(world.runtime.events()) as events:
        container_id = await world.run(eats, resources=limits)
        async with asyncio.timeout(30):
            async for event in events:
                if (event.type, event.container_id) == ("stopped", container_id):
                    break
    assert (event.exit_code, event.oom_killed) == (137, True)
    status = await world.runtime.container_status(container_id)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


async def test_limits_are_the_control_groups(world: World) -> None:
    resources = v.Resources(
        cpu_shares=512,
        cpu_period=100_000,
        cpu_quota=50_000,
        memory_limit_in_bytes=64 << 20,
        pids_limit=77,
        oom_score_adj=500,
    )
    script = """cd /sys/fs/cgroup; if [ -d memory ]; then
        cat cpu/cpu.shares cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes pids/pids.max
    else cut -d' ' -f1 cpu.max; cat memory.max pids.max; fi; cat /proc/self/oom_score_adj"""
    lines = (await output(world, sh(script), resources=resources)).split()
    assert lines[-4:] == ["50000", str(64 << 20), "77", "500"]
    container_id = await world.run(world.sleeps(), name="second", resources=resources)
    status = await world.runtime.container_status(container_id)
    assert status.resources == resources
    more = v.Resources(cpu_quota=70_000, memory_limit_in_bytes=80 << 20)
    await world.runtime.update_container_resources(container_id, more)
    now = (await world.runtime.container_status(container_id)).resources
    assert (now.cpu_quota, now.memory_limit_in_bytes, now.cpu_shares) == (70_000, 80 << 20, 512)


# Who a program is, and what it may


async def test_users_and_groups(world: World) -> None:
    secure = v.SecurityContext(run_as_user=1000, run_as_group=3000, supplemental_groups=(4000, 4001))
    assert await output(world, sh("id -u; id -g; id -G"), security=secure) == "1000\n3000\n3000 4000 4001\n"
    text = await output(world, sh("id -u; id -g"), security=v.SecurityContext(run_as_user=1000))
    assert text == "1000\n1000\n"
    text = await output(world, sh("id -u; id -g"), security=v.SecurityContext(run_as_group=3000))
    assert text == "0\n3000\n"


async def test_read_only_root(world: World) -> None:
    script = "touch /file 2>/dev/null && echo wrote; touch /dev/shm/file && echo shm"
    assert await output(world, sh(script), security=v.SecurityContext(readonly_rootfs=True)) == "shm\n"


async def capabilities(world: World, security: v.SecurityContext) -> tuple[int, dict[str, str]]:
    text = await output(world, sh("grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"), security=security)
    fields = dict(line.split(":\t") for line in text.splitlines())
    return int(fields["CapEff"], 16), fields


async def test_capabilities_seccomp_and_no_new_privileges(world: World) -> None:
    chown, net_admin = 1 << 0, 1 << 12
    usual, fields = await capabilities(world, v.SecurityContext())
    assert usual & chown
    assert not usual & net_admin
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("0", "2")
    changed, fields = await capabilities(
        world,
        v.SecurityContext(
            add_capabilities=("NET_ADMIN",), drop_capabilities=("CHOWN",), no_new_privs=True, seccomp="unconfined"
        ),
    )
    assert changed == usual & ~chown | net_admin
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "0")
    none, _ = await capabilities(world, v.SecurityContext(drop_capabilities=("ALL",)))
    assert none == 0


async def test_privileged(world: World) -> None:
    every = all_capabilities()
    if world.name == "native":  # what this machine may give, which may be less
        every = own_capabilities()
    elif own_capabilities() != every:  # a machine that lacks some cannot give them all, and says so
        with pytest.raises(StartFailure, match="operation not permitted"):
            await capabilities(world, v.SecurityContext(privileged=True))
        return
    privileged, fields = await capabilities(world, v.SecurityContext(privileged=True))
    assert privileged == every
    assert fields["Seccomp"] == "0"


async def test_a_seccomp_profile_of_the_node(world: World, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    script = sh("mkdir /tmp/a 2>/dev/null || echo refused; touch /tmp/b && echo fine")
    security = v.SecurityContext(seccomp=f"localhost/{profile}")
    assert await output(world, script, security=security) == "refused\nfine\n"
    with pytest.raises(RuntimeFailure, match="failed to load seccomp profile /no/file"):
        await world.run(script, security=v.SecurityContext(seccomp="localhost//no/file"))


async def test_kernel_files_are_masked(world: World) -> None:
    script = """cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c
        (echo 0 > /proc/sys/kernel/panic) 2>/dev/null || echo read-only"""
    assert (await output(world, sh(script))).split() == ["0", "read-only"]


# Files


async def test_mounts(world: World, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("content\n")
    (tmp_path / "hosts").write_text("10.0.0.1 me\n")
    mounts = (
        v.Mount(container_path="/data", host_path=str(tmp_path / "dir")),
        v.Mount(container_path="/ro", host_path=str(tmp_path / "dir"), readonly=True),
        v.Mount(container_path="/etc/hosts", host_path=str(tmp_path / "hosts")),
    )
    script = "cat /ro/file /etc/hosts; echo new > /data/new; echo no 2>/dev/null > /ro/no || echo read-only"
    assert await output(world, sh(script), mounts=mounts) == "content\n10.0.0.1 me\nread-only\n"
    assert (tmp_path / "dir" / "new").read_text() == "new\n"
    container_id = await world.run(world.sleeps(), mounts=mounts)
    assert (await world.runtime.container_status(container_id)).mounts == mounts


async def test_a_mount_that_is_not_there(world: World, tmp_path: Path) -> None:
    missing = v.Mount(container_path="/data", host_path=str(tmp_path / "missing"))
    with pytest.raises(RuntimeFailure, match="missing"):
        await world.run(world.sleeps(), mounts=(missing,))


async def test_name_and_resolver(world: World) -> None:
    dns = v.DNSConfig(
        servers=("10.96.0.10",), searches=("default.svc.cluster.local", "cluster.local"), options=("ndots:5",)
    )
    pod = world.pod(hostname="web-0", dns=dns)
    text = await output(world, sh("hostname; cat /etc/resolv.conf"), pod)
    assert text.splitlines() == [
        "web-0",
        "search default.svc.cluster.local cluster.local",
        "nameserver 10.96.0.10",
        "options ndots:5",
    ]


# Pods


async def test_containers_of_a_pod_share_localhost_and_ipc(world: World) -> None:
    pod = world.pod(hostname="both")
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    await world.container(sandbox_id, pod, sh("echo shared > /dev/shm/x; httpd -f -p 127.0.0.1:8080 -h /www"))
    script = "until wget -qO- http://127.0.0.1:8080/index.html; do sleep 0.1; done; cat /dev/shm/x; hostname"
    second = await world.container(sandbox_id, pod, sh(script), metadata=v.ContainerMetadata(name="second"))
    await world.ended(second)
    assert (await world.log(second)).decode().split() == ["hello", "shared", "both"]


async def test_a_shared_process_namespace_has_an_init_that_reaps(world: World) -> None:
    pod = world.pod(namespaces=v.Namespaces(pid="pod"))
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    script = "(sleep 0.1 &); sleep 0.5; ps -o pid,stat,comm"
    container_id = await world.container(sandbox_id, pod, sh(script))
    await world.ended(container_id)
    rows = [line.split() for line in (await world.log(container_id)).decode().splitlines()[1:]]
    assert [row[2] for row in rows if row[0] == "1"] == ["pause"]
    assert not [row for row in rows if row[1].startswith("Z")]


async def test_the_nodes_own_namespaces(world: World) -> None:
    pod = world.pod(namespaces=v.Namespaces(network="node", pid="node", ipc="node"))
    text = await output(world, sh("for ns in net pid ipc uts; do readlink /proc/self/ns/$ns; done; hostname"), pod)
    ours = [os.readlink(f"/proc/self/ns/{name}") for name in ("net", "pid", "ipc", "uts")]
    assert text.split() == [*ours, os.uname().nodename]
    sandbox_id = await world.runtime.run_pod_sandbox(world.pod("second", namespaces=v.Namespaces(network="node")))
    assert (await world.runtime.pod_sandbox_status(sandbox_id)).ips == ()


async def test_a_network_that_fails_leaves_no_sandbox(world: World) -> None:
    await world.network.cleanup()
    with pytest.raises(RuntimeFailure, match=r"failed to set up network for sandbox .* the node has no pod CIDR yet"):
        await world.runtime.run_pod_sandbox(world.pod())
    assert await world.runtime.list_pod_sandbox() == []


# Logs


async def test_streams_and_order_of_logs(world: World) -> None:
    container_id = await world.run(sh("echo one; echo two >&2; printf 'no end'"))
    await world.ended(container_id)
    assert await world.log(container_id, stream="stdout") == b"one\nno end"
    assert await world.log(container_id, stream="stderr") == b"two\n"


async def test_long_lines_have_one_time(world: World) -> None:
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short"
    container_id = await world.run(sh(script))
    await world.ended(container_id)
    assert await world.log(container_id) == b"x" * 40000 + b"\nshort\n"
    long, short = (await world.log(container_id, timestamps=True)).splitlines()
    assert long.partition(b" ")[2] == b"x" * 40000
    assert short.partition(b" ")[2] == b"short"


async def test_following_gives_lines_as_they_come(world: World) -> None:
    container_id = await world.run(sh("for n in 1 2 3; do echo $n; sleep 0.2; done; trap '' TERM; sleep 60"))
    seen = b""
    async with (
        asyncio.timeout(10),
        aclosing(world.runtime.logs(container_id, v.LogOptions(follow=True, tail_lines=1000))) as chunks,
    ):
        async for chunk in chunks:
            seen += chunk
            if seen == b"1\n2\n3\n":
                break


async def test_logs_of_the_previous_container_stay(world: World) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    for attempt in (0, 1):
        metadata = v.ContainerMetadata(name="main", attempt=attempt)
        container_id = await world.container(sandbox_id, pod, sh(f"echo attempt {attempt}"), metadata=metadata)
        await world.ended(container_id)
    rows = {row.metadata.attempt: row.id for row in await world.runtime.list_containers(sandbox_id=sandbox_id)}
    assert [await world.log(rows[attempt]) for attempt in (0, 1)] == [b"attempt 0\n", b"attempt 1\n"]


# Restarts and neighbours


async def test_a_name_left_by_a_killed_kubelet_is_taken_over(world: World) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    await world.container(sandbox_id, pod, world.sleeps(), start=False)
    container_id = await world.container(sandbox_id, pod, world.sleeps())
    assert [c.id for c in await world.runtime.list_containers()] == [container_id]
    with pytest.raises(RuntimeFailure):
        await world.container(sandbox_id, pod, world.sleeps())
    assert (await world.runtime.container_status(container_id)).state == "running"


async def test_another_nodes_containers_do_not_exist(world: World, tmp_path: Path) -> None:
    container_id = await world.run(world.sleeps())
    [sandbox] = await world.runtime.list_pod_sandbox()
    async with runtimes.opened(world.name, tmp_path / "other") as other:
        assert await other.runtime.list_containers() == []
        assert await other.runtime.list_pod_sandbox() == []
        await other.runtime.stop_container(container_id, 0)
        await other.runtime.remove_container(container_id)
        await other.runtime.stop_pod_sandbox(sandbox.id)
        await other.runtime.remove_pod_sandbox(sandbox.id)
        with pytest.raises(RuntimeFailure):
            await other.runtime.exec_sync(container_id, ["true"])
        with pytest.raises(RuntimeFailure):
            await other.runtime.container_status(container_id)
        await other.runtime.cleanup()
    assert (await world.runtime.container_status(container_id)).state == "running"
    assert (await world.runtime.pod_sandbox_status(sandbox.id)).state == "ready"
