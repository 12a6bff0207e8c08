"""docs/clients.md names a test for each expectation: the tests are there."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "clients.md"


def test_every_expectation_has_its_test() -> None:
    text = PAGE.read_text()
    named = re.findall(r"`([\w./]+\.py)::(\w+)(?:\[(\w+)\])?`", text)
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| clients"))]
    assert len(named) >= len(rows) > 60
    for file, test, parameter in named:
        source = (HERE / file).read_text()
        assert re.search(rf"^(async )?def {test}\(", source, re.M), (file, test)
        if parameter:
            assert any(f"func {parameter}(" in go.read_text() for go in (HERE / "go").glob("*_test.go")), parameter
