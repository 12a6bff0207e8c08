//! What the front puts up with.

use std::time::Duration;

/// Bytes that one read takes from a connection at most.
pub const READ: usize = 32 * 1024;

/// Bytes of a connection that the app has not taken yet, from which on it is not read.
pub const UNREAD: usize = 128 * 1024;

/// Bytes waiting in an outbox from which on its writer should pause, and down to which it pauses: asyncio's own marks.
pub const HIGH_WATER: usize = 64 * 1024;
/// See `HIGH_WATER`.
pub const LOW_WATER: usize = 16 * 1024;

/// Bytes that are made for one write: four TLS records.
pub const BATCH: usize = 64 * 1024;

/// Settings of a front.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads that do TLS and write.
    pub threads: usize,
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For a request to come in, as far as the front reads it, and for the first one of a connection.
    pub header: Duration,
    /// A connection without requests ends after this.
    pub idle: Duration,
    /// Streams of a connection of HTTP/2 at a time.
    pub streams: u32,
}
