//! Merging what is applied into what is there, and taking out what nobody wants any more.

use super::compare::index;
use super::schema::{Atom, Items, Kind, child};
use super::set::{Set, Step};
use super::tree::{Node, join};

/// `left` with everything that `right` says.
pub(super) fn merge<'a>(kind: Kind<'_>, left: &Node<'a>, right: &Node<'a>) -> Node<'a> {
    both(kind, Some(left), Some(right))
}

fn both<'a>(kind: Kind<'_>, left: Option<&Node<'a>>, right: Option<&Node<'a>>) -> Node<'a> {
    let Some(shown) = right.filter(|n| **n != Node::Null).or(left).or(right) else {
        return Node::Null;
    };
    let keep = || right.or(left).cloned().unwrap_or(Node::Null);
    if left.is_none_or(Node::empty) && right.is_none_or(Node::empty) {
        return keep();
    }
    match kind.atom(shown) {
        Atom::Leaf => keep(),
        Atom::Struct(s) => fields(left, right, |name| child(s, name).0),
        Atom::Map(of) => fields(left, right, |_| of),
        Atom::List(items) => list(items, left, right),
    }
}

fn fields<'a, 's>(
    left: Option<&Node<'a>>,
    right: Option<&Node<'a>>,
    kind_of: impl Fn(&[u8]) -> Kind<'s>,
) -> Node<'a> {
    let left = left.map_or(&[][..], Node::entries);
    let right = right.map_or(&[][..], Node::entries);
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    join(left, right, |name, a, b| {
        out.push((name.clone(), both(kind_of(name), a, b)));
    });
    Node::Map(out)
}

/// The items of both: those that both have in the right one's order, the left one's others where they stood.
fn list<'a>(items: Items<'_>, left: Option<&Node<'a>>, right: Option<&Node<'a>>) -> Node<'a> {
    let (lefts, rights) = (index(items, left), index(items, right));
    let find = |side: &[(Step<'a>, Vec<&Node<'a>>)], step: &Step<'a>| -> Option<Node<'a>> {
        let at = side.binary_search_by(|(s, _)| s.cmp(step)).ok()?;
        Some(side[at].1[0].clone())
    };
    let steps = |node: Option<&Node<'a>>| -> Vec<(Option<Step<'a>>, Node<'a>)> {
        node.map_or(&[][..], Node::items)
            .iter()
            .map(|item| (items.step(item), item.clone()))
            .collect()
    };
    let (l, r) = (steps(left), steps(right));
    let mut shared = r
        .iter()
        .filter_map(|(step, _)| step.as_ref())
        .filter(|step| find(&lefts, step).is_some())
        .peekable();
    let mut merged: Vec<&Step<'a>> = Vec::new();
    let mut out = Vec::with_capacity(l.len().max(r.len()));
    let (mut i, mut j) = (0, 0);
    while i < l.len() || j < r.len() {
        if let Some((step, item)) = l.get(i) {
            let theirs = step.as_ref().and_then(|s| find(&rights, s));
            let (Some(step), Some(theirs)) = (step, theirs) else {
                out.push(item.clone());
                i += 1;
                continue;
            };
            if let Some((Some(next), _)) = r.get(j) {
                if step == next {
                    merged.push(step);
                    out.push(both(items.of, Some(item), Some(&theirs)));
                    (i, j) = (i + 1, j + 1);
                    shared.next();
                    continue;
                }
                if shared.peek().is_some_and(|wanted| *wanted != step) {
                    // Both have it, but its turn comes later.
                    i += 1;
                    continue;
                }
            }
            if merged.contains(&step) {
                i += 1;
                continue;
            }
        }
        if let Some((step, item)) = r.get(j) {
            let ours = step.as_ref().and_then(|s| find(&lefts, s));
            out.push(both(items.of, ours.as_ref(), Some(item)));
            if let Some(step) = step {
                merged.push(step);
                if shared.peek() == Some(&step) {
                    shared.next();
                }
            }
            j += 1;
        } else {
            i += 1;
        }
    }
    Node::List(out)
}

/// The object without the fields and items that are in the set. What becomes empty by that becomes null.
pub(super) fn remove<'a>(kind: Kind<'_>, node: &Node<'a>, set: &Set<'_>) -> Node<'a> {
    if set.children.is_empty() || node.empty() {
        return node.clone();
    }
    match kind.atom(node) {
        Atom::Leaf => node.clone(),
        Atom::Struct(s) => without(node, set, |name| child(s, name).0),
        Atom::Map(of) => without(node, set, |_| of),
        Atom::List(items) => {
            let mut out = Vec::with_capacity(node.items().len());
            for item in node.items() {
                match items.step(item).as_ref().and_then(|s| set.below(s)) {
                    Some(below) if below.member => {}
                    Some(below) => out.push(remove(items.of, item, below)),
                    None => out.push(item.clone()),
                }
            }
            if out.is_empty() {
                Node::Null
            } else {
                Node::List(out)
            }
        }
    }
}

fn without<'a, 's>(
    node: &Node<'a>,
    set: &Set<'_>,
    kind_of: impl Fn(&[u8]) -> Kind<'s>,
) -> Node<'a> {
    let mut out = Vec::with_capacity(node.entries().len());
    for (name, value) in node.entries() {
        match set.below(&Step::Field(name.clone())) {
            Some(below) if below.member => {}
            Some(below) => out.push((name.clone(), remove(kind_of(name), value, below))),
            None => out.push((name.clone(), value.clone())),
        }
    }
    if out.is_empty() {
        Node::Null
    } else {
        Node::Map(out)
    }
}

/// The set with every struct field in it that anything below is in it of.
pub(super) fn named<'a>(kind: Kind<'_>, set: &Set<'a>) -> Set<'a> {
    let shape = Node::Map(Vec::new());
    let atom = kind.atom(&shape);
    let mut out = Set {
        member: set.member,
        children: Vec::with_capacity(set.children.len()),
    };
    for (step, below) in &set.children {
        let (of, field) = match (&atom, step) {
            (Atom::Struct(s), Step::Field(name)) => child(*s, name),
            (Atom::Map(of), _) => (*of, false),
            (Atom::List(items), _) => (items.of, false),
            _ => (Kind::UNKNOWN, false),
        };
        let mut more = named(of, below);
        more.member |= field;
        out.attach(step.clone(), more);
    }
    out
}
