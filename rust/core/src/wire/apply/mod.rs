//! Who owns which fields: what every write notes in metadata.managedFields, and server-side apply.
//!
//! The rules are those of KEP-555 and of sigs.k8s.io/structured-merge-diff, over the wire's field table.

mod compare;
mod created;
mod managed;
mod merge;
mod schema;
mod set;
mod text;
pub(crate) mod tree;

use self::schema::Kind;
use super::error::{Result, fail};
use super::table::{self, Shape};
use crate::schema::{Compiled, find as find_custom};
use compare::{compare, field_set};
use managed::Entry;
use set::{Set, Step};
use std::sync::Arc;
use text::Wanted;
use tree::{Bytes, Node};

/// Fields of metadata that nobody owns.
const UNOWNED: &[&[u8]] = &[
    b"creationTimestamp",
    b"generation",
    b"managedFields",
    b"name",
    b"namespace",
    b"resourceVersion",
    b"selfLink",
    b"uid",
];
/// Who owned an object's fields before its first apply, where nobody had noted it.
const BEFORE_FIRST_APPLY: &[u8] = b"before-first-apply";
/// The manager whose apply also keeps the annotation of client-side apply.
const KUBECTL: &[u8] = b"kubectl";

/// Who writes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'w> {
    /// The field manager.
    pub manager: &'w str,
    /// The apiVersion it writes in.
    pub version: &'w str,
    /// The subresource it writes through; empty for the object itself.
    pub subresource: &'w str,
    /// Now, in RFC 3339.
    pub time: &'w str,
    /// Fields that it cannot own: `status` on the main endpoint.
    pub ignored: &'w [&'w str],
}

impl<'w> Writer<'w> {
    fn entry(&self, applied: bool, fields: Vec<u8>) -> Entry<'w> {
        Entry {
            manager: Bytes::Borrowed(self.manager.as_bytes()),
            applied,
            version: Bytes::Borrowed(self.version.as_bytes()),
            subresource: Bytes::Borrowed(self.subresource.as_bytes()),
            time: Bytes::Borrowed(self.time.as_bytes()),
            fields: Bytes::Owned(fields),
        }
    }
}

/// One field that somebody else owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The owner as messages name it: `"kubectl" using apps/v1`.
    pub owner: String,
    /// `.spec.replicas`
    pub path: String,
}

/// What an apply comes to.
#[derive(Debug)]
pub enum Applied {
    /// The new object, to be read with `decode`, and its managedFields.
    Done {
        /// JSON of the object, without managedFields.
        object: Vec<u8>,
        /// JSON of the list.
        managed: Vec<u8>,
    },
    /// Others own what would change.
    Conflicts(Vec<Conflict>),
}

/// What an object is: of a type of the table, or a custom resource.
enum Typed {
    Table(table::TypeId),
    Custom(Arc<Compiled>),
}

impl Typed {
    fn of(key: &str) -> Result<Self> {
        match table::find(key) {
            Some(id) => Ok(Typed::Table(id)),
            None => match find_custom(key) {
                Some(found) => Ok(Typed::Custom(found)),
                None => fail(format!("no type {key:?} in the field table")),
            },
        }
    }

    fn kind(&self) -> Kind<'_> {
        match self {
            Typed::Table(id) => Kind::of_type(*id),
            Typed::Custom(found) => Kind::of_schema(found.schema()),
        }
    }
}

/// What Go writes for an empty object of the type.
fn zero(key: &str) -> &'static [u8] {
    match table::find(key).map(|id| table::get(id).shape) {
        Some(Shape::Struct(s)) => s.zero.as_bytes(),
        _ => b"{\"metadata\":{}}",
    }
}

fn managed_of<'n, 'a>(object: &'n Node<'a>) -> Option<&'n Node<'a>> {
    object.get(b"metadata")?.get(b"managedFields")
}

