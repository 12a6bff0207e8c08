//! Sets of fields, and their form in `managedFields`: FieldsV1, specified by
//! sigs.k8s.io/structured-merge-diff's fieldpath package.

use super::tree::{Bytes, Node, join};
use crate::wire::error::{Result, fail};
use crate::wire::write;
use std::cmp::Ordering;

/// A scalar in a path: a key's value, an item of a set.
#[derive(Debug, Clone)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Bytes<'a>),
    Text(Bytes<'a>),
    /// A list or map that is an item of a set, as JSON.
    Other(Vec<u8>),
}

impl<'a> Scalar<'a> {
    pub fn of(node: &Node<'a>) -> Self {
        match node {
            Node::Null => Scalar::Null,
            Node::Bool(value) => Scalar::Bool(*value),
            Node::Number(text) => Scalar::Number(text.clone()),
            Node::Text(text) => Scalar::Text(text.clone()),
            other => {
                let mut json = Vec::new();
                other.write(&mut json);
                Scalar::Other(json)
            }
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Null => out.extend_from_slice(b"null"),
            Scalar::Bool(true) => out.extend_from_slice(b"true"),
            Scalar::Bool(false) => out.extend_from_slice(b"false"),
            Scalar::Number(text) => out.extend_from_slice(text),
            Scalar::Text(text) => write::string(out, text),
            Scalar::Other(json) => out.extend_from_slice(json),
        }
    }

    /// Numbers stand before texts, these before lists and maps, as value.Compare has it.
    fn rank(&self) -> u8 {
        match self {
            Scalar::Number(_) => 0,
            Scalar::Text(_) => 1,
            Scalar::Bool(_) => 2,
            Scalar::Other(_) => 3,
            Scalar::Null => 4,
        }
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Scalar::Number(a), Scalar::Number(b)) => {
                number(a).total_cmp(&number(b)).then_with(|| {
                    if number(a) == number(b) {
                        Ordering::Equal
                    } else {
                        a.cmp(b)
                    }
                })
            }
            (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            (Scalar::Other(a), Scalar::Other(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar<'_> {}

fn number(text: &[u8]) -> f64 {
    std::str::from_utf8(text)
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or(f64::NAN)
}

/// One step of a path. The order is that in which FieldsV1 lists them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step<'a> {
    /// A struct's field or a map's key.
    Field(Bytes<'a>),
    /// An item of a list by its keys, in the order of their names.
    Key(Vec<(Bytes<'a>, Scalar<'a>)>),
    /// An item of a set.
    Value(Scalar<'a>),
    /// An item by its place.
    Index(usize),
}

impl<'a> Step<'a> {
    fn parse(text: &Bytes<'a>) -> Result<Self> {
        let (kind, rest) = text.split_at_checked(2).unwrap_or((text, b""));
        Ok(match kind {
            b"f:" => Step::Field(match text {
                Bytes::Borrowed(text) => Bytes::Borrowed(&text[2..]),
                Bytes::Owned(_) => Bytes::Owned(rest.to_vec()),
            }),
            b"k:" => {
                // The path is text within text: what it borrows must be owned.
                let json = rest.to_vec();
                let keys = Node::parse(&json)?;
                Step::Key(
                    keys.entries()
                        .iter()
                        .map(|(k, v)| (Bytes::Owned(k.to_vec()), Scalar::of(v).owned()))
                        .collect(),
                )
            }
            b"v:" => {
                let json = rest.to_vec();
                Step::Value(Scalar::of(&Node::parse(&json)?).owned())
            }
            b"i:" => match std::str::from_utf8(rest).ok().and_then(|t| t.parse().ok()) {
                Some(index) => Step::Index(index),
                None => return fail("invalid index in a field path"),
            },
            _ => return fail("unknown kind of field path"),
        })
    }

    fn owned(self) -> Step<'static> {
        match self {
            Step::Field(name) => Step::Field(Bytes::Owned(name.into_owned())),
            Step::Key(keys) => Step::Key(
                keys.into_iter()
                    .map(|(name, value)| (Bytes::Owned(name.into_owned()), value.owned()))
                    .collect(),
            ),
            Step::Value(value) => Step::Value(value.owned()),
            Step::Index(index) => Step::Index(index),
        }
    }

    /// Writes it as a key of FieldsV1, with its quotes.
    pub fn write(&self, out: &mut Vec<u8>) {
        if let Step::Field(name) = self {
            out.extend_from_slice(b"\"f:");
            write::escape_into(out, name);
            out.push(b'"');
            return;
        }
        let mut text = Vec::with_capacity(32);
        match self {
            Step::Field(_) => {}
            Step::Key(keys) => {
                text.extend_from_slice(b"k:{");
                for (i, (name, value)) in keys.iter().enumerate() {
                    if i > 0 {
                        text.push(b',');
                    }
                    write::string(&mut text, name);
                    text.push(b':');
                    value.write(&mut text);
                }
                text.push(b'}');
            }
            Step::Value(value) => {
                text.extend_from_slice(b"v:");
                value.write(&mut text);
            }
            Step::Index(index) => text.extend_from_slice(format!("i:{index}").as_bytes()),
        }
        write::string(out, &text);
    }

    /// As paths are shown to people: `.spec`, `[name="c"]`, `[="x"]`, `[3]`.
    fn show(&self, out: &mut Vec<u8>) {
        match self {
            Step::Field(name) => {
                out.push(b'.');
                out.extend_from_slice(name);
            }
            Step::Key(keys) => {
                out.push(b'[');
                for (i, (name, value)) in keys.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    out.push(b'=');
                    value.write(out);
                }
                out.push(b']');
            }
            Step::Value(value) => {
                out.extend_from_slice(b"[=");
                value.write(out);
                out.push(b']');
            }
            Step::Index(index) => out.extend_from_slice(format!("[{index}]").as_bytes()),
        }
    }
}

impl Scalar<'_> {
    pub fn owned(&self) -> Scalar<'static> {
        match self {
            Scalar::Null => Scalar::Null,
            Scalar::Bool(value) => Scalar::Bool(*value),
            Scalar::Number(text) => Scalar::Number(Bytes::Owned(text.to_vec())),
            Scalar::Text(text) => Scalar::Text(Bytes::Owned(text.to_vec())),
            Scalar::Other(json) => Scalar::Other(json.clone()),
        }
    }
}

/// A set of paths: whether this one is in it, and what below it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set<'a> {
    pub member: bool,
    /// Sorted; none of them is empty.
    pub children: Vec<(Step<'a>, Set<'a>)>,
}

