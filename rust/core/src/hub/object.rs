//! One object's current state, and all of a resource in the order of lists.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::scan::Text;
use super::schema::{Field, Schema};

/// An object as stored, with what selectors ask for.
#[derive(Debug)]
pub struct Object {
    /// Empty for cluster-scoped objects.
    pub namespace: Box<str>,
    /// Unique in its namespace.
    pub name: Box<str>,
    /// Its resourceVersion.
    pub revision: u64,
    /// Its JSON.
    pub value: Arc<[u8]>,
    fields: Box<[Text]>,
    labels: Box<[(Text, Text)]>,
    revision_at: Option<(u32, u32)>,
}

impl Object {
    /// Reads from `value` what the schema asks for.
    pub fn new(
        schema: &Schema,
        namespace: &str,
        name: &str,
        revision: u64,
        value: Arc<[u8]>,
    ) -> Object {
        let (fields, labels, revision_at) = schema.read(&value);
        Object {
            namespace: namespace.into(),
            name: name.into(),
            revision,
            value,
            fields,
            labels,
            revision_at,
        }
    }

    /// The text of a selectable field; empty when absent.
    pub fn field(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.name,
            Field::Namespace => &self.namespace,
            Field::Declared(index) => self
                .fields
                .get(index)
                .map_or("", |text| text.get(&self.value)),
        }
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self
            .labels
            .binary_search_by(|(one, _)| one.get(&self.value).cmp(key))
            .ok()?;
        Some(self.labels[found].1.get(&self.value))
    }

    /// The same bytes with another resourceVersion.
    pub fn value_at(&self, revision: u64) -> Arc<[u8]> {
        match self.revision_at {
            Some((start, end)) => [
                &self.value[..start as usize],
                revision.to_string().as_bytes(),
                &self.value[end as usize..],
            ]
            .concat()
            .into(),
            None => Arc::clone(&self.value),
        }
    }

    /// Where it stands to another place: by `namespace/name` as one text, as upstream's keys in etcd.
    pub fn order(&self, namespace: &str, name: &str) -> Ordering {
        let (own, other) = (self.namespace.as_bytes(), namespace.as_bytes());
        let shared = own.len().min(other.len());
        // No namespace contains a slash: where one goes on, its next byte is compared with the other's slash.
        own[..shared].cmp(&other[..shared]).then_with(|| {
            match (own.get(shared), other.get(shared)) {
                (Some(next), _) => next.cmp(&b'/'),
                (_, Some(next)) => b'/'.cmp(next),
                _ => (*self.name).cmp(name),
            }
        })
    }
}

/// Objects in one chunk at most. Chunks keep an insertion from moving more than 4 KiB and ranks cheap to count.
const CHUNK: usize = 512;

/// All objects of a resource, sorted by `namespace/name` as one text.
#[derive(Debug, Default)]
pub struct Objects {
    chunks: Vec<Vec<Arc<Object>>>,
    len: usize,
}

/// A place between two objects: the chunk, and the object in it.
type Place = (usize, usize);

impl Objects {
    /// How many there are.
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first place not before the name; whether it is there.
    fn find(&self, namespace: &str, name: &str) -> (Place, bool) {
        self.search(|object| object.order(namespace, name))
    }

    /// The first place behind a namespace.
    fn end(&self, namespace: &str) -> Place {
        let behind = |object: &Object| match *object.namespace == *namespace {
            true => Ordering::Less,
            false => object.order(namespace, ""),
        };
        self.search(behind).0
    }

    /// The first place whose object is not `Less`; whether that one is `Equal`.
    fn search(&self, order: impl Fn(&Object) -> Ordering) -> (Place, bool) {
        let after = self.chunks.partition_point(|chunk| {
            chunk
                .first()
                .is_some_and(|first| order(first) != Ordering::Greater)
        });
        let Some(chunk) = after.checked_sub(1) else {
            return ((0, 0), false);
        };
        match self.chunks[chunk].binary_search_by(|object| order(object)) {
            Ok(index) => ((chunk, index), true),
            Err(index) => ((chunk, index), false),
        }
    }

