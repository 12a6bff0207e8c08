"""`wait("deployment/web", "condition=Available")`: kubectl's wait, over a watch."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from orlop.api import errors, scheme
from orlop.client.client import Client
from orlop.client.decode import error_of

Condition = Callable[[dict[str, Any] | None], bool]


class WaitTimeout(TimeoutError):
    """The condition was not met in time; the message says what was seen last."""


def resource(text: str) -> tuple[scheme.Kind, str]:
    """`deployment/web`, `deploy/web`, `pods/x` → the kind and the name. Raises ValueError."""
    word, _, name = text.partition("/")
    plural, _, group = word.lower().partition(".")
    for kind in scheme.KINDS:
        named = plural in (kind.plural, kind.singular, *kind.short_names)
        if named and kind.stored and (not group or kind.group == group):
            if not name:
                raise ValueError(f"{text!r} names no object: write {kind.singular}/NAME")
            return kind, name
    raise ValueError(f'the server doesn\'t have a resource type "{word}"')


def condition(text: str) -> Condition:
    """`condition=Ready`, `condition=Ready=False`, `jsonpath={.status.phase}=Running`, `create`, `delete`."""
    if text == "delete":
        return lambda obj: obj is None
    if text == "create":
        return lambda obj: obj is not None
    kind, _, rest = text.partition("=")
    if kind == "condition" and rest:
        name, _, value = rest.partition("=")
        wanted = (value or "True").lower()
        return lambda obj: obj is not None and _condition(obj, name.lower(), wanted)
    if kind == "jsonpath" and rest:
        path, _, value = rest.rpartition("=") if not rest.endswith("}") else (rest, "", "")
        return lambda obj: obj is not None and _path(obj, path, value)
    raise ValueError(
        f"unrecognized condition: {text!r}; use condition=TYPE, jsonpath={{.path}}=VALUE, create or delete"
    )


def _condition(obj: dict[str, Any], name: str, wanted: str) -> bool:
    generation = obj["metadata"].get("generation", 0)
    status = obj.get("status", {})
    if status.get("observedGeneration", generation) < generation:
        return False
    return any(c["type"].lower() == name and c["status"].lower() == wanted for c in status.get("conditions", ()))


def _path(obj: dict[str, Any], path: str, value: str) -> bool:
    found: Any = obj
    for part in path.strip("{}").strip(".").split("."):
        if not isinstance(found, dict) or part not in found:
            return False
        found = found[part]
    text = str(found).lower() if isinstance(found, bool) else str(found)
    return text == value if value else bool(text)


async def wait(client: Client, target: str, until: str, namespace: str, timeout: float) -> dict[str, Any] | None:
    """Returns the object once the condition holds (None for `delete`). Raises WaitTimeout after `timeout` seconds."""
    kind, name = resource(target)
    holds = condition(until)
    where = namespace if kind.namespaced else None
    last: dict[str, Any] | None = None
    try:
        async with asyncio.timeout(timeout):
            while True:
                last, version = await _get(client, kind, name, where)
                if holds(last):
                    return last
                try:
                    async for event in client.watch(
                        kind.struct, where, fields=f"metadata.name={name}", resource_version=version
                    ):
                        if event.type in ("BOOKMARK", "ERROR"):
                            continue
                        last = None if event.type == "DELETED" else msgspec.json.decode(event.object)
                        if holds(last):
                            return last
                except errors.Gone:
                    continue
    except TimeoutError:
        seen = "not found" if last is None else msgspec.json.encode(last.get("status", {})).decode()
        raise WaitTimeout(f"timed out after {timeout:g} s waiting for {until} on {target}; last seen: {seen}") from None


async def _get(client: Client, kind: scheme.Kind, name: str, where: str | None) -> tuple[dict[str, Any] | None, str]:
    answer = await client.request("GET", kind.path(where), query={"fieldSelector": f"metadata.name={name}"})
    if answer.status >= 400:
        raise error_of(answer)
    body = msgspec.json.decode(answer.body)
    items = body.get("items") or []
    return (items[0] if items else None), body["metadata"]["resourceVersion"]