/// Takes out what nobody owns: the type, the identity, what the server keeps.
fn strip(set: &mut Set<'_>) {
    let named = |step: &Step<'_>, names: &[&[u8]]| matches!(step, Step::Field(n) if names.contains(&n.as_ref()));
    set.children
        .retain(|(step, _)| !named(step, &[b"apiVersion", b"kind"]));
    for (step, below) in &mut set.children {
        if named(step, &[b"metadata"]) {
            below.member = false;
            below.children.retain(|(step, _)| !named(step, UNOWNED));
        }
    }
    set.children.retain(|(_, below)| !below.is_empty());
}

/// Takes out what a writer cannot own.
fn filter<'a>(set: &Set<'a>, ignored: &[&str]) -> Set<'a> {
    let mut out = set.clone();
    for path in ignored {
        drop_path(&mut out, path);
    }
    out
}

fn drop_path(set: &mut Set<'_>, path: &str) {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let step = Step::Field(Bytes::Borrowed(first.as_bytes()));
    if let Ok(at) = set.children.binary_search_by(|(s, _)| s.cmp(&step)) {
        match rest {
            None => {
                set.children.remove(at);
            }
            Some(rest) => {
                drop_path(&mut set.children[at].1, rest);
                if set.children[at].1.is_empty() {
                    set.children.remove(at);
                }
            }
        }
    }
}

/// The managedFields of an object after a create or update, as JSON; nothing where they stay as they are in `live`.
///
/// `live` is the stored object, or nothing for a create; `new` what is to be stored. An update may bring entries of its
/// own (it read the object before); `[{}]` forgets all. Objects of which nothing is noted stay so.
pub fn update<'a>(
    key: &str,
    live: Option<&'a [u8]>,
    new: &'a [u8],
    writer: &Writer<'a>,
) -> Result<Option<Vec<u8>>> {
    let typed = Typed::of(key)?;
    let kind = typed.kind();
    let (old, new) = match live {
        Some(live) => Node::parse_pair(live, new, writer.ignored)?,
        None => (
            Node::parse(zero(key))?,
            Node::parse_without(new, writer.ignored)?,
        ),
    };
    let (given, kept) = (managed_of(&new), managed_of(&old));
    let foreign = writer.subresource.is_empty() && given.is_some() && given != kept;
    if foreign && live.is_some() && managed::is_reset(given) {
        return Ok(Some(b"[]".to_vec()));
    }
    let mut entries = if foreign {
        managed::read_foreign(given)
    } else {
        Vec::new()
    };
    let changed_hands = !entries.is_empty();
    if live.is_none() && !changed_hands {
        let mut fields = Vec::with_capacity(2048);
        if !created::write(kind, &old, &new, writer.ignored, &mut fields) {
            return Ok(None);
        }
        entries.push(writer.entry(false, fields));
        return Ok(Some(list(&mut entries)));
    }
    if !changed_hands {
        entries = managed::read(kept);
    }
    if entries.is_empty() {
        return Ok(None);
    }
    let mut diff = compare(kind, &old, &new, writer.ignored);
    strip(&mut diff.added);
    strip(&mut diff.modified);
    strip(&mut diff.removed);
    if diff.is_empty() && !changed_hands {
        return Ok(None);
    }
    let taken = diff.added.with(diff.modified);
    let gone = Wanted::of(&diff.removed);
    for entry in &mut entries {
        if gone.meets(&entry.fields) {
            entry.lose(&diff.removed);
        }
    }
    if !taken.is_empty() {
        take(&mut entries, writer, &taken);
    }
    Ok(Some(list(&mut entries)))
}

fn list(entries: &mut Vec<Entry<'_>>) -> Vec<u8> {
    let mut out = Vec::new();
    managed::write(entries, &mut out);
    out
}

/// Gives fields to a writer, and takes them from the others.
fn take<'a>(entries: &mut Vec<Entry<'a>>, writer: &Writer<'a>, taken: &Set<'_>) {
    let wanted = Wanted::of(taken);
    let mut mine = writer.entry(false, Vec::new());
    let mut found = false;
    for entry in entries.iter_mut() {
        if entry.same(&mine) {
            found = true;
            entry.time.clone_from(&mine.time);
            if !wanted.within(&entry.fields) {
                entry.gain(taken);
            }
        } else if wanted.meets(&entry.fields) {
            entry.lose(taken);
        }
    }
    if !found {
        mine.fields = Bytes::Owned(taken.text());
        entries.push(mine);
    }
}

