//! What of an applied configuration its schema does not declare: nobody could own it.
//!
//! An object of which a schema names no fields may hold any, as in k8s.io/kube-openapi's pkg/schemaconv.

use super::model::{Schema, Type};
use super::paths;
use crate::wire::apply::tree::Node;

const META: [&[u8]; 3] = [b"apiVersion", b"kind", b"metadata"];

/// The paths of fields that are not declared, by name. Metadata is looked at elsewhere.
pub(super) fn undeclared(schema: &Schema, node: &Node<'_>) -> Vec<String> {
    let mut found = Vec::new();
    walk(schema, node, "", true, &mut found);
    found
}

fn walk(schema: &Schema, node: &Node<'_>, path: &str, resource: bool, found: &mut Vec<String>) {
    match node {
        Node::Map(entries) => {
            let closed = !schema.preserves() && (resource || !schema.properties.is_empty());
            for (name, value) in entries {
                if resource && META.contains(&name.as_ref()) {
                    continue;
                }
                let here = paths::child(path, &String::from_utf8_lossy(name));
                match schema.property(name).or_else(|| schema.additional_schema()) {
                    Some(of) => walk(of, value, &here, of.embedded, found),
                    None if closed && schema.additional.is_none() => found.push(here),
                    None => {}
                }
            }
        }
        Node::List(items) if schema.kind == Type::Array => {
            if let Some(of) = schema.items.as_deref() {
                for (i, item) in items.iter().enumerate() {
                    walk(of, item, &paths::index(path, i), of.embedded, found);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_named_fields_may_hold_any() {
        let schema = Schema::of_json(
            br#"{"type":"object","properties":{"spec":{"type":"object","properties":{
                "a":{"type":"string"},
                "free":{"type":"array","items":{"type":"object"}},
                "open":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
                        "properties":{"b":{"type":"object","properties":{"c":{"type":"string"}}}}},
                "map":{"type":"object","additionalProperties":{"type":"object","properties":{"d":{"type":"string"}}}}}}}}"#,
        )
        .expect("a schema");
        let given = br#"{"apiVersion":"x/v1","metadata":{"name":"n"},"top":1,"spec":{"a":"","no":1,
            "free":[{"x":{"y":1}}],"open":{"z":1,"b":{"no":1}},"map":{"k":{"d":"","no":1}}}}"#;
        let node = Node::parse(given).expect("an object");
        assert_eq!(
            undeclared(&schema, &node),
            ["spec.map.k.no", "spec.no", "spec.open.b.no", "top"]
        );
    }
}
