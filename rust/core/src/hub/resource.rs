//! One resource: its current objects, its ring, its watchers. All under one lock, held for short steps only.

use std::sync::Arc;

use super::event::{Event, Frame};
use super::object::{Object, Objects};
use super::schema::{Field, Schema};
use super::selector::Selector;
use super::topic::{TopicKey, Topics};
use super::watcher::{Bell, State, Watcher};
use super::{Change, Error, List};

/// The versions that a resource's ring may hold on to, in bytes: what ten thousand pods have when each is written once.
const RING_BYTES: usize = 32 << 20;

/// However large they are, so many of the last events are kept.
const RING_LEAST: u64 = 100;

/// What the lock guards.
#[derive(Debug)]
pub struct Resource {
    schema: Schema,
    objects: Objects,
    topics: Topics,
    ring: u64,
    ring_bytes: usize,
    /// Of the newest event.
    revision: u64,
    /// Events up to here are gone from the ring, or were never in it.
    floor: u64,
    watchers: Vec<Option<Watcher>>,
    free: Vec<usize>,
}

/// What a watch asks for.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// None: all namespaces.
    pub namespace: Option<&'a str>,
    /// As in the URL.
    pub labels: &'a str,
    /// As in the URL.
    pub fields: &'a str,
    /// Events after this revision; None: from now.
    pub since: Option<u64>,
    /// First all objects as they are now.
    pub initial: bool,
    /// Bookmarks are wanted.
    pub bookmarks: bool,
    /// After the initial objects a bookmark says so.
    pub initial_end: bool,
}

impl Resource {
    /// Without objects; what happened up to `floor` is unknown.
    pub fn new(schema: Schema, ring: usize, floor: u64) -> Resource {
        Resource {
            topics: Topics::new(schema.len()),
            schema,
            objects: Objects::default(),
            ring: ring as u64,
            ring_bytes: 0,
            revision: floor,
            floor,
            watchers: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Takes another schema. Events and watches that were made under the old one end.
    pub fn declare(&mut self, schema: Schema, ring: &mut dyn FnMut(&Arc<Bell>)) {
        if schema.same(&self.schema) {
            return;
        }
        let mut objects = Objects::default();
        for old in self.objects.iter(0..self.objects.len()) {
            let Object {
                namespace,
                name,
                revision,
                value,
                ..
            } = &**old;
            objects.insert(Arc::new(Object::new(
                &schema,
                namespace,
                name,
                *revision,
                Arc::clone(value),
            )));
        }
        self.objects = objects;
        self.topics = Topics::new(schema.len());
        self.ring_bytes = 0;
        self.schema = schema;
        self.floor = self.revision;
        for watcher in self.watchers.iter_mut().flatten() {
            watcher.expire();
            ring(&watcher.bell);
        }
    }

    /// An object as it was at the start; no event.
    pub fn load(&mut self, namespace: &str, name: &str, revision: u64, value: Arc<[u8]>) {
        self.objects.insert(Arc::new(Object::new(
            &self.schema,
            namespace,
            name,
            revision,
            value,
        )));
    }

    /// What happened up to `revision` will not be known.
    pub fn start(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
        self.floor = self.floor.max(revision);
    }

    /// Of the newest change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes a committed change and rings those it is for.
    pub fn apply(&mut self, change: Change, ring: &mut dyn FnMut(&Arc<Bell>)) {
        if change.revision <= self.revision {
            return;
        }
        self.revision = change.revision;
        let Change {
            namespace,
            name,
            revision,
            deleted,
            value,
            ..
        } = change;
        let object = Arc::new(Object::new(
            &self.schema,
            &namespace,
            &name,
            revision,
            value,
        ));
        let previous = if deleted {
            self.objects.remove(&namespace, &name)
        } else {
            self.objects.insert(Arc::clone(&object))
        };
        let event = Arc::new(Event::new(object, previous, deleted));
        let watchers = &mut self.watchers;
        self.topics.of(&event, |topic| {
            let number = topic.end();
            topic.push(Arc::clone(&event));
            for slot in &topic.watchers {
                if let Some(watcher) = watchers.get_mut(*slot).and_then(Option::as_mut)
                    && watcher.hear(number, &event)
                {
                    ring(&watcher.bell);
                }
            }
        });
        self.ring_bytes += event.object.value.len();
        self.forget();
    }

    /// Drops the oldest events until the ring is as small as it should be.
    fn forget(&mut self) {
        loop {
            let kept = self.topics.all.end() - self.topics.all.first();
            let large = self.ring_bytes > RING_BYTES && kept > RING_LEAST;
            let Some(oldest) = self.topics.all.get(self.topics.all.first()).cloned() else {
                return;
            };
            if kept <= self.ring && !large {
                return;
            }
            self.floor = oldest.revision;
            self.ring_bytes -= oldest.object.value.len();
            self.topics
                .of(&oldest, |topic| topic.forget(oldest.revision));
        }
    }

    /// The object of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.objects.get(namespace, name).cloned()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// A page of what a selection holds. `limit` 0: everything.
    pub fn list(
        &self,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
        limit: usize,
        after: Option<(&str, &str)>,
        current: u64,
    ) -> Result<List, Error> {
        let selector = Selector::parse(labels, fields, &self.schema).map_err(Error::Selector)?;
        let mut list = List {
            revision: current.max(self.revision),
            ..List::default()
        };
        let limit = if limit == 0 { usize::MAX } else { limit };
        let namespace = namespace.or(selector.equals(Field::Namespace));
        let known = if self.schema.namespaced() {
            namespace
        } else {
            Some("")
        };
        if let (Some(namespace), Some(name)) = (known, selector.equals(Field::Name)) {
            let found = self.objects.get(namespace, name).filter(|object| {
                selector.matches(object)
                    && after.is_none_or(|after| object.order(after.0, after.1).is_gt())
            });
            list.items.extend(found.cloned());
            return Ok(list);
        }
        let ranks = self.objects.range(namespace, after);
        if selector.is_empty() {
            let take = ranks.len().min(limit);
            list.items
                .extend(self.objects.iter(ranks.start..ranks.start + take).cloned());
            list.more = take < ranks.len();
            list.remaining = Some(ranks.len() - take);
            return Ok(list);
        }
        for object in self
            .objects
            .iter(ranks)
            .filter(|object| selector.matches(object))
        {
            if list.items.len() == limit {
                list.more = true;
                return Ok(list);
            }
            list.items.push(Arc::clone(object));
        }
        Ok(list)
    }

    /// Starts a watch; gives its slot.
    pub fn watch(
        &mut self,
        asked: Watch<'_>,
        current: u64,
        bell: Arc<Bell>,
        ring: &mut dyn FnMut(&Arc<Bell>),
    ) -> Result<usize, Error> {
        let selector =
            Selector::parse(asked.labels, asked.fields, &self.schema).map_err(Error::Selector)?;
        let current = current.max(self.revision);
        let since = if asked.initial { None } else { asked.since };
        if let Some(since) = since
            && since < self.floor
        {
            return Err(Error::Expired {
                since,
                oldest: self.floor,
            });
        }
        let initial = match asked.initial {
            true => Some(
                self.list(
                    asked.namespace,
                    asked.labels,
                    asked.fields,
                    0,
                    None,
                    current,
                )?
                .items,
            ),
            false => None,
        };
        let namespace = asked
            .namespace
            .or(selector.equals(Field::Namespace))
            .map(str::to_owned);
        let topic = if let Some(name) = selector.equals(Field::Name) {
            TopicKey::Name(name.into())
        } else if let Some((index, value)) = selector.declared() {
            TopicKey::Field(index, value.into())
        } else if let Some(namespace) = &namespace {
            TopicKey::Namespace(namespace.as_str().into())
        } else {
            TopicKey::All
        };
        let seen = since.unwrap_or(current);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.watchers.push(None);
            self.watchers.len() - 1
        });
        let events = self.topics.listen(&topic);
        events.watchers.push(slot);
        let next = events.after(seen);
        let mut watcher = Watcher::new(
            bell,
            topic,
            namespace.as_deref(),
            selector,
            next,
            seen,
            initial,
            asked.bookmarks,
            asked.initial_end,
        );
        if watcher.pending(events) {
            ring(&watcher.bell);
        }
        self.watchers[slot] = Some(watcher);
        Ok(slot)
    }

