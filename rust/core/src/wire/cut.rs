//! JSON that is known to be well formed, cut into its parts without reading these.

use super::scan::Scanner;

/// A member of an object: its name and its value as they are written.
pub(super) type Member<'a> = (&'a [u8], &'a [u8]);

/// The members of an object; `None` where it is none, or a name has escapes.
pub(super) fn members(object: &[u8]) -> Option<Vec<Member<'_>>> {
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
        out.push((name.raw, value(&mut s)));
        key = s.next_key().ok()?;
    }
    s.end().ok()?;
    Some(out)
}

/// The items of a list; `None` where it is none.
pub(super) fn items(list: &[u8]) -> Option<Vec<&[u8]>> {
    let mut s = Scanner::new(list);
    if s.peek() != b'[' {
        return None;
    }
    s.at += 1;
    let mut out = Vec::with_capacity(8);
    if s.first_item() {
        loop {
            out.push(value(&mut s));
            if !s.next_item().ok()? {
                break;
            }
        }
    }
    s.end().ok()?;
    Some(out)
}

/// A member's value.
pub(super) fn find<'a>(members: &[Member<'a>], name: &[u8]) -> Option<&'a [u8]> {
    members.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
}

fn value<'a>(s: &mut Scanner<'a>) -> &'a [u8] {
    s.peek();
    let start = s.at;
    s.jump();
    s.data[start..s.at].trim_ascii_end()
}

/// Begins a member of the object that is being written.
pub(super) fn key(out: &mut Vec<u8>, name: &[u8]) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

/// Writes a member of an object.
pub(super) fn member(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    key(out, name);
    out.extend_from_slice(value);
}
