//! A patch of a stored object that reads and writes only what the patch names.
//!
//! What a patch does not name stays as it is stored, and so do the owners of fields, which are the longest part of many
//! objects. They are taken out, the rest is merged and read as the long way does it, and they are put back. Where there
//! is anything to say (an error, an unknown field, a name given twice, a directive at the top) this says nothing: the
//! long way finds the words.

use super::decode::decode;
use super::merge::json_merge;
use super::scan::Scanner;
use super::strategic::strategic_merge;
use super::table::{self, Shape, Struct};
use std::ops::Range;

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
    let members = members(current)?;
    let mut reduced = Vec::with_capacity(current.len() + 64);
    reduced.push(b'{');
    for (name, value) in &members {
        let bytes = &current[value.clone()];
        if *name == METADATA && named.has(METADATA) {
            let (less, _) = without_managed(bytes)?;
            member(&mut reduced, name, &less);
        } else if named.has(name) || matches!(*name, b"apiVersion" | b"kind") {
            member(&mut reduced, name, bytes);
        }
    }
    reduced.push(b'}');
    let merged = match merge {
        Merge::Json => json_merge(&reduced, patch),
        Merge::Strategic => strategic_merge(kind, &reduced, patch),
    };
    let read = decode(Some(kind), &merged.ok()?).ok()?;
    if !read.unknown.is_empty() || !read.duplicate.is_empty() {
        return None;
    }
    put_back(shape, current, &members, &named, &read.json, leave_spec)
}

fn put_back(
    shape: &Struct,
    current: &[u8],
    stored: &[(&[u8], Range<usize>)],
    named: &Named<'_>,
    read: &[u8],
    leave_spec: bool,
) -> Option<Patched> {
    let made = members(read)?;
    let find = |members: &[(&[u8], Range<usize>)], name: &[u8]| {
        members
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.clone())
    };
    let mut json = Vec::with_capacity(current.len() + read.len());
    json.push(b'{');
    let mut without_spec = false;
    for field in shape.fields {
        let name = field.name.as_bytes();
        let kept = !named.has(name) && !matches!(name, b"apiVersion" | b"kind");
        if kept && leave_spec && name == SPEC {
            without_spec = true;
            continue;
        }
        let old = find(stored, name);
        match (kept, old, find(made.as_slice(), name)) {
            (true, Some(old), _) => member(&mut json, name, &current[old]),
            (false, Some(old), Some(new)) if name == METADATA => {
                let (_, managed) = without_managed(&current[old])?;
                member(&mut json, name, &read[new]);
                if let Some(managed) = managed {
                    // The last field of metadata.
                    json.pop();
                    if json.last() != Some(&b'{') {
                        json.push(b',');
                    }
                    json.extend_from_slice(b"\"managedFields\":");
                    json.extend_from_slice(managed);
                    json.push(b'}');
                }
            }
            (_, _, Some(new)) => member(&mut json, name, &read[new]),
            (_, _, None) => {}
        }
    }
    json.push(b'}');
    Some(Patched { json, without_spec })
}

fn member(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

/// The members of an object that is known to be well formed: plain names, and where their values stand.
fn members(object: &[u8]) -> Option<Vec<(&[u8], Range<usize>)>> {
    let mut s = Scanner::new(object);
    if s.peek() != b'{' {
        return None;
    }
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
        out.push((name.raw, start..s.at));
        key = s.next_key().ok()?;
    }
    s.end().ok()?;
    Some(out)
}

/// Metadata without the owners of fields, and these.
fn without_managed(metadata: &[u8]) -> Option<(Vec<u8>, Option<&[u8]>)> {
    let mut out = Vec::with_capacity(metadata.len());
    out.push(b'{');
    let mut managed = None;
    for (name, value) in members(metadata)? {
        if name == MANAGED {
            managed = Some(&metadata[value]);
        } else {
            member(&mut out, name, &metadata[value]);
        }
    }
    out.push(b'}');
    Some((out, managed))
}

/// The top-level fields that a patch names.
struct Named<'p>(Vec<&'p [u8]>);

impl<'p> Named<'p> {
    /// `None` where they are not all plain fields of the type, or a name is given twice anywhere.
    fn of(patch: &'p [u8], shape: &Struct) -> Option<Self> {
        let mut s = Scanner::new(patch);
        if std::str::from_utf8(patch).is_err() || s.peek() != b'{' {
            return None;
        }
        distinct(&mut s, 0)?;
        s.end().ok()?;
        let mut names = Vec::with_capacity(4);
        for (name, value) in members(patch)? {
            shape.find(name)?;
            if matches!(name, b"apiVersion" | b"kind") {
                return None;
            }
            if name == METADATA {
                let inner = members(&patch[value])?;
                if inner
                    .iter()
                    .any(|(n, _)| *n == MANAGED || n.starts_with(b"$"))
                {
                    return None;
                }
            }
            names.push(name);
        }
        Some(Named(names))
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.contains(&name)
    }
}

/// Objects nested deeper than this in a patch take the long way.
const DEEP: usize = 64;

/// Steps over a value in which no object has a name twice; escaped names are not looked into.
fn distinct(s: &mut Scanner<'_>, depth: usize) -> Option<()> {
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
                distinct(s, depth + 1)?;
                key = s.next_key().ok()?;
            }
            Some(())
        }
        b'[' => {
            s.at += 1;
            if s.first_item() {
                loop {
                    distinct(s, depth + 1)?;
                    if !s.next_item().ok()? {
                        break;
                    }
                }
            }
            Some(())
        }
        _ => s.skip(depth).ok(),
    }
}

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
