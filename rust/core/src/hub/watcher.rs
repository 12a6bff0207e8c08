//! One watch: a selection, and a position among the events of its topic. It has no buffer of its own.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::vec::IntoIter;

use super::event::{Event, Frame, Type, expired_status};
use super::object::Object;
use super::schema::Schema;
use super::selector::Selector;
use super::topic::{Topic, TopicKey};

/// Who hears a watch's bell instead of `Hub::ready`.
pub trait Ear: Send + Sync {
    /// There is something to take. Must be quick and must not call the hub.
    fn ring(&self);
}

/// How a watcher is called when there is something for it.
pub struct Bell {
    /// The watcher's.
    pub id: u64,
    /// It has been rung and nobody has looked yet.
    pub rung: AtomicBool,
    /// Who hears it; nobody: it is among `Hub::ready`.
    pub ear: OnceLock<Box<dyn Ear>>,
}

impl fmt::Debug for Bell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bell")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Where a watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Events are to come.
    Live,
    /// The ring has moved past it: its last frame said so, or will.
    Expired,
    /// Closed by its owner.
    Closed,
}

/// A watch's own state.
#[derive(Debug)]
pub struct Watcher {
    /// Shared with the hub's list of those to wake.
    pub bell: Arc<Bell>,
    /// What it listens to.
    pub topic: TopicKey,
    /// Live, until it is not.
    pub state: State,
    namespace: Option<Box<str>>,
    selector: Selector,
    /// Number of the next event of the topic to look at.
    next: u64,
    /// Events up to here it has seen or did not ask for.
    seen: u64,
    initial: Option<IntoIter<Arc<Object>>>,
    initial_end: bool,
    bookmarks: bool,
    bookmark_due: bool,
    error_due: bool,
}

impl Watcher {
    /// A watch of the events after `seen`, that first shows the objects of `initial` as added.
    #[allow(clippy::too_many_arguments)] // a record's fields, used once
    pub fn new(
        bell: Arc<Bell>,
        topic: TopicKey,
        namespace: Option<&str>,
        selector: Selector,
        next: u64,
        seen: u64,
        initial: Option<Vec<Arc<Object>>>,
        bookmarks: bool,
        initial_end: bool,
    ) -> Watcher {
        Watcher {
            bell,
            topic,
            state: State::Live,
            namespace: namespace.map(Into::into),
            selector,
            next,
            seen,
            initial_end: initial_end && bookmarks && initial.is_some(),
            initial: initial.map(Vec::into_iter),
            bookmarks,
            bookmark_due: false,
            error_due: false,
        }
    }

    fn matches(&self, object: &Object) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|namespace| *object.namespace == *namespace)
            && self.selector.matches(object)
    }

    fn look(&self, event: &Event) -> Option<Type> {
        if event.revision <= self.seen {
            None
        } else {
            event.seen(|object| self.matches(object))
        }
    }

    /// Hears of the newest event of its topic. True if it was waiting and this is for it.
    pub fn hear(&mut self, number: u64, event: &Event) -> bool {
        if self.state != State::Live || self.next != number {
            return false; // over, or there is older news it has not looked at yet
        }
        if self.look(event).is_some() {
            return true;
        }
        self.next += 1;
        false
    }

    /// A bookmark is to be sent if it wants one. True if it does.
    pub fn mark(&mut self) -> bool {
        self.bookmark_due |= self.bookmarks && self.state == State::Live;
        self.bookmark_due
    }

    /// The watch cannot go on: events it has not seen are gone.
    pub fn expire(&mut self) {
        if self.state == State::Live {
            self.state = State::Expired;
            self.error_due = true;
        }
    }

    /// Whether `take` would give anything. Passes over events that are not for it.
    pub fn pending(&mut self, topic: &Topic) -> bool {
        if self.state == State::Live && self.next < topic.first() {
            self.expire();
        }
        if self.state != State::Live {
            return self.error_due;
        }
        if self.bookmark_due
            || self.initial_end
            || self.initial.as_ref().is_some_and(|rest| rest.len() > 0)
        {
            return true;
        }
        while let Some(event) = topic.get(self.next) {
            if self.look(event).is_some() {
                return true;
            }
            self.next += 1;
        }
        false
    }

    /// The next frames, as long as `room` says there is room after each. `current` is the revision up to which the
    /// topic is complete, `floor` the one up to which events are gone.
    pub fn take(
        &mut self,
        topic: &Topic,
        schema: &Schema,
        current: u64,
        floor: u64,
        mut room: impl FnMut(&Frame) -> bool,
    ) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        let mut add = |frame: Frame| {
            let more = room(&frame);
            frames.push(frame);
            more
        };
        if self.state == State::Live && self.next < topic.first() {
            self.expire();
        }
        if self.state != State::Live {
            if std::mem::take(&mut self.error_due) {
                add(Frame::new(
                    Type::Error,
                    current,
                    expired_status(self.seen, floor).into(),
                ));
            }
            return frames;
        }
        if let Some(initial) = &mut self.initial {
            for object in initial.by_ref() {
                if !add(Frame::new(
                    Type::Added,
                    object.revision,
                    Arc::clone(&object.value),
                )) {
                    return frames;
                }
            }
            self.initial = None;
        }
        if std::mem::take(&mut self.initial_end) {
            let value = schema.bookmark(self.seen, true).into();
            if !add(Frame::new(Type::Bookmark, self.seen, value)) {
                return frames;
            }
        }
        while let Some(event) = topic.get(self.next) {
            self.next += 1;
            if let Some(kind) = self.look(event) {
                self.seen = event.revision;
                if !add(Frame::of(event, kind)) {
                    return frames;
                }
            }
        }
        self.seen = self.seen.max(current);
        if std::mem::take(&mut self.bookmark_due) {
            add(Frame::new(
                Type::Bookmark,
                self.seen,
                schema.bookmark(self.seen, false).into(),
            ));
        }
        frames
    }
}