impl<'a> Set<'a> {
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// The part below a step.
    pub fn below(&self, step: &Step<'_>) -> Option<&Set<'a>> {
        let at = self.children.binary_search_by(|(s, _)| s.cmp(step)).ok()?;
        Some(&self.children[at].1)
    }

    /// Adds what is below a step, if it is anything. Steps come in any order: `seal` sorts them.
    pub fn attach(&mut self, step: Step<'a>, child: Set<'a>) {
        if !child.is_empty() {
            self.children.push((step, child));
        }
    }

    /// Puts the children in order after a series of `attach`.
    pub fn seal(&mut self) {
        if !self.children.is_sorted_by(|a, b| a.0 < b.0) {
            self.children.sort_by(|a, b| a.0.cmp(&b.0));
            self.children.dedup_by(|b, a| {
                let same = a.0 == b.0;
                if same {
                    a.1 = a.1.union(&b.1);
                }
                same
            });
        }
    }

    pub fn union(&self, other: &Set<'a>) -> Set<'a> {
        let mut out = Set {
            member: self.member || other.member,
            children: Vec::with_capacity(self.children.len().max(other.children.len())),
        };
        join(&self.children, &other.children, |step, a, b| {
            let child = match (a, b) {
                (Some(a), Some(b)) => a.union(b),
                (Some(one), None) | (None, Some(one)) => one.clone(),
                (None, None) => return,
            };
            out.attach(step.clone(), child);
        });
        out
    }

    pub fn intersection(&self, other: &Set<'_>) -> Set<'a> {
        let mut out = Set {
            member: self.member && other.member,
            children: Vec::new(),
        };
        for (step, child) in &self.children {
            if let Some(theirs) = other.below(step) {
                out.attach(step.clone(), child.intersection(theirs));
            }
        }
        out
    }

    pub fn difference(&self, other: &Set<'_>) -> Set<'a> {
        let mut out = Set {
            member: self.member && !other.member,
            children: Vec::with_capacity(self.children.len()),
        };
        for (step, child) in &self.children {
            let left = match other.below(step) {
                Some(theirs) => child.difference(theirs),
                None => child.clone(),
            };
            out.attach(step.clone(), left);
        }
        out
    }

    /// Whether any path is in both, without making a set of them.
    pub fn meets(&self, other: &Set<'_>) -> bool {
        (self.member && other.member)
            || self
                .children
                .iter()
                .any(|(step, child)| other.below(step).is_some_and(|o| child.meets(o)))
    }

    /// Reads FieldsV1 text; nothing for no text.
    pub fn read(text: &'a [u8]) -> Result<Self> {
        if text.is_empty() {
            return Ok(Set::default());
        }
        Set::parse(&Node::parse(text)?)
    }

    /// All of both, where one of them is often nothing.
    pub fn with(self, other: Set<'a>) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (_, true) => self,
            (true, false) => other,
            (false, false) => self.union(&other),
        }
    }

    /// FieldsV1 text; no text for nothing.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        if !self.is_empty() {
            self.write(&mut out);
        }
        out
    }

    pub fn owned(self) -> Set<'static> {
        Set {
            member: self.member,
            children: self
                .children
                .into_iter()
                .map(|(step, below)| (step.owned(), below.owned()))
                .collect(),
        }
    }

    /// Reads FieldsV1.
    pub fn parse(node: &Node<'a>) -> Result<Self> {
        let Node::Map(entries) = node else {
            return fail("fieldsV1 must be an object");
        };
        let mut out = Set::default();
        for (name, below) in entries {
            if name.as_ref() == b"." {
                out.member = true;
                continue;
            }
            let step = Step::parse(name)?;
            let mut child = Set::parse(below)?;
            // An empty object is a path that is in the set and has nothing below it.
            if child.children.is_empty() {
                child.member = true;
            }
            out.children.push((step, child));
        }
        out.seal();
        Ok(out)
    }

    /// Writes FieldsV1.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        if self.member && !self.children.is_empty() {
            out.extend_from_slice(b"\".\":{}");
            first = false;
        }
        for (step, child) in &self.children {
            if !first {
                out.push(b',');
            }
            first = false;
            step.write(out);
            out.push(b':');
            child.write(out);
        }
        out.push(b'}');
    }

    /// Every path, as it is shown to people.
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.walk(&mut Vec::new(), &mut out);
        out
    }

    fn walk(&self, prefix: &mut Vec<u8>, out: &mut Vec<String>) {
        if self.member {
            out.push(String::from_utf8_lossy(prefix).into_owned());
        }
        for (step, child) in &self.children {
            let before = prefix.len();
            step.show(prefix);
            child.walk(prefix, out);
            prefix.truncate(before);
        }
    }
}
