//! What the event loop is told, in batches.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::identity::Identity;
use super::outbox::Outbox;
use super::pace::Pacer;
use super::request::Request;
use crate::hub::lock;

/// A connection that is ready for its first request.
#[derive(Debug)]
pub struct Opened {
    /// The client's address.
    pub peer: SocketAddr,
    /// The one it connected to.
    pub local: SocketAddr,
    /// What its verified certificate says.
    pub identity: Option<Identity>,
    /// The name it asked for.
    pub server_name: Option<String>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// A connection is there. Whatever follows about it carries the outbox's number.
    Open(Arc<Outbox>, Box<Opened>),
    /// A request came that the front has read.
    Request(Box<Request>),
    /// Bytes came.
    Data(Arc<Outbox>, Vec<u8>),
    /// The client will send no more.
    Eof(u64),
    /// The connection is gone; the last of it.
    Lost(u64),
    /// There is room in the outbox again.
    Resume(u64),
    /// The stream with this token came to its end by itself.
    Ended(u64, u64),
}

/// What connections and the front's owner share.
pub struct Shared {
    inbox: Mutex<Vec<Input>>,
    wake: Box<dyn Fn() + Send + Sync>,
    dirty: Mutex<Vec<Arc<Outbox>>>,
    ids: AtomicU64,
    connections: Mutex<HashMap<u64, Weak<Outbox>>>,
    draining: AtomicBool,
    /// Joins wake-ups of watches.
    pub pacer: Pacer,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    /// See `Front::new`.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Shared {
        Shared {
            inbox: Mutex::default(),
            wake,
            dirty: Mutex::default(),
            ids: AtomicU64::new(0),
            connections: Mutex::default(),
            draining: AtomicBool::new(false),
            pacer: Pacer::default(),
        }
    }

    /// A number that nothing else has.
    pub fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Connections that wait for a request end, those that have one end after it.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        for outbox in lock(&self.connections).values().filter_map(Weak::upgrade) {
            outbox.wake();
        }
    }

    /// See `drain`.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Tells the event loop.
    pub fn tell(&self, input: Input) {
        match &input {
            Input::Open(outbox, _) => {
                lock(&self.connections).insert(outbox.id, Arc::downgrade(outbox));
            }
            Input::Lost(id) => {
                lock(&self.connections).remove(id);
            }
            _ => {}
        }
        let mut inbox = lock(&self.inbox);
        inbox.push(input);
        if inbox.len() == 1 {
            drop(inbox);
            (self.wake)();
        }
    }

    /// See `Front::poll`.
    pub fn take(&self) -> Vec<Input> {
        let taken = std::mem::take(&mut *lock(&self.inbox));
        for input in &taken {
            if let Input::Data(outbox, data) = input {
                outbox.taken(data.len());
            }
        }
        taken
    }

    /// Notes that an outbox has something new. True for the first since `flush`.
    pub fn soil(&self, outbox: &Arc<Outbox>) -> bool {
        let mut dirty = lock(&self.dirty);
        dirty.push(Arc::clone(outbox));
        dirty.len() == 1
    }

    /// See `Front::flush`.
    pub fn flush(&self) {
        let dirty = std::mem::take(&mut *lock(&self.dirty));
        for outbox in dirty {
            outbox.clean();
        }
    }
}
