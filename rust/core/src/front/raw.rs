//! A connection whose bytes the app reads and writes itself: HTTP/1.1 and whatever it is upgraded to.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::limits::{BATCH, READ};
use super::outbox::{Found, Outbox};
use super::stream::Stream;

thread_local! {
    /// Where bytes are read to before it is known how many there are: a connection that waits has no buffer.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// For what has been written to be taken, once the connection is to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// A connection may not keep its thread from others: after so many reads it comes again.
const READS: usize = 4;

/// The task of one connection. It ends with the connection.
#[derive(Debug)]
pub struct Raw<S> {
    stream: S,
    outbox: Arc<Outbox>,
    current: Option<Box<Stream>>,
    out: Vec<u8>,
    at: usize,
    unflushed: bool,
    read_over: bool,
    state: Way,
    /// Runs until the first header is there, and again once the connection is to end.
    patience: Option<Pin<Box<Sleep>>>,
    /// How much of the header's end has been seen.
    seen: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// The writing half ends.
    Ending,
    /// It has ended.
    Half,
    /// Both ends are to end.
    Closing,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Of a connection that has been told of.
    pub fn new(stream: S, outbox: Arc<Outbox>, header: Duration) -> Raw<S> {
        Raw {
            stream,
            outbox,
            current: None,
            out: Vec::new(),
            at: 0,
            unflushed: false,
            read_over: false,
            state: Way::Open,
            patience: Some(Box::pin(sleep(header))),
            seen: 0,
        }
    }

    /// Reads while there is something and it is wanted. Ready: the connection has broken.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        for _ in 0..READS {
            if self.read_over || self.state == Way::Closing || !self.outbox.wants() {
                return Poll::Pending;
            }
            let stream = Pin::new(&mut self.stream);
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(stream.poll_read(context, &mut buffer))?;
                Poll::Ready(Ok::<_, io::Error>(buffer.filled().to_vec()))
            });
            match ready!(read) {
                Ok(data) if !data.is_empty() => {
                    self.watch_header(&data);
                    self.outbox.received(data);
                }
                // Many clients end without TLS's own farewell.
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(error);
                }
                _ => {
                    self.read_over = true;
                    self.outbox.eof();
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Once a blank line has been seen the header is complete, and time is the app's matter.
    fn watch_header(&mut self, data: &[u8]) {
        if self.patience.is_none() {
            return;
        }
        for byte in data {
            self.seen = match (byte, self.seen) {
                (b'\n', 1) => 2,
                (b'\n', _) => 1,
                (b'\r', seen) => seen,
                _ => 0,
            };
            if self.seen == 2 {
                self.patience = None;
                return;
            }
        }
    }

    /// Writes while there is something and the kernel takes it. Ready: the connection is over.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.at < self.out.len() {
                let stream = Pin::new(&mut self.stream);
                let count = ready!(stream.poll_write(context, &self.out[self.at..]))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.at += count;
                self.unflushed = true;
            }
            self.at = 0;
            self.out.clear();
            match self.state {
                Way::Open | Way::Half => {}
                Way::Ending => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                    self.unflushed = false;
                    self.state = Way::Half;
                }
                Way::Closing => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                    return Poll::Ready(Ok(()));
                }
            }
            match self.outbox.fill(&mut self.current, &mut self.out, BATCH) {
                Found::Bytes => {}
                Found::Eof => self.state = Way::Ending,
                Found::Close => {
                    self.state = Way::Closing;
                    self.patience = Some(Box::pin(sleep(FAREWELL)));
                    context.waker().wake_by_ref();
                }
                Found::Nothing => {
                    // An idle connection has no buffer.
                    self.out = Vec::new();
                    if self.unflushed {
                        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Raw<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.outbox.register(context.waker());
        let impatient = this
            .patience
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(context).is_ready());
        if impatient
            || this.outbox.is_aborted()
            || this.write(context).is_ready()
            || this.read(context).is_ready()
        {
            this.current = None;
            this.outbox.lost();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
