//! A patch of a stored object that reads and writes only what the patch names.
//!
//! What a patch does not name stays as it is stored, and so do the owners of fields, which are the longest part of many
//! objects. They are taken out, the rest is merged and read as the long way does it, and they are put back. Where there
//! is anything to say (an error, an unknown field, a name given twice, a directive at the top) this says nothing: the
//! long way finds the words.

use super::cut::{Member, find, member, members};
use super::decode::decode;
use super::merge::json_merge;
use super::plain;
use super::scan::Scanner;
use super::strategic::strategic_merge;
use super::table::{self, Shape, Struct, TypeId};

/// How a patch is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// RFC 7386.
    Json,
    /// By the table's merge keys.
    Strategic,
}

/// An object after a patch.
#[derive(Debug, PartialEq, Eq)]
pub struct Patched {
    /// Canonical JSON, read as `decode` reads a body.
    pub json: Vec<u8>,
    /// Whether `spec` was left out because the patch does not name it.
    pub without_spec: bool,
}

const METADATA: &[u8] = b"metadata";
const MANAGED: &[u8] = b"managedFields";
const SPEC: &[u8] = b"spec";

/// The object after a patch that is beyond reproach, else `None`. `current` is as it is stored. With `leave_spec` a
/// spec that the patch does not name is left out.
pub fn patched(
    key: &str,
    merge: Merge,
    current: &[u8],
    patch: &[u8],
    leave_spec: bool,
) -> Option<Patched> {
    let kind = table::find(key)?;
    let Shape::Struct(shape) = table::get(kind).shape else {
        return None;
    };
    let named = Named::of(patch, shape)?;
    let stored = members(current)?;
    let mut reduced = Vec::with_capacity(current.len() + 64);
    reduced.push(b'{');
    for (name, value) in &stored {
        if *name == METADATA && named.has(METADATA) {
            let (less, _) = without_managed(value)?;
            member(&mut reduced, name, &less);
        } else if named.has(name) || matches!(*name, b"apiVersion" | b"kind") {
            member(&mut reduced, name, value);
        }
    }
    reduced.push(b'}');
    let read = decode(Some(kind), &merged(kind, merge, &reduced, patch, &named)?).ok()?;
    if !read.unknown.is_empty() || !read.duplicate.is_empty() {
        return None;
    }
    put_back(shape, &stored, &named, &read.json, leave_spec)
}

fn merged(
    kind: TypeId,
    merge: Merge,
    current: &[u8],
    patch: &[u8],
    named: &Named<'_>,
) -> Option<Vec<u8>> {
    if named.simple {
        let mut out = Vec::with_capacity(current.len() + patch.len());
        if plain::merge(kind, merge, current, patch, &mut out).is_some() {
            return Some(out);
        }
    }
    match merge {
        Merge::Json => json_merge(current, patch),
        Merge::Strategic => strategic_merge(kind, current, patch),
    }
    .ok()
}

fn put_back(
    shape: &Struct,
    stored: &[Member<'_>],
    named: &Named<'_>,
    read: &[u8],
    leave_spec: bool,
) -> Option<Patched> {
    let made = members(read)?;
    let length: usize = stored
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let mut json = Vec::with_capacity(length + read.len());
    json.push(b'{');
    let mut without_spec = false;
    for field in shape.fields {
        let name = field.name.as_bytes();
        let kept = !named.has(name) && !matches!(name, b"apiVersion" | b"kind");
        if kept && leave_spec && name == SPEC {
            without_spec = true;
            continue;
        }
        match (kept, find(stored, name), find(&made, name)) {
            (true, Some(old), _) => member(&mut json, name, old),
            (false, Some(old), Some(new)) if name == METADATA => {
                let (_, managed) = without_managed(old)?;
                member(&mut json, name, new);
                if let Some(managed) = managed {
                    // The last field of metadata.
                    json.pop();
                    member(&mut json, MANAGED, managed);
                    json.push(b'}');
                }
            }
            (_, _, Some(new)) => member(&mut json, name, new),
            (_, _, None) => {}
        }
    }
    json.push(b'}');
    Some(Patched { json, without_spec })
}

/// Metadata without the owners of fields, and these.
fn without_managed(metadata: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let mut out = Vec::with_capacity(metadata.len());
    out.push(b'{');
    let mut managed = None;
    for (name, value) in members(metadata)? {
        if name == MANAGED {
            managed = Some(value);
        } else {
            member(&mut out, name, value);
        }
    }
    out.push(b'}');
    Some((out, managed))
}

/// The top-level fields that a patch names.
struct Named<'p> {
    names: Vec<&'p [u8]>,
    /// Whether `plain` may merge it.
    simple: bool,
}

impl<'p> Named<'p> {
    /// `None` where they are not all plain fields of the type, or a name is given twice anywhere.
    fn of(patch: &'p [u8], shape: &Struct) -> Option<Self> {
        let mut s = Scanner::new(patch);
        if std::str::from_utf8(patch).is_err() || s.peek() != b'{' {
            return None;
        }
        let mut simple = true;
        distinct(&mut s, 0, &mut simple)?;
        s.end().ok()?;
        let mut names = Vec::with_capacity(4);
        for (name, value) in members(patch)? {
            let field = &shape.fields[shape.find(name)?];
            // Metadata has no form of its own but in the owners of fields, which are not in it here.
            simple &= name == METADATA || !table::free_form(field.kind);
            if matches!(name, b"apiVersion" | b"kind") {
                return None;
            }
            if name == METADATA {
                let inner = members(value)?;
                if inner
                    .iter()
                    .any(|(n, _)| *n == MANAGED || n.starts_with(b"$"))
                {
                    return None;
                }
            }
            names.push(name);
        }
        Some(Named { names, simple })
    }

