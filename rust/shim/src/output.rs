//! A container's output: into the log and to whoever is attached.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{read, write};

use crate::log::{Kind, Log};

/// Read at once: a pipe's usual size.
const CHUNK: usize = 64 << 10;

/// Room asked for in the container's pipes, so that bursts need fewer turns.
pub const PIPE_SIZE: i32 = 256 << 10;

/// Kept for an attached client that does not read. Beyond it the container's output waits for the client, as it would
/// on a terminal: an attached client loses nothing.
const MOST_PENDING: usize = 256 << 10;

/// One of the container's outputs.
pub struct Output {
    kind: Kind,
    fd: Option<OwnedFd>,
    partial: Vec<u8>,
}

/// Where an attached client reads one output.
pub struct Sink {
    /// The connection it belongs to.
    pub connection: u64,
    /// The pipe.
    pub fd: OwnedFd,
    kind: Kind,
    pending: Vec<u8>,
    closed: bool,
}

/// Sets O_NONBLOCK.
pub fn nonblocking(fd: &OwnedFd) {
    let flags =
        fcntl(fd.as_raw_fd(), FcntlArg::F_GETFL).map_or(OFlag::empty(), OFlag::from_bits_retain);
    let _ = fcntl(fd.as_raw_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK));
}

impl Output {
    /// Reads from `fd`.
    pub fn new(kind: Kind, fd: OwnedFd) -> Self {
        nonblocking(&fd);
        Self {
            kind,
            fd: Some(fd),
            partial: Vec::new(),
        }
    }

    /// Its descriptor while more may come.
    pub fn fd(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }

    /// Whether an attached client has yet to read what came before.
    pub fn waits(&self, sinks: &[Sink]) -> bool {
        sinks
            .iter()
            .any(|s| s.kind == self.kind && s.is_pending() && s.pending.len() >= MOST_PENDING)
    }

    /// Takes what is there, a chunk at most. False when there is nothing now.
    pub fn pump(&mut self, log: &mut Log, sinks: &mut [Sink], buffer: &mut Vec<u8>) -> bool {
        let Some(fd) = &self.fd else { return false };
        buffer.resize(CHUNK, 0);
        match read(fd.as_raw_fd(), buffer) {
            Ok(0) => self.end(log),
            Ok(count) => {
                log.add(self.kind, &buffer[..count], &mut self.partial, false);
                for sink in sinks.iter_mut().filter(|s| s.kind == self.kind) {
                    sink.pending.extend_from_slice(&buffer[..count]);
                }
                sinks.iter_mut().for_each(Sink::push);
                return true;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.end(log), // EIO: nobody holds the terminal any more
        }
        false
    }

    /// No more comes: the last line is written though it has no end.
    pub fn end(&mut self, log: &mut Log) {
        if self.fd.take().is_some() {
            log.add(self.kind, b"", &mut self.partial, true);
        }
    }
}

impl Sink {
    /// A client's pipe.
    pub fn new(connection: u64, kind: Kind, fd: OwnedFd) -> Self {
        nonblocking(&fd);
        Self {
            connection,
            fd,
            kind,
            pending: Vec::new(),
            closed: false,
        }
    }

    /// Whether something is yet to be written.
    pub fn is_pending(&self) -> bool {
        !self.closed && !self.pending.is_empty()
    }

    /// Whether somebody reads.
    pub fn is_open(&self) -> bool {
        !self.closed
    }

    /// Its pipe takes more, or, when nothing is to be written, nobody reads it any more.
    pub fn woken(&mut self) {
        self.closed |= self.pending.is_empty();
        self.push();
    }

    /// Writes what the pipe takes.
    pub fn push(&mut self) {
        while !self.pending.is_empty() && !self.closed {
            match write(&self.fd, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Err(_) => self.closed = true,
            }
        }
        self.pending.shrink_to(CHUNK);
    }
}
