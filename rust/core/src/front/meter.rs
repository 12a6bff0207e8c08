//! What a client of HTTP/2 may send that asks for nothing: PING, SETTINGS, WINDOW_UPDATE, PRIORITY, empty frames.
//!
//! Each of them costs us more than it costs the client (CVE-2019-9512, 9515, 9518 and their kin), and none is known
//! here by its kind: the connection's bytes are counted instead. What a request or a body explains is not counted;
//! the rest fills a bucket that empties with time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Bytes that the bucket holds: fifteen thousand PINGs.
const BUCKET: u64 = 256 * 1024;
/// Bytes that it loses in a second. Clients that look whether we are there do it a few times a minute.
const EACH_SECOND: u64 = 4 * 1024;
/// One byte for so many that were sent to the client, who opens its windows again: 13 bytes a frame of data.
const FOR_SENT: u64 = 4;

/// A connection's bytes both ways, and what explains those that came.
#[derive(Debug, Default)]
pub struct Meter {
    read: AtomicU64,
    written: AtomicU64,
    explained: AtomicU64,
}

impl Meter {
    /// So many bytes that came were a request or a body.
    pub fn explain(&self, bytes: u64) {
        self.explained.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The bucket of one connection.
#[derive(Debug)]
pub struct Bucket {
    meter: Arc<Meter>,
    level: u64,
    /// What has been counted already: bytes that came, and those that are allowed for.
    read: u64,
    allowed: u64,
    at: Instant,
}

impl Bucket {
    /// An empty one.
    pub fn new(meter: Arc<Meter>, now: Instant) -> Bucket {
        Bucket {
            meter,
            level: 0,
            read: 0,
            allowed: 0,
            at: now,
        }
    }

    /// Whether more came than is put up with.
    pub fn is_full(&mut self, now: Instant) -> bool {
        let read = self.meter.read.load(Ordering::Relaxed);
        let sent = self.meter.written.load(Ordering::Relaxed) / FOR_SENT;
        let allowed = sent + self.meter.explained.load(Ordering::Relaxed);
        let millis = u64::try_from((now - self.at).as_millis()).unwrap_or(u64::MAX);
        let lost = millis.saturating_mul(EACH_SECOND) / 1000;
        self.level = (self.level + (read - self.read))
            .saturating_sub(allowed - self.allowed)
            .saturating_sub(lost);
        (self.read, self.allowed) = (read, allowed);
        if lost > 0 {
            self.at = now;
        }
        self.level > BUCKET
    }
}

/// A connection whose bytes are counted.
#[derive(Debug)]
pub struct Metered<S> {
    io: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    /// Counts into `meter`.
    pub fn new(io: S, meter: Arc<Meter>) -> Metered<S> {
        Metered { io, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        let came = buffer.filled().len() - before;
        this.meter.read.fetch_add(came as u64, Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = written {
            let count = *count as u64;
            self.meter.written.fetch_add(count, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, bytes);
        this.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, parts);
        this.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_explained_is_not_counted() {
        let meter = Arc::new(Meter::default());
        let began = Instant::now();
        let mut bucket = Bucket::new(Arc::clone(&meter), began);
        meter.read.fetch_add(10 * BUCKET, Ordering::Relaxed);
        meter.explain(9 * BUCKET);
        assert!(!bucket.is_full(began));
        meter.read.fetch_add(1, Ordering::Relaxed);
        assert!(bucket.is_full(began));
        meter.written.fetch_add(FOR_SENT, Ordering::Relaxed);
        assert!(!bucket.is_full(began));
    }

    #[test]
    fn it_empties_with_time_and_saves_nothing_up() {
        let meter = Arc::new(Meter::default());
        let mut now = Instant::now();
        let mut bucket = Bucket::new(Arc::clone(&meter), now);
        now += Duration::from_secs(3600);
        assert!(!bucket.is_full(now));
        meter.read.fetch_add(BUCKET + 1, Ordering::Relaxed);
        assert!(bucket.is_full(now));
        now += Duration::from_secs(1);
        assert!(!bucket.is_full(now));
        for _ in 0..10_000 {
            // A PING every five milliseconds is less than it loses, whatever it is looked at meanwhile.
            now += Duration::from_micros(500);
            meter.read.fetch_add(1, Ordering::Relaxed);
            assert!(!bucket.is_full(now));
        }
    }
}
