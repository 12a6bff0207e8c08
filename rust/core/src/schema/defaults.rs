//! Defaulting: what is missing, or null where null is not allowed, becomes what the schema gives.

use super::model::{Additional, Schema};
use crate::wire::apply::tree::{Bytes, Node};

fn filled<'a>(schema: &'a Schema) -> Option<Node<'a>> {
    Node::parse(schema.default.as_deref()?).ok()
}

/// Takes out nulls where the schema has no null and no default; those with a default are replaced by it later.
pub(super) fn drop_nulls(schema: &Schema, node: &mut Node<'_>) {
    match node {
        Node::Map(entries) => entries.retain_mut(|(name, value)| {
            let of = match schema.property(name) {
                Some(of) => of,
                None => match schema.additional_schema() {
                    Some(of) => of,
                    None => return true,
                },
            };
            if *value == Node::Null && !of.nullable && of.default.is_none() {
                return false;
            }
            drop_nulls(of, value);
            true
        }),
        Node::List(items) => {
            if let Some(of) = schema.items.as_deref() {
                for item in items {
                    drop_nulls(of, item);
                }
            }
        }
        _ => {}
    }
}

/// Fills in what is missing.
pub(super) fn fill<'a>(schema: &'a Schema, node: &mut Node<'a>) {
    let lacking = |value: &Node<'_>, of: &Schema| *value == Node::Null && !of.nullable;
    match node {
        Node::Map(entries) => {
            for (name, property) in &schema.properties {
                if property.default.is_none() {
                    continue;
                }
                let Some(value) = filled(property) else {
                    continue;
                };
                match entries.binary_search_by(|(k, _)| k.as_ref().cmp(name.as_bytes())) {
                    Ok(at) if lacking(&entries[at].1, property) => entries[at].1 = value,
                    Ok(_) => {}
                    Err(at) => {
                        entries.insert(at, (Bytes::Borrowed(name.as_bytes()), value));
                    }
                }
            }
            for (name, value) in entries {
                if let Some(property) = schema.property(name) {
                    fill(property, value);
                } else if let Some(Additional::Schema(of)) = &schema.additional {
                    if lacking(value, of)
                        && let Some(filled) = filled(of)
                    {
                        *value = filled;
                    }
                    fill(of, value);
                }
            }
        }
        Node::List(items) => {
            let Some(of) = schema.items.as_deref() else {
                return;
            };
            for item in items {
                if lacking(item, of)
                    && let Some(filled) = filled(of)
                {
                    *item = filled;
                }
                fill(of, item);
            }
        }
        _ => {}
    }
}
