"""`orlop bench` as its users run it."""

import asyncio
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orlop.bench import report
from orlop.bench.http import Connection, Target
from orlop.cli import main as orlop


def test_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert orlop.main(["bench"]) == 0
    told = capsys.readouterr().out
    assert "get               one pod at a time (objects 10000, clients 32); to reach: 5 × the peer" in told
    assert "resident MiB at most 200" in told


def test_figures_as_text_json_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, plot = tmp_path / "figures.json", tmp_path / "figures.svg"
    words = ["bench", "create", "get-h2", "list-gzip", "--scale=0.002", "--runs=2"]
    assert orlop.main([*words, f"--json={figures}", f"--plot={plot}"]) == 0
    told = capsys.readouterr().out
    assert "creates a CPU second" in told
    runs = json.loads(figures.read_text())["runs"]
    assert {name: [run["count"] for run in servers["orlop"]] for name, servers in runs.items()} == {
        "create": [20, 20],
        "get-h2": [20, 20],
        "list-gzip": [10, 10],
    }
    assert ElementTree.parse(plot).getroot().tag.endswith("svg")


def test_a_scenario_that_fails_ends_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from orlop.bench import work

    async def broken(load: work.Load, objects: int, clients: int) -> work.Result:
        raise ExceptionGroup("several", [RuntimeError("no such thing")])

    monkeypatch.setitem(work.WORKS, "bind", broken)
    figures = tmp_path / "figures.json"
    assert orlop.main(["bench", "bind", "get", "--scale=0.001", "--runs=1", f"--json={figures}"]) == 1
    assert "bind              orlop   failed: no such thing" in capsys.readouterr().out
    assert list(json.loads(figures.read_text())["runs"]) == ["get"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["nothing"], 2, "no such scenario: nothing"),
        (["get", "--peer-kubeconfig=p"], 2, "--peer-kubeconfig needs --peer-pids"),
        (["get", "--kubeconfig=/nowhere", "--pids=1"], 1, "/nowhere"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], code: int, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert orlop.main(["bench", *words]) == code
    assert why in capsys.readouterr().err


def test_a_factor_beside_a_peer() -> None:
    runs = {"get": {"orlop": [{"per_cpu_second": 60.0}], "peer": [{"per_cpu_second": 10.0}]}}
    scenarios = {"get": {"unit": "gets", "bar": 5}}
    assert report.lines(runs, scenarios)[-1].endswith("6.00 times peer (to reach: 5, reached)")
    assert report.lines(runs, {"get": {"unit": "gets", "bar": 7}})[-1].endswith("MISSED)")


def test_a_server_may_be_measured_again_and_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from orlop.cli import bench

    process = bench._start(tmp_path)
    try:
        words = [f"--kubeconfig={tmp_path}/admin", f"--pids={process.pid}", "--scale=0.001", "--runs=1"]
        for _ in range(2):
            assert orlop.main(["bench", "bind", "event", "lease", *words]) == 0
        assert "left behind" not in capsys.readouterr().err
        target = Target.of(str(tmp_path / "admin"))

        async def left(path: str) -> list[str]:
            one = Connection(target)
            found = json.loads(await one.request("GET", path))["items"]
            one.close()
            return [item["metadata"]["namespace"] for item in found]

        for kind in ("pods", "events"):
            assert not [one for one in asyncio.run(left(f"/api/v1/{kind}")) if one.startswith("orlop-bench")]
    finally:
        process.terminate()
        process.wait()
