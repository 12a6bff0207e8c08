"""OpenAPI v2 in protobuf, as gnostic's openapiv2/OpenAPIv2.proto declares it.

client-go's discovery and what is built on it (kubectl's fallback, GitOps engines, Terraform) ask for nothing else.
"""

from typing import Any

import msgspec

Json = dict[str, Any]

METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
QUERY_PARAMETER, PATH_PARAMETER = 3, 4
"""Which of gnostic's parameter messages."""
API_KEY = 2


def document(swagger: Json) -> bytes:
    """The Document message for a Swagger 2.0 document as a dictionary."""
    info = swagger["info"]
    out = _text(1, swagger["swagger"])
    out += _bytes(2, _text(1, info["title"]) + _text(2, info["version"]))
    out += _bytes(8, b"".join(_named(2, path, _path(item)) for path, item in swagger["paths"].items()))
    out += _bytes(9, b"".join(_named(1, name, _schema(s)) for name, s in swagger["definitions"].items()))
    for requirement in swagger["security"]:
        out += _bytes(12, b"".join(_named(1, name, _texts(1, scopes)) for name, scopes in requirement.items()))
    shared = swagger["parameters"].items()
    out += _bytes(10, b"".join(_named(1, name, _parameter(said)) for name, said in shared))
    keys = swagger["securityDefinitions"].items()
    return out + _bytes(13, b"".join(_named(1, name, _bytes(API_KEY, _api_key(key))) for name, key in keys))


def more(paths: Json, definitions: Json) -> bytes:
    """Further paths and definitions, to stand behind a document."""
    out = _bytes(8, b"".join(_named(2, path, _path(item)) for path, item in paths.items()))
    return out + _bytes(9, b"".join(_named(1, name, _schema(s)) for name, s in definitions.items()))


def _path(item: Json) -> bytes:
    out = b"".join(_bytes(number, _operation(item[method])) for method, number in METHODS.items() if method in item)
    return out + b"".join(_bytes(9, _item(p)) for p in item.get("parameters", ())) + _vendor(10, item)


def _operation(op: Json) -> bytes:
    out = _texts(1, op["tags"]) + _text(3, op["description"]) + _text(5, op["operationId"])
    out += _texts(6, op["produces"]) + _texts(7, op.get("consumes", ()))
    out += b"".join(_bytes(8, _item(p)) for p in op.get("parameters", ()))
    responses = b"".join(_named(1, code, _bytes(1, _response(r))) for code, r in op["responses"].items())
    return out + _bytes(9, responses) + _texts(10, op["schemes"]) + _vendor(13, op)


def _response(response: Json) -> bytes:
    out = _text(1, response["description"])
    if "schema" in response:
        out += _bytes(2, _bytes(1, _schema(response["schema"])))
    return out


def _item(p: Json) -> bytes:
    """A ParametersItem: a parameter, or where one that several places share is found."""
    if "$ref" in p:
        return _bytes(2, _text(1, p["$ref"]))
    return _bytes(1, _parameter(p))


def _parameter(p: Json) -> bytes:
    """A Parameter: of the body, or one of the others."""
    if p["in"] == "body":
        body = _text(2, p["name"]) + _text(3, "body") + _flag(4, p.get("required")) + _bytes(5, _schema(p["schema"]))
        return _bytes(1, body)
    common = _flag(1, p.get("required")) + _text(2, p["in"]) + _text(3, p["description"]) + _text(4, p["name"])
    if p["in"] == "path":
        return _bytes(2, _bytes(PATH_PARAMETER, common + _text(5, p["type"]) + _flag(19, p.get("uniqueItems"))))
    return _bytes(2, _bytes(QUERY_PARAMETER, common + _text(6, p["type"]) + _flag(20, p.get("uniqueItems"))))


def _schema(s: Json) -> bytes:
    out = _text(1, s.get("$ref")) + _text(2, s.get("format")) + _text(4, s.get("description"))
    out += _texts(19, s.get("required", ()))
    if isinstance(s.get("additionalProperties"), dict):
        out += _bytes(21, _bytes(1, _schema(s["additionalProperties"])))
    if "type" in s:
        out += _bytes(22, _text(1, s["type"]))
    if "items" in s:
        out += _bytes(23, _bytes(1, _schema(s["items"])))
    if "properties" in s:
        out += _bytes(25, b"".join(_named(1, name, _schema(p)) for name, p in s["properties"].items()))
    return out + _vendor(31, s)


def _api_key(key: Json) -> bytes:
    return _text(1, key["type"]) + _text(2, key["name"]) + _text(3, key["in"]) + _text(4, key["description"])


def _vendor(number: int, value: Json) -> bytes:
    """The `x-` members, each an Any that holds YAML, which JSON is."""
    extensions = ((name, msgspec.json.encode(v).decode()) for name, v in value.items() if name.startswith("x-"))
    return b"".join(_named(number, name, _text(2, text)) for name, text in extensions)


def _named(number: int, name: str, value: bytes) -> bytes:
    """One of gnostic's Named… messages: a member of an object."""
    return _bytes(number, _text(1, name) + _bytes(2, value))


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _text(number: int, value: str | None) -> bytes:
    return _bytes(number, value.encode()) if value else b""


def _texts(number: int, values: Any) -> bytes:
    return b"".join(_bytes(number, value.encode()) for value in values)


def _flag(number: int, value: bool | None) -> bytes:
    return _varint(number << 3) + b"\x01" if value else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
