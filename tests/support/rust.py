"""Rust programs on others' crates, built once with cargo and kept in the user's cache folder."""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orlop" / "rust"
BUILD_SECONDS = 1500
"""From nothing two hundred crates take four minutes on two idle cores; once built they are not built again."""
TEST_SECONDS = 120
"""What one test may take; each waits no longer than 30 s for anything."""


class NoRust(Exception):
    """Why Rust programs cannot be had on this machine."""


def program(folder: Path, name: str) -> Path:
    """The program of the crate in `folder`. Raises NoRust."""
    cargo = shutil.which("cargo") or str(Path.home() / ".cargo" / "bin" / "cargo")
    if not Path(cargo).exists():
        raise NoRust("there is no cargo on this machine")
    env = os.environ | {"CARGO_TARGET_DIR": str(CACHE)}
    done = subprocess.run(
        [cargo, "build", "--locked", "--quiet"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        if "error[E" in done.stderr:
            raise AssertionError(done.stderr)  # ours, not the machine's
        raise NoRust(f"cargo could not build {folder}: {done.stderr[-2000:]}")
    return CACHE / "debug" / name


def run(path: Path, *words: str, **env: str) -> None:
    """A program, which must succeed."""
    done = subprocess.run(
        [str(path), *words], env=os.environ | env, capture_output=True, text=True, timeout=TEST_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed"), done.stdout
