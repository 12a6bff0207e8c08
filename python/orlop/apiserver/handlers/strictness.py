"""Unknown and duplicate fields in the order in which a body has them, as upstream's decoder comes upon them."""

import json
from typing import Any

MOST = 100
"""How many are told, as sigs.k8s.io/json."""


class _Members(list[tuple[str, Any]]):
    """A JSON object with all its members, those of equal names too."""


def in_order(body: bytes, unknown: list[str], duplicate: list[str]) -> list[str]:
    """Both kinds of problems of a JSON body, in its order; of another body the duplicates first."""
    problems = [*duplicate, *unknown]
    if not unknown or not duplicate:
        return problems[:MOST]
    try:
        places = _places(json.loads(body, object_pairs_hook=_Members))
    except (ValueError, RecursionError):
        return problems[:MOST]
    return sorted(problems, key=lambda problem: places.get(problem, len(places)))[:MOST]


def _places(tree: Any) -> dict[str, int]:
    """At which place each problem would be told."""
    places: dict[str, int] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, _Members):
            seen = set()
            for name, value in node:
                where = f"{path}.{name}" if path else name
                what = "duplicate" if name in seen else "unknown"
                seen.add(name)
                places.setdefault(f"{what} field {quoted(where)}", len(places))
                walk(value, where)
        elif isinstance(node, list):
            for i, value in enumerate(node):
                walk(value, f"{path}[{i}]")

    walk(tree, "")
    return places


def quoted(text: str) -> str:
    """A text in the quotes of these messages."""
    return json.dumps(text, ensure_ascii=False)


def of_operations(patch: bytes) -> list[str]:
    """What a JSON patch names twice or beside the fields of an operation, in its order."""
    try:
        operations = json.loads(patch, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        return []
    if not isinstance(operations, list) or isinstance(operations, _Members):
        return []
    problems: dict[str, None] = {}
    for i, operation in enumerate(operations):
        seen = set()
        for name, _ in operation if isinstance(operation, _Members) else ():
            if name not in OPERATION_FIELDS:
                problems[f"json patch unknown field {quoted(f'[{i}].{name}')}"] = None
            elif name in seen:
                problems[f"json patch duplicate field {quoted(f'[{i}].{name}')}"] = None
            seen.add(name)
    return [*problems][:MOST]


OPERATION_FIELDS = frozenset({"op", "path", "from", "value"})
