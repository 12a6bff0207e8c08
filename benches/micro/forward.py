"""The forwarding table at 1,000,000 endpoints: memory, lookup, update (rust/core/benches/forward.rs)."""

import os
import subprocess
from pathlib import Path

from machine import describe

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))

if __name__ == "__main__":
    print(describe(cargo="cargo --version"))
    environment = {"CARGO_TARGET_DIR": str(CACHE / "orlop" / "target"), **os.environ}
    command = ["cargo", "bench", "--quiet", "--package", "orlop-core", "--bench", "forward"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
