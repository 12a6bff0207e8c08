//! Merges of patches as components send them, written straight from the text of the object and of the patch.
//!
//! What is here gives what `strategic` and `merge` give once it is read as the type, and says `None` where it does not
//! know: of directives it obeys `$setElementOrder` and a list's `$patch: replace`.

use super::cut::{Member, find, items, key, member, members};
use super::patched::Merge;
use super::table::{self, Field, Shape, TypeId};

const DIRECTIVE: &[u8] = b"$patch";
const ORDER: &[u8] = b"$setElementOrder/";
const NULL: &[u8] = b"null";

/// Writes an object after a patch. Both are well formed, the patch names nothing twice in one object and has no numbers
/// but plain ones; nothing below the type is of any form (`table::free_form`).
pub(super) fn merge(
    kind: TypeId,
    how: Merge,
    current: &[u8],
    patch: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    Plain { how }.object(kind, current, patch, out)
}

struct Plain {
    how: Merge,
}

impl Plain {
    fn object(&self, kind: TypeId, current: &[u8], patch: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let shape = table::get(kind).shape;
        let (old, new) = (members(current)?, members(patch)?);
        let strategic = self.how == Merge::Strategic;
        let ordered = |name: &[u8]| {
            let order = |n: &[u8]| strategic && n.strip_prefix(ORDER) == Some(name);
            new.iter().find(|(n, _)| order(n)).map(|(_, v)| *v)
        };
        out.push(b'{');
        for (name, value) in &old {
            match (find(&new, name), ordered(name)) {
                (Some(NULL), None) => {}
                (change, Some(order)) => {
                    let field = field(shape, name)?;
                    key(out, name);
                    self.list(field, Some(value), change, Some(order), out)?;
                }
                (Some(change), None) => {
                    key(out, name);
                    self.changed(shape, name, value, change, out)?;
                }
                (None, None) => member(out, name, value),
            }
        }
        for (name, value) in &new {
            if strategic && name.starts_with(b"$") {
                let listed = field(shape, name.strip_prefix(ORDER)?)?;
                if !listed.merge || listed.replace || listed.merge_key.is_empty() {
                    return None;
                }
                keyed(listed.merge_key.as_bytes(), items(value)?)?;
                continue;
            }
            if find(&old, name).is_some() {
                continue;
            }
            if let Some(order) = ordered(name) {
                let field = field(shape, name)?;
                key(out, name);
                self.list(field, None, Some(value), Some(order), out)?;
            } else if *value != NULL {
                key(out, name);
                self.fresh(value, out)?;
            }
        }
        out.push(b'}');
        Some(())
    }

    /// A member that both have.
    fn changed(
        &self,
        shape: Shape,
        name: &[u8],
        old: &[u8],
        new: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        match (old.first()?, new.first()?) {
            (b'{', b'{') => {
                let kind = match shape {
                    Shape::Map(of) if self.how == Merge::Json => of,
                    _ => {
                        let field = field(shape, name)?;
                        if field.replace && self.how == Merge::Strategic {
                            return None;
                        }
                        field.kind
                    }
                };
                match table::get(kind).shape {
                    Shape::Struct(_) | Shape::Map(_) => self.object(kind, old, new, out),
                    _ => None,
                }
            }
            (b'[', b'[') if self.how == Merge::Strategic => {
                let field = field(shape, name)?;
                if field.merge && !field.replace {
                    return self.list(field, Some(old), Some(new), None, out);
                }
                out.extend_from_slice(new);
                Some(())
            }
            _ => self.fresh(new, out),
        }
    }

    /// A value of the patch where the object has none of this form: without the members that are to go.
    fn fresh(&self, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match value.first()? {
            b'{' => {
                out.push(b'{');
                for (name, value) in members(value)? {
                    if self.how == Merge::Strategic && name.starts_with(b"$") {
                        return None;
                    }
                    if value != NULL {
                        key(out, name);
                        self.fresh(value, out)?;
                    }
                }
                out.push(b'}');
            }
            b'[' if self.how == Merge::Strategic => {
                out.push(b'[');
                for item in items(value)? {
                    if replaces(item) {
                        continue; // there is nothing to replace
                    }
                    if out.last() != Some(&b'[') {
                        out.push(b',');
                    }
                    self.fresh(item, out)?;
                }
                out.push(b']');
            }
            _ => out.extend_from_slice(value),
        }
        Some(())
    }

