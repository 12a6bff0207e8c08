"""Nothing above the store may know which store it is: no import of one (import-linter), and no word of one either."""

import re
from pathlib import Path

import orlop

ROOT = Path(orlop.__file__).parent

WORDS = re.compile(r"\blmdb\b|MemoryStore|\betcd\b", re.IGNORECASE)

KNOWN = {
    "apiserver/health.py": "upstream's name of the check of the store, which clients ask for",
    "apiserver/expiry.py": "a docstring on what upstream does",
    "apiserver/registry/storagekeys.py": "a docstring on the keys that upstream's errors name",
    "apiserver/components.py": "upstream's name of the store in ComponentStatus",
    "cli/envtest.py": "the name of a program that stands in for it",
    "cli/standins/etcd.py": "what stands in for it",
    "cli/standins/kube_apiserver.py": "upstream's flags",
    "kubelet/runtime/native/images/host.py": "a folder of the machine that no container may see",
}


def test_no_other_room_names_a_store() -> None:
    named = {}
    for file in sorted(ROOT.rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        if not place.startswith("store/") and (found := WORDS.findall(file.read_text(encoding="utf-8"))):
            named[place] = found
    assert set(named) == set(KNOWN), named
