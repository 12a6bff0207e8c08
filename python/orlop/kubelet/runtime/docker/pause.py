"""The pause program: what holds a pod's namespaces open. Made here, byte by byte, because no image can be assumed.

It blocks SIGTERM, SIGINT and SIGCHLD and waits for them in a loop: a child's end is reaped (with a shared process
namespace it is everybody's init), anything else ends it. Where the node is a network namespace, a pod with the node's
network finds it mounted at /netns: the program moves there, and so do the containers that join it. A static ELF of one
segment, without libc:

    int fd = open("/netns", O_RDONLY);
    if (fd >= 0 && setns(fd, CLONE_NEWNET) != 0) exit_group(1);
    rt_sigprocmask(SIG_BLOCK, &set, NULL, 8);
    for (;;) {
        int signal = rt_sigtimedwait(&set, NULL, NULL, 8);
        if (signal == SIGCHLD) while (wait4(-1, NULL, WNOHANG, NULL) > 0);
        else if (signal >= 0) exit_group(0);
    }
"""

import hashlib
import io
import struct
import tarfile

import msgspec

SIGNALS = (2, 15, 17)  # SIGINT, SIGTERM, SIGCHLD
SIGNAL_SET = struct.pack("<Q", sum(1 << (number - 1) for number in SIGNALS))
PROGRAM = "/pause"
NETNS = "/netns"
REPOSITORY = "orlop/pause"

_BASE = 0x400000
_ELF_HEADER = 64
_PROGRAM_HEADER = 56
_MACHINES = {"x86_64": 62, "aarch64": 183}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class NoPauseProgram(Exception):
    """There is no pause program for this machine type."""


def image_name(machine: str) -> str:
    """Named after its content, so that a changed program is a new image."""
    return f"{REPOSITORY}:{hashlib.sha256(program(machine)).hexdigest()[:12]}"


def archive(machine: str) -> bytes:
    """The image as `docker load` takes it: always the same bytes, so that nodes that load it at once make one image."""
    layer = _tar({PROGRAM.removeprefix("/"): program(machine)})
    config = {
        "architecture": _ARCHITECTURES[machine],
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": [PROGRAM]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "orlop"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [image_name(machine)], "Layers": ["layer.tar"]}]
    files = {
        "layer.tar": layer,
        "config.json": msgspec.json.encode(config),
        "manifest.json": msgspec.json.encode(manifest),
    }
    return _tar(files)


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def program(machine: str) -> bytes:
    """The executable for `machine` (as uname -m says it). Raises NoPauseProgram."""
    if machine not in _MACHINES:
        raise NoPauseProgram(f"there is no pause program for {machine} machines, only for {', '.join(_MACHINES)}")
    code = _x86_64() if machine == "x86_64" else _aarch64()
    start = _ELF_HEADER + _PROGRAM_HEADER
    size = start + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        2,  # ET_EXEC
        _MACHINES[machine],
        1,
        _BASE + start,
        _ELF_HEADER,
        0,
        0,
        _ELF_HEADER,
        _PROGRAM_HEADER,
        1,
        0,
        0,
        0,
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)  # PT_LOAD, readable and executable
    return header + load + code