    /// A list of objects that are told apart by the merge key.
    fn list(
        &self,
        field: &Field,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
        order: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let by = field.merge_key.as_bytes();
        let Shape::List(of) = table::get(field.kind).shape else {
            return None;
        };
        if !field.merge || field.replace || by.is_empty() {
            return None;
        }
        let before = keyed(by, old.map_or(Some(Vec::new()), items)?)?;
        let mut given = new.map_or(Some(Vec::new()), items)?;
        let directed = given.len();
        given.retain(|item| !replaces(item));
        let replace = given.len() < directed;
        let given = keyed(by, given)?;
        if order.is_some() && (replace || new.is_some() && given.is_empty()) {
            return None;
        }
        let kept = if replace { &[][..] } else { &before[..] };
        // The items that the patch names, or its order does, in that order; the others as they stand.
        let wanted = match order {
            Some(order) => keyed(by, items(order)?)?,
            None => given.clone(),
        };
        let mut next = wanted.iter();
        if order.is_some() && !given.iter().all(|one| next.any(|other| other.0 == one.0)) {
            return None; // in another order than it says itself
        }
        let place = |one: &Member<'_>| kept.iter().position(|other| other.0 == one.0);
        let mut others = kept
            .iter()
            .enumerate()
            .filter(|(_, one)| find(&wanted, one.0).is_none())
            .peekable();
        out.push(b'[');
        let item = |from: Option<&[u8]>, change: Option<&[u8]>, out: &mut Vec<u8>| {
            if out.last() != Some(&b'[') {
                out.push(b',');
            }
            match (from, change) {
                (Some(from), Some(change)) => self.object(of, from, change, out),
                (Some(one), None) | (None, Some(one)) => {
                    out.extend_from_slice(one);
                    Some(())
                }
                (None, None) => None,
            }
        };
        for one in &wanted {
            let at = place(one);
            let change = find(&given, one.0);
            if at.is_none() && change.is_none() {
                continue; // the order names what is not there
            }
            while let Some(at) = at
                && let Some((_, other)) = others.next_if(|(i, _)| *i < at)
            {
                item(Some(other.1), None, out)?;
            }
            item(at.map(|at| kept[at].1), change, out)?;
        }
        for (_, other) in others {
            item(Some(other.1), None, out)?;
        }
        out.push(b']');
        Some(())
    }
}

/// Whether an item of a list says that the list stands in place of the one before.
fn replaces(item: &[u8]) -> bool {
    item.first() == Some(&b'{')
        && matches!(
            members(item).as_deref(),
            Some([(DIRECTIVE, b"\"replace\"")])
        )
}

fn field(shape: Shape, name: &[u8]) -> Option<&'static Field> {
    match shape {
        Shape::Struct(s) => Some(&s.fields[s.find(name)?]),
        _ => None,
    }
}

