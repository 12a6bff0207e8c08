//! One change as watchers see it, and the frames it becomes.

use std::sync::{Arc, Mutex, OnceLock};

use super::form::Form;
use super::object::Object;

/// What happened to an object, or what a watch says besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// It is new (to this watcher).
    Added,
    /// It was there and still is.
    Modified,
    /// It is gone (for this watcher).
    Deleted,
    /// Nothing happened up to this revision.
    Bookmark,
    /// The watch ends.
    Error,
}

impl Type {
    /// As it is written in a watch event.
    pub fn name(self) -> &'static str {
        match self {
            Type::Added => "ADDED",
            Type::Modified => "MODIFIED",
            Type::Deleted => "DELETED",
            Type::Bookmark => "BOOKMARK",
            Type::Error => "ERROR",
        }
    }

    /// What a JSON frame begins with; the object follows, then `FRAME_END`.
    pub(super) fn frame_start(self) -> &'static [u8] {
        match self {
            Type::Added => br#"{"type":"ADDED","object":"#,
            Type::Modified => br#"{"type":"MODIFIED","object":"#,
            Type::Deleted => br#"{"type":"DELETED","object":"#,
            Type::Bookmark => br#"{"type":"BOOKMARK","object":"#,
            Type::Error => br#"{"type":"ERROR","object":"#,
        }
    }
}

pub(super) const FRAME_END: &[u8] = b"}\n";

/// A frame in another form than the stored JSON.
type Made = (Form, Type, Arc<[u8]>);

/// A committed change.
#[derive(Debug)]
pub struct Event {
    /// Of the commit.
    pub revision: u64,
    /// The new state; of a deletion the last one, with the deletion's revision in it.
    pub object: Arc<Object>,
    /// The state before.
    pub previous: Option<Arc<Object>>,
    deleted: bool,
    left: OnceLock<Arc<[u8]>>,
    /// Frames in other forms than the stored JSON, each made when the first watcher wanted it.
    made: Mutex<Vec<Made>>,
}

impl Event {
    /// `deleted`: the object is gone.
    pub fn new(object: Arc<Object>, previous: Option<Arc<Object>>, deleted: bool) -> Event {
        Event {
            revision: object.revision,
            object,
            previous,
            deleted,
            left: OnceLock::new(),
            made: Mutex::default(),
        }
    }

    /// What it is to someone who sees the objects that satisfy `matches`; None if it is nothing.
    pub fn seen(&self, matches: impl Fn(&Object) -> bool) -> Option<Type> {
        let now = !self.deleted && matches(&self.object);
        let before = self.previous.as_deref().is_some_and(matches);
        match (before, now) {
            (false, true) => Some(Type::Added),
            (true, true) => Some(Type::Modified),
            (true, false) => Some(Type::Deleted),
            (false, false) => None,
        }
    }

    /// The object that goes with what it is. An object that leaves a selection is shown as it was while it was in
    /// it, at the revision of the change (upstream's cacher does so); made once, whoever watches.
    pub fn value(&self, seen: Type) -> Arc<[u8]> {
        if seen == Type::Deleted && !self.deleted {
            let left = |previous: &Arc<Object>| {
                Arc::clone(self.left.get_or_init(|| previous.value_at(self.revision)))
            };
            return self
                .previous
                .as_ref()
                .map_or_else(|| Arc::clone(&self.object.value), left);
        }
        Arc::clone(&self.object.value)
    }
}

/// One event of a watch, ready to be sent. Its bytes are shared with everyone else who gets it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it says.
    pub kind: Type,
    /// Of the object or of the bookmark.
    pub revision: u64,
    /// The object's JSON.
    pub value: Arc<[u8]>,
    /// Where forms that were made of it are kept; None: this watcher's alone.
    event: Option<Arc<Event>>,
}

impl Frame {
    /// A frame for one watcher alone.
    pub fn new(kind: Type, revision: u64, value: Arc<[u8]>) -> Frame {
        Frame {
            kind,
            revision,
            value,
            event: None,
        }
    }

    /// An event's frame for those to whom it is of this kind.
    pub fn of(event: &Arc<Event>, kind: Type) -> Frame {
        Frame {
            kind,
            revision: event.revision,
            value: event.value(kind),
            event: Some(Arc::clone(event)),
        }
    }

    /// The frame in another form than the stored JSON. Of an event each form is made once, whoever watches.
    pub fn in_form(&self, form: &Form) -> Arc<[u8]> {
        let make = || form.render(self.kind, &self.value).into();
        let Some(event) = &self.event else {
            return make();
        };
        let mut made = super::lock(&event.made);
        if let Some((_, _, bytes)) = made
            .iter()
            .find(|(one, kind, _)| one == form && *kind == self.kind)
        {
            return Arc::clone(bytes);
        }
        let bytes: Arc<[u8]> = make();
        made.push((form.clone(), self.kind, Arc::clone(&bytes)));
        bytes
    }

    /// Bytes of the JSON frame.
    pub fn len(&self) -> usize {
        self.kind.frame_start().len() + self.value.len() + FRAME_END.len()
    }

    /// A frame is never empty.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The pieces of the JSON frame.
    pub fn pieces(&self) -> [&[u8]; 3] {
        [self.kind.frame_start(), &self.value, FRAME_END]
    }
}

/// The Status of a watch that can no longer go on, in upstream's words.
pub fn expired_status(since: u64, oldest: u64) -> Vec<u8> {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"too old resource version: {since} ({oldest})","reason":"Expired","code":410}}"#
    )
    .into_bytes()
}
