"""Merge patches the slow and obvious way, to compare `wire` with."""

from typing import Any

Json = Any
"""What json.loads gives."""


def json_merge(target: Json, patch: Json) -> Json:
    """RFC 7386, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    out = dict(target)
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = json_merge(out.get(name), value)
    return out


def strategic_list(target: list[dict[str, Json]], patch: list[dict[str, Json]], key: str) -> list[dict[str, Json]]:
    """A list that is merged by a key, of flat objects: the patch's items in its order, the rest where they stood.

    An item stands in front of the first patched item that it stood in front of before.
    """
    deleted = {item[key] for item in patch if item.get("$patch") == "delete"}
    patch = [item for item in patch if "$patch" not in item]
    kept = [item for item in target if item[key] not in deleted]
    before = {item[key]: item for item in kept}
    place = {item[key]: i for i, item in enumerate(kept)}
    named = {item[key] for item in patch}
    others = [item for item in kept if item[key] not in named]
    out: list[dict[str, Json]] = []
    for item in patch:
        here = place.get(item[key])
        while others and here is not None and place[others[0][key]] < here:
            out.append(others.pop(0))
        if item[key] in before:
            out.append(json_merge(before[item[key]], item))
        else:
            out.append(item)  # its nulls are settled when the result is read
    return out + others
