//! One connection's way out: an ordered queue of bytes, streams and the end. Order is the only synchronisation.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use atomic_waker::AtomicWaker;
use http::Response;

use super::inbox::{Input, Shared};
use super::limits::{HIGH_WATER, LOW_WATER, UNREAD};
use super::request::Request;
use super::stream::{Progress, Source, Stream};
use crate::hub::lock;

#[derive(Debug)]
enum Part {
    /// The head of an answer; of HTTP/2 alone, in HTTP/1.1 it is bytes.
    Head(Box<Response<()>>),
    Bytes(Vec<u8>),
    Stream(Box<Stream>),
    /// An answer ends.
    Done,
    /// Nothing more will be written; reading goes on.
    Eof,
    /// What is before it goes out, then the connection ends.
    Close,
}

#[derive(Debug, Default)]
struct Queue {
    parts: VecDeque<Part>,
    /// Bytes in it.
    size: usize,
    /// Its writer was told to pause.
    high: bool,
    /// Nothing is taken any more.
    closed: bool,
    streams: u64,
}

/// What a connection's own task finds when it looks for something to write.
#[derive(Debug)]
pub enum Found {
    /// An answer begins.
    Head(Box<Response<()>>),
    /// An answer has ended.
    Done,
    /// Nothing now.
    Nothing,
    /// Bytes were added.
    Bytes,
    /// The writing half ends.
    Eof,
    /// The connection ends.
    Close,
}

/// The way out. Shared by the app, which fills it, and the connection's task, which empties it.
#[derive(Debug)]
pub struct Outbox {
    /// The connection's number.
    pub id: u64,
    shared: Arc<Shared>,
    waker: AtomicWaker,
    queue: Mutex<Queue>,
    dirty: AtomicBool,
    paused: AtomicBool,
    aborted: AtomicBool,
    unread: AtomicUsize,
    /// Token of the stream that the app has ended.
    detached: AtomicU64,
    /// When its watch was last woken, in microseconds of the pacer's clock.
    pub woken: AtomicU64,
    /// Counts those that someone still holds.
    count: Option<Arc<AtomicUsize>>,
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(count) = &self.count {
            count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Outbox {
    /// For a new connection.
    pub fn new(shared: Arc<Shared>) -> Arc<Outbox> {
        Outbox::made(shared, None)
    }

    /// One of those that `count` counts until nobody holds it any more.
    pub fn counted(shared: Arc<Shared>, count: Arc<AtomicUsize>) -> Arc<Outbox> {
        count.fetch_add(1, Ordering::AcqRel);
        Outbox::made(shared, Some(count))
    }

    fn made(shared: Arc<Shared>, count: Option<Arc<AtomicUsize>>) -> Arc<Outbox> {
        Arc::new(Outbox {
            id: shared.id(),
            shared,
            waker: AtomicWaker::new(),
            queue: Mutex::default(),
            dirty: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            unread: AtomicUsize::new(0),
            detached: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            count,
        })
    }

    // --- the app's side ---------------------------------------------------------------------------

    /// Adds what the app has made; nothing once it is closed. Whether `Front::flush` is due, and whether the writer
    /// should pause until `Input::Resume`.
    fn add(self: &Arc<Self>, part: Part) -> (bool, bool) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return (false, false);
        }
        match &part {
            Part::Bytes(bytes) => queue.size += bytes.len(),
            Part::Close => queue.closed = true,
            Part::Head(_) | Part::Stream(_) | Part::Done | Part::Eof => {}
        }
        queue.high |= queue.size > HIGH_WATER;
        let high = queue.high;
        queue.parts.push_back(part);
        drop(queue);
        let flush = !self.dirty.swap(true, Ordering::AcqRel) && self.shared.soil(self);
        (flush, high)
    }

    /// Bytes to go out. Whether `Front::flush` is due, and whether to pause until `Input::Resume`.
    pub fn write(self: &Arc<Self>, bytes: Vec<u8>) -> (bool, bool) {
        self.add(Part::Bytes(bytes))
    }

    /// Bytes that wait.
    pub fn size(&self) -> usize {
        lock(&self.queue).size
    }

    /// The head of an answer in HTTP/2.
    pub fn head(self: &Arc<Self>, head: Response<()>) -> (bool, bool) {
        self.add(Part::Head(Box::new(head)))
    }

    /// An answer ends here.
    pub fn done(self: &Arc<Self>) -> (bool, bool) {
        self.add(Part::Done)
    }

    /// A stream to go out, in chunks of HTTP/1.1 if `chunked`. Gives its token, and whether `Front::flush` is due.
    pub fn attach(self: &Arc<Self>, source: Source, chunked: bool) -> (u64, bool) {
        let token = {
            let mut queue = lock(&self.queue);
            queue.streams += 1;
            queue.streams
        };
        source.heard_by(&self.shared, self);
        let flush = self.add(Part::Stream(Box::new(Stream {
            token,
            source,
            chunked,
        })));
        (token, flush.0)
    }

