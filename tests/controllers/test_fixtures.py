"""Every controller by its examples: tests/fixtures/CONTROLLER/NAME.input.yaml and .output.yaml (see support.worlds)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orlop.clock import FakeClock
from orlop.control import Controller
from orlop.controllers import Options, all_controllers
from orlop.pki.authority import Authority, certificate_pem, new_key, signing_key_pem
from tests.support import worlds

_AUTHORITY_KEY = new_key()
GIVEN: dict[str, Any] = {
    "load_balancer_pool": "192.0.2.0/29,2001:db8::/64",
    "root_ca": b"CA",
    "cluster_signing_cert": certificate_pem(Authority.create(_AUTHORITY_KEY, FakeClock()).certificate),
    "cluster_signing_key": signing_key_pem(_AUTHORITY_KEY),
    "service_account_key": signing_key_pem(new_key()),
}
"""Without these some controllers are left out."""
FIXTURES = Path(__file__).parent.parent / "fixtures"
OTHERS = {"answers"}
"""What is not about controllers: answers of the API server."""
NAMES = sorted(controller.name for controller in all_controllers(Options(**GIVEN)))
CASES = [(name, case) for name in NAMES for case in worlds.cases(FIXTURES / name)]


@pytest.mark.parametrize(("name", "case"), CASES, ids=lambda v: v.name.split(".")[0] if isinstance(v, Path) else v)
async def test_fixture(name: str, case: Path) -> None:
    def make(options: Mapping[str, Any]) -> list[Controller]:
        return [c for c in all_controllers(Options(**{**GIVEN, **options})) if c.name == name]

    await worlds.check(case, make)


def test_every_fixture_is_of_a_controller() -> None:
    assert {folder.name for folder in FIXTURES.iterdir()} - OTHERS <= set(NAMES)