/// Server-side apply: `live` (nothing for a create) after a manager has applied `config`.
///
/// Both are JSON of the type; `config` has been read with `decode`, so it has no unknown fields.
pub fn apply<'a>(
    key: &str,
    live: Option<&'a [u8]>,
    config: &'a [u8],
    writer: &Writer<'a>,
    force: bool,
) -> Result<Applied> {
    let typed = Typed::of(key)?;
    let kind = typed.kind();
    let mut old = Node::parse(live.unwrap_or_else(|| zero(key)))?;
    let config = Node::parse(config)?;
    let mut entries = managed::read(managed_of(&old));
    drop_managed(&mut old);
    if entries.is_empty() && live.is_some() {
        entries.push(unnoted(key, kind, &old, writer)?);
    }
    let first = attempt(
        kind,
        &old,
        &config,
        entries.clone(),
        writer,
        force,
        live.is_some(),
    );
    match first {
        Attempt::Conflicts(sets) => {
            let allowed = last_applied(kind, key, &old, writer)?;
            let left: Vec<Conflict> = sets
                .iter()
                .flat_map(|(owner, set)| {
                    let rest = match &allowed {
                        Some(allowed) => set.difference(&allowed.borrow_set()),
                        None => set.clone(),
                    };
                    rest.paths()
                        .into_iter()
                        .map(|path| Conflict {
                            owner: owner.clone(),
                            path,
                        })
                        .collect::<Vec<_>>()
                })
                .collect();
            if !left.is_empty() {
                return Ok(Applied::Conflicts(left));
            }
            match attempt(kind, &old, &config, entries, writer, true, live.is_some()) {
                Attempt::Done(object, entries) => Ok(done(&object, entries)),
                Attempt::Conflicts(_) => fail("a forced apply has no conflicts"),
            }
        }
        Attempt::Done(object, entries) => Ok(done(&object, entries)),
    }
}

fn done(object: &Node<'_>, mut entries: Vec<Entry<'_>>) -> Applied {
    let (mut json, mut managed) = (Vec::new(), Vec::new());
    object.write(&mut json);
    managed::write(&mut entries, &mut managed);
    Applied::Done {
        object: json,
        managed,
    }
}

fn drop_managed(object: &mut Node<'_>) {
    if let Node::Map(entries) = object {
        for (name, value) in entries {
            if name.as_ref() == b"metadata" {
                value.take(b"managedFields");
            }
        }
    }
}

/// Everything of an object that nobody had noted, as one updater's.
fn unnoted<'w>(
    key: &str,
    kind: Kind<'_>,
    old: &Node<'_>,
    writer: &Writer<'w>,
) -> Result<Entry<'w>> {
    let empty = Node::parse(zero(key))?;
    let diff = compare(kind, &empty, old, &[]);
    let mut set = diff.added.union(&diff.modified);
    strip(&mut set);
    let mut entry = writer.entry(false, set.text());
    entry.manager = Bytes::Borrowed(BEFORE_FIRST_APPLY);
    entry.subresource = Bytes::Borrowed(b"");
    Ok(entry)
}