def _x86_64() -> bytes:
    """System calls: 2 open, 308 setns, 14 rt_sigprocmask, 128 rt_sigtimedwait, 61 wait4, 231 exit_group."""
    join = bytes.fromhex(
        "b802000000"  # mov eax, 2
        "488d3d00000000"  # lea rdi, [rip+path]
        "31f6"  # xor esi, esi          O_RDONLY
        "0f05"  # syscall
        "85c0"  # test eax, eax
        "781e"  # js block              not mounted: nothing to join
        "89c7"  # mov edi, eax
        "be00000040"  # mov esi, CLONE_NEWNET
        "b834010000"  # mov eax, 308
        "0f05"  # syscall
        "85c0"  # test eax, eax
        "740c"  # je block
        "bf01000000"  # mov edi, 1
        "b8e7000000"  # mov eax, 231
        "0f05"  # syscall
    )
    block = bytes.fromhex(
        "b80e000000"  # mov eax, 14
        "31ff"  # xor edi, edi          SIG_BLOCK
        "488d3500000000"  # lea rsi, [rip+set]
        "31d2"  # xor edx, edx
        "41ba08000000"  # mov r10d, 8
        "0f05"  # syscall
    )
    wait = bytes.fromhex(
        "b880000000"  # mov eax, 128
        "488d3d00000000"  # lea rdi, [rip+set]
        "31f6"  # xor esi, esi
        "31d2"  # xor edx, edx
        "41ba08000000"  # mov r10d, 8
        "0f05"  # syscall
        "83f811"  # cmp eax, 17           SIGCHLD
        "740d"  # je reap
        "85c0"  # test eax, eax
        "78df"  # js wait               interrupted
        "b8e7000000"  # mov eax, 231
        "31ff"  # xor edi, edi
        "0f05"  # syscall
    )
    reap = bytes.fromhex(
        "b83d000000"  # mov eax, 61
        "bfffffffff"  # mov edi, -1
        "31f6"  # xor esi, esi
        "ba01000000"  # mov edx, 1            WNOHANG
        "4531d2"  # xor r10d, r10d
        "0f05"  # syscall
        "85c0"  # test eax, eax
        "7fe6"  # jg reap
        "ebba"  # jmp wait
    )
    code = bytearray(join + block + wait + reap)
    end = len(code)
    set_operands = (
        len(join) + block.index(b"\x48\x8d\x35") + 3,
        len(join) + len(block) + wait.index(b"\x48\x8d\x3d") + 3,
    )
    for operand in set_operands:
        struct.pack_into("<i", code, operand, end - (operand + 4))
    operand = join.index(b"\x48\x8d\x3d") + 3
    struct.pack_into("<i", code, operand, end + len(SIGNAL_SET) - (operand + 4))
    return bytes(code) + SIGNAL_SET + NETNS.encode() + b"\0"


def _aarch64() -> bytes:
    """System calls: 56 openat, 268 setns, 135 rt_sigprocmask, 137 rt_sigtimedwait, 260 wait4, 94 exit_group."""
    words = (
        0xD2800708,  # mov x8, 56
        0x92800C60,  # mov x0, AT_FDCWD
        0x10000001,  # adr x1, path         (patched)
        0xD2800002,  # mov x2, 0            O_RDONLY
        0xD4000001,  # svc 0
        0xB7F80100,  # tbnz x0, 63, block   not mounted: nothing to join
        0xD2A80001,  # mov x1, CLONE_NEWNET
        0xD2802188,  # mov x8, 268
        0xD4000001,  # svc 0
        0xB4000080,  # cbz x0, block
        0xD2800020,  # mov x0, 1
        0xD2800BC8,  # mov x8, 94
        0xD4000001,  # svc 0
        # block:
        0xD28010E8,  # mov x8, 135
        0xD2800000,  # mov x0, 0            SIG_BLOCK
        0x10000001,  # adr x1, set          (patched)
        0xD2800002,  # mov x2, 0
        0xD2800103,  # mov x3, 8
        0xD4000001,  # svc 0
        # wait:
        0xD2801128,  # mov x8, 137
        0x10000000,  # adr x0, set          (patched)
        0xD2800001,  # mov x1, 0
        0xD2800002,  # mov x2, 0
        0xD2800103,  # mov x3, 8
        0xD4000001,  # svc 0
        0xF100441F,  # cmp x0, 17           SIGCHLD
        0x540000C0,  # b.eq reap
        0xB7FFFF00,  # tbnz x0, 63, wait    interrupted
        0xD2800BC8,  # mov x8, 94
        0xD2800000,  # mov x0, 0
        0xD4000001,  # svc 0
        0xD503201F,  # nop
        # reap:
        0xD2802088,  # mov x8, 260
        0x92800000,  # mov x0, -1
        0xD2800001,  # mov x1, 0
        0xD2800022,  # mov x2, 1            WNOHANG
        0xD2800003,  # mov x3, 0
        0xD4000001,  # svc 0
        0xF100001F,  # cmp x0, 0
        0x54FFFF2C,  # b.gt reap
        0x17FFFFEB,  # b wait
    )
    patched = list(words)
    for at, behind in ((2, len(SIGNAL_SET)), (15, 0), (20, 0)):
        offset = (len(words) - at) * 4 + behind
        patched[at] |= (offset & 3) << 29 | (offset >> 2) << 5
    return struct.pack(f"<{len(patched)}I", *patched) + SIGNAL_SET + NETNS.encode() + b"\0"
