"""Requests to an API server that a search draws: valid ones bent at random places, and noise."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from orlop import native
from orlop.api import scheme
from orlop.api.scheme import Kind

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
NAME = "there"
"""The name of the object of each kind that is there."""

EVERY_KIND = Path(__file__).parent.parent / "apiserver" / "every_kind.yaml"


class Sent(NamedTuple):
    """One request."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    media: str = JSON
    accept: str = JSON

    @property
    def target(self) -> str:
        query = "&".join(f"{quote(k)}={quote(v)}" for k, v in self.query)
        return quote(self.path, safe="/%") + (f"?{query}" if query else "")

    @property
    def streams(self) -> bool:
        """Whether the answer may go on for as long as the client likes."""
        return "/watch/" in self.path or any(k == "watch" for k, _ in self.query)


def _objects() -> list[tuple[Kind, dict[str, Any]]]:
    made = []
    for document in yaml.safe_load(EVERY_KIND.read_text()):
        tree = document["object"]
        kind = scheme.by_kind(tree["apiVersion"], tree["kind"])
        # These two hold certificates made in their test.
        if kind is not None and kind.kind not in ("CertificateSigningRequest", "ClusterTrustBundle"):
            made.append((kind, {**tree, "metadata": {"name": NAME, **tree.get("metadata", {})}}))
    return made


OBJECTS = _objects()

WORDS = ["", "a", "A", "a.b/c", "..", "x" * 300, "\0", "é", "25%", "1Gi", "-1", "1.5", "true", "null", "10.0.0.1"]
words = st.sampled_from(WORDS) | st.text(max_size=12)
numbers = st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, 10**30]) | st.integers() | st.floats()
values: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
DIRECTIVES = [{"$patch": "delete"}, {"$patch": "replace"}, {"$patch": "x"}, {"$retainKeys": ["a"]}, {"$patch": 1}]


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        found.append((tree, key))
        _places(tree[key], found)
    return found


@st.composite
def bent(draw: DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    """A copy with up to three places changed, removed or doubled."""
    copy: dict[str, Any] = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(0, 3))):
        places = _places(copy, [])
        if not places:
            break
        node, key = draw(st.sampled_from(places))
        what = draw(st.integers(0, 5))
        if what == 0 and isinstance(node, dict):
            del node[key]
        elif what == 1 and isinstance(node, list):
            node.append(node[0])
        elif what == 2 and isinstance(node, dict):
            node[draw(words)] = draw(values)
        else:
            node[key] = draw(values)
    return copy


@st.composite
def bytes_bent(draw: DrawFn, data: bytes) -> bytes:
    """Bytes with some cut, doubled or changed."""
    at = draw(st.integers(0, len(data)))
    end = draw(st.integers(at, min(len(data), at + 8)))
    return data[:at] + draw(st.binary(max_size=6)) + data[end:]


@st.composite
def bodies(draw: DrawFn, kind: Kind, tree: dict[str, Any]) -> tuple[bytes, str]:
    """A body that wants to be an object of this kind."""
    form = draw(st.sampled_from([JSON, JSON, JSON, YAML, PROTOBUF, PROTOBUF]))
    if form == PROTOBUF:
        data, _, _ = native.wire_decode(kind.type_key, "json", json.dumps(tree).encode())
        return draw(bytes_bent(native.wire_encode_protobuf(kind.type_key, data))), form
    new = draw(bent(tree))
    if form == YAML:
        return draw(st.just(yaml.safe_dump(new).encode("utf-8", "surrogatepass")) | st.binary(max_size=30)), form
    data = json.dumps(new).encode()
    return draw(st.just(data) | st.just(data) | bytes_bent(data)), form


pointers = st.lists(
    st.sampled_from(
        ["metadata", "name", "labels", "annotations", "finalizers", "spec", "data", "-", "0", "-1", "9", "a"]
    )
    | words,
    max_size=4,
).map(lambda parts: "".join("/" + p for p in parts))
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
    optional={"path": pointers | words, "from": pointers, "value": values},
)


