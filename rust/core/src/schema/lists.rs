//! Lists of the types `set` and `map`: no item twice.

use super::model::{ListType, Schema};
use super::paths;
use super::problem::{Cause, Problem};
use crate::wire::apply::tree::Node;
use std::collections::HashMap;

/// What is twice in the lists of an object, below `path`.
pub(super) fn check(schema: &Schema, node: &Node<'_>, path: &str, out: &mut Vec<Problem>) {
    match node {
        Node::Map(entries) => {
            for (name, value) in entries {
                if !matches!(value, Node::Map(_) | Node::List(_)) {
                    continue;
                }
                let text = String::from_utf8_lossy(name);
                if let Some(of) = schema.additional_schema() {
                    check(of, value, &paths::key(path, &text), out);
                }
                if let Some(of) = schema.property(name) {
                    check(of, value, &paths::child(path, &text), out);
                }
            }
        }
        Node::List(items) => {
            match schema.list_type {
                ListType::Set => {
                    let keys = items.iter().map(json).collect();
                    for i in repeated(keys) {
                        out.push(Problem::new(
                            Cause::Duplicate,
                            paths::index(path, i),
                            json(&items[i]),
                            "",
                        ));
                    }
                }
                ListType::Map => maps(schema, items, path, out),
                _ => {}
            }
            if let Some(of) = schema.items.as_deref() {
                for (i, item) in items.iter().enumerate() {
                    check(of, item, &paths::index(path, i), out);
                }
            }
        }
        _ => {}
    }
}

fn json(node: &Node<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    node.write(&mut out);
    out
}

/// Where each repeated value stands the second time.
fn repeated(keys: Vec<Vec<u8>>) -> Vec<usize> {
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::with_capacity(keys.len());
    let mut out = Vec::new();
    for (i, key) in keys.into_iter().enumerate() {
        let times = seen.entry(key).or_default();
        *times += 1;
        if *times == 2 {
            out.push(i);
        }
    }
    out
}

fn maps(schema: &Schema, items: &[Node<'_>], path: &str, out: &mut Vec<Problem>) {
    for (i, item) in items.iter().enumerate() {
        if !matches!(item, Node::Map(_) | Node::Null) {
            out.push(Problem::invalid(
                paths::index(path, i),
                json(item),
                "must be an object for an array of list-type map",
            ));
            return;
        }
    }
    let keys: Vec<Vec<u8>> = items
        .iter()
        .map(|item| {
            let mut names: Vec<&[u8]> = schema.list_keys.iter().map(|k| k.as_bytes()).collect();
            names.sort_unstable();
            names.dedup();
            let of = names.into_iter().filter_map(|name| {
                let value = item.get(name)?;
                Some((name.into(), value.clone()))
            });
            json(&Node::Map(of.collect()))
        })
        .collect();
    for i in repeated(keys.clone()) {
        out.push(Problem::new(
            Cause::Duplicate,
            paths::index(path, i),
            keys[i].clone(),
            "",
        ));
    }
}
