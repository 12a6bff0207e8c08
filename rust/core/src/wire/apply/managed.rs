//! The entries of metadata.managedFields: who owns which fields, by which operation, since when.

use super::set::Set;
use super::tree::Node;
use crate::wire::error::Result;
use crate::wire::write;

/// Update entries of an object; the oldest of more are put together.
const MAX_UPDATERS: usize = 10;
const ANCIENT: &[u8] = b"ancient-changes";
const UPDATE: &[u8] = b"Update";
pub(super) const APPLY: &[u8] = b"Apply";

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub manager: Vec<u8>,
    pub applied: bool,
    pub version: Vec<u8>,
    pub subresource: Vec<u8>,
    /// RFC 3339, empty where it is not known.
    pub time: Vec<u8>,
    pub set: Set<'a>,
}

impl Entry<'_> {
    /// Whether both are of the same writer: an applier is known by its name alone, an updater by its version too.
    pub fn same(&self, other: &Entry<'_>) -> bool {
        self.manager == other.manager
            && self.applied == other.applied
            && self.subresource == other.subresource
            && (self.applied || self.version == other.version)
    }

    /// As a conflict names its owner.
    pub fn shown(&self) -> String {
        let mut out = format!("{:?}", String::from_utf8_lossy(&self.manager));
        if !self.subresource.is_empty() {
            out += &format!(
                " with subresource {:?}",
                String::from_utf8_lossy(&self.subresource)
            );
        }
        if !self.applied {
            out += &format!(" using {}", String::from_utf8_lossy(&self.version));
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
        self.set.write(out);
        if !self.subresource.is_empty() {
            out.extend_from_slice(b",\"subresource\":");
            write::string(out, &self.subresource);
        }
        out.push(b'}');
    }
}

/// Reads the entries; none where the list is missing or cannot be read.
pub(super) fn read<'a>(list: Option<&Node<'a>>) -> Vec<Entry<'a>> {
    let items = list.map_or(&[][..], Node::items);
    items
        .iter()
        .map(entry)
        .collect::<Result<Vec<_>>>()
        .unwrap_or_default()
}

/// `[{}]`: the way to say that ownership shall be forgotten.
pub(super) fn is_reset(list: Option<&Node<'_>>) -> bool {
    matches!(list.map_or(&[][..], Node::items), [Node::Map(entry)] if entry.is_empty())
}

fn entry<'a>(node: &Node<'a>) -> Result<Entry<'a>> {
    let text = |name: &[u8]| match node.get(name) {
        Some(Node::Text(text)) => text.to_vec(),
        _ => Vec::new(),
    };
    let operation = text(b"operation");
    if operation != UPDATE && operation != APPLY {
        return crate::wire::error::fail("operation must be Update or Apply");
    }
    let set = match node.get(b"fieldsV1") {
        Some(fields) => Set::parse(fields)?,
        None => Set::default(),
    };
    Ok(Entry {
        manager: text(b"manager"),
        applied: operation == APPLY,
        version: text(b"apiVersion"),
        subresource: text(b"subresource"),
        time: text(b"time"),
        set,
    })
}

/// Writes the entries as JSON, in the order that upstream keeps: appliers first, then by time and name.
pub(super) fn write(entries: &mut Vec<Entry<'_>>, out: &mut Vec<u8>) {
    entries.retain(|e| !e.set.is_empty());
    cap(entries);
    entries.sort_by(|a, b| {
        b.applied
            .cmp(&a.applied)
            .then_with(|| a.time.cmp(&b.time))
            .then_with(|| a.manager.cmp(&b.manager))
            .then_with(|| a.version.cmp(&b.version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
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
        match first
            .iter()
            .copied()
            .find(|&f| entries[f].version == entries[i].version)
        {
            None => first.push(i),
            Some(bucket) => {
                let set = entries[i].set.union(&entries[bucket].set);
                entries[bucket].set = set;
                entries[bucket].time = entries[i].time.clone();
                entries[bucket].manager = ANCIENT.to_vec();
                entries[bucket].subresource.clear();
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