    fn has(&self, name: &[u8]) -> bool {
        self.names.contains(&name)
    }
}

/// Objects nested deeper than this in a patch take the long way.
const DEEP: usize = 64;

/// Steps over a value in which no object has a name twice; escaped names are not looked into. What may be written in
/// several ways (fractions, long numbers, halves of characters) is not `simple`.
fn distinct(s: &mut Scanner<'_>, depth: usize, simple: &mut bool) -> Option<()> {
    if depth > DEEP {
        return None;
    }
    match s.peek() {
        b'{' => {
            s.at += 1;
            let mut seen = Vec::with_capacity(8);
            let mut key = s.first_key().ok()?;
            while let Some(name) = key {
                if !name.plain || seen.contains(&name.raw) {
                    return None;
                }
                seen.push(name.raw);
                distinct(s, depth + 1, simple)?;
                key = s.next_key().ok()?;
            }
            Some(())
        }
        b'[' => {
            s.at += 1;
            if s.first_item() {
                loop {
                    distinct(s, depth + 1, simple)?;
                    if !s.next_item().ok()? {
                        break;
                    }
                }
            }
            Some(())
        }
        b'"' => {
            let text = s.string().ok()?;
            *simple &= text.plain || !text.raw.windows(3).any(|w| matches!(w, b"\\ud" | b"\\uD"));
            Some(())
        }
        b'-' | b'0'..=b'9' => {
            let number = s.number().ok()?;
            let digits = number.strip_prefix(b"-").unwrap_or(number);
            let plain = digits.len() < PLAIN_DIGITS && digits.iter().all(u8::is_ascii_digit);
            *simple &= plain && number != b"-0";
            Some(())
        }
        _ => s.skip(depth).ok(),
    }
}

/// Numbers of fewer digits are whole numbers of 64 bits.
const PLAIN_DIGITS: usize = 19;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LEASE: &str = "coordination/v1.Lease";
    const STORED: &[u8] = br#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a","resourceVersion":"7","managedFields":[{"manager":"m"}]},"spec":{"holderIdentity":"n","leaseDurationSeconds":40}}"#;

    fn text(patch: &[u8], merge: Merge) -> Option<String> {
        let got = patched(LEASE, merge, STORED, patch, false)?;
        Some(String::from_utf8(got.json).unwrap())
    }

    #[test]
    fn what_is_not_named_is_what_it_was() {
        for merge in [Merge::Json, Merge::Strategic] {
            assert_eq!(
                text(br#"{"spec":{"leaseDurationSeconds":41}}"#, merge).unwrap(),
                r#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a","resourceVersion":"7","managedFields":[{"manager":"m"}]},"spec":{"holderIdentity":"n","leaseDurationSeconds":41}}"#
            );
            assert_eq!(
                text(br#"{"metadata":{"labels":{"b":"c"}}}"#, merge).unwrap(),
                r#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a","resourceVersion":"7","labels":{"b":"c"},"managedFields":[{"manager":"m"}]},"spec":{"holderIdentity":"n","leaseDurationSeconds":40}}"#
            );
        }
    }

    #[test]
    fn a_spec_may_be_left_out_where_it_is_not_named() {
        let got = |patch: &[u8]| patched(LEASE, Merge::Json, STORED, patch, true).unwrap();
        let left = got(br#"{"metadata":{"labels":{"b":"c"}}}"#);
        assert!(left.without_spec);
        assert!(!left.json.windows(6).any(|w| w == b"\"spec\""));
        assert!(!got(br#"{"spec":{"leaseDurationSeconds":41}}"#).without_spec);
    }

    #[test]
    fn the_long_way_speaks_where_there_is_something_to_say() {
        for patch in [
            &br#"{"spec":{"leaseDurationSeconds":"x"}}"#[..],
            br#"{"spec":{"nothing":1}}"#,
            br#"{"nothing":1}"#,
            br#"{"kind":"Other"}"#,
            br#"{"spec":{"leaseDurationSeconds":1,"leaseDurationSeconds":2}}"#,
            br#"{"metadata":{"managedFields":[]}}"#,
            br#"{"metadata":{"$patch":"delete"}}"#,
            br#"{"$patch":"replace","spec":{}}"#,
            br#"{"metadata":null}"#,
            b"{\"spec\":{\"holderIdentity\":\"\xff\"}}",
            b"{",
            b"[]",
        ] {
            for merge in [Merge::Json, Merge::Strategic] {
                assert_eq!(
                    text(patch, merge),
                    None,
                    "{}",
                    String::from_utf8_lossy(patch)
                );
            }
        }
        assert_eq!(
            patched("no/such.Type", Merge::Json, STORED, b"{}", false),
            None
        );
    }
}
