//! JSON as a tree that borrows its text, with maps in the order of their keys.

use crate::wire::error::{Result, fail};
use crate::wire::scan::{MAX_DEPTH, Scanner};
use crate::wire::write;
use std::borrow::Cow;
use std::cmp::Ordering;

pub(crate) type Bytes<'a> = Cow<'a, [u8]>;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(Bytes<'a>),
    Text(Bytes<'a>),
    List(Vec<Node<'a>>),
    /// Sorted by key, each once.
    Map(Vec<(Bytes<'a>, Node<'a>)>),
    /// Left as it stands: managedFields, which are read by `managed` where they matter.
    Raw(&'a [u8]),
    /// JSON that the tree has of its own.
    Owned(Vec<u8>),
}

/// Where managedFields stand: in the object's metadata.
const MANAGED_DEPTH: usize = 1;
const MANAGED: &[u8] = b"managedFields";
const METADATA: &[u8] = b"metadata";
/// Entries that most maps have room for at once.
const ROOM: usize = 8;

impl<'a> Node<'a> {
    /// Reads a whole JSON document.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        Self::parse_without(data, &[])
    }

    /// Reads a whole JSON document; of the object's fields named here only the text is kept.
    pub fn parse_without(data: &'a [u8], skipped: &[&str]) -> Result<Self> {
        let mut scanner = Scanner::new(data);
        let node = read(&mut scanner, 0, skipped)?;
        scanner.end()?;
        Ok(node)
    }

    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Node<'static> {
        match self {
            Node::Null => Node::Null,
            Node::Bool(value) => Node::Bool(value),
            Node::Number(text) => Node::Number(Bytes::Owned(text.into_owned())),
            Node::Text(text) => Node::Text(Bytes::Owned(text.into_owned())),
            Node::List(items) => Node::List(items.into_iter().map(Node::into_owned).collect()),
            Node::Map(entries) => Node::Map(
                entries
                    .into_iter()
                    .map(|(name, value)| (Bytes::Owned(name.into_owned()), value.into_owned()))
                    .collect(),
            ),
            Node::Raw(text) => Node::Owned(text.to_vec()),
            Node::Owned(text) => Node::Owned(text),
        }
    }

    /// Reads two states of one object without what is equal in both, and without the fields named here: what differs
    /// is the same, and most of an update is equal. Owners of fields always stay.
    pub fn parse_pair(old: &'a [u8], new: &'a [u8], skipped: &[&str]) -> Result<(Self, Self)> {
        let parts = Parts::of(old, None).and_then(|left| {
            let same = common(old, new);
            Some((Parts::of(new, Some((&left, same)))?, left))
        });
        match parts {
            Some((right, left)) => {
                Ok((left.beside(&right, skipped)?, right.beside(&left, skipped)?))
            }
            None => Ok((
                Self::parse_without(old, skipped)?,
                Self::parse_without(new, skipped)?,
            )),
        }
    }

    /// A map's entries; nothing for any other value.
    pub fn entries(&self) -> &[(Bytes<'a>, Node<'a>)] {
        match self {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A list's items; nothing for any other value.
    pub fn items(&self) -> &[Node<'a>] {
        match self {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// A map's value.
    pub fn get(&self, key: &[u8]) -> Option<&Node<'a>> {
        let entries = self.entries();
        let at = entries
            .binary_search_by(|(k, _)| k.as_ref().cmp(key))
            .ok()?;
        Some(&entries[at].1)
    }

    /// Takes a map's value out.
    pub fn take(&mut self, key: &[u8]) -> Option<Node<'a>> {
        let Node::Map(entries) = self else {
            return None;
        };
        let at = entries
            .binary_search_by(|(k, _)| k.as_ref().cmp(key))
            .ok()?;
        Some(entries.remove(at).1)
    }

    /// Writes the JSON, without white space.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Bool(true) => out.extend_from_slice(b"true"),
            Node::Bool(false) => out.extend_from_slice(b"false"),
            Node::Number(text) => out.extend_from_slice(text),
            Node::Text(text) => write::string(out, text),
            Node::Raw(text) => out.extend_from_slice(text),
            Node::Owned(text) => out.extend_from_slice(text),
            Node::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Node::Map(entries) => {
                out.push(b'{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write::string(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// Whether there is nothing in it: null, an empty list, an empty map.
    pub fn empty(&self) -> bool {
        match self {
            Node::Null => true,
            Node::List(items) => items.is_empty(),
            Node::Map(entries) => entries.is_empty(),
            _ => false,
        }
    }
}

fn read<'a>(s: &mut Scanner<'a>, depth: usize, skipped: &[&str]) -> Result<Node<'a>> {
    if depth >= MAX_DEPTH {
        return fail("exceeded max depth");
    }
    match s.peek() {
        b'{' => {
            s.at += 1;
            let mut entries = Vec::with_capacity(ROOM);
            let mut sorted = true;
            let mut key = s.first_key()?;
            while let Some(name) = key {
                let name = name.value();
                let kept = depth == MANAGED_DEPTH && name.as_ref() == MANAGED && s.peek() != b'n';
                let value = if kept || skipped.iter().any(|f| f.as_bytes() == name.as_ref()) {
                    s.peek();
                    let start = s.at;
                    s.jump();
                    Node::Raw(&s.data[start..s.at])
                } else {
                    read(s, depth + 1, &[])?
                };
                sorted = sorted
                    && entries
                        .last()
                        .is_none_or(|(last, _): &(Bytes<'_>, _)| *last < name);
                entries.push((name, value));
                key = s.next_key()?;
            }
            if !sorted {
                sort(&mut entries);
            }
            Ok(Node::Map(entries))
        }
        b'[' => {
            s.at += 1;
            let mut items = Vec::new();
            if s.first_item() {
                loop {
                    items.push(read(s, depth + 1, &[])?);
                    if !s.next_item()? {
                        break;
                    }
                }
            }
            Ok(Node::List(items))
        }
        b'"' => Ok(Node::Text(s.string()?.value())),
        b't' => s.literal("true").map(|()| Node::Bool(true)),
        b'f' => s.literal("false").map(|()| Node::Bool(false)),
        b'n' => s.literal("null").map(|()| Node::Null),
        b'-' | b'0'..=b'9' => Ok(Node::Number(Bytes::Borrowed(s.number()?))),
        _ => s.wrong("looking for beginning of value"),
    }
}

/// A member of an object, and where it ends.
#[derive(Clone, Copy)]
struct Member<'a> {
    name: &'a [u8],
    value: &'a [u8],
    end: usize,
}

/// An object that is known to be well formed, cut into its members and those of its metadata.
struct Parts<'a> {
    members: Vec<Member<'a>>,
    metadata: Option<Vec<Member<'a>>>,
}

impl<'a> Parts<'a> {
    /// `before`: another object's, and how many bytes both have in common at their beginning. `None` where a name needs
    /// reading.
    fn of(object: &'a [u8], before: Option<(&Parts<'a>, usize)>) -> Option<Self> {
        let mut s = Scanner::new(object);
        if s.peek() != b'{' {
            return None;
        }
        s.at += 1;
        let mut out = Parts {
            members: Vec::with_capacity(ROOM),
            metadata: None,
        };
        if let Some((before, same)) = before {
            let known = before.members.iter().take_while(|m| m.end < same);
            out.members.extend(known);
            if out.members.iter().any(|m| m.name == METADATA) {
                out.metadata.clone_from(&before.metadata);
            }
        }
        let mut key = match out.members.last() {
            None => s.first_key(),
            Some(last) => {
                s.at = last.end;
                s.next_key()
            }
        }
        .ok()?;
        while let Some(name) = key {
            if !name.plain {
                return None;
            }
            let (first, start) = (s.peek(), s.at);
            if name.raw == METADATA && first == b'{' {
                out.metadata = Some(members(&mut s)?);
            } else {
                s.jump();
            }
            out.members.push(Member {
                name: name.raw,
                value: &object[start..s.at],
                end: s.at,
            });
            key = s.next_key().ok()?;
        }
        Some(out)
    }

    /// The object of those members that the other has not, or not so.
    fn beside(&self, other: &Self, skipped: &[&str]) -> Result<Node<'a>> {
        let mut entries = Vec::with_capacity(ROOM);
        for member in &self.members {
            if skipped.iter().any(|one| one.as_bytes() == member.name) {
                continue;
            }
            let node = match (&self.metadata, &other.metadata) {
                (Some(ours), Some(theirs)) if member.name == METADATA => metadata(ours, theirs)?,
                _ if equal(member, &other.members) => continue,
                _ => read_member(member.value, 0)?,
            };
            entries.push((Bytes::Borrowed(member.name), node));
        }
        sort(&mut entries);
        Ok(Node::Map(entries))
    }
}

/// How many bytes two texts have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
    const PART: usize = 64;
    let whole = a.chunks_exact(PART).zip(b.chunks_exact(PART));
    let at = PART * whole.take_while(|(a, b)| a == b).count();
    let rest = a[at..].iter().zip(&b[at..]);
    at + rest.take_while(|(a, b)| a == b).count()
}

