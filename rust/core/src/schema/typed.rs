//! Whether an applied configuration is of its schema's types: ownership of what is not could not be told.
//!
//! The rules and words are those of structured-merge-diff's typed/validate.go over what k8s.io/kube-openapi's
//! pkg/schemaconv makes of a schema: an object of which a schema names no fields may hold any.

use super::model::{ListType, Schema, Type};
use super::numbers::{Number, shown};
use crate::wire::apply::tree::Node;
use std::collections::HashSet;
use std::fmt::Write;

const META: [&[u8]; 3] = [b"apiVersion", b"kind", b"metadata"];

/// What is wrong, as one text; nothing where all is of its type. Of the metadata it is only looked whether it is a map.
/// An object that is stored may have the same key in a list twice.
pub(super) fn wrong(schema: &Schema, node: &Node<'_>, stored: bool) -> Option<String> {
    let mut walk = Walk {
        stored,
        found: Vec::new(),
    };
    walk.map(schema, node, "", true);
    match walk.found.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("errors:\n  {}", many.join("\n  "))),
    }
}

struct Walk {
    stored: bool,
    found: Vec<String>,
}

impl Walk {
    fn say(&mut self, path: &str, what: &str) {
        self.found.push(if path.is_empty() {
            what.to_owned()
        } else {
            format!("{path}: {what}")
        });
    }

    fn value(&mut self, schema: &Schema, node: &Node<'_>, path: &str) {
        if *node == Node::Null || schema.int_or_string {
            return;
        }
        let wanted = match (&schema.kind, node) {
            (Type::Object, _) => return self.map(schema, node, path, schema.embedded),
            (Type::Array, _) => return self.list(schema, node, path),
            (Type::Integer | Type::Number, Node::Number(_)) | (Type::Boolean, Node::Bool(_)) => {
                return;
            }
            (Type::Integer | Type::Number, _) => {
                format!("expected numeric (int or float), got {}", type_of(node))
            }
            (Type::Boolean, _) => format!("expected boolean, got {}", plain(node)),
            (Type::Text, Node::Text(_)) => return,
            (Type::Text, _) if matches!(&*schema.checks.format, "" | "byte") => {
                return self.text(node, path);
            }
            (Type::Text, Node::List(_) | Node::Map(_)) => {
                format!("expected any scalar, got {}", plain(node))
            }
            _ => return,
        };
        self.say(path, &wanted);
    }

    /// It should have been a text.
    fn text(&mut self, node: &Node<'_>, path: &str) {
        let what = format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go(node)
        );
        self.say(path, &what);
    }

    fn map(&mut self, schema: &Schema, node: &Node<'_>, path: &str, resource: bool) {
        let Node::Map(entries) = node else {
            return self.say(path, &format!("expected map, got {}", plain(node)));
        };
        let open = schema.preserves()
            || schema.additional.is_some()
            || (schema.properties.is_empty() && !resource);
        for (name, value) in entries {
            let here = format!("{path}.{}", String::from_utf8_lossy(name));
            if resource && META.contains(&name.as_ref()) {
                if !path.is_empty()
                    && name.as_ref() != b"metadata"
                    && !matches!(value, Node::Text(_) | Node::Null)
                {
                    self.text(value, &here);
                }
                if !path.is_empty()
                    && name.as_ref() == b"metadata"
                    && !matches!(value, Node::Map(_) | Node::Null)
                {
                    self.say(&here, &format!("expected map, got {}", plain(value)));
                }
                continue;
            }
            match schema.property(name).or_else(|| schema.additional_schema()) {
                Some(of) => self.value(of, value, &here),
                None if open => {}
                None => {
                    // What comes after it is not looked at.
                    return self.say(&here, "field not declared in schema");
                }
            }
        }
    }

    fn list(&mut self, schema: &Schema, node: &Node<'_>, path: &str) {
        let Node::List(items) = node else {
            return self.say(path, &format!("expected list, got {}", plain(node)));
        };
        let Some(of) = schema.items.as_deref() else {
            return;
        };
        let mut seen = HashSet::new();
        for (i, item) in items.iter().enumerate() {
            let element = match schema.list_type {
                ListType::Map => key(of, &schema.list_keys, item),
                ListType::Set => one(item),
                _ => Ok(format!("[{i}]")),
            };
            let element = match element {
                Ok(element) => element,
                Err(why) => return self.say(path, &format!("element {i}: {why}")),
            };
            if !seen.insert(element.clone()) && !self.stored {
                self.say(path, &format!("duplicate entries for key {element}"));
            }
            self.value(of, item, &format!("{path}{element}"));
        }
    }
}

