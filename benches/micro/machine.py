"""The line that stands above every figure: on what it was taken."""

import os
import platform
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches.machine import scaled as scaled


def describe(**versions: str) -> str:
    """Processor, cores, kernel, Python; and the first line of what each command in `versions` prints."""
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    parts = [model, f"{os.cpu_count()} cores", f"Linux {platform.release()}", f"Python {platform.python_version()}"]
    parts.append(f"load {os.getloadavg()[0]:.1f}")
    for command in versions.values():
        done = subprocess.run(command.split(), capture_output=True, text=True, check=True)
        parts.append(done.stdout.splitlines()[0])
    return "; ".join(parts)