    /// Ends the stream after what has been made of it. One that has ended already is none the worse for it.
    pub fn detach(&self, token: u64) {
        self.detached.store(token, Ordering::Release);
        self.waker.wake();
    }

    /// The writing half ends after what is in the outbox.
    pub fn write_eof(self: &Arc<Self>) -> bool {
        self.add(Part::Eof).0
    }

    /// The connection ends after what is in the outbox.
    pub fn close(self: &Arc<Self>) -> bool {
        self.add(Part::Close).0
    }

    /// The connection ends now.
    pub fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the client's bytes are wanted.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        if !paused {
            self.waker.wake();
        }
    }

    // --- the connection's side --------------------------------------------------------------------

    /// Who is woken when there is something to do.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Wakes the connection's task.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// What was added may go out.
    pub fn clean(&self) {
        self.dirty.store(false, Ordering::Release);
        self.waker.wake();
    }

    /// The app wants no more of this connection.
    pub fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Whether the connection is to be read.
    pub fn wants(&self) -> bool {
        !self.paused.load(Ordering::Acquire) && self.unread.load(Ordering::Acquire) < UNREAD
    }

    /// Bytes that came go to the app.
    pub fn received(self: &Arc<Self>, data: Vec<u8>) {
        self.unread.fetch_add(data.len(), Ordering::AcqRel);
        self.shared.tell(Input::Data(Arc::clone(self), data));
    }

    /// The app has taken so many.
    pub fn taken(&self, size: usize) {
        if self.unread.fetch_sub(size, Ordering::AcqRel) >= UNREAD {
            self.waker.wake();
        }
    }

    /// Adds to `out` what is next, up to about `limit` bytes. `current` is the stream that is under way.
    pub fn fill(
        self: &Arc<Self>,
        current: &mut Option<Box<Stream>>,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Found {
        loop {
            if let Some(stream) = current {
                if self.detached.load(Ordering::Acquire) == stream.token {
                    *current = None;
                    continue;
                }
                match stream.fill(out, limit) {
                    Progress::Full => return Found::Bytes,
                    Progress::Waiting => return self.found(out),
                    Progress::Done => {
                        self.shared.tell(Input::Ended(self.id, stream.token));
                        *current = None;
                    }
                }
                continue;
            }
            if out.len() >= limit {
                return Found::Bytes;
            }
            let mut queue = lock(&self.queue);
            match queue.parts.front() {
                None => return self.found(out),
                Some(Part::Head(_) | Part::Done | Part::Eof | Part::Close) if !out.is_empty() => {
                    return Found::Bytes;
                }
                Some(_) => {}
            }
            match queue.parts.pop_front() {
                Some(Part::Bytes(bytes)) => {
                    queue.size -= bytes.len();
                    let resume = queue.high && queue.size <= LOW_WATER;
                    queue.high &= !resume;
                    drop(queue);
                    if resume {
                        self.shared.tell(Input::Resume(self.id));
                    }
                    if out.is_empty() {
                        *out = bytes;
                    } else {
                        out.extend_from_slice(&bytes);
                    }
                }
                Some(Part::Stream(stream)) => *current = Some(stream),
                Some(Part::Head(head)) => return Found::Head(head),
                Some(Part::Done) => return Found::Done,
                Some(Part::Eof) => return Found::Eof,
                Some(Part::Close) | None => return Found::Close,
            }
        }
    }

    fn found(&self, out: &[u8]) -> Found {
        if out.is_empty() {
            Found::Nothing
        } else {
            Found::Bytes
        }
    }

    /// The whole of an answer is in it.
    pub fn has_done(&self) -> bool {
        let queue = lock(&self.queue);
        queue.parts.iter().any(|part| matches!(part, Part::Done))
    }

    /// A request came on it, or for it.
    pub fn requested(&self, request: Request) {
        self.shared.tell(Input::Request(Box::new(request)));
    }

    /// The front takes no more requests.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// The connection is there.
    pub fn opened(self: &Arc<Self>, opened: super::Opened) {
        self.shared
            .tell(Input::Open(Arc::clone(self), Box::new(opened)));
    }

    /// The client will send no more.
    pub fn eof(&self) {
        self.shared.tell(Input::Eof(self.id));
    }

    /// The connection is gone. What waits is dropped.
    pub fn lost(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        let parts = std::mem::take(&mut queue.parts);
        queue.size = 0;
        drop(queue);
        drop(parts);
        self.shared.tell(Input::Lost(self.id));
    }
}
