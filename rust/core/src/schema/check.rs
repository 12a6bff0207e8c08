//! A definition's schema as it is written: apiextensions' pkg/apis/apiextensions/validation.

use super::model::{Additional, ListType, Schema, Type};
use super::problem::{Problem, quoted};
use super::prune::Pruner;
use super::{formats, lists, parse, paths, rules, structural, validate};
use crate::wire::apply::tree::Node;
use crate::wire::error::Result;

const TYPES: &[&str] = &["array", "boolean", "integer", "number", "object", "string"];
const REASONS: &[&str] = &[
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// What is wrong with a schema at `path`, and what its author is warned of.
pub fn check(json: &[u8], path: &str) -> Result<(Vec<Problem>, Vec<String>)> {
    let schema = parse::parse(json)?;
    let mut problems = Vec::new();
    if schema.nullable {
        problems.push(Problem::forbidden(
            paths::child(path, "nullable"),
            "nullable cannot be true at the root",
        ));
    }
    let found = structural::check(&schema, path);
    if found.is_empty() {
        defaults(&schema, path, true, false, &mut problems);
    }
    problems.extend(found);
    let open = Open {
        defaults: None,
        inside_meta: false,
    };
    walk(&schema, path, open, true, &mut problems);
    if problems.is_empty() {
        // Of a schema that is wrong no types can be made.
        let mut costs = rules::Costs::new();
        rules::check(
            &schema,
            path,
            true,
            Some(1),
            None,
            &mut costs,
            &mut problems,
        );
        costs.finish(path, &mut problems);
    }
    let mut warnings = Vec::new();
    warn(&schema, &mut warnings);
    Ok((problems, warnings))
}

fn warn(schema: &Schema, out: &mut Vec<String>) {
    if let Some(format) = formats::unrecognized(schema) {
        out.push(format!("unrecognized format {format:?}"));
    }
    if schema.list_type == ListType::Set
        && let Some(items) = schema.items.as_deref()
        && matches!(items.kind, Type::Object | Type::Array)
    {
        out.push(format!(
            "x-kubernetes-list-type: set for items of type {:?} is not supported by server-side apply or CEL \
             validation rules",
            items.kind.name()
        ));
    }
    each(schema, &mut |of| warn(of, out));
}

fn each<'s>(schema: &'s Schema, visit: &mut dyn FnMut(&'s Schema)) {
    for (_, of) in &schema.properties {
        visit(of);
    }
    if let Some(of) = schema.items.as_deref() {
        visit(of);
    }
    if let Some(of) = schema.additional_schema() {
        visit(of);
    }
    let checks = &schema.checks;
    for list in [&checks.all_of, &checks.any_of, &checks.one_of] {
        for of in list {
            visit(of);
        }
    }
    if let Some(of) = checks.not.as_deref() {
        visit(of);
    }
}

/// Defaults must be what they would be in an object: pruned and valid.
fn defaults(schema: &Schema, path: &str, root: bool, meta: bool, out: &mut Vec<Problem>) {
    if let Some(text) = schema.default.as_deref()
        && !meta
        && let Ok(node) = Node::parse(text)
    {
        let here = paths::child(path, "default");
        let mut pruned = node.clone();
        let mut pruner = Pruner::new(false);
        if root {
            pruner.root(schema, &mut pruned);
        } else {
            pruner.value(Some(schema), &mut pruned, "");
        }
        if pruned != node {
            out.push(Problem::invalid(
                &*here,
                text,
                "must not have unknown fields",
            ));
        }
        let found = validate::validate(schema, &node, None, &here);
        if found.is_empty() {
            lists::check(schema, &node, &here, out);
        }
        out.extend(found);
    }
    if let Some(items) = schema.items.as_deref() {
        defaults(items, &paths::child(path, "items"), false, meta, out);
    }
    for (name, of) in &schema.properties {
        let inside = (root || schema.embedded) && is_meta(name);
        let here = paths::key(&paths::child(path, "properties"), name);
        defaults(of, &here, false, meta || inside, out);
    }
}

fn is_meta(name: &str) -> bool {
    matches!(name, "metadata" | "kind" | "apiVersion")
}

/// What holds for the part of the schema that is looked at.
#[derive(Clone, Copy)]
struct Open<'r> {
    /// Why there may be no defaults.
    defaults: Option<&'r str>,
    inside_meta: bool,
}

