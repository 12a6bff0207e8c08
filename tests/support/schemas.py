"""Random structural schemas with everything that a CustomResourceDefinition's may have, and random values for them."""

import random
from copy import deepcopy
from typing import Any

Schema = dict[str, Any]
NAMES = ("a", "b", "c", "d")
TEXTS = ("", "x", "ab", "long text", "2024-01-02T03:04:05Z", "1h", "10.0.0.1", "a@b.c", "http://x.y/z", "1Gi", "5")
FORMATS = (
    *("date-time", "date", "duration", "ipv4", "ipv6", "cidr", "uuid", "email", "uri", "byte", "hostname", "mac"),
    *("int32", "int64", "quantity", "k8s-short-name", "password", "nonsense"),
)
PATTERNS = ("^[a-z]+$", "^x", "[0-9]", "^(a|x)*$")
RULES = {
    "string": (
        *("self.size() < 4", "self.startsWith('x')", "self == oldSelf", "self.matches('^[a-z]+$')", "self != ''"),
        *("isURL(self)", "self.upperAscii() == self", "self.contains('a') || self < 'm'", "self.split('').size() < 5"),
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('1'))",
    ),
    "integer": (
        "self > 0",
        "self >= oldSelf",
        "self % 2 == 0",
        "self in [1, 2, 3]",
        "1 / self > 0",
        "double(self) < 1.5",
    ),
    "number": ("self > 0.0", "self < 1.5 && self != 0.5", "self == oldSelf"),
    "boolean": ("self", "!self", "self || oldSelf"),
    "array": (
        "self.size() <= 1",
        "self == oldSelf",
        "oldSelf.all(x, x in self)",
        "self.all(x, self.exists_one(y, y == x))",
    ),
    "object": ("has(self.a)", "!has(self.a) || self.a == self.a", "has(self.b) == has(oldSelf.b)", "self == oldSelf"),
    "map": ("self.size() < 2", "self.all(k, k.startsWith('a'))", "oldSelf.all(k, k in self)"),
}