/// Objects with their values of the key: each has one, no two the same.
fn keyed<'a>(by: &[u8], items: Vec<&'a [u8]>) -> Option<Vec<Member<'a>>> {
    let mut out: Vec<Member<'a>> = Vec::with_capacity(items.len());
    for item in items {
        let value = find(&members(item)?, by)?;
        if value.contains(&b'\\') || matches!(value[0], b'{' | b'[') || find(&out, value).is_some()
        {
            return None;
        }
        out.push((value, item));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::decode::decode;
    use crate::wire::merge::json_merge;
    use crate::wire::strategic::strategic_merge;

    const STATUS: &[u8] = br#"{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:00Z"},{"type":"mine/x","status":"True","lastProbeTime":null,"lastTransitionTime":null},{"type":"Ready","status":"False","lastProbeTime":null,"lastTransitionTime":null,"reason":"R"}],"podIPs":[{"ip":"10.0.0.1"}],"qosClass":"Burstable"}"#;

    fn both(how: Merge, current: &[u8], patch: &str) -> (Option<String>, Option<String>) {
        let kind = table::find("core/v1.PodStatus").unwrap();
        let read = |json: &[u8]| {
            let got = decode(Some(kind), json).ok()?;
            let clean = got.unknown.is_empty() && got.duplicate.is_empty();
            clean.then(|| String::from_utf8(got.json).unwrap())
        };
        let mut out = Vec::new();
        let quick = merge(kind, how, current, patch.as_bytes(), &mut out).and_then(|()| read(&out));
        let long = match how {
            Merge::Strategic => strategic_merge(kind, current, patch.as_bytes()),
            Merge::Json => json_merge(current, patch.as_bytes()),
        };
        (quick, long.ok().and_then(|json| read(&json)))
    }

    #[test]
    fn what_components_send_is_merged_as_the_trees_merge_it() {
        for patch in [
            r#"{"phase":"Running","startTime":"2026-01-01T00:00:01Z","qosClass":null}"#,
            r#"{"conditions":[{"type":"Ready","status":"True","reason":null,"lastProbeTime":null}]}"#,
            r#"{"conditions":[{"type":"New","status":"True"},{"type":"Ready","status":"True"},{"type":"PodScheduled","message":"m"}]}"#,
            r#"{"$setElementOrder/conditions":[{"type":"Ready"},{"type":"New"},{"type":"PodScheduled"}],"conditions":[{"type":"Ready","status":"True"},{"type":"New","status":"True"}]}"#,
            r#"{"$setElementOrder/conditions":[{"type":"Ready"},{"type":"mine/x"},{"type":"gone"}]}"#,
            r#"{"$setElementOrder/hostIPs":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}],"hostIPs":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}]}"#,
            r#"{"$setElementOrder/hostIPs":[{"ip":"1.1.1.1"}]}"#,
            r#"{"podIPs":[{"ip":"10.0.0.2"},{"$patch":"replace"}],"podIP":"10.0.0.2"}"#,
            r#"{"podIPs":[{"$patch":"replace"}]}"#,
            r#"{"podIPs":[]}"#,
            r#"{"containerStatuses":[{"name":"c","state":{"running":{"startedAt":null},"waiting":null},"ready":true,"restartCount":0,"image":"i","imageID":""}]}"#,
            r#"{ "phase" : "Running" , "conditions" : [ { "type" : "Ready" , "status" : "True" } ] }"#,
            "{}",
        ] {
            for current in [STATUS, b"{}"] {
                let (quick, long) = both(Merge::Strategic, current, patch);
                assert!(quick.is_some(), "{patch}");
                assert_eq!(quick, long, "{patch}");
            }
        }
        for patch in [
            r#"{"phase":"Running","qosClass":null,"conditions":[{"type":"a","reason":null}]}"#,
            r#"{"conditions":null,"hostIP":"h","extendedResourceClaimStatus":{"resourceClaimName":"n","requestMappings":null}}"#,
            "{}",
        ] {
            for current in [STATUS, b"{}"] {
                let (quick, long) = both(Merge::Json, current, patch);
                assert!(quick.is_some(), "{patch}");
                assert_eq!(quick, long, "{patch}");
            }
        }
    }

    #[test]
    fn what_it_does_not_know_it_leaves_to_the_trees() {
        for patch in [
            r#"{"$patch":"replace"}"#,
            r#"{"$retainKeys":["phase"],"phase":"Running"}"#,
            r#"{"conditions":[{"type":"Ready","$patch":"delete"}]}"#,
            r#"{"conditions":[{"status":"True"}]}"#,
            r#"{"conditions":[{"type":"Ready"},{"type":"Ready"}]}"#,
            r#"{"$setElementOrder/conditions":[{"type":"Ready"}],"conditions":[{"type":"New"}]}"#,
            r#"{"$setElementOrder/nothing":[{"type":"Ready"}]}"#,
            r#"{"$setElementOrder/phase":[]}"#,
        ] {
            assert_eq!(both(Merge::Strategic, STATUS, patch).0, None, "{patch}");
        }
    }
}
