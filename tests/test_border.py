"""The border's contract is what the built module has: every name, every parameter, every property."""

import subprocess
import sys
from pathlib import Path


def test_the_stub_says_what_the_module_is(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    # pyo3 makes a list of names, which a stub has anyway; the buffer protocol is in C, and shows from Python 3.12 on.
    allowed.write_text("orlop._core.__all__\n(orlop._core.Column.__buffer__)?\n")
    check = [sys.executable, "-m", "mypy.stubtest", "orlop._core", "--allowlist", str(allowed)]
    done = subprocess.run(check, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
