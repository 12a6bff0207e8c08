"""Tests on another kernel: those marked `kernel` run in the machine, all of them in one boot, and are told of here.

Outside, such a test becomes one that waits for what the machine says of it. Inside, this is a plug-in of the pytest
that runs there; it writes one line of JSON for each test.
"""

import atexit
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.files import NoMachine
from tests.kernel.vm import INSIDE, LAST_WORDS, SHARE, Machine

MARK = "kernel"
PASSED_ON = ("CI", "ORLOP_CAMPAIGN", "PYTHONPATH", "VIRTUAL_ENV", "PATH")
"""Variables that mean the same inside."""

PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "tests.kernel.tests")
"""No others there: each is read by an emulated machine."""

SECONDS = 600
"""How long a test may take there unless it says so itself (`timeout`), the boot included for the first one."""

RESULTS = "results.jsonl"
PAUSE = 0.1
ROOT = Path(__file__).parents[2]


class Failed(Exception):
    """A test failed in the machine; the text is pytest's own."""


def is_inside() -> bool:
    """Whether this process is in the machine."""
    return INSIDE in os.environ


def take_over(items: list[pytest.Item]) -> None:
    """Puts the tests that need the machine into the machine's hands."""
    for number, item in enumerate(items):
        if item.get_closest_marker(MARK):
            items[number] = _Elsewhere.of(item)


class _Elsewhere(pytest.Item):
    """A test that runs in the machine."""

    @classmethod
    def of(cls, item: pytest.Item) -> "_Elsewhere":
        assert item.parent is not None
        made: _Elsewhere = cls.from_parent(item.parent, name=item.name)
        made.own_markers = [mark for mark in item.own_markers if mark.name != "timeout"]
        made.extra_keyword_matches |= item.extra_keyword_matches
        own = item.get_closest_marker("timeout")
        made.seconds = float(own.args[0]) if own else SECONDS
        made.add_marker(pytest.mark.timeout(2 * made.seconds))  # the wait below gives up before, and says more
        made.id_inside = item.nodeid
        made.where = item.location
        return made

    id_inside: str
    seconds: float
    where: tuple[str, int | None, str]

    def runtest(self) -> None:
        found = _boot(self.session).result(self.id_inside, self.seconds)
        if found["outcome"] == "skipped":
            pytest.skip(found["text"])
        if found["outcome"] != "passed":
            raise Failed(found["text"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return ROOT / self.where[0], self.where[1], self.where[2]


_booted: "dict[pytest.Session, _Boot]" = {}


def _boot(session: pytest.Session) -> "_Boot":
    """The one machine of this run, which has all its tests to do."""
    if session not in _booted:
        _booted[session] = _Boot([item.id_inside for item in session.items if isinstance(item, _Elsewhere)])
    return _booted[session]


class _Boot:
    def __init__(self, tests: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orlop-vm-")
        atexit.register(self._folder.cleanup)
        self._share = Path(self._folder.name)
        (self._share / "tests").write_text("\n".join(tests))
        self._results: dict[str, dict[str, str]] = {}
        self._machine: Machine | None = None
        self._failure = ""
        # fmt: off
        command = [
            sys.executable, "-m", "pytest", "-q", *(word for name in PLUGINS for word in ("-p", name)),
            "-o", f"timeout={SECONDS - 60}", "-W", "ignore", f"@{SHARE}/tests",
        ]
        # fmt: on
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        with (self._share / "output").open("wb") as output:
            try:
                self._machine = Machine(
                    command, share=self._share, directory=ROOT, environment=environment, output=output
                )
                atexit.register(self._machine.end)
            except NoMachine as error:
                self._failure = str(error)

    def result(self, test: str, seconds: float) -> dict[str, str]:
        """What came of it. Waits; skips where there can be no machine."""
        if self._machine is None:
            pytest.skip(self._failure)
        deadline = time.monotonic() + seconds
        while test not in self._results:
            running = self._machine.running()
            self._read()
            if test not in self._results:
                if not running:
                    raise self._failed("the machine ended before this test did")
                if time.monotonic() > deadline:
                    raise self._failed(f"the machine has not done this test within {seconds:g} s")
            time.sleep(PAUSE)
        return self._results[test]

    def _failed(self, what: str) -> Failed:
        assert self._machine is not None
        said = (self._share / "output").read_text(errors="replace")[-LAST_WORDS:]
        return Failed(f"{what}; it said at last:\n{said}\n{self._machine.console()}")

    def _read(self) -> None:
        path = self._share / RESULTS
        for line in path.read_text().splitlines(keepends=True) if path.exists() else []:
            if line.endswith("\n"):
                found = json.loads(line)
                self._results[found["test"]] = found


# Inside


class Teller:
    """Tells of each test when its last part is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcome = "passed"
        self._texts: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self._outcome = "failed" if "failed" in (report.outcome, self._outcome) else "skipped"
            told = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            sections = [f"--- {name}\n{text}" for name, text in report.sections if report.failed]
            self._texts += [told, *sections]
        if report.when == "teardown":
            line = {"test": report.nodeid, "outcome": self._outcome, "text": "\n".join(self._texts)}
            with self._path.open("a") as results:
                results.write(json.dumps(line) + "\n")
            self._outcome, self._texts = "passed", []


def pytest_configure(config: pytest.Config) -> None:
    if is_inside():
        config.pluginmanager.register(Teller(Path(os.environ[INSIDE]) / RESULTS))
