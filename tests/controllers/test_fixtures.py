"""Every controller by its examples: tests/fixtures/CONTROLLER/NAME.input.yaml and .output.yaml (see support.worlds)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orlop.control import Controller
from orlop.controllers import Options, all_controllers
from orlop.pki.authority import key_pem, new_key
from tests.support import worlds

FIXTURES = Path(__file__).parent.parent / "fixtures"
KEY = key_pem(new_key())
NAMES = sorted(c.name for c in all_controllers(Options(root_ca=b"CA", service_account_key=KEY)))
CASES = [(name, case) for name in NAMES for case in worlds.cases(FIXTURES / name)]


@pytest.mark.parametrize(("name", "case"), CASES, ids=lambda v: v.name.split(".")[0] if isinstance(v, Path) else v)
async def test_fixture(name: str, case: Path) -> None:
    def make(options: Mapping[str, Any]) -> list[Controller]:
        every = all_controllers(Options(root_ca=b"CA", service_account_key=KEY, **options))
        return [c for c in every if c.name == name]

    await worlds.check(case, make)


def test_every_fixture_is_of_a_controller() -> None:
    assert {folder.name for folder in FIXTURES.iterdir()} <= set(NAMES)
