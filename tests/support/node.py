"""Node programs of others' packages, installed once from the registry and kept in the user's cache folder."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orlop" / "node"
LEAST = 20
"""The major version of Node that client-node 1.4 asks for."""
INSTALL_SECONDS = 300
"""What an installation of some seventy small packages may take."""
TEST_SECONDS = 120
"""What one test may take; each waits no longer than 30 s for anything."""


class NoNode(Exception):
    """Why Node programs cannot be had on this machine."""


def installed(folder: Path) -> Path:
    """A copy of `folder` with the packages that its lock file names, exactly. Raises NoNode."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise NoNode("there is no node or no npm on this machine")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < LEAST:
        raise NoNode(f"node is {version}; client-node needs {LEAST}")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:16]
    place = CACHE / digest
    if not place.exists():
        making = CACHE / f"{digest}.{os.getpid()}"
        making.mkdir(parents=True)
        for path in files:
            shutil.copy(path, making)
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode != 0:
            shutil.rmtree(making)
            raise NoNode(f"npm could not install the packages: {done.stderr.strip()}")
        try:
            making.rename(place)
        except OSError:  # another test run was faster
            shutil.rmtree(making)
    return place


def run_test(place: Path, file: str, name: str, **env: str) -> None:
    """One test of a file in `place`, by its name, which must pass."""
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", f"--test-name-pattern=^{name}$", file],
        cwd=place,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=TEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^\s*ok \d+ - {name}$", done.stdout, re.M), done.stdout