/// An item of a list with keys, as paths name it: `[a=1,b="x"]`.
fn key(items: &Schema, keys: &[Box<str>], item: &Node<'_>) -> Result<String, String> {
    match item {
        Node::Null => return Err("associative list with keys may not have a null element".into()),
        Node::Map(_) => {}
        _ => return Err("associative list with keys may not have non-map elements".into()),
    }
    let given = keys;
    let mut keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
    keys.sort_unstable();
    let mut out = Vec::new();
    for key in keys {
        let default = items
            .property(key.as_bytes())
            .and_then(|of| of.default.as_deref());
        let value = match item.get(key.as_bytes()) {
            Some(value) => text(value),
            None => match default {
                Some(default) => String::from_utf8_lossy(default).into_owned(),
                None => continue,
            },
        };
        out.push(format!("{key}={value}"));
    }
    if out.is_empty() {
        let given: Vec<String> = given.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values \
             for any key fields)",
            given.join(" ")
        ));
    }
    Ok(format!("[{}]", out.join(",")))
}

/// An item of a set, as paths name it: `[="x"]`.
fn one(item: &Node<'_>) -> Result<String, String> {
    match item {
        Node::Map(_) => {
            Err("associative list without keys has an element that's a map type".into())
        }
        Node::List(_) => Err("not supported: associative list with lists as elements".into()),
        Node::Null => {
            Err("associative list without keys has an element that's an explicit null".into())
        }
        _ => Ok(format!("[={}]", text(item))),
    }
}

