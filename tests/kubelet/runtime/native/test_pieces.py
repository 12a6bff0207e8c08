"""The parts that need no kernel: users, capabilities, seccomp, limits, logs."""

import os
from pathlib import Path

import pytest

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native import capabilities, logs, resources, rotate, seccomp
from orlop.kubelet.runtime.native.users import User, resolve


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    for layer in ("top", "bottom"):
        (tmp_path / layer / "etc").mkdir(parents=True)
    etc = tmp_path / "bottom" / "etc"
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/home:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\nweb:x:1001:\nextra:x:2000:web,other\nmore:x:2001:web\n")
    return [tmp_path / "top", tmp_path / "bottom"]


@pytest.mark.parametrize(
    ("security", "image", "wanted"),
    [
        (v.SecurityContext(), "", User(0, 0, ())),
        (v.SecurityContext(), "web", User(1000, 1001, (2000, 2001))),
        (v.SecurityContext(), "web:extra", User(1000, 2000, ())),
        (v.SecurityContext(), "4242", User(4242, 0, ())),
        (v.SecurityContext(), "4242:4343", User(4242, 4343, ())),
        (v.SecurityContext(run_as_user=1000), "", User(1000, 1001, (2000, 2001))),
        (v.SecurityContext(run_as_user=1000), "root:root", User(1000, 1001, (2000, 2001))),
        (v.SecurityContext(run_as_user=1000, run_as_group=5), "", User(1000, 5, ())),
        (v.SecurityContext(run_as_group=5, supplemental_groups=(6, 5, 6)), "web", User(1000, 5, (6,))),
        (v.SecurityContext(supplemental_groups=(2001, 7)), "web", User(1000, 1001, (2000, 2001, 7))),
    ],
)
def test_users(layers: list[Path], security: v.SecurityContext, image: str, wanted: User) -> None:
    assert resolve(security, image, layers) == wanted


def test_a_user_that_is_not_there(layers: list[Path]) -> None:
    with pytest.raises(RuntimeFailure, match="unable to find user nobody"):
        resolve(v.SecurityContext(), "nobody", layers)
    with pytest.raises(RuntimeFailure, match="unable to find group none"):
        resolve(v.SecurityContext(), "web:none", layers)


