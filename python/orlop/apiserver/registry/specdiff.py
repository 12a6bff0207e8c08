"""What differs between two objects, as upstream shows it in a refusal: unified lines of both, written out."""

import difflib
import json
from typing import Any

from orlop.apiserver.registry.goforms import go_form

CONTEXT = 3
"""Lines around a difference."""


def diff(old: Any, new: Any) -> str:
    """The difference from `old` to `new`: objects, or their Go forms."""

    def lines(value: Any) -> list[str]:
        return json.dumps(
            value if isinstance(value, dict) else go_form(value), indent=1, ensure_ascii=False
        ).splitlines()

    shown = list(difflib.unified_diff(lines(old), lines(new), lineterm="", n=CONTEXT))
    return "".join(f"{line}\n" for line in shown[2:])
