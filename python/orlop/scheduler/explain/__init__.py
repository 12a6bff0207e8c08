"""Why a pod is where it is, or is nowhere; and what would become of a manifest.

    found = await why(client, "default", "web-0")
    print(found.summary, *(change.text for change in found.changes), sep="\\n")

All of it runs on the scheduler's own core, filled by plain lists: a client of any API server is enough.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orlop.scheduler.explain.answers import why as why, why_here as why_here, why_node as why_node
    from orlop.scheduler.explain.planner import plan as plan

_LAZY = {
    **dict.fromkeys(("why", "why_here", "why_node"), "orlop.scheduler.explain.answers"),
    "plan": "orlop.scheduler.explain.planner",
}
"""Imported at first use: the scheduler itself needs `stamp` alone. No module may have the name of a function here: an
import would put it in the function's place."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
