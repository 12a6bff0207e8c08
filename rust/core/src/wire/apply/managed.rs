//! The entries of metadata.managedFields: who owns which fields, by which operation, since when.
//!
//! What an entry owns stays text until it changes: most writes change nothing but a time.

use super::set::Set;
use super::tree::{Bytes, Node};
use crate::wire::error::{Result, fail};
use crate::wire::scan::Scanner;
use crate::wire::write;
use std::borrow::Cow;

/// Update entries of an object; the oldest of more are put together.
const MAX_UPDATERS: usize = 10;
const ANCIENT: &[u8] = b"ancient-changes";
const UPDATE: &[u8] = b"Update";
const APPLY: &[u8] = b"Apply";

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub manager: Bytes<'a>,
    pub applied: bool,
    pub version: Bytes<'a>,
    pub subresource: Bytes<'a>,
    /// RFC 3339, empty where it is not known.
    pub time: Bytes<'a>,
    /// FieldsV1 as this server writes it.
    pub fields: Cow<'a, [u8]>,
}

impl<'a> Entry<'a> {
    /// Whether both are of the same writer: an applier is known by its name alone, an updater by its version too.
    pub fn same(&self, other: &Entry<'_>) -> bool {
        self.manager == other.manager
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.version == other.version)
    }

    /// What it owns.
    pub fn set(&self) -> Set<'_> {
        Set::read(&self.fields).unwrap_or_default()
    }

    /// Owns this from now on.
    pub fn own(&mut self, set: &Set<'_>) {
        self.fields = Cow::Owned(set.text());
    }

    /// Owns this too.
    pub fn gain(&mut self, set: &Set<'_>) {
        let fields = self.set().union(set).text();
        self.fields = Cow::Owned(fields);
    }

    /// Owns this no more.
    pub fn lose(&mut self, set: &Set<'_>) {
        let fields = self.set().difference(set).text();
        self.fields = Cow::Owned(fields);
    }

    /// As a conflict names its owner.
    pub fn shown(&self) -> String {
        let text = String::from_utf8_lossy;
        let mut out = format!("{:?}", text(&self.manager));
        if !self.subresource.is_empty() {
            out += &format!(" with subresource {:?}", text(&self.subresource));
        }
        if !self.applied {
            out += &format!(" using {}", text(&self.version));
        }
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"manager\":");
        write::string(out, &self.manager);
        out.extend_from_slice(b",\"operation\":");
        write::string(out, if self.applied { APPLY } else { UPDATE });
        out.extend_from_slice(b",\"apiVersion\":");
        write::string(out, &self.version);
        if !self.time.is_empty() {
            out.extend_from_slice(b",\"time\":");
            write::string(out, &self.time);
        }
        out.extend_from_slice(b",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":");
        out.extend_from_slice(&self.fields);
        if !self.subresource.is_empty() {
            out.extend_from_slice(b",\"subresource\":");
            write::string(out, &self.subresource);
        }
        out.push(b'}');
    }
}

/// Reads the entries; none where the list is missing or cannot be read.
pub(super) fn read<'a>(list: Option<&Node<'a>>) -> Vec<Entry<'a>> {
    match list {
        Some(Node::Raw(text)) => entries(text).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The same of a list that a client sent: what it owns is brought into the form that this server writes.
pub(super) fn read_foreign<'a>(list: Option<&Node<'a>>) -> Vec<Entry<'a>> {
    let mut entries = read(list);
    for entry in &mut entries {
        let Ok(fields) = Set::read(&entry.fields).map(|set| set.text()) else {
            return Vec::new();
        };
        entry.fields = Cow::Owned(fields);
    }
    entries
}

/// `[{}]`: the way to say that ownership shall be forgotten.
pub(super) fn is_reset(list: Option<&Node<'_>>) -> bool {
    matches!(list, Some(Node::Raw(text)) if text.iter().copied().filter(|c| !c.is_ascii_whitespace()).eq(*b"[{}]"))
}

