"""A machine with Debian's own kernel for what this machine's kernel lacks: `python -m tests.kernel.vm COMMAND…`.

QEMU emulates it in software. Its root is this machine's, read over 9p, with a layer in memory above it: every program
runs there unchanged and can write anywhere, and nothing of it is left. Control groups are of version 2. Only the folder
`/vm` is shared both ways. Modules are loaded when something asks for them, as on any Debian. There is no network but
loopback and what the command makes. Without COMMAND it is a shell.
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from tests.kernel.files import HERE, NoMachine, files

CPU = "max,la57=off"
"""All that can be emulated, but for a fifth level of page tables: walking those in software costs a quarter."""

MEMORY = 3072
"""MiB. What is written in the machine lies in it too, images of containers among that."""

SECONDS = 600
"""How long a command may take unless told otherwise: emulation is about ten times slower than the machine."""

FOR_EVER = 1e6
"""Seconds that a shell may be open."""

LAST_WORDS = 3000
"""Characters of the kernel's console that are told when the machine broke down."""

OUT_OF_TIME = 124
"""The exit status then, as timeout(1) has it."""

INSIDE = "ORLOP_KERNEL_VM"
"""Set in the environment of what runs in the machine: the shared folder there."""

SHARE = "/vm"


class Machine:
    """One boot and one command, run as root in `directory` (this process' own where none is given).

    `share` is the folder that is /vm inside. `output` (standard output where none is given) gets what the command
    prints, both streams, as it comes. `environment` is added to a plain one. Raises NoMachine.
    """

    def __init__(
        self,
        command: list[str],
        *,
        share: Path,
        directory: Path | None = None,
        memory: int = MEMORY,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
        interactive: bool = False,
    ) -> None:
        kernel, initramfs = files()
        self._share = share
        _write_command(share, command, directory or Path.cwd(), environment or {}, interactive)
        share9p = "local,security_model=none,multidevs=remap"
        # fmt: off
        qemu = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", "2", "-m", str(memory),
            "-display", "none", "-vga", "none", "-no-reboot", "-nic", "none",
            "-monitor", "none", "-serial", f"file:{share}/console", "-serial", "stdio",
            "-kernel", str(kernel), "-initrd", str(initramfs),
            "-append", "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off tsc=reliable audit=0 nokaslr",
            "-virtfs", f"{share9p},path=/,mount_tag=machine,readonly=on",
            "-virtfs", f"{share9p},path={share},mount_tag=share",
        ]
        # fmt: on
        stdin = None if interactive else subprocess.DEVNULL
        self._process = subprocess.Popen(
            qemu, stdin=stdin, stdout=output, stderr=output, start_new_session=not interactive
        )

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> int:
        """The command's exit status; OUT_OF_TIME where it takes longer. Raises NoMachine when the machine broke."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return OUT_OF_TIME
        finally:
            self.end()
        try:
            return int((self._share / "status").read_text())
        except (OSError, ValueError):
            raise NoMachine(f"the machine ended before its command did, and said at last:\n{self.console()}") from None

    def console(self) -> str:
        """The last words of its kernel."""
        try:
            return (self._share / "console").read_text(errors="replace")[-LAST_WORDS:]
        except OSError:
            return ""

    def end(self) -> None:
        """Ends it, as by pulling the plug."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def _write_command(
    share: Path, command: list[str], directory: Path, environment: Mapping[str, str], interactive: bool
) -> None:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in {INSIDE: SHARE, **environment}.items()]
    lines += [] if interactive else ["stty raw"]
    lines += [f"cd {shlex.quote(str(directory))}", f"exec {shlex.join(command)}"]
    (share / "command").write_text("\n".join(lines) + "\n")
    (share / "directory").write_text(f"{directory}\n")
    shutil.copy(HERE / "inside.sh", share / "inside.sh")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.kernel.vm", description="Runs a command on Debian's own kernel.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long it may take (a shell: for ever)")
    parser.add_argument("--memory", type=int, default=MEMORY, help="MiB")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="none for a shell")
    options = parser.parse_args()
    shell = not options.command
    with tempfile.TemporaryDirectory(prefix="orlop-vm-") as name, _raw_terminal(shell):
        try:
            machine = Machine(
                options.command or ["bash", "-i"],
                share=Path(name),
                memory=options.memory,
                environment={"TERM": os.environ.get("TERM", "dumb")},
                interactive=shell,
            )
            return machine.wait(FOR_EVER if shell else options.seconds)
        except NoMachine as error:
            print(error, file=sys.stderr)
            return 1


@contextlib.contextmanager
def _raw_terminal(wanted: bool) -> Iterator[None]:
    """Keys go to the machine as they are, ^C among them."""
    if not wanted or not sys.stdin.isatty():
        yield
        return
    before = subprocess.run(["stty", "-g"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["stty", "raw", "-echo"], check=True)
    try:
        yield
    finally:
        subprocess.run(["stty", before], check=True)


if __name__ == "__main__":
    sys.exit(main())
