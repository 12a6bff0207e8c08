"""Rules of schemas: what a definition is refused for, and what its objects are."""

from typing import Any

from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import DEFINITIONS, WIDGETS, define, definition, version, widget

MERGE = "application/merge-patch+json"


def ruled(*rules: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A version whose spec has rules."""
    made = version()
    spec = made["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["x-kubernetes-validations"] = list(rules)
    spec["properties"] |= properties
    return made


async def refusal(api: Api, made: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await api("POST", DEFINITIONS, definition(made))
    assert answer.status == 422, answer.raw
    return [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]]


async def test_rules_hold_in_upstreams_words(api: Api) -> None:
    rules = [
        {"rule": "self.replicas <= 5", "message": "at most five"},
        {"rule": "!has(self.size) || self.color != 'blue'"},
        {
            "rule": "self.replicas != 4",
            "messageExpression": "self.replicas == 4 ? 'not 4' : 'never'",
            "reason": "FieldValueForbidden",
            "fieldPath": ".replicas",
        },
        {"rule": "self.color == oldSelf.color", "message": "color stays"},
        {"rule": "!oldSelf.hasValue() || self.replicas >= oldSelf.value().replicas", "optionalOldSelf": True},
    ]
    await define(api, definition(ruled(*rules)))
    prefix = 'Widget.example.com "w" is invalid: spec'
    answer = await api("POST", WIDGETS, widget(replicas=9))
    assert (answer.status, answer.message) == (422, f"{prefix}: Invalid value: at most five")
    answer = await api("POST", WIDGETS, widget(color="blue", size="1"))
    assert answer.message == f"{prefix}: Invalid value: failed rule: !has(self.size) || self.color != 'blue'"
    answer = await api("POST", WIDGETS, widget(replicas=4))
    assert answer.message == f"{prefix}.replicas: Forbidden: not 4"
    await api.made(WIDGETS, widget(replicas=2))
    answer = await api("PATCH", f"{WIDGETS}/w", {"spec": {"color": "blue"}}, MERGE)
    assert answer.message == f"{prefix}: Invalid value: color stays"
    answer = await api("PATCH", f"{WIDGETS}/w", {"spec": {"replicas": 1}}, MERGE)
    assert "failed rule: !oldSelf.hasValue()" in answer.message
    assert (await api("PATCH", f"{WIDGETS}/w", {"spec": {"replicas": 3}}, MERGE)).status == 200
    skipped = await api("POST", WIDGETS, widget(color="green", replicas=9))
    assert "some validation rules were not checked" in skipped.message


async def test_a_definition_with_wrong_rules_is_refused(api: Api) -> None:
    path = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0]"
    [(field, message)] = await refusal(api, ruled({"rule": "self.nope > 1"}))
    assert field == f"{path}.rule"
    assert "compilation failed: ERROR: <input>:1:5: undefined field 'nope'" in message
    [(_, message)] = await refusal(api, ruled({"rule": "self.replicas"}))
    assert message.endswith("cel expression must evaluate to a bool")
    [(_, message)] = await refusal(api, ruled({"rule": "self.replicas > 1", "optionalOldSelf": True}))
    assert message == "Invalid value: true: may not be set if oldSelf is not used in rule"
    [(_, message)] = await refusal(api, ruled({"rule": "true", "messageExpression": "1"}))
    assert message.endswith("messageExpression must evaluate to a string")
    [(_, message)] = await refusal(api, ruled({"rule": "true", "reason": "Nope"}))
    assert message.startswith('Unsupported value: "Nope"')


async def test_rules_that_could_cost_too_much_are_refused(api: Api) -> None:
    words = {"type": "array", "items": {"type": "string"}}
    rule = {"rule": "self.words.all(a, self.words.all(b, a == b || a.contains(b)))"}
    causes = await refusal(api, ruled(rule, words=words))
    assert "estimated rule cost exceeds budget by factor of more than 100x" in causes[0][1]
    bounded = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}}
    await define(api, definition(ruled(rule, words=bounded)))


async def test_old_and_new_items_of_plain_lists_cannot_be_told_apart(api: Api) -> None:
    items = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    causes = await refusal(api, ruled(words={"type": "array", "maxItems": 3, "items": items}))
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema within spec.validation" in causes[0][1]


async def test_schemas_must_be_structural(api: Api) -> None:
    made = version()
    root = made["schema"]["openAPIV3Schema"]
    root["properties"]["spec"] |= {
        "anyOf": [{"type": "object", "properties": {"other": {"minimum": 1}}}],
        "properties": {
            "list": {"type": "array"},
            "bare": {},
            "both": {
                "type": "object",
                "properties": {"a": {"type": "string", "default": 1}},
                "additionalProperties": {"type": "string"},
            },
        },
    }
    made["subresources"] = {}
    made["selectableFields"] = []
    causes = dict(await refusal(api, made))
    base = "spec.validation.openAPIV3Schema.properties[spec]"
    assert causes[f"{base}.properties[list].items"] == "Required value: must be specified"
    assert causes[f"{base}.properties[bare].type"] == "Required value: must not be empty for specified object fields"
    assert causes[f"{base}.anyOf[0].type"] == "Forbidden: must be empty to be structural"
    assert f"{base}.properties[other]" not in causes, "what a combination speaks of need not be specified beside it"
    assert causes[f"{base}.properties[both].additionalProperties"] == (
        "Forbidden: additionalProperties and properties are mutual exclusive"
    )