class Draw:
    """Draws by lot."""

    def __init__(self, seed: int) -> None:
        self.lot = random.Random(seed)

    def often(self, share: float) -> bool:
        return self.lot.random() < share

    # --- schemas ------------------------------------------------------------------------------

    def schema(self, depth: int = 3) -> Schema:
        """Any schema that may stand below the root; some of them are refused."""
        kinds = ["string", "string", "integer", "number", "boolean"]
        if depth:
            kinds += ["object", "object", "array", "array", "map", "free", "int-or-string", "embedded"]
        kind = self.lot.choice(kinds)
        out: Schema = getattr(self, "_" + kind.replace("-", "_"))(depth)
        if self.often(0.2):
            out["nullable"] = True
        if self.often(0.15) and kind not in ("free", "embedded"):
            out["default"] = self.value(out, right=0.95)
        # What is in an embedded resource upstream compares before it is read and after, and finds it changed.
        combined = kind not in ("free", "embedded")
        if combined and self.often(0.1):
            out[self.lot.choice(["anyOf", "allOf", "oneOf"])] = [
                self._checks(kind) for _ in range(self.lot.choice([1, 2]))
            ]
        if combined and self.often(0.04):
            out["not"] = self._checks(kind)
        if self.often(0.3) and kind in RULES:
            out["x-kubernetes-validations"] = [self._rule(kind) for _ in range(self.lot.choice([1, 1, 2]))]
        if self.often(0.1):
            out |= {"description": "words", "title": "Words", "example": {"any": 1}}
        return out

    def _rule(self, kind: str) -> dict[str, Any]:
        rule: dict[str, Any] = {"rule": self.lot.choice(RULES[kind])}
        if self.often(0.3):
            rule["message"] = "must be otherwise"
        if self.often(0.2):
            rule["messageExpression"] = self.lot.choice(["'said by ' + 'rule'", "string(self) + '!'", "''"])
        if self.often(0.2):
            rule["reason"] = self.lot.choice(["FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"])
        if self.often(0.15) and kind == "object":
            rule["fieldPath"] = self.lot.choice([".a", ".b", "['c']"])
        if self.often(0.1):
            rule["optionalOldSelf"] = True
            rule["rule"] = "!oldSelf.hasValue() || oldSelf.value() == self"
        return rule

    def _checks(self, kind: str) -> Schema:
        """Value checks alone, as they may stand in anyOf and its like."""
        if kind == "string":
            return self.lot.choice([{"maxLength": 2}, {"minLength": 1}, {"pattern": "^x"}, {"enum": ["x", "ab"]}])
        if kind in ("integer", "number"):
            return self.lot.choice([{"maximum": 1}, {"minimum": 1}, {"multipleOf": 2}, {"enum": [1, 2]}])
        if kind == "array":
            return self.lot.choice([{"maxItems": 1}, {"minItems": 2}])
        if kind == "object":
            return self.lot.choice([{"required": ["a"]}, {"required": ["b"]}, {"properties": {"a": {"enum": ["x"]}}}])
        return self.lot.choice([{"minProperties": 1}, {"maxProperties": 1}]) if kind == "map" else {}

    def _string(self, _: int) -> Schema:
        out: Schema = {"type": "string", "maxLength": self.lot.choice([2, 5, 20])}
        if self.often(0.2):
            out["minLength"] = 1
        if self.often(0.15):
            out["pattern"] = self.lot.choice(PATTERNS)
        if self.often(0.25):
            out["format"] = self.lot.choice(FORMATS)
        if self.often(0.1):
            out["enum"] = self.lot.sample(TEXTS, 2)
        return out

    def _integer(self, _: int) -> Schema:
        out: Schema = {"type": "integer"}
        for name, value in (("minimum", 0), ("maximum", 2), ("multipleOf", 2)):
            if self.often(0.2):
                out[name] = value
        if self.often(0.1) and "minimum" in out:
            out["exclusiveMinimum"] = True
        if self.often(0.2):
            out["format"] = self.lot.choice(["int32", "int64"])
        if self.often(0.1):
            out["enum"] = [1, 2]
        return out

    def _number(self, _: int) -> Schema:
        out: Schema = {"type": "number"}
        for name, value in (("minimum", -1), ("maximum", 1.5), ("multipleOf", 0.5)):
            if self.often(0.2):
                out[name] = value
        if self.often(0.1) and "maximum" in out:
            out["exclusiveMaximum"] = True
        return out

    def _boolean(self, _: int) -> Schema:
        return {"type": "boolean"}

    def _object(self, depth: int) -> Schema:
        names = self.lot.sample(NAMES, self.lot.choice([1, 2, 3]))
        out: Schema = {"type": "object", "properties": {name: self.schema(depth - 1) for name in names}}
        if self.often(0.3):
            out["required"] = self.lot.sample(NAMES, 1)
        if self.often(0.1):
            out["x-kubernetes-preserve-unknown-fields"] = True
        if self.often(0.15):
            out["x-kubernetes-map-type"] = self.lot.choice(["atomic", "granular"])
        return out

    def _map(self, depth: int) -> Schema:
        out: Schema = {"type": "object", "maxProperties": 3, "additionalProperties": self.schema(depth - 1)}
        if self.often(0.2):
            out["minProperties"] = 1
        return out

    def _free(self, _: int) -> Schema:
        return {"x-kubernetes-preserve-unknown-fields": True} | ({"type": "object"} if self.often(0.5) else {})

    def _int_or_string(self, _: int) -> Schema:
        return {"x-kubernetes-int-or-string": True} | ({"maxLength": 3} if self.often(0.3) else {})

    def _embedded(self, _: int) -> Schema:
        out: Schema = {"type": "object", "x-kubernetes-embedded-resource": True}
        if self.often(0.5):
            return out | {"x-kubernetes-preserve-unknown-fields": True}
        return out | {"properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}}}

    def _array(self, depth: int) -> Schema:
        out: Schema = {"type": "array", "maxItems": self.lot.choice([2, 3, 4])}
        how = self.lot.choice(["none", "atomic", "set", "map", "map"])
        if how == "map":
            keys = self.lot.choice([["a"], ["a", "b"]])
            inside = self._object(depth)
            for key in keys:
                inside["properties"][key] = {"type": self.lot.choice(["string", "string", "integer"])}
                if inside["properties"][key]["type"] == "string":
                    inside["properties"][key]["maxLength"] = 4
                if self.often(0.2):
                    inside["properties"][key]["default"] = "x" if inside["properties"][key]["type"] == "string" else 1
            inside["required"] = [k for k in keys if "default" not in inside["properties"][k]]
            inside.pop("x-kubernetes-map-type", None)
            out |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys, "items": inside}
        elif how == "set":
            out |= {"x-kubernetes-list-type": "set", "items": self.lot.choice([self._string, self._integer])(0)}
        else:
            out["items"] = self.schema(depth - 1)
            if how == "atomic":
                out["x-kubernetes-list-type"] = "atomic"
        if self.often(0.1):
            out["minItems"] = 1
        return out

    # --- values -------------------------------------------------------------------------------

    def value(self, schema: Schema, right: float = 0.85) -> Any:
        """One that fits in its type, mostly."""
        if not self.often(right):
            return self.anything()
        if "x-kubernetes-int-or-string" in schema:
            return self.lot.choice([1, "x", "80%"])
        type_ = schema.get("type")
        if "enum" in schema and self.often(0.7):
            return self.lot.choice(schema["enum"])
        if type_ == "string":
            return self.lot.choice(TEXTS)
        if type_ == "integer":
            return self.lot.choice([-1, 0, 1, 2, 3, 2**31])
        if type_ == "number":
            return self.lot.choice([-1, 0.5, 1, 1.5, 2.25])
        if type_ == "boolean":
            return self.often(0.5)
        if type_ == "array":
            return [self.value(schema["items"], right) for _ in range(self.lot.choice([0, 1, 1, 2, 2, 3]))]
        if "x-kubernetes-embedded-resource" in schema:
            metadata = {"name": self.lot.choice(["x", "X", ""])} if self.often(0.8) else {}
            return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"a": "x"}}
        if type_ == "object" and "additionalProperties" in schema:
            names = self.lot.sample(NAMES, self.lot.choice([0, 1, 2]))
            return {name: self.value(schema["additionalProperties"], right) for name in names}
        if type_ == "object" and "properties" in schema:
            out = {n: self.value(of, right) for n, of in schema["properties"].items() if self.often(0.8)}
            if self.often(0.1):
                out["more"] = self.anything(1)
            return out
        return self.anything(2)

    def anything(self, depth: int = 2) -> Any:
        """Any JSON."""
        choices: list[Any] = [None, True, 1, -1, 0.5, "x", "", "long text"]
        if depth:
            choices += [[self.anything(depth - 1)], {self.lot.choice(NAMES): self.anything(depth - 1)}, [], {}]
        return self.lot.choice(choices)

    def edit(self, schema: Schema, value: Any) -> Any:
        """The value with one part of it another."""
        value = deepcopy(value)
        if isinstance(value, dict) and value and self.often(0.85):
            name = self.lot.choice(sorted(value))
            of = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if self.often(0.15):
                del value[name]
            else:
                value[name] = self.anything() if not isinstance(of, dict) else self.edit(of, value[name])
            return value
        if isinstance(value, list) and value and self.often(0.85):
            i = self.lot.randrange(len(value))
            of = schema.get("items", {})
            match self.lot.choice(["edit", "edit", "drop", "add", "twice", "turn"]):
                case "edit":
                    value[i] = self.edit(of, value[i])
                case "drop":
                    del value[i]
                case "add":
                    value.append(self.value(of))
                case "twice":
                    value.append(deepcopy(value[i]))
                case _:
                    value.reverse()
            return value
        return self.value(schema)
