//! Whether a schema is structural: apiextensions' pkg/apiserver/schema/validation.go.
//!
//! What combinations speak of need not be specified beside them: Kubernetes 1.37 asks for that no more.

use super::model::{Additional, Pattern, Schema, Type};
use super::paths;
use super::problem::{Problem, quoted};

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What keeps a schema from being structural, in the order of its words.
pub(super) fn check(schema: &Schema, path: &str) -> Vec<Problem> {
    let mut out = Vec::new();
    invariants(schema, Level::Root, path, &mut out);
    out.sort_by(|a, b| (&a.path, &a.detail).cmp(&(&b.path, &b.detail)));
    out
}

fn bare(schema: &Schema, kind: &Type) -> bool {
    schema.kind == *kind
        && schema.properties.is_empty()
        && schema.items.is_none()
        && schema.default.is_none()
        && schema.checks.format.is_empty()
        && schema.checks.pattern.is_none()
        && schema.checks.allowed.is_empty()
        && schema.checks.any_of.is_empty()
        && schema.checks.all_of.is_empty()
        && schema.checks.maximum.is_none()
        && schema.checks.minimum.is_none()
        && schema.checks.max_length.is_none()
        && schema.checks.min_length.is_none()
}

/// `anyOf: [{type: integer}, {type: string}]`
pub(super) fn int_or_string(any_of: &[Schema]) -> bool {
    matches!(any_of, [a, b] if bare(a, &Type::Integer) && bare(b, &Type::Text))
}