fn text(node: &Node<'_>) -> String {
    let mut out = Vec::new();
    node.write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn type_of(node: &Node<'_>) -> &'static str {
    match node {
        Node::Null => "<nil>",
        Node::Bool(_) => "bool",
        Node::Number(text) => match Number::read(text) {
            Number::Int(_) => "int64",
            Number::Float(_) => "float64",
        },
        Node::Text(_) => "string",
        Node::List(_) => "[]interface {}",
        Node::Map(_) | Node::Raw(_) | Node::Owned(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%v` shows the library's holder of it.
fn plain(node: &Node<'_>) -> String {
    format!("&{{{}}}", inner(node))
}

fn number(text: &[u8]) -> String {
    match Number::read(text) {
        Number::Int(value) => value.to_string(),
        Number::Float(value) => shown(value),
    }
}

/// As Go's `%v`.
fn inner(node: &Node<'_>) -> String {
    match node {
        Node::Null => "<nil>".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Number(text) => number(text),
        Node::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(inner).collect();
            format!("[{}]", items.join(" "))
        }
        Node::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(name, value)| format!("{}:{}", String::from_utf8_lossy(name), inner(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
        other => text(other),
    }
}

/// As Go's `%#v`.
fn go(node: &Node<'_>) -> String {
    match node {
        Node::Null => "interface {}(nil)".to_owned(),
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(go).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Node::Map(entries) => {
            let mut out = String::from("map[string]interface {}{");
            for (i, (name, value)) in entries.iter().enumerate() {
                let comma = if i > 0 { ", " } else { "" };
                let _ = write!(
                    out,
                    "{comma}{:?}:{}",
                    String::from_utf8_lossy(name),
                    go(value)
                );
            }
            out.push('}');
            out
        }
        Node::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        other => inner(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(schema: &str, spec: &str) -> String {
        let schema = format!(
            r#"{{"type":"object","properties":{{"spec":{{"type":"object","properties":{{"a":{schema}}}}}}}}}"#
        );
        let schema = Schema::of_json(schema.as_bytes()).expect("a schema");
        let object = format!(r#"{{"apiVersion":"x/v1","metadata":{{}},"spec":{{"a":{spec}}}}}"#);
        let node = Node::parse(object.as_bytes()).expect("an object");
        wrong(&schema, &node, false).unwrap_or_default()
    }

    #[test]
    fn scalars_are_of_their_type() {
        let text = r#"{"type":"string"}"#;
        assert_eq!(told(text, r#""x""#), "");
        assert_eq!(told(text, "null"), "");
        assert_eq!(
            told(text, "-1"),
            ".spec.a: expected string, got &value.valueUnstructured{Value:-1}"
        );
        assert_eq!(
            told(text, r#"[{"c":0.5}]"#),
            ".spec.a: expected string, got &value.valueUnstructured{Value:[]interface {}{map[string]interface \
             {}{\"c\":0.5}}}"
        );
        let formatted = r#"{"type":"string","format":"duration"}"#;
        assert_eq!(told(formatted, "1"), "");
        assert_eq!(
            told(formatted, "[]"),
            ".spec.a: expected any scalar, got &{[]}"
        );
        assert_eq!(
            told(r#"{"type":"boolean"}"#, r#""x""#),
            ".spec.a: expected boolean, got &{x}"
        );
        assert_eq!(
            told(r#"{"type":"number"}"#, r#""x""#),
            ".spec.a: expected numeric (int or float), got string"
        );
        assert_eq!(told(r#"{"x-kubernetes-int-or-string":true}"#, "{}"), "");
    }

    #[test]
    fn lists_are_lists_and_keys_are_keys() {
        let map = r#"{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],
            "items":{"type":"object","properties":{"k":{"type":"string"},"n":{"type":"integer"}}}}"#;
        assert_eq!(told(map, r#"[{"k":"x"},{"k":"y","n":1}]"#), "");
        assert_eq!(told(map, "{}"), ".spec.a: expected list, got &{map[]}");
        assert_eq!(
            told(map, r#"[{"k":"x"},{"k":"x","n":""}]"#),
            "errors:\n  .spec.a: duplicate entries for key [k=\"x\"]\n  .spec.a[k=\"x\"].n: expected numeric (int or \
             float), got string"
        );
        assert_eq!(
            told(map, r#"[{"n":1}]"#),
            ".spec.a: element 0: associative list with keys has an element that omits all key fields [\"k\"] (and \
             doesn't have default values for any key fields)"
        );
        assert_eq!(
            told(map, r#"["x"]"#),
            ".spec.a: element 0: associative list with keys may not have non-map elements"
        );
        let set = r#"{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}"#;
        assert_eq!(
            told(set, "[-1]"),
            ".spec.a[=-1]: expected string, got &value.valueUnstructured{Value:-1}"
        );
    }

    #[test]
    fn an_object_without_named_fields_may_hold_any() {
        assert_eq!(told(r#"{"type":"object"}"#, r#"{"x":{"y":1}}"#), "");
        assert_eq!(
            told(
                r#"{"type":"object","properties":{"b":{"type":"string"}}}"#,
                r#"{"no":1}"#
            ),
            ".spec.a.no: field not declared in schema"
        );
        let map = r#"{"type":"object","additionalProperties":{"type":"boolean"}}"#;
        assert_eq!(
            told(map, r#"{"d":"x"}"#),
            ".spec.a.d: expected boolean, got &{x}"
        );
        let embedded = r#"{"type":"object","x-kubernetes-embedded-resource":true,
            "x-kubernetes-preserve-unknown-fields":true}"#;
        assert_eq!(
            told(embedded, r#"{"metadata":-1}"#),
            ".spec.a.metadata: expected map, got &{-1}"
        );
        assert_eq!(
            told(embedded, r#"{"kind":1}"#),
            ".spec.a.kind: expected string, got &value.valueUnstructured{Value:1}"
        );
        assert_eq!(told(embedded, r#""x""#), ".spec.a: expected map, got &{x}");
    }
}
