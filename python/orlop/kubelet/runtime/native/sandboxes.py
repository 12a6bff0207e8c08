"""A pod's sandbox: namespaces kept by files below /run, files its containers share, its network."""

import ctypes
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import msgspec

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native import records
from orlop.kubelet.runtime.native.records import SandboxRecord
from orlop.kubelet.runtime.native.shim import Program

READY = "ready"
"""A file that says the sandbox is up. It is below /run, which a reboot empties."""

_MNT_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


class Paused(msgspec.Struct, frozen=True, rename="camel"):
    """`pause.json`, by the shim."""

    pid: int
    start_time: int


class Sandbox:
    """One sandbox. `folder` outlives a reboot, `run` does not."""

    def __init__(self, folder: Path, run: Path, record: SandboxRecord) -> None:
        self.folder = folder
        self.run = run
        self.record = record

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def namespaces(self) -> v.Namespaces:
        return self.record.config.namespaces

    @property
    def netns(self) -> Path:
        return self.run / "net"

    def ready(self) -> bool:
        """Whether containers can be started in it. Looks at /run, which is memory."""
        if not (self.run / READY).exists():
            return False
        if self.namespaces.pid == "pod" and self.pause_pid() == 0:
            return False
        return self.namespaces.network != "pod" or not self._has_namespaces() or _is_namespace(self.netns)

    def pause_pid(self) -> int:
        """Of the process that holds a shared process namespace; 0 for none."""
        paused = records.read(self.run / "pause.json", Paused)
        return paused.pid if paused is not None and records.runs(paused.pid, paused.start_time) else 0

    def make(self, program: Program, *, real: bool) -> None:
        """Makes its namespaces and files; without `real` only the files. Blocks; raises RuntimeFailure."""
        config = self.record.config
        self.folder.mkdir(parents=True, mode=0o700)
        records.write(self.folder / records.RECORD, self.record)
        self._write_files()
        self.run.mkdir(parents=True, mode=0o700)
        if real:
            own_network, own_ipc = self.namespaces.network == "pod", self.namespaces.ipc == "pod"
            wanted = {
                "network": own_network,
                "uts": own_network,
                "ipc": own_ipc,
                "hostname": config.hostname,
                "sysctls": config.sysctls,
            }
            records.write(self.run / "namespaces.json", wanted)
            if own_network or own_ipc:
                program.call("sandbox", self.run)
            if self.namespaces.pid == "pod":
                program.call("pause", self.run)

    def mark_ready(self) -> None:
        (self.run / READY).touch()

    def stop(self) -> None:
        """Lets its namespaces go. Safe to repeat. Blocks."""
        with suppress(FileNotFoundError):
            (self.run / READY).unlink()
        if pid := self.pause_pid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in ("shm", "net", "ipc", "uts"):
            unmount(self.run / name)
        shutil.rmtree(self.run, ignore_errors=True)

    def delete(self) -> None:
        """Everything of it. Blocks."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def paths(self) -> dict[str, str]:
        """The namespaces that its containers join, as config.json names them."""
        found = {}
        for kind, name in (("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
            if (self.run / name).exists():
                found[kind] = str(self.run / name)
        if self.namespaces.pid == "pod":
            if not (pid := self.pause_pid()):
                raise RuntimeFailure(f"the process namespace of sandbox {self.id} is gone")
            found["pid"] = f"/proc/{pid}/ns/pid"
        return found

    def files(self, readonly: bool) -> tuple[v.Mount, ...]:
        """What its containers get mounted unless they bring their own."""
        host_network = self.namespaces.network == "node"
        pairs = [("/etc/resolv.conf", self.folder / "resolv.conf" if self._own_dns() else Path("/etc/resolv.conf"))]
        if host_network:
            pairs += [("/etc/hostname", Path("/etc/hostname")), ("/etc/hosts", Path("/etc/hosts"))]
        else:
            pairs.append(("/etc/hostname", self.folder / "hostname"))
        mounts = [
            v.Mount(
                container_path=inside,
                host_path=str(outside),
                readonly=readonly or not outside.is_relative_to(self.folder),
            )
            for inside, outside in pairs
            if outside.exists()
        ]
        shm = Path("/dev/shm") if self.namespaces.ipc == "node" else self.run / "shm"
        return (*mounts, v.Mount(container_path="/dev/shm", host_path=str(shm)))

    def status(self, ips: tuple[str, ...]) -> v.PodSandboxStatus:
        record = self.record
        return v.PodSandboxStatus(
            id=record.id,
            metadata=record.config.metadata,
            state="ready" if self.ready() else "notready",
            created_at=record.created_at,
            labels=record.config.labels,
            annotations=record.config.annotations,
            ips=ips,
            namespaces=record.config.namespaces,
            pid=self.pause_pid(),
        )

    def row(self) -> v.PodSandbox:
        record = self.record
        return v.PodSandbox(
            id=record.id,
            metadata=record.config.metadata,
            state="ready" if self.ready() else "notready",
            created_at=record.created_at,
            labels=record.config.labels,
            annotations=record.config.annotations,
        )

    def _has_namespaces(self) -> bool:
        return (self.run / "namespaces.json").exists()

    def _own_dns(self) -> bool:
        return self.record.config.dns != v.DNSConfig()

    def _write_files(self) -> None:
        config = self.record.config
        if self._own_dns():
            path = self.folder / "resolv.conf"
            path.write_text(resolv_conf(config.dns))
            path.chmod(0o644)
        path = self.folder / "hostname"
        path.write_text(config.hostname + "\n")
        path.chmod(0o644)
        self.folder.chmod(0o711)


def resolv_conf(dns: v.DNSConfig) -> str:
    """As upstream's runtimes write it: searches, servers, options."""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    if dns.options:
        lines.append(f"options {' '.join(dns.options)}")
    return "".join(line + "\n" for line in lines)


def unmount(path: Path) -> None:
    """Takes away what is mounted there, if anything is. Blocks."""
    _LIBC.umount2(os.fsencode(path), _MNT_DETACH)


def _is_namespace(path: Path) -> bool:
    """Whether a namespace is bound to the file: after a reboot it is a plain file."""
    try:
        return path.stat().st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False
