//! Who may be concerned by an event: found by lookup, so that an event costs nothing to those it cannot concern.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::event::Event;
use super::object::Object;
use super::schema::Field;

/// What a watcher narrows by that can be looked up. Each watcher listens to exactly one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicKey {
    /// Every object.
    All,
    /// One namespace.
    Namespace(Box<str>),
    /// One name, in whatever namespace.
    Name(Box<str>),
    /// One value of a declared field.
    Field(usize, Box<str>),
}

impl TopicKey {
    /// Whether the event belongs to the topic.
    pub fn concerns(&self, event: &Event) -> bool {
        let field = |object: &Object, index: usize, value: &str| {
            object.field(Field::Declared(index)) == value
        };
        match self {
            TopicKey::All => true,
            TopicKey::Namespace(namespace) => event.object.namespace == *namespace,
            TopicKey::Name(name) => event.object.name == *name,
            TopicKey::Field(index, value) => {
                field(&event.object, *index, value)
                    || event
                        .previous
                        .as_ref()
                        .is_some_and(|previous| field(previous, *index, value))
            }
        }
    }
}

/// The events of the ring that concern one topic, each with a growing number, and who listens.
#[derive(Debug, Default)]
pub struct Topic {
    events: VecDeque<Arc<Event>>,
    first: u64,
    /// Slots of the watchers.
    pub watchers: Vec<usize>,
}

impl Topic {
    /// The number of the oldest event kept.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next event will get.
    pub fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The event of this number.
    pub fn get(&self, number: u64) -> Option<&Arc<Event>> {
        self.events
            .get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The number of the first event after a revision.
    pub fn after(&self, revision: u64) -> u64 {
        self.first
            + self
                .events
                .partition_point(|event| event.revision <= revision) as u64
    }

    /// Appends.
    pub fn push(&mut self, event: Arc<Event>) {
        self.events.push_back(event);
    }

    /// Drops the events up to a revision.
    pub fn forget(&mut self, floor: u64) {
        while self
            .events
            .front()
            .is_some_and(|event| event.revision <= floor)
        {
            self.events.pop_front();
            self.first += 1;
        }
    }
}

/// All topics of a resource that someone listens to. `all` is always kept: it is the ring.
#[derive(Debug, Default)]
pub struct Topics {
    /// The ring.
    pub all: Topic,
    namespaces: HashMap<Box<str>, Topic>,
    names: HashMap<Box<str>, Topic>,
    fields: Vec<HashMap<Box<str>, Topic>>,
}

impl Topics {
    /// For a resource with so many declared fields.
    pub fn new(fields: usize) -> Topics {
        Topics {
            fields: (0..fields).map(|_| HashMap::new()).collect(),
            ..Topics::default()
        }
    }

    /// The topic a watcher listens to. One that has expired may have outlived its topic, and looks at no events.
    pub fn of_watcher(&self, key: &TopicKey) -> &Topic {
        let kept = match key {
            TopicKey::All => None,
            TopicKey::Namespace(namespace) => self.namespaces.get(namespace),
            TopicKey::Name(name) => self.names.get(name),
            TopicKey::Field(index, value) => {
                self.fields.get(*index).and_then(|values| values.get(value))
            }
        };
        kept.unwrap_or(&self.all)
    }

    /// The topic, made from the ring if it is not kept yet.
    pub fn listen(&mut self, key: &TopicKey) -> &mut Topic {
        let Topics {
            all,
            namespaces,
            names,
            fields,
        } = self;
        let (map, name) = match key {
            TopicKey::Namespace(namespace) => (namespaces, namespace),
            TopicKey::Name(name) => (names, name),
            TopicKey::Field(index, value) if *index < fields.len() => (&mut fields[*index], value),
            TopicKey::All | TopicKey::Field(..) => return all,
        };
        map.entry(name.clone()).or_insert_with(|| {
            let events = all
                .events
                .iter()
                .filter(|event| key.concerns(event))
                .cloned()
                .collect();
            Topic {
                events,
                ..Topic::default()
            }
        })
    }

    /// A watcher goes; with the last one the topic goes.
    pub fn leave(&mut self, key: &TopicKey, slot: usize) {
        let topic = self.listen(key);
        topic.watchers.retain(|one| *one != slot);
        if !topic.watchers.is_empty() {
            return;
        }
        match key {
            TopicKey::All => None,
            TopicKey::Namespace(namespace) => self.namespaces.remove(namespace),
            TopicKey::Name(name) => self.names.remove(name),
            TopicKey::Field(index, value) => self
                .fields
                .get_mut(*index)
                .and_then(|values| values.remove(value)),
        };
    }

    /// Every kept topic that an event belongs to, each once.
    pub fn of(&mut self, event: &Event, mut visit: impl FnMut(&mut Topic)) {
        visit(&mut self.all);
        if let Some(topic) = self.namespaces.get_mut(&event.object.namespace) {
            visit(topic);
        }
        if let Some(topic) = self.names.get_mut(&event.object.name) {
            visit(topic);
        }
        for (index, values) in self.fields.iter_mut().enumerate() {
            if values.is_empty() {
                continue;
            }
            let now = event.object.field(Field::Declared(index));
            if let Some(topic) = values.get_mut(now) {
                visit(topic);
            }
            let before = event
                .previous
                .as_ref()
                .map_or(now, |previous| previous.field(Field::Declared(index)));
            if before != now
                && let Some(topic) = values.get_mut(before)
            {
                visit(topic);
            }
        }
    }
}