    fn watcher(&mut self, slot: usize) -> Option<(&mut Watcher, &Topics, &Schema)> {
        let watcher = self.watchers.get_mut(slot)?.as_mut()?;
        Some((watcher, &self.topics, &self.schema))
    }

    /// The next frames of a watch; those that stay behind ring again.
    pub fn take(
        &mut self,
        slot: usize,
        current: u64,
        room: impl FnMut(&Frame) -> bool,
        ring: &mut dyn FnMut(&Arc<Bell>),
    ) -> Vec<Frame> {
        let (current, floor) = (current.max(self.revision), self.floor);
        let Some((watcher, topics, schema)) = self.watcher(slot) else {
            return Vec::new();
        };
        let topic = topics.of_watcher(&watcher.topic);
        let frames = watcher.take(topic, schema, current, floor, room);
        if watcher.pending(topic) {
            ring(&watcher.bell);
        }
        frames
    }

    /// Where a watch stands.
    pub fn state(&mut self, slot: usize) -> State {
        let Some((watcher, topics, _)) = self.watcher(slot) else {
            return State::Closed;
        };
        watcher.pending(topics.of_watcher(&watcher.topic));
        watcher.state
    }

    /// Ends a watch.
    pub fn close(&mut self, slot: usize) {
        if let Some(watcher) = self.watchers.get_mut(slot).and_then(Option::take) {
            self.topics.leave(&watcher.topic, slot);
            self.free.push(slot);
        }
    }

    /// Makes a bookmark due on every watch that wants one.
    pub fn bookmark(&mut self, ring: &mut dyn FnMut(&Arc<Bell>)) {
        for watcher in self.watchers.iter_mut().flatten() {
            if watcher.mark() {
                ring(&watcher.bell);
            }
        }
    }

    /// Makes a bookmark due on one watch. True if it wants one.
    pub fn mark(&mut self, slot: usize) -> bool {
        let watcher = self.watchers.get_mut(slot).and_then(Option::as_mut);
        watcher.is_some_and(Watcher::mark)
    }

    /// How many watches there are.
    pub fn watchers(&self) -> usize {
        self.watchers.len() - self.free.len()
    }
}