fn entries(text: &[u8]) -> Result<Vec<Entry<'_>>> {
    let mut s = Scanner::new(text);
    if s.peek() != b'[' {
        return fail("managedFields must be a list");
    }
    s.at += 1;
    let mut out = Vec::with_capacity(4);
    if s.first_item() {
        loop {
            out.push(entry(&mut s)?);
            if !s.next_item()? {
                break;
            }
        }
    }
    Ok(out)
}

fn entry<'a>(s: &mut Scanner<'a>) -> Result<Entry<'a>> {
    if s.peek() != b'{' {
        return fail("an entry of managedFields must be an object");
    }
    s.at += 1;
    let none = || Cow::Borrowed(&b""[..]);
    let mut out = Entry {
        manager: none(),
        applied: false,
        version: none(),
        subresource: none(),
        time: none(),
        fields: none(),
    };
    let mut operation = none();
    let mut key = s.first_key()?;
    while let Some(name) = key {
        let name = name.value();
        if name.as_ref() == b"fieldsV1" {
            s.peek();
            let start = s.at;
            s.jump();
            out.fields = Cow::Borrowed(&s.data[start..s.at]);
        } else if s.peek() == b'"' {
            let text = s.string()?.value();
            match name.as_ref() {
                b"manager" => out.manager = text,
                b"operation" => operation = text,
                b"apiVersion" => out.version = text,
                b"subresource" => out.subresource = text,
                b"time" => out.time = text,
                _ => {}
            }
        } else {
            s.skip(0)?;
        }
        key = s.next_key()?;
    }
    out.applied = operation.as_ref() == APPLY;
    if !out.applied && operation.as_ref() != UPDATE {
        return fail("operation must be Update or Apply");
    }
    Ok(out)
}

/// Writes the entries as JSON, in the order that upstream keeps: appliers first, then by time and name.
pub(super) fn write(entries: &mut Vec<Entry<'_>>, out: &mut Vec<u8>) {
    entries.retain(|e| !e.fields.is_empty());
    cap(entries);
    entries.sort_by(|a, b| {
        b.applied
            .cmp(&a.applied)
            .then_with(|| a.time.cmp(&b.time))
            .then_with(|| a.manager.cmp(&b.manager))
            .then_with(|| a.version.cmp(&b.version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    out.reserve(entries.iter().map(|e| e.fields.len() + 192).sum());
    out.push(b'[');
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        entry.write(out);
    }
    out.push(b']');
}

/// Puts the oldest updaters together, by version, until there are few enough.
fn cap(entries: &mut Vec<Entry<'_>>) {
    let count = entries.iter().filter(|e| !e.applied).count();
    if count <= MAX_UPDATERS {
        return;
    }
    let mut surplus = count - MAX_UPDATERS;
    let mut order: Vec<usize> = (0..entries.len())
        .filter(|&i| !entries[i].applied)
        .collect();
    order.sort_by(|&a, &b| {
        (&entries[a].time, &entries[a].manager).cmp(&(&entries[b].time, &entries[b].manager))
    });
    let mut gone = vec![false; entries.len()];
    let mut first: Vec<usize> = Vec::new();
    for &i in &order {
        if surplus == 0 {
            break;
        }
        let bucket = first
            .iter()
            .copied()
            .find(|&f| entries[f].version == entries[i].version);
        match bucket {
            None => first.push(i),
            Some(bucket) => {
                let fields = entries[i].set().union(&entries[bucket].set()).text();
                let time = entries[i].time.clone();
                let entry = &mut entries[bucket];
                entry.fields = Cow::Owned(fields);
                entry.time = time;
                entry.manager = Cow::Borrowed(ANCIENT);
                entry.subresource = Cow::Borrowed(b"");
                gone[i] = true;
                surplus -= 1;
            }
        }
    }
    let mut at = 0;
    entries.retain(|_| {
        at += 1;
        !gone[at - 1]
    });
}
