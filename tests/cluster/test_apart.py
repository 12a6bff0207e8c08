import sys
from pathlib import Path

import pytest

from orlop.cluster.apart import apart


def test_it_is_done_elsewhere_and_nothing_of_it_stays(tmp_path: Path) -> None:
    def work() -> None:
        import this  # a module that nobody else loads

        (tmp_path / "done").write_text(this.__name__)

    apart(work)
    assert (tmp_path / "done").read_text() == "this"
    assert "this" not in sys.modules


def test_a_failure_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise OSError("the disk is full")

    with pytest.raises(RuntimeError, match="the reason stands above"):
        apart(work)
    assert "the disk is full" in capfd.readouterr().err
