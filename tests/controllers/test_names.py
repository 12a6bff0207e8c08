"""docs/controllers.md says which controllers there are, and where."""

import inspect
import re
from pathlib import Path

from orlop import controllers
from orlop.controllers import Options, all_controllers

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z-]+)` \| `([a-z/]+\.py)` \|", re.MULTILINE)
ABSENT = re.compile(r"^\| `([a-z-]+)` \| [^`]", re.MULTILINE)


def test_the_table_names_every_controller_and_its_file() -> None:
    pair = {"cluster_signing_cert": b"c", "cluster_signing_key": b"k"}
    options = Options(root_ca=b"c", service_account_key=b"k", load_balancer_pool="192.0.2.0/24", **pair)
    folder = Path(controllers.__file__).parent
    found = {
        c.name: Path(inspect.getsourcefile(type(c)) or "").relative_to(folder).as_posix()
        for c in all_controllers(options)
    }
    text = (ROOT / "docs" / "controllers.md").read_text()
    assert dict(ROW.findall(text)) == found
    assert not set(ABSENT.findall(text)) & set(found)
    for name in found:
        assert any((ROOT / "tests" / "fixtures" / name).glob("*.input.yaml")), f"{name} has no example"