fn walk(schema: &Schema, path: &str, open: Open<'_>, root: bool, out: &mut Vec<Problem>) {
    let at = |name: &str| paths::child(path, name);
    single(schema, path, open, out);
    if schema.checks.unique_items {
        out.push(Problem::forbidden(
            at("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ));
    }
    match &schema.additional {
        Some(Additional::Allowed(false)) | Some(Additional::Schema(_))
            if !schema.properties.is_empty() =>
        {
            out.push(Problem::forbidden(
                at("additionalProperties"),
                "additionalProperties and properties are mutual exclusive",
            ));
        }
        _ => {}
    }
    if let Some(of) = schema.additional_schema() {
        let below = if open.inside_meta {
            Open {
                defaults: Some("inside additionalProperties applying to object metadata"),
                ..open
            }
        } else {
            open
        };
        walk(of, &at("additionalProperties"), below, false, out);
    }
    for (name, of) in &schema.properties {
        let mut below = open;
        let words = format!("in top-level {name}");
        if (root || schema.embedded) && is_meta(name) {
            below.inside_meta = true;
            if root {
                below.defaults = Some(&words);
            }
        }
        walk(of, &paths::key(&at("properties"), name), below, false, out);
    }
    let checks = &schema.checks;
    if let Some(not) = checks.not.as_deref() {
        walk(not, &at("not"), open, false, out);
    }
    for (list, name) in [
        (&checks.all_of, "allOf"),
        (&checks.one_of, "oneOf"),
        (&checks.any_of, "anyOf"),
    ] {
        for (i, of) in list.iter().enumerate() {
            walk(of, &paths::index(&at(name), i), open, false, out);
        }
    }
    if let Some(items) = schema.items.as_deref() {
        walk(items, &at("items"), open, false, out);
    }
    extensions(schema, path, out);
    rule_words(schema, path, out);
}

fn single(schema: &Schema, path: &str, open: Open<'_>, out: &mut Vec<Problem>) {
    let at = |name: &str| paths::child(path, name);
    if let Type::Other(name) = &schema.kind {
        out.push(Problem::not_supported(at("type"), quoted(name), TYPES));
        if &**name == "null" {
            out.push(Problem::forbidden(
                at("type"),
                "type cannot be set to null, use nullable as an alternative",
            ));
        }
    }
    if schema.default.is_some()
        && let Some(reason) = open.defaults
    {
        out.push(Problem::forbidden(
            at("default"),
            format!("must not be set {reason}"),
        ));
    }
    let no = schema.unsupported;
    for (wrong, name, words) in [
        (no.id, "id", "id is not supported"),
        (
            no.additional_items,
            "additionalItems",
            "additionalItems is not supported",
        ),
        (
            no.pattern_properties,
            "patternProperties",
            "patternProperties is not supported",
        ),
        (
            no.definitions,
            "definitions",
            "definitions is not supported",
        ),
        (
            no.dependencies,
            "dependencies",
            "dependencies is not supported",
        ),
        (no.reference, "$ref", "$ref is not supported"),
        (
            no.item_list,
            "items",
            "items must be a schema object and not an array",
        ),
        (
            open.inside_meta && schema.embedded,
            "x-kubernetes-embedded-resource",
            "must not be used inside of resource meta",
        ),
    ] {
        if wrong {
            out.push(Problem::forbidden(at(name), words));
        }
    }
}

fn extensions(schema: &Schema, path: &str, out: &mut Vec<Problem>) {
    let at = |name: &str| paths::child(path, name);
    if schema.preserve_given == Some(false) {
        out.push(Problem::invalid(
            at("x-kubernetes-preserve-unknown-fields"),
            *b"false",
            "must be true or undefined",
        ));
    }
    let mut of_type = |wanted: Type, words: &str| {
        if schema.kind == Type::Unset {
            out.push(Problem::required(at("type"), words));
        } else if schema.kind != wanted {
            out.push(Problem::invalid(
                at("type"),
                quoted(schema.kind.name()),
                words,
            ));
        }
    };
    if schema.map_type.is_some() {
        of_type(
            Type::Object,
            "must be object if x-kubernetes-map-type is specified",
        );
    }
    if schema.list_type != ListType::Unset {
        of_type(
            Type::Array,
            "must be array if x-kubernetes-list-type is specified",
        );
    }
    if let Some(name) = schema.map_type.as_deref()
        && !matches!(name, "atomic" | "granular")
    {
        out.push(Problem::not_supported(
            at("x-kubernetes-map-type"),
            quoted(name),
            &["atomic", "granular"],
        ));
    }
    let items = schema.items.as_deref();
    if schema.list_type == ListType::Set
        && schema.kind == Type::Array
        && let Some(items) = items
    {
        let words = "must be atomic as item of a list with x-kubernetes-list-type=set";
        match items.kind {
            Type::Array if !matches!(items.list_type, ListType::Unset | ListType::Atomic) => {
                let name = paths::child(&at("items"), "x-kubernetes-list-type");
                out.push(Problem::invalid(name, list_name(&items.list_type), words));
            }
            Type::Object if !items.atomic_map() => {
                let name = paths::child(&at("items"), "x-kubernetes-map-type");
                out.push(Problem::invalid(name, list_name(&items.list_type), words));
            }
            _ => {}
        }
    }
    if let ListType::Other(name) = &schema.list_type {
        out.push(Problem::not_supported(
            at("x-kubernetes-list-type"),
            quoted(name),
            &["atomic", "set", "map"],
        ));
    }
    if !schema.list_keys.is_empty() && schema.list_type != ListType::Map {
        let words = "must be map if x-kubernetes-list-map-keys is non-empty";
        out.push(if schema.list_type == ListType::Unset {
            Problem::required(at("x-kubernetes-list-type"), words)
        } else {
            Problem::invalid(
                at("x-kubernetes-list-type"),
                list_name(&schema.list_type),
                words,
            )
        });
    }
    if schema.list_type == ListType::Map {
        map_keys(schema, path, out);
    }
    if matches!(schema.list_type, ListType::Map | ListType::Set)
        && items.is_some_and(|items| items.nullable)
    {
        let name = if schema.list_type == ListType::Map {
            "map"
        } else {
            "set"
        };
        out.push(Problem::forbidden(
            paths::child(&at("items"), "nullable"),
            format!("cannot be nullable when x-kubernetes-list-type is {name}"),
        ));
    }
}

fn list_name(of: &ListType) -> Vec<u8> {
    match of {
        ListType::Unset => b"null".to_vec(),
        ListType::Atomic => quoted("atomic"),
        ListType::Set => quoted("set"),
        ListType::Map => quoted("map"),
        ListType::Other(name) => quoted(name),
    }
}

fn map_keys(schema: &Schema, path: &str, out: &mut Vec<Problem>) {
    let at = |name: &str| paths::child(path, name);
    let keys = &schema.list_keys;
    if keys.is_empty() {
        out.push(Problem::required(
            at("x-kubernetes-list-map-keys"),
            "must not be empty if x-kubernetes-list-type is map",
        ));
    }
    let Some(items) = schema.items.as_deref() else {
        out.push(Problem::required(
            at("items"),
            "must have a schema if x-kubernetes-list-type is map",
        ));
        return;
    };
    if items.kind != Type::Object {
        out.push(Problem::invalid(
            paths::child(&at("items"), "type"),
            quoted(items.kind.name()),
            "must be object if parent array's x-kubernetes-list-type is map",
        ));
        return;
    }
    let listed = || {
        let names: Vec<String> = keys.iter().map(|k| format!("{k:?}")).collect();
        format!("[{}]", names.join(",")).into_bytes()
    };
    for (i, key) in keys.iter().enumerate() {
        let here = paths::key(&paths::child(&at("items"), "properties"), key);
        match items.property(key.as_bytes()) {
            Some(of) => {
                if matches!(of.kind, Type::Array | Type::Object) {
                    out.push(Problem::invalid(
                        paths::child(&here, "type"),
                        quoted(items.kind.name()),
                        "must be a scalar type if parent array's x-kubernetes-list-type is map",
                    ));
                }
                if !items.checks.required.contains(key) && of.default.is_none() {
                    out.push(Problem::required(
                        paths::child(&here, "default"),
                        "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required \
                         property",
                    ));
                }
                if of.nullable {
                    out.push(Problem::forbidden(
                        paths::child(&here, "nullable"),
                        "this property is in x-kubernetes-list-map-keys, so it cannot be nullable",
                    ));
                }
            }
            None => out.push(Problem::invalid(
                at("x-kubernetes-list-map-keys"),
                listed(),
                "entries must all be names of item properties",
            )),
        }
        if keys[..i].contains(key) {
            out.push(Problem::invalid(
                at("x-kubernetes-list-map-keys"),
                listed(),
                "must not contain duplicate entries",
            ));
        }
    }
}

fn rule_words(schema: &Schema, path: &str, out: &mut Vec<Problem>) {
    let list = paths::child(path, "x-kubernetes-validations");
    for (i, rule) in schema.rules.iter().enumerate() {
        let at = |name: &str| paths::child(&paths::index(&list, i), name);
        let lines = |text: &str| text.contains(['\n', '\r']);
        let (code, message) = (rule.rule.trim(), rule.message.trim());
        if code.is_empty() {
            out.push(Problem::required(at("rule"), "rule is not specified"));
        } else if !rule.message.is_empty() && message.is_empty() {
            out.push(Problem::invalid(
                at("message"),
                quoted(&rule.message),
                "must be non-empty if specified",
            ));
        } else if lines(message) {
            out.push(Problem::invalid(
                at("message"),
                quoted(&rule.message),
                "must not contain line breaks",
            ));
        } else if lines(code) && message.is_empty() {
            out.push(Problem::required(
                at("message"),
                "message must be specified if rule contains line breaks",
            ));
        }
        if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
            out.push(Problem::required(
                at("messageExpression"),
                "messageExpression must be non-empty if specified",
            ));
        }
        if let Some(reason) = rule.reason.as_deref()
            && !REASONS.contains(&reason)
        {
            out.push(Problem::not_supported(
                at("reason"),
                quoted(reason),
                REASONS,
            ));
        }
        if !rule.field_path.is_empty() {
            if rule.field_path.trim().is_empty() {
                out.push(Problem::invalid(
                    at("fieldPath"),
                    quoted(&rule.field_path),
                    "must be non-empty if specified",
                ));
            }
            if lines(&rule.field_path) {
                out.push(Problem::invalid(
                    at("fieldPath"),
                    quoted(&rule.field_path),
                    "must not contain line breaks",
                ));
            }
            if !paths::leads(schema, &rule.field_path) {
                out.push(Problem::invalid(
                    at("fieldPath"),
                    quoted(&rule.field_path),
                    "must be a valid path",
                ));
            }
        }
    }
}