@st.composite
def patches(draw: DrawFn, tree: dict[str, Any]) -> tuple[bytes, str]:
    """A patch of an object of this kind."""
    form = draw(st.sampled_from([MERGE, STRATEGIC, JSON_PATCH, APPLY]))
    if form == JSON_PATCH:
        return json.dumps(draw(st.lists(operations, max_size=4) | values)).encode(), form
    new = draw(bent(tree))
    if form == STRATEGIC and (places := _places(new, [])):
        node, key = draw(st.sampled_from(places))
        node[key] = draw(st.sampled_from(DIRECTIVES) | st.lists(st.sampled_from(DIRECTIVES), max_size=2))
    data = json.dumps(new).encode()
    return draw(st.just(data) | st.just(data) | bytes_bent(data)), form


selectors = st.text("ab=!,()<> inot/\\.-_'\0é", max_size=16) | words
tokens = st.builds(
    lambda tree: base64.urlsafe_b64encode(json.dumps(tree).encode()).rstrip(b"=").decode(),
    st.fixed_dictionaries(
        {},
        optional={
            "v": st.just("meta.k8s.io/v1") | values,
            "rv": st.sampled_from([-2, -1, 0, 1, 2, 50]) | words,
            "start": st.text("ab/.\0", max_size=6) | values,
        },
    )
    | values,
)
QUERIES: dict[str, SearchStrategy[str]] = {
    "labelSelector": selectors,
    "fieldSelector": selectors | selectors.map(lambda s: f"metadata.name={s}"),
    "continue": tokens | words,
    # Revisions of the future are waited for, which a search has no time for.
    "resourceVersion": st.sampled_from(["", "0", "1", "3", "x", "-1", "\0", "01"]),
    "resourceVersionMatch": st.sampled_from(["Exact", "NotOlderThan", "x"]),
    "limit": st.sampled_from(["0", "1", "2", "-1", "x", "9" * 30]),
    "timeoutSeconds": st.sampled_from(["1", "x", "-1"]),
    "watch": words,
    "sendInitialEvents": words,
    "allowWatchBookmarks": words,
    "includeObject": words,
    "pretty": words,
    "dryRun": st.just("All") | words,
    "fieldManager": st.just("m") | words,
    "fieldValidation": st.sampled_from(["Strict", "Warn", "Ignore", "x"]),
    "force": words,
    "gracePeriodSeconds": st.sampled_from(["0", "-1", "x", "9" * 30]),
    "propagationPolicy": st.sampled_from(["Orphan", "Foreground", "Background", "x"]),
    "orphanDependents": words,
}


@st.composite
def queries(draw: DrawFn) -> tuple[tuple[str, str], ...]:
    names = draw(st.lists(st.sampled_from(sorted(QUERIES)), max_size=3))
    return tuple((name, draw(QUERIES[name])) for name in names)


accepts = st.sampled_from(
    [
        JSON,
        JSON,
        YAML,
        PROTOBUF,
        "*/*",
        "",
        "text/html",
        f"{JSON};as=Table;v=v1;g=meta.k8s.io",
        f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
        f"{PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        f"{JSON};as=x;q=x",
    ]
)
SUBRESOURCES = ["", "", "", "", "/status", "/scale", "/binding", "/eviction", "/finalize", "/token", "/approval", "/x"]


@st.composite
def requests(draw: DrawFn) -> Sent:
    """Any request for an object or a collection."""
    kind, tree = draw(st.sampled_from(OBJECTS))
    query, accept = draw(queries()), draw(accepts)
    method = draw(st.sampled_from(["POST", "PUT", "PATCH", "PATCH", "GET", "GET", "DELETE"]))
    one = kind.path("default", draw(st.sampled_from([NAME, NAME, NAME, "new", "..", "é"])))
    one += draw(st.sampled_from(SUBRESOURCES))
    if method == "POST":
        path = kind.path("default") if draw(st.integers(0, 3)) else one
        body, media = draw(bodies(kind, tree))
    elif method == "PUT":
        path, (body, media) = one, draw(bodies(kind, tree))
    elif method == "PATCH":
        path, (body, media) = one, draw(patches(tree))
    elif method == "GET":
        path = one if draw(st.booleans()) else kind.path("default")
        return Sent(method, path, query, accept=accept)
    else:
        path = one
        query = (*query, ("dryRun", "All"))
        options = draw(bent({"preconditions": {"uid": "a"}, "propagationPolicy": "Orphan", "gracePeriodSeconds": 0}))
        return Sent(method, path, query, draw(st.none() | st.just(json.dumps(options).encode())), JSON, accept)
    return Sent(method, path, query, body, media, accept)
