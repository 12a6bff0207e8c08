//! Which fields differ between two objects, and which fields an object has.

use super::schema::{Atom, Items, Kind, child};
use super::set::{Set, Step};
use super::tree::{Node, join};

/// What changed from one object to another.
#[derive(Debug, Default)]
pub(super) struct Diff<'a> {
    pub added: Set<'a>,
    pub modified: Set<'a>,
    pub removed: Set<'a>,
}

impl<'a> Diff<'a> {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    fn attach(&mut self, step: &Step<'a>, below: Diff<'a>) {
        for (all, one) in [
            (&mut self.added, below.added),
            (&mut self.modified, below.modified),
            (&mut self.removed, below.removed),
        ] {
            if !one.is_empty() {
                all.attach(step.clone(), one);
            }
        }
    }

    fn seal(&mut self) {
        self.added.seal();
        self.modified.seal();
        self.removed.seal();
    }
}

/// Fields that a writer does not own whatever it says: `status`, `metadata.labels`.
pub(super) type Ignored<'i> = &'i [&'i str];

/// Compares two objects of a kind.
pub(super) fn compare<'a>(
    kind: Kind<'_>,
    left: &Node<'a>,
    right: &Node<'a>,
    ignored: Ignored<'_>,
) -> Diff<'a> {
    let mut out = Diff::default();
    walk(kind, Some(left), Some(right), ignored, &mut out);
    out
}

fn walk<'a>(
    kind: Kind<'_>,
    left: Option<&Node<'a>>,
    right: Option<&Node<'a>>,
    ignored: Ignored<'_>,
    out: &mut Diff<'a>,
) {
    let Some(shown) = right.filter(|n| **n != Node::Null).or(left).or(right) else {
        return;
    };
    let nothing = left.is_none_or(Node::empty) && right.is_none_or(Node::empty);
    match kind.atom(shown) {
        _ if nothing => return leaf(left, right, out),
        Atom::Leaf => return leaf(left, right, out),
        Atom::Struct(s) => fields(left, right, ignored, out, |name| child(s, name).0),
        Atom::Map(of) => fields(left, right, ignored, out, |_| of),
        Atom::List(items) => list(items, left, right, out),
    }
    if left.is_none() {
        out.added.member = true;
    } else if right.is_none() {
        out.removed.member = true;
    }
}

fn leaf<'a>(left: Option<&Node<'a>>, right: Option<&Node<'a>>, out: &mut Diff<'a>) {
    match (left, right) {
        (None, Some(_)) => out.added.member = true,
        (Some(_), None) => out.removed.member = true,
        (Some(a), Some(b)) if a != b => out.modified.member = true,
        _ => {}
    }
}

fn fields<'a, 's>(
    left: Option<&Node<'a>>,
    right: Option<&Node<'a>>,
    ignored: Ignored<'_>,
    out: &mut Diff<'a>,
    kind_of: impl Fn(&[u8]) -> Kind<'s>,
) {
    let left = left.map_or(&[][..], Node::entries);
    let right = right.map_or(&[][..], Node::entries);
    join(left, right, |name, a, b| {
        // What is equal needs no walk: most of an update is.
        if a.is_some() && a == b {
            return;
        }
        let below = match within(ignored, name) {
            Within::All => return,
            Within::Some(rest) => rest,
        };
        let mut diff = Diff::default();
        walk(kind_of(name), a, b, &below, &mut diff);
        if !diff.is_empty() {
            out.attach(&Step::Field(name.clone()), diff);
        }
    });
    out.seal();
}

/// What of the ignored paths lies below a field: all of it, or these.
pub(super) enum Within<'i> {
    All,
    Some(Vec<&'i str>),
}

/// What of the ignored paths lies below a field.
pub(super) fn within<'i>(ignored: Ignored<'i>, name: &[u8]) -> Within<'i> {
    let mut rest = Vec::new();
    for path in ignored {
        match path.split_once('.') {
            None if path.as_bytes() == name => return Within::All,
            Some((first, more)) if first.as_bytes() == name => rest.push(more),
            _ => {}
        }
    }
    Within::Some(rest)
}

fn list<'a>(
    items: Items<'_>,
    left: Option<&Node<'a>>,
    right: Option<&Node<'a>>,
    out: &mut Diff<'a>,
) {
    let left = index(items, left);
    let right = index(items, right);
    join(&left, &right, |step, a, b| {
        let mut diff = Diff::default();
        match (a.map(Vec::as_slice), b.map(Vec::as_slice)) {
            (Some([a]), Some([b])) => {
                if a != b {
                    walk(items.of, Some(a), Some(b), &[], &mut diff);
                }
            }
            (Some([a]), None) => walk(items.of, Some(a), None, &[], &mut diff),
            (None, Some([b])) => walk(items.of, None, Some(b), &[], &mut diff),
            // Several items with one key: they are compared as a whole.
            (Some(_), None) => diff.removed.member = true,
            (None, Some(_)) => diff.added.member = true,
            (a, b) => diff.modified.member = a != b,
        }
        if !diff.is_empty() {
            out.attach(step, diff);
        }
    });
    out.seal();
}

/// A list's items by their steps, sorted. Items without a key are left out.
pub(super) fn index<'n, 'a>(
    items: Items<'_>,
    list: Option<&'n Node<'a>>,
) -> Vec<(Step<'a>, Vec<&'n Node<'a>>)> {
    let mut out: Vec<(Step<'a>, Vec<&'n Node<'a>>)> = Vec::new();
    for item in list.map_or(&[][..], Node::items) {
        if let Some(step) = items.step(item) {
            out.push((step, vec![item]));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out.dedup_by(|b, a| {
        let same = a.0 == b.0;
        if same {
            a.1.append(&mut b.1);
        }
        same
    });
    out
}

/// Every field that an object has.
pub(super) fn field_set<'a>(kind: Kind<'_>, node: &Node<'a>) -> Set<'a> {
    let mut out = Set::default();
    collect(kind, node, &mut out);
    out
}

fn collect<'a>(kind: Kind<'_>, node: &Node<'a>, out: &mut Set<'a>) {
    match kind.atom(node) {
        Atom::Leaf => out.member = true,
        Atom::Struct(s) => {
            for (name, value) in node.entries() {
                let (kind, known) = child(s, name);
                own(Step::Field(name.clone()), kind, value, !known, out);
            }
        }
        Atom::Map(of) => {
            for (name, value) in node.entries() {
                own(Step::Field(name.clone()), of, value, true, out);
            }
        }
        Atom::List(items) => {
            for item in node.items() {
                if let Some(step) = items.step(item) {
                    own(step, items.of, item, true, out);
                }
            }
        }
    }
    out.seal();
}

fn own<'a>(step: Step<'a>, kind: Kind<'_>, value: &Node<'a>, member: bool, out: &mut Set<'a>) {
    let mut below = Set::default();
    collect(kind, value, &mut below);
    let nothing = matches!(value, Node::Null) || matches!(value, Node::Map(m) if m.is_empty());
    below.member |= member || nothing;
    out.attach(step, below);
}
