//! Pruning: what the schema does not know goes.

use super::model::{Additional, Schema};
use super::paths;
use crate::wire::apply::tree::Node;

const META: [&[u8]; 3] = [b"apiVersion", b"kind", b"metadata"];

/// Takes out what is unknown and notes the path of each such field. The root counts as an embedded resource.
pub(super) struct Pruner {
    /// Paths of what went, in the order met.
    pub unknown: Vec<String>,
    track: bool,
}

impl Pruner {
    pub fn new(track: bool) -> Self {
        Pruner {
            unknown: Vec::new(),
            track,
        }
    }

    fn note(&mut self, path: &str, name: &[u8]) {
        if self.track {
            self.unknown
                .push(paths::child(path, &String::from_utf8_lossy(name)));
        }
    }

    fn below(&self, path: &str, name: &[u8]) -> String {
        if self.track {
            paths::child(path, &String::from_utf8_lossy(name))
        } else {
            String::new()
        }
    }

    fn at(&self, path: &str, index: usize) -> String {
        if self.track {
            paths::index(path, index)
        } else {
            String::new()
        }
    }

    /// Prunes the object itself.
    pub fn root(&mut self, schema: &Schema, node: &mut Node<'_>) {
        if schema.preserves() {
            self.skip(schema, node, "", true);
        } else {
            self.fields(schema, node, "", true);
        }
    }

    /// Prunes a value; without a schema nothing of an object stays.
    pub fn value(&mut self, schema: Option<&Schema>, node: &mut Node<'_>, path: &str) {
        let Some(schema) = schema else {
            match node {
                Node::Map(entries) => {
                    for (name, _) in entries.drain(..) {
                        self.note(path, &name);
                    }
                }
                Node::List(items) => {
                    for (i, item) in items.iter_mut().enumerate() {
                        let path = self.at(path, i);
                        self.value(None, item, &path);
                    }
                }
                _ => {}
            }
            return;
        };
        if schema.preserves() {
            self.skip(schema, node, path, schema.embedded);
        } else {
            self.fields(schema, node, path, schema.embedded);
        }
    }

    fn fields(&mut self, schema: &Schema, node: &mut Node<'_>, path: &str, embedded: bool) {
        match node {
            Node::Map(entries) => entries.retain_mut(|(name, value)| {
                if embedded && META.contains(&name.as_ref()) {
                    return true;
                }
                if let Some(property) = schema.property(name) {
                    if matches!(value, Node::Map(_) | Node::List(_)) {
                        let path = self.below(path, name);
                        self.value(Some(property), value, &path);
                    }
                    return true;
                }
                match &schema.additional {
                    Some(Additional::Schema(of)) => {
                        let path = self.below(path, name);
                        self.value(Some(of), value, &path);
                        true
                    }
                    Some(Additional::Allowed(_)) => {
                        let path = self.below(path, name);
                        self.value(None, value, &path);
                        true
                    }
                    None => {
                        self.note(path, name);
                        false
                    }
                }
            }),
            Node::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    let path = self.at(path, i);
                    self.value(schema.items.as_deref(), item, &path);
                }
            }
            _ => {}
        }
    }

    /// Unknown fields stay here; what is known below is pruned all the same.
    fn skip(&mut self, schema: &Schema, node: &mut Node<'_>, path: &str, embedded: bool) {
        match node {
            Node::Map(entries) => {
                for (name, value) in entries {
                    if embedded && META.contains(&name.as_ref()) {
                        continue;
                    }
                    let path = self.below(path, name);
                    if let Some(property) = schema.property(name) {
                        self.value(Some(property), value, &path);
                    } else if let Some(additional) = &schema.additional {
                        let of = match additional {
                            Additional::Schema(of) => Some(&**of),
                            Additional::Allowed(_) => None,
                        };
                        self.value(of, value, &path);
                    }
                }
            }
            Node::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    let path = self.at(path, i);
                    if let Some(of) = schema.items.as_deref() {
                        self.skip(of, item, &path, of.embedded);
                    }
                }
            }
            _ => {}
        }
    }
}