def test_a_link_in_an_image_leads_nowhere(layers: list[Path]) -> None:
    (layers[0] / "etc" / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(RuntimeFailure, match="unable to find user root"):
        resolve(v.SecurityContext(), "root", layers)


def effective(**fields: object) -> frozenset[str]:
    return capabilities.effective(v.SecurityContext(**fields))  # type: ignore[arg-type]


def test_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    every = frozenset(f"CAP_{name}" for name in capabilities.NAMES)
    monkeypatch.setattr(capabilities, "available", lambda: every - {"CAP_SYS_TIME"})
    default = effective()
    assert len(default) == 14
    assert effective(add_capabilities=("NET_ADMIN",), drop_capabilities=("CAP_CHOWN",)) == (
        default - {"CAP_CHOWN"} | {"CAP_NET_ADMIN"}
    )
    assert effective(drop_capabilities=("ALL",)) == frozenset()
    assert effective(drop_capabilities=("all",), add_capabilities=("kill",)) == {"CAP_KILL"}
    assert effective(add_capabilities=("ALL",)) == every - {"CAP_SYS_TIME"}
    assert effective(add_capabilities=("ALL",), drop_capabilities=("KILL",)) == every - {"CAP_SYS_TIME", "CAP_KILL"}
    assert effective(privileged=True, drop_capabilities=("ALL",)) == every - {"CAP_SYS_TIME"}
    assert capabilities.effective(v.SecurityContext(), devices=False) == default - {"CAP_MKNOD"}
    with pytest.raises(RuntimeFailure, match="unknown capability CAP_FLY"):
        effective(add_capabilities=("FLY",))
    with pytest.raises(RuntimeFailure, match="may not give CAP_SYS_TIME: operation not permitted"):
        effective(add_capabilities=("SYS_TIME",))


def allowed(profile: dict[str, object]) -> set[str]:
    rules: list[dict[str, object]] = profile["syscalls"]  # type: ignore[assignment]
    return {n for r in rules if r["action"] == "SCMP_ACT_ALLOW" and "args" not in r for n in r["names"]}  # type: ignore[attr-defined]


def test_seccomp_opens_with_capabilities(tmp_path: Path) -> None:
    usual = allowed(seccomp.default_profile(frozenset(), "x86_64"))
    assert {"openat", "execve", "arch_prctl"} <= usual
    assert not usual & {
        "mount",
        "unshare",
        "ptrace",
        "bpf",
        "reboot",
        "clone3",
        "keyctl",
        "kexec_load",
        "open_by_handle_at",
    }
    admin = allowed(seccomp.default_profile(frozenset({"CAP_SYS_ADMIN"}), "x86_64"))
    assert {"mount", "unshare", "clone", "clone3"} <= admin
    assert "ptrace" not in admin
    assert seccomp.profile("unconfined", frozenset(), False) is None
    assert seccomp.profile("runtime/default", frozenset(), True) is None
    (tmp_path / "bad").write_text("{")
    for name in ("bad", "missing"):
        with pytest.raises(RuntimeFailure, match="failed to load seccomp profile"):
            seccomp.profile(f"localhost/{tmp_path}/{name}", frozenset(), False)


def group_v2(root: Path) -> Path:
    group = root / "a"
    group.mkdir()
    (root / "cgroup.controllers").touch()
    files = {"cpu.max": "max 100000", "cpu.weight": "100", "pids.max": "max", "memory.max": "max"}
    for name, value in {**files, "memory.swap.max": "max"}.items():
        (group / name).write_text(value)
    return group


def test_limits_of_version_2(tmp_path: Path) -> None:
    group = group_v2(tmp_path)
    changes = v.Resources(cpu_shares=1024, cpu_quota=50_000, pids_limit=7, memory_limit_in_bytes=1 << 20)
    resources.update("/a", changes, tmp_path)
    found = {path.name: path.read_text() for path in group.iterdir()}
    assert found == {
        "cpu.max": "50000 100000",
        "cpu.weight": "100",
        "pids.max": "7",
        "memory.max": "1048576",
        "memory.swap.max": "0",
    }
    resources.update("/a", v.Resources(cpu_quota=-1), tmp_path)
    assert (group / "cpu.max").read_text() == "max 100000"


@pytest.mark.parametrize(
    ("shares", "weight"), [(1, 1), (2, 1), (100, 17), (1024, 100), (262_144, 10_000), (300_000, 10_000)]
)
def test_weights(shares: int, weight: int) -> None:
    assert resources.cpu_weight(shares) == weight


ENTRIES = [
    ("2026-01-02T03:04:05.000000001Z", "stdout", "F", "one"),
    ("2026-01-02T03:04:05.000000002Z", "stdout", "P", "two "),
    ("2026-01-02T03:04:05.000000003Z", "stderr", "F", "oops"),
    ("2026-01-02T03:04:05.000000004Z", "stdout", "F", "and more"),
    ("2026-01-02T03:04:06.000000000Z", "stdout", "F", ""),
    ("2026-01-02T03:04:07.000000000Z", "stdout", "P", "no end"),
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("".join(" ".join(entry) + "\n" for entry in ENTRIES))
    return path


async def text(path: Path, **options: object) -> bytes:
    async def ended() -> None:
        return

    return b"".join([c async for c in logs.read(str(path), v.LogOptions(**options), ended)])  # type: ignore[arg-type]


@pytest.mark.parametrize("chunk", [16, 256 * 1024])
async def test_reading_logs(log: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(logs, "CHUNK", chunk)
    assert await text(log) == b"one\ntwo oops\nand more\n\nno end"
    assert await text(log, follow=True) == b"one\ntwo oops\nand more\n\nno end"
    assert await text(log, stream="stdout") == b"one\ntwo and more\n\nno end"
    assert await text(log, stream="stderr") == b"oops\n"
    assert await text(log, tail_lines=0) == b""
    assert await text(log, tail_lines=1) == b"no end"
    assert await text(log, tail_lines=2) == b"\nno end"
    assert await text(log, tail_lines=3) == b"and more\n\nno end"
    assert await text(log, tail_lines=100) == b"one\ntwo oops\nand more\n\nno end"
    assert await text(log, limit_bytes=6) == b"one\ntw"
    since = 1_767_323_046 * 1_000_000_000
    assert await text(log, since=since) == b"\nno end"
    stamped = (await text(log, timestamps=True, stream="stdout")).splitlines()
    assert stamped[1] == b"2026-01-02T03:04:05.000000002Z two and more"
    assert await text(log.with_name("absent")) == b""


def test_rotated_logs_are_tidied(tmp_path: Path) -> None:
    path = tmp_path / "log"
    limits = v.LogLimits(max_files=3)
    for number in range(5):
        path.write_text(str(number))
        assert rotate.rename(path, 1_700_000_000 + number) is not None
        rotate.tidy(path, limits)
    assert rotate.rename(path, 1_700_000_009) is None
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert len(kept) == 2
    assert [name.endswith(".gz") for name in kept] == [True, False]
    assert (tmp_path / kept[1]).read_text() == "4"
    assert os.listdir(tmp_path)
