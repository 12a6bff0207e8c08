"""What is told of tests: nothing that fails in the machine may look well outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.kernel.vm import INSIDE

TESTS = """
import pytest

def test_passes(): pass
def test_fails(): print("said"); assert 1 == 2
def test_skips(): pytest.skip("why not")

@pytest.fixture
def broken(): raise RuntimeError("at the start")
@pytest.fixture
def leaves(): yield; raise RuntimeError("at the end")

def test_cannot_start(broken): pass
def test_cannot_end(leaves): pass
def test_passes_again(): pass
"""


def test_what_is_told(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.kernel.tests",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
    ]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, INSIDE: str(tmp_path), "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run([*command, "test_sample.py"], cwd=tmp_path, env=environment, check=False, timeout=100)
    told = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {row["test"].partition("::")[2]: row["outcome"] for row in told} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_cannot_start": "failed",
        "test_cannot_end": "failed",
        "test_passes_again": "passed",
    }
    texts = [row["text"] for row in told]
    assert texts[0] == texts[-1] == ""
    for text, word in zip(texts[1:-1], ("assert 1 == 2", "why not", "at the start", "at the end"), strict=True):
        assert word in text
    assert "said" in texts[1]
