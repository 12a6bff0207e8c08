//! JSONSchemaProps, as JSON, to a schema.

use super::model::{Additional, Checks, ListType, Pattern, Rule, Schema, Type, Unsupported};
use crate::wire::apply::tree::Node;
use crate::wire::error::{Result, fail};

/// How deep schemas may nest, so that the recursion of every reader stays within a thread's stack.
const MAX_DEPTH: usize = 128;

/// Reads a schema.
pub(super) fn parse(json: &[u8]) -> Result<Schema> {
    schema(&Node::parse(json)?, 0)
}

fn text(node: &Node<'_>) -> Box<str> {
    match node {
        Node::Text(text) => String::from_utf8_lossy(text).into(),
        _ => "".into(),
    }
}

fn texts(node: &Node<'_>) -> Vec<Box<str>> {
    node.items().iter().map(text).collect()
}

fn number(node: &Node<'_>) -> Option<f64> {
    match node {
        Node::Number(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

fn whole(node: &Node<'_>) -> Option<i64> {
    match node {
        Node::Number(text) => {
            let text = std::str::from_utf8(text).ok()?;
            text.parse()
                .ok()
                .or_else(|| text.parse::<f64>().ok().map(|value| value as i64))
        }
        _ => None,
    }
}

fn json(node: &Node<'_>) -> Box<[u8]> {
    let mut out = Vec::new();
    node.write(&mut out);
    out.into()
}

/// Canonical JSON: numbers as Go writes them.
pub(super) fn canonical(node: &Node<'_>) -> Box<[u8]> {
    let text = json(node);
    let wrapped = [b"{\"v\":".as_slice(), &text, b"}"].concat();
    match crate::wire::decode_json(None, &wrapped) {
        Ok(decoded) => decoded.json[5..decoded.json.len() - 1].into(),
        Err(_) => text,
    }
}

fn schemas(node: &Node<'_>, depth: usize) -> Result<Vec<Schema>> {
    node.items().iter().map(|one| schema(one, depth)).collect()
}

fn schema(node: &Node<'_>, depth: usize) -> Result<Schema> {
    if depth > MAX_DEPTH {
        return fail(format!("schemas may nest {MAX_DEPTH} deep at most"));
    }
    let mut checks = Checks::default();
    let mut out = Schema {
        kind: Type::Unset,
        nullable: false,
        int_or_string: false,
        preserve_given: None,
        embedded: false,
        has_title: false,
        has_description: false,
        unsupported: Unsupported::default(),
        properties: Vec::new(),
        additional: None,
        items: None,
        default: None,
        list_type: ListType::Unset,
        list_keys: Vec::new(),
        map_type: None,
        checks: Box::default(),
        rules: Vec::new(),
    };
    let yes = |node: &Node<'_>| *node == Node::Bool(true);
    let next = depth + 1;
    for (name, value) in node.entries() {
        if *value == Node::Null {
            continue;
        }
        match name.as_ref() {
            b"type" => out.kind = Type::named(&text(value)),
            b"nullable" => out.nullable = yes(value),
            b"title" => out.has_title = !text(value).is_empty(),
            b"description" => out.has_description = !text(value).is_empty(),
            b"properties" => {
                for (name, value) in value.entries() {
                    let name = String::from_utf8_lossy(name).into();
                    out.properties.push((name, schema(value, next)?));
                }
            }
            b"additionalProperties" => {
                out.additional = Some(match value {
                    Node::Bool(allowed) => Additional::Allowed(*allowed),
                    other => Additional::Schema(Box::new(schema(other, next)?)),
                });
            }
            b"items" => match value {
                Node::List(list) => {
                    out.unsupported.item_list = !list.is_empty();
                }
                other => out.items = Some(Box::new(schema(other, next)?)),
            },
            b"default" => out.default = Some(canonical(value)),
            b"x-kubernetes-int-or-string" => out.int_or_string = yes(value),
            b"x-kubernetes-preserve-unknown-fields" => out.preserve_given = Some(yes(value)),
            b"x-kubernetes-embedded-resource" => out.embedded = yes(value),
            b"x-kubernetes-list-type" => {
                out.list_type = match &*text(value) {
                    "atomic" => ListType::Atomic,
                    "set" => ListType::Set,
                    "map" => ListType::Map,
                    other => ListType::Other(other.into()),
                }
            }
            b"x-kubernetes-list-map-keys" => out.list_keys = texts(value),
            b"x-kubernetes-map-type" => out.map_type = Some(text(value)),
            b"x-kubernetes-validations" => out.rules = value.items().iter().map(rule).collect(),
            b"id" => out.unsupported.id = !text(value).is_empty(),
            b"$ref" => out.unsupported.reference = true,
            b"additionalItems" => out.unsupported.additional_items = true,
            b"patternProperties" => out.unsupported.pattern_properties = !value.empty(),
            b"definitions" => out.unsupported.definitions = !value.empty(),
            b"dependencies" => out.unsupported.dependencies = true,
            b"allOf" => checks.all_of = schemas(value, next)?,
            b"anyOf" => checks.any_of = schemas(value, next)?,
            b"oneOf" => checks.one_of = schemas(value, next)?,
            b"not" => checks.not = Some(Box::new(schema(value, next)?)),
            name => check(&mut checks, name, value),
        }
    }
    out.checks = Box::new(checks);
    Ok(out)
}

fn check(checks: &mut Checks, name: &[u8], value: &Node<'_>) {
    let yes = *value == Node::Bool(true);
    match name {
        b"format" => checks.format = text(value),
        b"maximum" => checks.maximum = number(value),
        b"exclusiveMaximum" => checks.exclusive_maximum = yes,
        b"minimum" => checks.minimum = number(value),
        b"exclusiveMinimum" => checks.exclusive_minimum = yes,
        b"multipleOf" => checks.multiple_of = number(value),
        b"maxLength" => checks.max_length = whole(value),
        b"minLength" => checks.min_length = whole(value),
        b"pattern" => {
            let text = text(value);
            checks.pattern = (!text.is_empty()).then(|| Pattern::new(&text));
        }
        b"maxItems" => checks.max_items = whole(value),
        b"minItems" => checks.min_items = whole(value),
        b"uniqueItems" => checks.unique_items = yes,
        b"maxProperties" => checks.max_properties = whole(value),
        b"minProperties" => checks.min_properties = whole(value),
        b"required" => checks.required = texts(value),
        b"enum" => checks.allowed = value.items().iter().map(canonical).collect(),
        _ => {}
    }
}

fn rule(node: &Node<'_>) -> Rule {
    let of = |name: &[u8]| node.get(name).map(text).unwrap_or_default();
    Rule {
        rule: of(b"rule"),
        message: of(b"message"),
        message_expression: of(b"messageExpression"),
        reason: node.get(b"reason").map(text),
        field_path: of(b"fieldPath"),
        optional_old_self: match node.get(b"optionalOldSelf") {
            Some(Node::Bool(value)) => Some(*value),
            _ => None,
        },
        ready: std::sync::OnceLock::new(),
    }
}
