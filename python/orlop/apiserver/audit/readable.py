"""An answer as a record shows it: JSON, whatever form the client asked for."""

from typing import TYPE_CHECKING

import msgspec
import yaml

from orlop import native
from orlop.api import scheme
from orlop.apiserver import negotiate

if TYPE_CHECKING:
    from orlop.apiserver.response import Response

META = {"Status": "meta/v1.Status", "Table": "meta/v1.Table", "PartialObjectMetadata": "meta/v1.PartialObjectMetadata"}


class _Typed(msgspec.Struct, rename="camel"):
    kind: str = ""


def readable(response: "Response") -> tuple[str, bytes] | None:
    """The kind and JSON of an answer; None for one that is no object: a text, a document, something compressed."""
    body, media = response.body, response.content_type.decode("latin-1").partition(";")[0]
    if not body or any(name == b"content-encoding" for name, _ in response.headers):
        return None
    try:
        if media == negotiate.JSON:
            found = msgspec.json.decode(body, type=_Typed)
            return (found.kind, body) if found.kind else None
        if media == negotiate.PROTOBUF:
            return _from_protobuf(body)
        if media == negotiate.YAML:
            tree = yaml.safe_load(body)
            return (tree["kind"], msgspec.json.encode(tree)) if isinstance(tree, dict) and "kind" in tree else None
    except (msgspec.DecodeError, native.WireError, yaml.YAMLError, UnicodeDecodeError):
        return None
    return None


def _from_protobuf(body: bytes) -> tuple[str, bytes] | None:
    api_version, kind = native.wire_peek("protobuf", body)
    key = META.get(kind)
    if key is None:
        found = scheme.by_kind(api_version, kind.removesuffix("List"))
        if found is None:
            return None
        key = found.type_key + "List" * kind.endswith("List")
    return kind, native.wire_decode(key, "protobuf", body)[0]