fn invariants(schema: &Schema, level: Level, path: &str, out: &mut Vec<Problem>) {
    let at = |name: &str| paths::child(path, name);
    let property = |name: &str| paths::key(&at("properties"), name);
    if schema.kind == Type::Array && schema.items.is_none() {
        out.push(Problem::required(at("items"), "must be specified"));
    }
    if let Some(items) = schema.items.as_deref() {
        invariants(items, Level::Item, &at("items"), out);
    }
    for (name, of) in &schema.properties {
        invariants(of, Level::Field, &property(name), out);
    }
    if let Some(additional) = &schema.additional {
        if level == Level::Root {
            out.push(Problem::forbidden(
                at("additionalProperties"),
                "must not be used at the root",
            ));
        }
        if let Additional::Schema(of) = additional {
            invariants(of, Level::Field, &at("additionalProperties"), out);
        }
    }
    if schema.int_or_string && schema.preserves() {
        out.push(Problem::invalid(
            at("x-kubernetes-preserve-unknown-fields"),
            *b"true",
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    if schema.int_or_string && schema.embedded {
        out.push(Problem::invalid(
            at("x-kubernetes-embedded-resource"),
            *b"true",
            "must be false if x-kubernetes-int-or-string is true",
        ));
    }
    let skip_any = int_or_string(&schema.checks.any_of);
    let skip_all = schema
        .checks
        .all_of
        .first()
        .is_some_and(|first| int_or_string(&first.checks.any_of));
    values(schema, skip_any, skip_all, path, out);
    let unset = schema.kind == Type::Unset;
    if schema.embedded && schema.kind != Type::Object {
        let words = "must be object if x-kubernetes-embedded-resource is true";
        out.push(if unset {
            Problem::required(at("type"), words)
        } else {
            Problem::invalid(at("type"), quoted(schema.kind.name()), words)
        });
    } else if unset && !schema.int_or_string && !schema.preserves() {
        let words = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        out.push(Problem::required(at("type"), words));
    }
    if schema.embedded && schema.additional.is_some() {
        out.push(Problem::forbidden(
            at("additionalProperties"),
            "must not be used if x-kubernetes-embedded-resource is set",
        ));
    }
    if level == Level::Root && !unset && schema.kind != Type::Object {
        out.push(Problem::invalid(
            at("type"),
            quoted(schema.kind.name()),
            "must be object at the root",
        ));
    }
    let checked = level == Level::Root || schema.embedded;
    for name in ["kind", "apiVersion"] {
        if let Some(of) = schema.property(name.as_bytes())
            && checked
            && of.kind != Type::Text
        {
            out.push(Problem::invalid(
                paths::child(&property(name), "type"),
                quoted(of.kind.name()),
                "must be string",
            ));
        }
    }
    if let Some(of) = schema.property(b"metadata") {
        metadata(of, checked, level, &property("metadata"), out);
    }
    if schema.embedded && !schema.preserves() && schema.properties.is_empty() {
        out.push(Problem::required(
            at("properties"),
            "must not be empty if x-kubernetes-embedded-resource is true without \
             x-kubernetes-preserve-unknown-fields",
        ));
    }
}

fn metadata(of: &Schema, checked: bool, level: Level, path: &str, out: &mut Vec<Problem>) {
    if checked && of.kind != Type::Object {
        out.push(Problem::invalid(
            paths::child(path, "type"),
            quoted(of.kind.name()),
            "must be object",
        ));
    }
    if level != Level::Root {
        return;
    }
    let only_names = of
        .properties
        .iter()
        .all(|(name, _)| &**name == "name" || &**name == "generateName");
    let plain = of.additional.is_none()
        && of.items.is_none()
        && !of.nullable
        && !of.int_or_string
        && of.preserve_given.is_none()
        && !of.embedded
        && !of.has_title
        && !of.has_description
        && of.map_type.is_none()
        && of.rules.is_empty()
        && of.checks.required.is_empty();
    if !only_names || !plain {
        out.push(Problem::forbidden(
            path,
            "must not specify anything other than name and generateName, but metadata is implicitly specified",
        ));
    }
}

fn values(schema: &Schema, skip_any: bool, skip_all: bool, path: &str, out: &mut Vec<Problem>) {
    let checks = &schema.checks;
    let at = |name: &str| paths::child(path, name);
    if !skip_any {
        for (i, one) in checks.any_of.iter().enumerate() {
            nested(one, false, &paths::index(&at("anyOf"), i), out);
        }
    }
    for (i, one) in checks.all_of.iter().enumerate() {
        nested(one, skip_all && i == 0, &paths::index(&at("allOf"), i), out);
    }
    for (i, one) in checks.one_of.iter().enumerate() {
        nested(one, false, &paths::index(&at("oneOf"), i), out);
    }
    if let Some(not) = checks.not.as_deref() {
        nested(not, false, &at("not"), out);
    }
    if let Some(pattern) = &checks.pattern
        && let Err(error) = Pattern::compile(&pattern.text)
    {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default();
        out.push(Problem::invalid(
            at("pattern"),
            quoted(&pattern.text),
            format!("must be a valid regular expression, but isn't: {why}"),
        ));
    }
}

fn nested(schema: &Schema, skip_any: bool, path: &str, out: &mut Vec<Problem>) {
    let at = |name: &str| paths::child(path, name);
    values(schema, skip_any, false, path, out);
    if let Some(items) = schema.items.as_deref() {
        nested(items, false, &at("items"), out);
    }
    for (name, of) in &schema.properties {
        nested(of, false, &paths::key(&at("properties"), name), out);
    }
    let unset = "must be undefined to be structural";
    let empty = "must be empty to be structural";
    let no = "must be false to be structural";
    for (wrong, name, words) in [
        (schema.kind != Type::Unset, "type", empty),
        (schema.additional.is_some(), "additionalProperties", unset),
        (schema.default.is_some(), "default", unset),
        (schema.has_title, "title", empty),
        (schema.has_description, "description", empty),
        (schema.nullable, "nullable", no),
        (
            schema.preserves(),
            "x-kubernetes-preserve-unknown-fields",
            no,
        ),
        (schema.embedded, "x-kubernetes-embedded-resource", no),
        (schema.int_or_string, "x-kubernetes-int-or-string", no),
        (
            !schema.list_keys.is_empty(),
            "x-kubernetes-list-map-keys",
            empty,
        ),
        (
            schema.list_type != super::ListType::Unset,
            "x-kubernetes-list-type",
            unset,
        ),
        (schema.map_type.is_some(), "x-kubernetes-map-type", unset),
        (!schema.rules.is_empty(), "x-kubernetes-validations", empty),
    ] {
        if wrong {
            out.push(Problem::forbidden(at(name), words));
        }
    }
    if schema.property(b"metadata").is_some() {
        out.push(Problem::forbidden(
            paths::key(&at("properties"), "metadata"),
            "must not be specified in a nested context",
        ));
    }
}