enum Attempt<'a> {
    Done(Node<'a>, Vec<Entry<'a>>),
    Conflicts(Vec<(String, Set<'a>)>),
}

fn attempt<'a>(
    kind: Kind<'_>,
    old: &Node<'a>,
    config: &Node<'a>,
    mut entries: Vec<Entry<'a>>,
    writer: &Writer<'a>,
    force: bool,
    exists: bool,
) -> Attempt<'a> {
    let merged = merge::merge(kind, old, config);
    let applied = filter(&field_set(kind, config), writer.ignored);
    let mut set = applied.clone();
    strip(&mut set);
    let mut mine = writer.entry(true, set.text());
    let at = entries.iter().position(|e| e.same(&mine));
    let last = at.map(|i| entries.remove(i));
    let others: Vec<Set<'a>> = entries.iter().map(|entry| entry.set().owned()).collect();
    let new = match &last {
        Some(last) if !last.fields.is_empty() && last.fields != mine.fields => {
            // Every configuration has a name, though nobody owns it: metadata itself always stays.
            prune(kind, &merged, &last.set().owned(), &applied, &others)
        }
        _ => merged,
    };
    let mut diff = compare(kind, old, &new, writer.ignored);
    strip(&mut diff.added);
    strip(&mut diff.modified);
    strip(&mut diff.removed);
    let changed = diff.added.union(&diff.modified);
    let mut conflicts: Vec<(String, Set<'a>)> = entries
        .iter()
        .zip(&others)
        .filter(|(_, set)| set.meets(&changed))
        .map(|(entry, set)| (entry.shown(), set.intersection(&changed)))
        .collect();
    if !conflicts.is_empty() && !force {
        conflicts.sort_by(|a, b| a.0.cmp(&b.0));
        return Attempt::Conflicts(conflicts);
    }
    for (entry, set) in entries.iter_mut().zip(&others) {
        if set.meets(&changed) || set.meets(&diff.removed) {
            entry.own(&set.difference(&changed).difference(&diff.removed));
        }
    }
    if exists && diff.is_empty() {
        // The time is that of the manager's last change to the object, not of one to its owners alone; who has changed
        // nothing so far has none.
        mine.time = last.map_or(Bytes::Borrowed(&[]), |last| last.time);
    }
    entries.push(mine);
    Attempt::Done(new, entries)
}

/// Takes out what the manager applied before and applies no more, as far as nobody else owns it.
fn prune<'a>(
    kind: Kind<'_>,
    merged: &Node<'a>,
    last: &Set<'a>,
    mine: &Set<'a>,
    others: &[Set<'a>],
) -> Node<'a> {
    let last = merge::named(kind, last);
    let pruned = merge::remove(kind, merged, &last);
    let owned = others
        .iter()
        .fold(mine.clone(), |all, theirs| all.union(theirs));
    let owned = merge::named(kind, &owned);
    let all = merge::named(kind, &field_set(kind, merged));
    // What others own, or the manager's new configuration, comes back …
    let kept = merge::named(kind, &field_set(kind, &pruned)).union(&owned);
    let pruned = merge::remove(kind, merged, &all.difference(&kept));
    // … and so does what nobody owned: only what was the manager's goes.
    let kept = merge::named(kind, &field_set(kind, &pruned));
    merge::remove(kind, merged, &all.difference(&kept).intersection(&last))
}

/// Fields that kubectl's client-side apply set and nobody changed since: kubectl may take them without force.
fn last_applied(
    kind: Kind<'_>,
    key: &str,
    old: &Node<'_>,
    writer: &Writer<'_>,
) -> Result<Option<Owned>> {
    if writer.manager.as_bytes() != KUBECTL {
        return Ok(None);
    }
    let annotation = old
        .get(b"metadata")
        .and_then(|m| m.get(b"annotations"))
        .and_then(|a| a.get(b"kubectl.kubernetes.io/last-applied-configuration"));
    let Some(Node::Text(text)) = annotation else {
        return Ok(None);
    };
    let Ok(config) = crate::wire::decode(key, crate::wire::Media::Json, text) else {
        return Ok(None);
    };
    let config = Node::parse(&config.json)?;
    let diff = compare(kind, &config, old, &[]);
    let set = field_set(kind, &config)
        .difference(&diff.modified)
        .difference(&diff.added)
        .difference(&diff.removed);
    let mut json = Vec::new();
    set.write(&mut json);
    Ok(Some(Owned(json)))
}

/// A set that outlives what it was read from.
struct Owned(Vec<u8>);

impl Owned {
    fn borrow_set(&self) -> Set<'_> {
        Node::parse(&self.0)
            .and_then(|node| Set::parse(&node))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MAP: &str = "core/v1.ConfigMap";

    fn writer<'w>(manager: &'w str, time: &'w str) -> Writer<'w> {
        Writer {
            manager,
            version: "v1",
            subresource: "",
            time,
            ignored: &["status"],
        }
    }