/// The members of the object that begins here.
fn members<'a>(s: &mut Scanner<'a>) -> Option<Vec<Member<'a>>> {
    s.at += 1;
    let mut out = Vec::with_capacity(16);
    let mut key = s.first_key().ok()?;
    while let Some(name) = key {
        if !name.plain {
            return None;
        }
        s.peek();
        let start = s.at;
        s.jump();
        out.push(Member {
            name: name.raw,
            value: &s.data[start..s.at],
            end: s.at,
        });
        key = s.next_key().ok()?;
    }
    Some(out)
}

fn equal(member: &Member<'_>, others: &[Member<'_>]) -> bool {
    let other = others.iter().find(|m| m.name == member.name);
    other.is_some_and(|other| other.value == member.value)
}

fn metadata<'a>(ours: &[Member<'a>], theirs: &[Member<'a>]) -> Result<Node<'a>> {
    let mut entries = Vec::with_capacity(ROOM);
    for member in ours {
        let node = if member.name == MANAGED && member.value != b"null" {
            Node::Raw(member.value)
        } else if equal(member, theirs) {
            continue;
        } else {
            read_member(member.value, MANAGED_DEPTH)?
        };
        entries.push((Bytes::Borrowed(member.name), node));
    }
    sort(&mut entries);
    Ok(Node::Map(entries))
}

fn read_member(value: &[u8], depth: usize) -> Result<Node<'_>> {
    let mut s = Scanner::new(value);
    let node = read(&mut s, depth + 1, &[])?;
    s.end()?;
    Ok(node)
}

