//! The fields of a new object, written as FieldsV1 in one walk: what comparing with an empty object would find.

use super::UNOWNED;
use super::compare::{Ignored, Within, index, within};
use super::schema::{Atom, Kind, child};
use super::set::Step;
use super::tree::Node;

/// Writes what a creator owns of an object; `empty` is what Go writes for an empty one. False: nothing.
pub(super) fn write(
    kind: Kind<'_>,
    empty: &Node<'_>,
    new: &Node<'_>,
    ignored: Ignored<'_>,
    out: &mut Vec<u8>,
) -> bool {
    let Atom::Struct(s) = kind.atom(new) else {
        return false;
    };
    out.push(b'{');
    let start = out.len();
    for (name, value) in new.entries() {
        let below = match name.as_ref() {
            b"apiVersion" | b"kind" => continue,
            _ => match within(ignored, name) {
                Within::All => continue,
                Within::Some(below) => below,
            },
        };
        let skip = if name.as_ref() == b"metadata" {
            UNOWNED
        } else {
            &[]
        };
        let was = empty.get(name);
        field(
            Step::Field(name.clone()),
            child(s, name).0,
            was,
            value,
            &below,
            skip,
            start,
            out,
        );
    }
    out.push(b'}');
    out.len() > start + 1
}

#[allow(clippy::too_many_arguments)] // One walk's state; a struct of it would be built at every step.
fn field(
    step: Step<'_>,
    kind: Kind<'_>,
    was: Option<&Node<'_>>,
    value: &Node<'_>,
    ignored: Ignored<'_>,
    skip: &[&[u8]],
    start: usize,
    out: &mut Vec<u8>,
) {
    let before = out.len();
    if before > start {
        out.push(b',');
    }
    step.write(out);
    out.push(b':');
    if !below(kind, was, value, ignored, skip, out) {
        out.truncate(before);
    }
}

/// Writes what is owned of a value; false where that is nothing.
fn below(
    kind: Kind<'_>,
    was: Option<&Node<'_>>,
    value: &Node<'_>,
    ignored: Ignored<'_>,
    skip: &[&[u8]],
    out: &mut Vec<u8>,
) -> bool {
    let atom = if value.empty() && was.is_none_or(Node::empty) {
        Atom::Leaf
    } else {
        kind.atom(value)
    };
    if let Atom::Leaf = atom {
        out.extend_from_slice(b"{}");
        return was != Some(value);
    }
    out.push(b'{');
    let start = out.len();
    if was.is_none() {
        out.extend_from_slice(b"\".\":{}");
    }
    match atom {
        Atom::Struct(_) | Atom::Map(_) => {
            for (name, value) in value.entries() {
                if skip.contains(&name.as_ref()) {
                    continue;
                }
                let rest = match within(ignored, name) {
                    Within::All => continue,
                    Within::Some(rest) => rest,
                };
                let of = match atom {
                    Atom::Struct(s) => child(s, name).0,
                    Atom::Map(of) => of,
                    _ => Kind::UNKNOWN,
                };
                let earlier = was.and_then(|w| w.get(name));
                field(
                    Step::Field(name.clone()),
                    of,
                    earlier,
                    value,
                    &rest,
                    &[],
                    start,
                    out,
                );
            }
        }
        Atom::List(items) => {
            for (step, same) in index(items, Some(value)) {
                match same.as_slice() {
                    [one] => field(step, items.of, None, one, &[], &[], start, out),
                    _ => {
                        if out.len() > start {
                            out.push(b',');
                        }
                        step.write(out);
                        out.extend_from_slice(b":{}");
                    }
                }
            }
        }
        Atom::Leaf => {}
    }
    out.push(b'}');
    out.len() > start + 1
}
