"""The forwarding table at 1,000,000 endpoints: memory, lookup, update (benches/rust/benches/forward_million.rs)."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))

if __name__ == "__main__":
    print(machine.line("cargo --version"))
    environment = {"CARGO_TARGET_DIR": str(CACHE / "orlop" / "target"), **os.environ}
    command = ["cargo", "bench", "--quiet", "--package", "orlop-benches", "--bench", "forward_million"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