/// Sorts by key; of a repeated key the last one stays.
fn sort(entries: &mut Vec<(Bytes<'_>, Node<'_>)>) {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let mut i = 0;
    while i + 1 < entries.len() {
        if entries[i].0 == entries[i + 1].0 {
            entries.remove(i);
        } else {
            i += 1;
        }
    }
}

/// Walks two sorted slices together: each key once, with what either side has.
pub(super) fn join<'x, K: Ord, A, B>(
    left: &'x [(K, A)],
    right: &'x [(K, B)],
    mut visit: impl FnMut(&'x K, Option<&'x A>, Option<&'x B>),
) {
    let (mut i, mut j) = (0, 0);
    loop {
        let order = match (left.get(i), right.get(j)) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        match order {
            Ordering::Less => {
                visit(&left[i].0, Some(&left[i].1), None);
                i += 1;
            }
            Ordering::Greater => {
                visit(&right[j].0, None, Some(&right[j].1));
                j += 1;
            }
            Ordering::Equal => {
                visit(&left[i].0, Some(&left[i].1), Some(&right[j].1));
                i += 1;
                j += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pair(old: &str, new: &str, skipped: &[&str]) -> (String, String) {
        let (left, right) = Node::parse_pair(old.as_bytes(), new.as_bytes(), skipped).unwrap();
        let text = |node: &Node<'_>| {
            let mut out = Vec::new();
            node.write(&mut out);
            String::from_utf8(out).unwrap()
        };
        (text(&left), text(&right))
    }

    #[test]
    fn of_a_pair_only_what_differs_is_read() {
        let old = r#"{"a":1,"metadata":{"labels":{"x":"y"},"managedFields":[{}],"name":"n"},"spec":{"s":1},"status":{"p":1}}"#;
        for (new, left, right) in [
            (
                old.replace(r#""p":1"#, r#""p":2"#),
                r#"{"metadata":{"managedFields":[{}]},"status":{"p":1}}"#,
                r#"{"metadata":{"managedFields":[{}]},"status":{"p":2}}"#,
            ),
            (
                old.replace(r#""x":"y""#, r#""x":"z""#),
                r#"{"metadata":{"labels":{"x":"y"},"managedFields":[{}]}}"#,
                r#"{"metadata":{"labels":{"x":"z"},"managedFields":[{}]}}"#,
            ),
            (
                r#"{"a":1,"b":[{}]}"#.to_owned(),
                r#"{"metadata":{"labels":{"x":"y"},"managedFields":[{}],"name":"n"},"status":{"p":1}}"#,
                r#"{"b":[{}]}"#,
            ),
            (
                r#"{"a":12,"metadata":null,"status":{"p":1}}"#.to_owned(),
                r#"{"a":1,"metadata":{"labels":{"x":"y"},"managedFields":[{}],"name":"n"}}"#,
                r#"{"a":12,"metadata":null}"#,
            ),
        ] {
            let (left, right) = (left.to_owned(), right.to_owned());
            assert_eq!(pair(old, &new, &["spec"]), (left.clone(), right.clone()));
            assert_eq!(pair(&new, old, &["spec"]), (right, left));
        }
    }
}
