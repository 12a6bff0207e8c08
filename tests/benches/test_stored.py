"""`make bench-check` fails where a figure is lost, and only there."""

import subprocess
import sys
from pathlib import Path

import pytest
from benches.counting import stored
from benches.counting.callgrind import Count, read
from benches.counting.stored import NOISE_MOST, Figure, Stored, compare, updated

TOOLS = {"python": "3.11.7", "rustc": "1.95.0"}
KNOWN = Stored(
    "a machine",
    TOOLS,
    {"hub: a list": Figure(1000.0, 0.02, "abc1234"), "server: a pod read": Figure(200_000.0, 0.05, "abc1234")},
)


def now(hub: float = 1000, server: float = 200_000) -> dict[str, Count]:
    return {"hub: a list": Count(round(hub * 10), 10), "server: a pod read": Count(round(server * 10), 10)}


def bad(found: dict[str, Count], tools: dict[str, str] = TOOLS) -> list[str]:
    return [row.name for row in compare(KNOWN, found, tools) if row.bad]


def test_what_is_as_it_was_passes() -> None:
    assert bad(now()) == []
    assert bad(now(1019, 209_000)) == [], "within the noise of each"
    assert bad(now(500, 100_000)) == [], "a gain is none"


def test_a_slower_figure_fails() -> None:
    assert bad(now(hub=1030)) == ["hub: a list"]
    assert bad(now(server=212_000)) == ["server: a pod read"]
    row = compare(KNOWN, now(hub=1500), TOOLS)[0]
    assert row.verdict == "LOST: +50.0 % since abc1234, 2.0 % is noise"


def test_with_other_tools_more_is_let_pass() -> None:
    other = {**TOOLS, "rustc": "1.99.0"}
    assert bad(now(hub=1150), other) == []
    assert bad(now(hub=1200), other) == ["hub: a list"]


def test_figures_that_come_and_go_fail() -> None:
    one = now()
    gone = one.pop("hub: a list")
    assert bad(one) == ["hub: a list"]
    assert bad({**one, "hub: a list": gone, "hub: new": gone}) == ["hub: new"]


def test_a_part_alone() -> None:
    one = {"hub: a list": Count(20_000, 10)}
    assert [row.name for row in compare(KNOWN, one, TOOLS, whole=False) if row.bad] == ["hub: a list"]
    fresh = updated(KNOWN, [one], TOOLS, "m", "def5678")
    assert fresh.figures["server: a pod read"] == KNOWN.figures["server: a pod read"]
    assert fresh.figures["hub: a list"].instructions == 2000


def test_an_update_keeps_what_has_not_changed_with_its_commit() -> None:
    """Else many losses within the noise would hide one after the other."""
    fresh = updated(KNOWN, [now(1019, 150_000), now(1019, 150_100)], TOOLS, "another machine", "def5678")
    assert fresh.figures["hub: a list"] == KNOWN.figures["hub: a list"]
    assert fresh.figures["server: a pod read"] == Figure(150_050.0, 0.05, "def5678")
    noisy = updated(None, [now(1000), now(1050)], TOOLS, "m", "def5678")
    assert noisy.figures["hub: a list"].noise == pytest.approx(0.146)
    wild = updated(None, [now(1000), now(2000)], TOOLS, "m", "def5678")
    assert wild.figures["hub: a list"].noise == NOISE_MOST


def test_what_is_stored_is_of_every_benchmark(tmp_path: Path) -> None:
    found = stored.load()
    assert found is not None
    assert {name.split(":")[0] for name in found.figures} == {"hub", "wire", "sched", "forward", "python", "server"}
    assert all(figure.commit and 0 < figure.noise < 0.25 for figure in found.figures.values())
    stored.save(found, tmp_path / "copy.json")
    assert stored.load(tmp_path / "copy.json") == found


def test_names_without_counts_are_refused() -> None:
    dumps = "desc: Trigger: Client Request: hub: a\ntotals: 70\n\ndesc: Trigger: Program termination\ntotals: 5\n"
    assert read(dumps, "hub: a\t7\n") == {"hub: a": Count(70, 7)}
    with pytest.raises(ValueError, match="hub: b"):
        read(dumps, "hub: a\t7\nhub: b\t1\n")


SLOWER = """
import sys
from benches.counting.marks import Marks
work = int(sys.argv[1])
assert Marks().possible
Marks().counted("python: a loop", lambda: sum(range(work)))
print("python: a loop\\t1")
"""


@pytest.mark.timeout(300)
def test_counted_work_that_grows_is_lost(tmp_path: Path) -> None:
    """The whole way: counted under valgrind, stored, counted again as it was, and with a tenth more to do."""
    from benches.counting import callgrind, marks

    try:
        callgrind.valgrind()
    except callgrind.NoValgrind as error:
        pytest.skip(str(error))
    if not (marks.target() / "liborlop_benches.so").exists():
        pytest.skip("benches/rust is not built: cargo build --release -p orlop-benches --lib")
    root = Path(__file__).parents[2]

    def counted(work: int) -> dict[str, Count]:
        return callgrind.count(tmp_path, sys.executable, "-c", SLOWER, str(work), cwd=root)

    known = updated(None, [counted(100_000)], TOOLS, "m", "abc1234")
    assert known.figures["python: a loop"].noise == 0.03
    assert not any(row.bad for row in compare(known, counted(100_000), TOOLS))
    assert [row.name for row in compare(known, counted(110_000), TOOLS) if row.lost] == ["python: a loop"]


def test_scenarios_are_all_run_small() -> None:
    """scripts/bench-small takes what is there: none rots."""
    script = Path(__file__).parents[2] / "scripts" / "bench-small"
    assert "for file in benches/scenarios/[a-z]*.py" in script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)
