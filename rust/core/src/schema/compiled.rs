//! Schemas that are in use, by the key that the wire knows them by, beside the built-in types of its table.

use super::model::Schema;
use super::problem::{Problem, quoted};
use super::prune::Pruner;
use super::{defaults, lists, parse, paths, rules, typed, validate};
use crate::wire::apply::tree::Node;
use crate::wire::error::{Result, WireError};
use crate::wire::{Decoded, Media};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, Weak};

static IN_USE: LazyLock<RwLock<HashMap<Box<str>, Weak<Compiled>>>> = LazyLock::new(RwLock::default);

/// The schema with this key.
pub fn find(key: &str) -> Option<Arc<Compiled>> {
    IN_USE
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(key)?
        .upgrade()
}

const OBJECT_META: &str = "meta/v1.ObjectMeta";

/// A version of a custom resource: its schema and how its objects are named.
#[derive(Debug)]
pub struct Compiled {
    key: Box<str>,
    api_version: Box<str>,
    kind: Box<str>,
    schema: Schema,
}

impl Drop for Compiled {
    fn drop(&mut self) {
        IN_USE
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

impl Compiled {
    /// Reads a schema and puts it into use under a key that no other has. It is in use for as long as it is held.
    pub fn new(key: &str, api_version: &str, kind: &str, schema: &[u8]) -> Result<Arc<Self>> {
        let made = Arc::new(Compiled {
            key: key.into(),
            api_version: api_version.into(),
            kind: kind.into(),
            schema: parse::parse(schema)?,
        });
        IN_USE
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.into(), Arc::downgrade(&made));
        Ok(made)
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Reads a body: pruned, filled in, in the one form in which it is stored.
    pub fn decode(&self, media: Media, body: &[u8]) -> Result<Decoded> {
        let read = crate::wire::decode_untyped(media, body)?;
        let mut decoded = self.shape(&read.json, false)?;
        decoded.duplicate = read.duplicate;
        Ok(decoded)
    }

    /// A stored object as the schema has it now; nothing where it is so already. Malformed metadata is passed over.
    pub fn normalize(&self, stored: &[u8]) -> Result<Option<Vec<u8>>> {
        let made = self.shape(stored, true)?.json;
        Ok((made != stored).then_some(made))
    }

    fn shape(&self, json: &[u8], stored: bool) -> Result<Decoded> {
        let mut node = Node::parse(json)?;
        let mut unknown = Vec::new();
        let metadata = match node.take(b"metadata") {
            Some(given @ Node::Map(_)) => {
                let mut text = Vec::with_capacity(512);
                given.write(&mut text);
                match meta(&text) {
                    Ok(decoded) => {
                        unknown = prefixed(&decoded.unknown, "metadata");
                        decoded.json
                    }
                    Err(_) if stored => text,
                    Err(error) => {
                        let text = String::from_utf8_lossy(&text);
                        return Err(WireError(format!(
                            "metadata: Invalid value: {text}: {error}"
                        )));
                    }
                }
            }
            Some(Node::Null) | None => b"{}".to_vec(),
            Some(_) if stored => b"{}".to_vec(),
            Some(other) => {
                let mut text = Vec::new();
                other.write(&mut text);
                let error = meta(&text)
                    .err()
                    .unwrap_or_else(|| WireError("must be an object".into()));
                let text = String::from_utf8_lossy(&text);
                return Err(WireError(format!(
                    "metadata: Invalid value: {text}: {error}"
                )));
            }
        };
        for name in [b"apiVersion".as_slice(), b"kind"] {
            match node.take(name) {
                Some(Node::Text(_)) | None => {}
                Some(_) if stored => {}
                Some(other) => {
                    let mut text = Vec::new();
                    other.write(&mut text);
                    return Err(WireError(format!(
                        "{}: Invalid value: {}: must be a string",
                        String::from_utf8_lossy(name),
                        String::from_utf8_lossy(&text)
                    )));
                }
            }
        }
        embedded(&self.schema, &mut node, "", stored, &mut unknown)?;
        let mut pruner = Pruner::new(!stored);
        pruner.root(&self.schema, &mut node);
        unknown.extend(pruner.unknown);
        defaults::drop_nulls(&self.schema, &mut node);
        defaults::fill(&self.schema, &mut node);
        let mut out = Vec::with_capacity(json.len() + json.len() / 8 + 64);
        out.extend_from_slice(b"{\"apiVersion\":");
        crate::wire::write::string(&mut out, self.api_version.as_bytes());
        out.extend_from_slice(b",\"kind\":");
        crate::wire::write::string(&mut out, self.kind.as_bytes());
        out.extend_from_slice(b",\"metadata\":");
        out.extend_from_slice(&metadata);
        for (name, value) in node.entries() {
            if matches!(name.as_ref(), b"apiVersion" | b"kind" | b"metadata") {
                continue;
            }
            out.push(b',');
            crate::wire::write::string(&mut out, name);
            out.push(b':');
            value.write(&mut out);
        }
        out.push(b'}');
        unknown.sort();
        Ok(Decoded {
            json: out,
            unknown: unknown
                .into_iter()
                .map(|path| format!("unknown field {path:?}"))
                .collect(),
            duplicate: Vec::new(),
        })
    }

    /// What of an applied configuration, or of the object that it is applied to, is not of the schema's types.
    pub fn untyped(&self, json: &[u8], stored: bool) -> Result<Option<String>> {
        Ok(typed::wrong(&self.schema, &Node::parse(json)?, stored))
    }

    /// What is wrong with an object, against what it was before where it is a change of one.
    pub fn validate(&self, new: &[u8], old: Option<&[u8]>, status: bool) -> Result<Vec<Problem>> {
        let new = Node::parse(new)?;
        let old = old.map(Node::parse).transpose()?;
        let schema = &self.schema;
        let mut problems = Vec::new();
        if status {
            if let (Some(of), Some(value)) = (schema.property(b"status"), new.get(b"status")) {
                let before = old.as_ref().and_then(|o| o.get(b"status"));
                problems.extend(validate::validate(of, value, before, "status"));
            }
        } else {
            problems.extend(validate::validate(schema, &new, old.as_ref(), ""));
        }
        resources(schema, &new, "", true, &mut problems);
        let mut before = Vec::new();
        if let Some(old) = &old {
            lists::check(schema, old, "", &mut before);
        }
        if before.is_empty() {
            lists::check(schema, &new, "", &mut problems);
        }
        rules::run(schema, &new, old.as_ref(), &mut problems);
        Ok(problems)
    }
}

fn meta(text: &[u8]) -> Result<Decoded> {
    crate::wire::decode_json(crate::wire::table::find(OBJECT_META), text).map_err(|e| {
        WireError(
            e.0.trim_start_matches("couldn't get version/kind; json parse error: ")
                .to_owned(),
        )
    })
}

/// `unknown field "x"` as `base.x`.
fn prefixed(unknown: &[String], base: &str) -> Vec<String> {
    unknown
        .iter()
        .map(|text| {
            let path = text.trim_start_matches("unknown field ").trim_matches('"');
            paths::child(base, path)
        })
        .collect()
}

/// Metadata of embedded resources is read as metadata is: unknown fields go, malformed ones are refused.
fn embedded(
    schema: &Schema,
    node: &mut Node<'_>,
    path: &str,
    stored: bool,
    unknown: &mut Vec<String>,
) -> Result<()> {
    if !has_embedded(schema) {
        return Ok(());
    }
    match node {
        Node::Map(entries) => {
            for (name, value) in entries.iter_mut() {
                let text = String::from_utf8_lossy(name).into_owned();
                let here = paths::child(path, &text);
                let typed = matches!(name.as_ref(), b"apiVersion" | b"kind");
                if schema.embedded && typed && !stored && !matches!(value, Node::Text(_)) {
                    let text = json(value);
                    return Err(WireError(format!(
                        "{here}: Invalid value: {text}: must be a string"
                    )));
                }
                if schema.embedded && name.as_ref() == b"metadata" {
                    if *value == Node::Null {
                        *value = Node::Map(Vec::new());
                        continue;
                    }
                    if !stored && !matches!(value, Node::Map(_)) {
                        let text = json(value);
                        return Err(WireError(format!(
                            "{here}: Invalid value: {text}: json: cannot unmarshal {} into Go value of type \
                             v1.ObjectMeta",
                            kind_of(value)
                        )));
                    }
                    let mut text = Vec::new();
                    value.write(&mut text);
                    match meta(&text) {
                        Ok(decoded) => {
                            unknown.extend(prefixed(&decoded.unknown, &here));
                            // What was read is held by nobody else: the tree gets a text of its own.
                            *value = owned(&decoded.json)?;
                        }
                        Err(_) if stored => {}
                        Err(error) => {
                            let text = String::from_utf8_lossy(&text);
                            return Err(WireError(format!(
                                "{here}: Invalid value: {text}: {error}"
                            )));
                        }
                    }
                    continue;
                }
                if let Some(of) = schema.property(name) {
                    embedded(of, value, &here, stored, unknown)?;
                } else if let Some(of) = schema.additional_schema() {
                    embedded(of, value, &paths::key(path, &text), stored, unknown)?;
                }
            }
        }
        Node::List(items) => {
            if let Some(of) = schema.items.as_deref() {
                for (i, item) in items.iter_mut().enumerate() {
                    embedded(of, item, &paths::index(path, i), stored, unknown)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn has_embedded(schema: &Schema) -> bool {
    schema.embedded
        || schema.properties.iter().any(|(_, of)| has_embedded(of))
        || schema.items.as_deref().is_some_and(has_embedded)
        || schema.additional_schema().is_some_and(has_embedded)
}

/// A tree that borrows nothing.
fn owned(json: &[u8]) -> Result<Node<'static>> {
    Node::parse(json).map(Node::into_owned)
}

fn json(node: &Node<'_>) -> String {
    let mut text = Vec::new();
    node.write(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// A value's kind, as Go's decoder calls it.
fn kind_of(node: &Node<'_>) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "bool",
        Node::Number(_) => "number",
        Node::Text(_) => "string",
        Node::List(_) => "array",
        Node::Map(_) | Node::Raw(_) | Node::Owned(_) => "object",
    }
}

const EMPTY: &str = "must not be empty";
const KIND: &str = "may have mixed case, but should otherwise match: ";
const LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
                     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', \
                     regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
/// Bytes of a label.
const LABEL_MAX: usize = 63;

/// What is wrong with an embedded resource's kind, but for its being empty.
fn wrong_kind(kind: &str) -> Option<String> {
    let kind = kind.to_lowercase();
    let bytes = kind.as_bytes();
    let mut why = Vec::new();
    if bytes.len() > LABEL_MAX {
        why.push(format!("must be no more than {LABEL_MAX} bytes"));
    }
    let inside = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let well = bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last() != Some(&b'-')
        && bytes.iter().all(inside);
    if !well {
        why.push(LABEL.to_owned());
    }
    (!why.is_empty()).then(|| format!("{KIND}{}", why.join(",")))
}

/// What every embedded resource must say of itself.
fn resources(schema: &Schema, node: &Node<'_>, path: &str, root: bool, out: &mut Vec<Problem>) {
    if !has_embedded(schema) {
        return;
    }
    match node {
        Node::Map(entries) => {
            if schema.embedded && !root {
                for name in ["apiVersion", "kind"] {
                    let here = paths::child(path, name);
                    let Some(value) = node.get(name.as_bytes()) else {
                        out.push(Problem::required(here, ""));
                        continue;
                    };
                    let Node::Text(text) = value else {
                        out.push(Problem::invalid(here, json(value), "must be a string"));
                        continue;
                    };
                    let text = String::from_utf8_lossy(text);
                    let why = match name {
                        _ if text.is_empty() => Some(EMPTY.to_owned()),
                        "kind" => wrong_kind(&text),
                        _ if text.matches('/').count() > 1 => {
                            Some(format!("unexpected GroupVersion string: {text}"))
                        }
                        _ => None,
                    };
                    if let Some(why) = why {
                        out.push(Problem::invalid(here, quoted(&text), why));
                    }
                }
            }
            for (name, value) in entries {
                let text = String::from_utf8_lossy(name);
                if let Some(of) = schema.property(name) {
                    resources(of, value, &paths::child(path, &text), false, out);
                } else if let Some(of) = schema.additional_schema() {
                    resources(of, value, &paths::key(path, &text), false, out);
                }
            }
        }
        Node::List(items) => {
            if let Some(of) = schema.items.as_deref() {
                for (i, item) in items.iter().enumerate() {
                    resources(of, item, &paths::index(path, i), false, out);
                }
            }
        }
        _ => {}
    }
}
