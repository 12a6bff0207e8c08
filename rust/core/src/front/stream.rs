//! What an outbox may hold besides bytes: a watch or a body, of which the next bytes are made when there is room.

use std::io::Write;
use std::sync::Arc;

use super::body::Body;
use super::inbox::Shared;
use super::outbox::Outbox;
use crate::hub::{Ear, Form, Frame, Handle, State};

/// Where the bytes come from.
#[derive(Debug)]
pub enum Source {
    /// Events as they come.
    Watch(Arc<Handle>, Form),
    /// Parts that are there.
    Body(Body),
}

/// A source on its way out.
#[derive(Debug)]
pub struct Stream {
    /// Its number in its outbox.
    pub token: u64,
    /// See `Source`.
    pub source: Source,
    /// Each batch becomes a chunk of HTTP/1.1.
    pub chunked: bool,
}

/// How far `fill` came.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// As far as there was room: there is more.
    Full,
    /// Whoever is waiting will be woken.
    Waiting,
    /// There will be no more.
    Done,
}

/// Wakes a connection whose watch has something.
struct Hearing {
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
}

impl Ear for Hearing {
    fn ring(&self) {
        self.shared.pacer.ring(&self.outbox);
    }
}

impl Source {
    /// A watch's bell is heard by the outbox's connection from now on.
    pub fn heard_by(&self, shared: &Arc<Shared>, outbox: &Arc<Outbox>) {
        if let Source::Watch(handle, _) = self {
            handle.heard_by(Box::new(Hearing {
                shared: Arc::clone(shared),
                outbox: Arc::clone(outbox),
            }));
        }
    }
}

impl Stream {
    /// Adds to `out` until it has about `limit` bytes.
    pub fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> Progress {
        let chunked = self.chunked;
        match &mut self.source {
            Source::Watch(handle, form) => watch(handle, form, chunked, out, limit),
            Source::Body(body) => {
                if out.len() >= limit {
                    return Progress::Full;
                }
                let size = body.next_size(limit - out.len());
                if size > 0 {
                    chunk(out, size, chunked, |out| body.take(size, out));
                }
                if body.is_done() {
                    Progress::Done
                } else {
                    Progress::Full
                }
            }
        }
    }
}

/// A chunk of `size` bytes, with its head and end where they are wanted.
fn chunk(out: &mut Vec<u8>, size: usize, chunked: bool, fill: impl FnOnce(&mut Vec<u8>)) {
    /// Bytes of the longest head and of the end.
    const AROUND: usize = 20;
    out.reserve(size + AROUND);
    if chunked {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{size:x}\r\n");
    }
    fill(out);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

fn watch(handle: &Handle, form: &Form, chunked: bool, out: &mut Vec<u8>, limit: usize) -> Progress {
    let mut size = out.len();
    handle.look();
    let frames = handle.take(|frame| {
        size += frame.len();
        size < limit
    });
    if frames.is_empty() {
        return if handle.state() == State::Live {
            Progress::Waiting
        } else {
            Progress::Done
        };
    }
    if *form == Form::Json {
        let total = frames.iter().map(Frame::len).sum();
        chunk(out, total, chunked, |out| {
            for piece in frames.iter().flat_map(Frame::pieces) {
                out.extend_from_slice(piece);
            }
        });
    } else {
        let made: Vec<Arc<[u8]>> = frames.iter().map(|frame| frame.in_form(form)).collect();
        let total = made.iter().map(|bytes| bytes.len()).sum();
        chunk(out, total, chunked, |out| {
            for bytes in &made {
                out.extend_from_slice(bytes);
            }
        });
    }
    // Whatever room said no to, or came meanwhile, is looked for before anyone waits.
    if size >= limit {
        Progress::Full
    } else {
        watch_end(handle)
    }
}

fn watch_end(handle: &Handle) -> Progress {
    match handle.state() {
        State::Live => Progress::Waiting,
        State::Expired | State::Closed => Progress::Done,
    }
}
