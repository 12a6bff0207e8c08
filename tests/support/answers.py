"""Answers of an API server in a form that can be compared: what differs from run to run is evened out.

A fixture is a file of cases; a case is a list of steps, made one after another in a namespace of its own (`{ns}`):

    - request: GET /api/v1/namespaces/{ns}/configmaps?limit=1
      headers: {accept: application/yaml}     # of the request
      body: {…}                               # JSON; text is sent as it is, hex as bytes
      keep: {c: metadata.continue}            # a value of the answer for later steps, as `{c}`
      answer: {status: 200, …}                # left out where the step only prepares the next

An answer names the status, the headers that say something and one of: `error` (a Status without what every Status has),
`object`, `list`, `events` (of a watch) or `text`.
"""

import json
import re
from typing import Any

HEADERS = ("content-type", "retry-after", "warning")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_NOW = re.compile(r"(current: )\d+")
_DROPPED = ("uid", "creationTimestamp", "namespace", "resourceVersion")
"""Metadata of an object that says nothing about the rule under test."""


def filled(value: Any, kept: dict[str, str]) -> Any:
    """A request's part with `{name}` replaced by what was kept."""
    if isinstance(value, str):
        for name, text in kept.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, dict):
        return {filled(k, kept): filled(v, kept) for k, v in value.items()}
    return [filled(v, kept) for v in value] if isinstance(value, list) else value


def dug(tree: Any, path: str) -> str:
    """The value at a dotted path."""
    for part in path.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree[part]
    return str(tree)


def evened(status: int, headers: list[tuple[str, str]], body: bytes, kept: dict[str, str], owners: bool) -> Any:
    """An answer as a fixture names it. `owners`: managedFields are part of what is compared."""
    shown: dict[str, Any] = {"status": status}
    for name in HEADERS:
        values = [v for k, v in headers if k.lower() == name]
        if values and values != ["application/json"]:
            shown[name] = ", ".join(values)
    parsed = _parsed(body)
    if isinstance(parsed, bytes):
        shown["text"] = "protobuf" if b"k8s\0" in parsed[:40] else _text(parsed.decode("latin-1"), kept)
    elif isinstance(parsed, list):
        shown["events"] = [{e["type"]: _object(e["object"], kept, owners)} for e in parsed]
    elif parsed.get("kind") == "Status" and parsed.get("status") == "Failure":
        assert (parsed["apiVersion"], parsed["code"]) == ("v1", status), parsed
        error = {k: v for k, v in parsed.items() if k not in ("kind", "apiVersion", "status", "code")}
        if not error["metadata"].get("continue"):
            del error["metadata"]
        shown["error"] = _even(error, kept)
    elif isinstance(parsed.get("items"), list):
        items = [_object(item, kept, owners) for item in parsed["items"]]
        shown["list"] = {**_even({k: v for k, v in parsed.items() if k != "items"}, kept), "items": items}
    else:
        shown["object"] = _object(parsed, kept, owners)
    return shown


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in body.splitlines() if line.strip()] if body else body
    except ValueError:
        return body


def _object(obj: dict[str, Any], kept: dict[str, str], owners: bool) -> Any:
    if obj.get("kind") == "Status":
        return _even(obj, kept)
    metadata = {k: v for k, v in obj.get("metadata", {}).items() if k not in _DROPPED}
    entries = metadata.pop("managedFields", None)
    if owners and entries:
        # They are in the order of their times, which are a second apart or not.
        metadata["managedFields"] = sorted(entries, key=lambda e: (e["manager"], e["operation"]))
    return _even({**{k: v for k, v in obj.items() if k != "metadata"}, "metadata": metadata}, kept)


def _even(value: Any, kept: dict[str, str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {_text(k, kept): _even(v, kept, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_even(v, kept, key) for v in value]
    if not isinstance(value, str):
        return value
    if key == "resourceVersion" and value.isdigit():
        return "<revision>"
    return "<continue>" if key == "continue" and value else _text(value, kept)


def _text(text: str, kept: dict[str, str]) -> str:
    text = _NOW.sub(r"\1<revision>", _TIME.sub("<time>", _UID.sub("<uid>", text)))
    for name, value in kept.items():
        if value.isdigit():
            text = re.sub(rf"(?<![\d.]){value}(?!\d)", f"<{name}>", text)
        elif value:
            text = text.replace(value, f"<{name}>")
    return text