    /// The object of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        let ((chunk, index), found) = self.find(namespace, name);
        found.then(|| &self.chunks[chunk][index])
    }

    /// Adds or replaces; gives what was there.
    pub fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let ((chunk, index), found) = self.find(&object.namespace, &object.name);
        if found {
            return Some(std::mem::replace(&mut self.chunks[chunk][index], object));
        }
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(vec![object]);
            return None;
        }
        let full = &mut self.chunks[chunk];
        full.insert(index, object);
        if full.len() > CHUNK {
            // At the end of all only the newcomer goes over: names often come in their order.
            let at = if index == CHUNK && chunk + 1 == self.chunks.len() {
                CHUNK
            } else {
                CHUNK / 2
            };
            let rest = self.chunks[chunk].split_off(at);
            self.chunks.insert(chunk + 1, rest);
        }
        None
    }

    /// Takes an object out.
    pub fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let ((chunk, index), found) = self.find(namespace, name);
        if !found {
            return None;
        }
        self.len -= 1;
        let object = self.chunks[chunk].remove(index);
        if self.chunks[chunk].is_empty() {
            self.chunks.remove(chunk);
        }
        Some(object)
    }

    /// Where objects of the namespace (None: all) that follow `after` stand, as ranks.
    pub fn range(&self, namespace: Option<&str>, after: Option<(&str, &str)>) -> Range<usize> {
        let (mut start, mut end) = (0, self.len);
        if let Some(namespace) = namespace {
            start = self.rank(self.find(namespace, "").0);
            end = self.rank(self.end(namespace));
        }
        if let Some((namespace, name)) = after {
            let (place, found) = self.find(namespace, name);
            start = start.max(self.rank(place) + usize::from(found));
        }
        start..end.max(start)
    }

    fn rank(&self, place: Place) -> usize {
        self.chunks[..place.0].iter().map(Vec::len).sum::<usize>() + place.1
    }

    /// The objects at these ranks, in order.
    pub fn iter(&self, ranks: Range<usize>) -> impl Iterator<Item = &Arc<Object>> {
        let (mut chunk, mut index) = (0, ranks.start);
        while let Some(objects) = self.chunks.get(chunk) {
            if index < objects.len() {
                break;
            }
            index -= objects.len();
            chunk += 1;
        }
        self.chunks[chunk..]
            .iter()
            .flatten()
            .skip(index)
            .take(ranks.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn keeps_order_and_ranks_like_a_sorted_map() {
        let schema = Schema::new(&[], true, "v1", "Pod");
        let mut objects = Objects::default();
        let mut model = BTreeMap::new();
        let text = |namespace: &str, name: &str| format!("{namespace}/{name}");
        let mut seed = 7_u64;
        for step in 0..20_000_u64 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let namespace = ["a", "a-b", "a0", "b"][(seed >> 33) as usize % 4];
            let name = format!("p{}", (seed >> 40) % 3000);
            if seed >> 62 == 0 {
                let gone = objects
                    .remove(namespace, &name)
                    .map(|object| object.revision);
                assert_eq!(gone, model.remove(&text(namespace, &name)));
            } else {
                let object = Object::new(&schema, namespace, &name, step, b"{}"[..].into());
                let was = objects
                    .insert(Arc::new(object))
                    .map(|object| object.revision);
                assert_eq!(was, model.insert(text(namespace, &name), step));
            }
        }
        assert_eq!(objects.len(), model.len());
        assert!(
            objects
                .iter(0..objects.len())
                .map(|object| object.revision)
                .eq(model.values().copied())
        );
        for namespace in ["", "a", "a-b", "a0", "b", "c"] {
            for after in [
                ("a", "p17"),
                ("a-b", ""),
                ("b", "p2999"),
                ("c", "x"),
                ("", ""),
            ] {
                let wanted: Vec<u64> = model
                    .iter()
                    .filter(|(key, _)| {
                        key.split_once('/').unwrap().0 == namespace
                            && **key > text(after.0, after.1)
                    })
                    .map(|(_, revision)| *revision)
                    .collect();
                let found = objects.range(Some(namespace), Some(after));
                assert_eq!(
                    objects
                        .iter(found)
                        .map(|object| object.revision)
                        .collect::<Vec<_>>(),
                    wanted
                );
            }
        }
        let (middle, revision) = model.iter().nth(model.len() / 2).unwrap();
        let (namespace, name) = middle.split_once('/').unwrap();
        assert_eq!(objects.get(namespace, name).unwrap().revision, *revision);
    }

    #[test]
    fn another_revision_in_the_same_bytes() {
        let schema = Schema::new(&[], true, "v1", "Pod");
        let value = br#"{"metadata":{"resourceVersion":"9","name":"a"}}"#;
        let object = Object::new(&schema, "", "a", 9, value[..].into());
        assert_eq!(
            &*object.value_at(123),
            br#"{"metadata":{"resourceVersion":"123","name":"a"}}"#
        );
    }
}
