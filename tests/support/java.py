"""Java programs on others' libraries, built once with Maven and kept in the user's cache folder."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orlop" / "java"
LEAST = 17
"""What fabric8's client 8 asks for."""
BUILD_SECONDS = 900
"""Maven fetches its own plugins too, the first time."""
TEST_SECONDS = 120
"""What one test may take; each waits no longer than 30 s for anything."""


class NoJava(Exception):
    """Why Java programs cannot be had on this machine."""


def classes(folder: Path) -> str:
    """The class path of the Maven project in `folder` and all that it needs. Raises NoJava."""
    maven, javac = shutil.which("mvn"), shutil.which("javac")
    if maven is None or javac is None:
        raise NoJava("there is no mvn or no javac on this machine")
    said = subprocess.run([javac, "-version"], capture_output=True, text=True, check=True)
    version = (said.stdout or said.stderr).split()[-1]
    if int(version.partition(".")[0]) < LEAST:
        raise NoJava(f"javac is {version}; {LEAST} is needed")
    files = sorted([folder / "pom.xml", *folder.rglob("*.java")])
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:16]
    place = CACHE / digest
    if not place.exists():
        making = CACHE / f"{digest}.{os.getpid()}"
        shutil.copytree(folder, making, ignore=shutil.ignore_patterns("target"))
        command = [maven, "-q", "-B", "compile", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        if done.returncode != 0:
            shutil.rmtree(making)
            raise NoJava(f"mvn could not build {folder}: {(done.stdout + done.stderr)[-2000:]}")
        try:
            making.rename(place)
        except OSError:  # another test run was faster
            shutil.rmtree(making)
    return f"{place}/target/classes:{place}/target/lib/*"


def run(path: str, main: str, *words: str, **env: str) -> None:
    """A program by its main class, which must succeed."""
    done = subprocess.run(
        ["java", "-Xmx256m", "-cp", path, main, *words],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=TEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("passed"), done.stdout