    fn noted(live: Option<&str>, new: &str, manager: &str) -> Option<String> {
        let live = live.map(str::as_bytes);
        let out = update(MAP, live, new.as_bytes(), &writer(manager, "t")).unwrap();
        out.map(|json| String::from_utf8(json).unwrap())
    }

    fn entry(manager: &str, fields: &str) -> String {
        format!(
            r#"{{"manager":"{manager}","operation":"Update","apiVersion":"v1","time":"t","fieldsType":"FieldsV1","fieldsV1":{fields}}}"#
        )
    }

    fn map(managed: &str, data: &str) -> String {
        format!(r#"{{"metadata":{{"managedFields":[{managed}]}},"data":{data}}}"#)
    }

    #[test]
    fn a_creator_owns_what_is_there() {
        let new =
            r#"{"kind":"ConfigMap","metadata":{"name":"n","labels":{"l":"v"}},"data":{"a":"1"}}"#;
        let fields = r#"{"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#;
        let made = noted(None, new, "m").unwrap();
        assert_eq!(made, format!("[{}]", entry("m", fields)));
        assert_eq!(noted(None, r#"{"metadata":{"name":"n"}}"#, "m"), None);
    }

    #[test]
    fn an_updater_takes_what_it_changes_and_nothing_else() {
        let first = entry("a", r#"{"f:data":{".":{},"f:x":{},"f:y":{}}}"#);
        let live = map(&first, r#"{"x":"1","y":"1"}"#);
        let new = map(&first, r#"{"x":"2","y":"1"}"#);
        let expected = format!(
            "[{},{}]",
            entry("a", r#"{"f:data":{".":{},"f:y":{}}}"#),
            entry("b", r#"{"f:data":{"f:x":{}}}"#)
        );
        assert_eq!(noted(Some(&live), &new, "b").unwrap(), expected);
        assert_eq!(noted(Some(&live), &live, "b"), None);
        // Who owns it already keeps its entry; what goes is nobody's.
        let kept = noted(Some(&live), &new, "a").unwrap();
        assert_eq!(kept, format!("[{first}]"));
        let less = map(&first, r#"{"x":"1"}"#);
        let left = entry("a", r#"{"f:data":{".":{},"f:x":{}}}"#);
        assert_eq!(noted(Some(&live), &less, "b").unwrap(), format!("[{left}]"));
    }

    #[test]
    fn only_so_many_updaters_are_kept() {
        let mut live: Option<String> = None;
        for i in 0..15 {
            let data: Vec<String> = (0..=i).map(|k| format!(r#""k{k}":"0""#)).collect();
            let data = format!("{{{}}}", data.join(","));
            let (manager, time) = (format!("m{i:02}"), format!("t{i:02}"));
            let out = update(
                MAP,
                live.as_deref().map(str::as_bytes),
                map("", &data)
                    .replace(r#""managedFields":[]"#, "")
                    .as_bytes(),
                &writer(&manager, &time),
            );
            let managed = String::from_utf8(out.unwrap().unwrap()).unwrap();
            live = Some(map(&managed[1..managed.len() - 1], &data));
        }
        let live = live.unwrap();
        assert_eq!(live.matches(r#""manager":"#).count(), 10, "{live}");
        assert!(live.contains("ancient-changes"), "{live}");
    }

    #[test]
    fn who_gives_up_all_it_had_in_metadata_leaves_the_rest_of_it() {
        let mut mine = entry("m", r#"{"f:metadata":{"f:labels":{"f:l":{}}}}"#);
        mine = mine.replace("Update", "Apply");
        let live = format!(
            r#"{{"metadata":{{"name":"n","namespace":"s","labels":{{"l":"v"}},"managedFields":[{mine}]}}}}"#
        );
        let config = r#"{"metadata":{"name":"n"},"data":{"a":"1"}}"#.as_bytes();
        let writer = writer("m", "t");
        match apply(MAP, Some(live.as_bytes()), config, &writer, false).unwrap() {
            Applied::Done { object, .. } => assert_eq!(
                String::from_utf8(object).unwrap(),
                r#"{"data":{"a":"1"},"metadata":{"name":"n","namespace":"s"}}"#
            ),
            Applied::Conflicts(all) => panic!("{all:?}"),
        }
    }
}
