//! A connection of HTTP/1.1, and of whatever it is upgraded to.
//!
//! As long as its requests are simple (`simple`) the front reads them, one at a time, and the app answers into the
//! outbox. From the first other one on the app's own protocol reads and writes the connection's bytes.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::{BATCH, Limits, READ};
use super::outbox::{Found, Outbox};
use super::request::{Request, Style};
use super::simple::{LIMIT, Parsed, parse};
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
    limits: Limits,
    reading: Reading,
    /// What came of a request that is not whole, or behind one that is being answered.
    input: Vec<u8>,
    current: Option<Box<Stream>>,
    out: Vec<u8>,
    at: usize,
    unflushed: bool,
    read_over: bool,
    way: Way,
    /// Rings when `due` may have passed.
    timer: Option<Pin<Box<Sleep>>>,
    due: Option<Instant>,
    /// A part of a request is there, or the first is awaited.
    begun: bool,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// We do, and wait for a request.
    Requests,
    /// We do, and the app answers one; then the connection ends or not.
    Answering { close: bool },
    /// The app's protocol.
    App,
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
    pub fn new(stream: S, outbox: Arc<Outbox>, limits: Limits) -> Raw<S> {
        let mut raw = Raw {
            stream,
            outbox,
            limits,
            reading: Reading::Requests,
            input: Vec::new(),
            current: None,
            out: Vec::new(),
            at: 0,
            unflushed: false,
            read_over: false,
            way: Way::Open,
            timer: None,
            due: None,
            begun: true,
        };
        raw.within(limits.header);
        raw
    }

    /// The connection ends unless something happens in time.
    fn within(&mut self, limit: Duration) {
        self.due = Some(Instant::now() + limit);
        // A timer that rings too early is set anew: cheaper than to set it with each request.
        if self.timer.is_none() || limit < self.limits.idle {
            self.timer = Some(Box::pin(sleep(limit)));
        }
    }

    fn is_due(&mut self, context: &mut Context<'_>) -> bool {
        while let Some(timer) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            match self.due {
                None => self.timer = None,
                Some(due) if due <= Instant::now() => return true,
                Some(due) => timer.as_mut().reset(due),
            }
        }
        false
    }

    fn wants(&self) -> bool {
        match self.reading {
            _ if self.read_over || self.way == Way::Closing => false,
            Reading::Requests => true,
            Reading::Answering { .. } => self.input.len() < READ,
            Reading::App => self.outbox.wants(),
        }
    }

    /// Reads while there is something and it is wanted. Ready: the connection is over.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..READS {
            if !self.wants() {
                return Poll::Pending;
            }
            let stream = Pin::new(&mut self.stream);
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(stream.poll_read(context, &mut buffer))?;
                let data = buffer.filled();
                if self.reading != Reading::App {
                    self.input.extend_from_slice(data);
                }
                Poll::Ready(Ok::<_, io::Error>(match self.reading {
                    Reading::App => data.to_vec(),
                    _ => data.get(..1).unwrap_or_default().to_vec(),
                }))
            });
            match ready!(read) {
                Ok(data) if !data.is_empty() => match self.reading {
                    Reading::App => self.outbox.received(data),
                    Reading::Requests => self.advance(),
                    Reading::Answering { .. } => {}
                },
                // Many clients end without TLS's own farewell.
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(());
                }
                _ => {
                    self.read_over = true;
                    match self.reading {
                        Reading::App => self.outbox.eof(),
                        // Who leaves before the answer is whole does not want it.
                        Reading::Answering { .. } if self.outbox.has_done() => {}
                        Reading::Answering { .. } | Reading::Requests => return Poll::Ready(()),
                    }
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes the next request from the input, if it is whole.
    fn advance(&mut self) {
        if self.input.is_empty() {
            self.input = Vec::new();
            return;
        }
        match parse(&self.input) {
            // The whole request has so much time, not each part of it.
            Parsed::Partial if self.begun => {}
            Parsed::Partial => {
                self.begun = true;
                self.within(self.limits.header);
            }
            Parsed::Other => {
                self.reading = Reading::App;
                self.due = None;
                self.outbox.received(std::mem::take(&mut self.input));
            }
            Parsed::Simple(simple) => {
                let body = self.input[simple.body.clone()].to_vec();
                self.input.drain(..simple.body.end);
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                self.due = None;
                self.begun = false;
                self.reading = Reading::Answering {
                    close: simple.close,
                };
                let head = simple.method == "HEAD";
                self.outbox.requested(Request {
                    outbox: Arc::clone(&self.outbox),
                    connection: self.outbox.id,
                    method: simple.method,
                    target: simple.target,
                    headers: simple.headers,
                    body,
                    more: false,
                    style: Style::One { head },
                });
            }
        }
    }

    /// An answer has been written as far as it goes here: the next request's turn.
    fn answered(&mut self, context: &mut Context<'_>) {
        if let Reading::Answering { close } = self.reading {
            if close || self.read_over || self.outbox.is_draining() {
                self.close(context);
                return;
            }
            self.reading = Reading::Requests;
            self.within(self.limits.idle);
            self.advance();
        }
    }

    fn close(&mut self, context: &mut Context<'_>) {
        self.way = Way::Closing;
        self.timer = Some(Box::pin(sleep(FAREWELL)));
        self.due = Some(Instant::now() + FAREWELL);
        context.waker().wake_by_ref();
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
            match self.way {
                Way::Open | Way::Half => {}
                Way::Ending => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                    self.unflushed = false;
                    self.way = Way::Half;
                }
                Way::Closing => {
                    ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
                    return Poll::Ready(Ok(()));
                }
            }
            match self.outbox.fill(&mut self.current, &mut self.out, BATCH) {
                Found::Bytes => {}
                Found::Done => self.answered(context),
                // The heads of HTTP/1.1 are bytes.
                Found::Head(_) => {}
                Found::Eof => self.way = Way::Ending,
                Found::Close => self.close(context),
                Found::Nothing => {
                    // An idle connection has no buffer.
                    self.out = Vec::new();
                    if self.unflushed {
                        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
                        self.unflushed = false;
                    }
                    if self.reading == Reading::Requests && self.outbox.is_draining() {
                        self.close(context);
                        continue;
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
        // Timers last: reading and writing set them.
        if this.outbox.is_aborted()
            || this.write(context).is_ready()
            || this.read(context).is_ready()
            || this.is_due(context)
        {
            this.current = None;
            this.outbox.lost();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

const _: () = assert!(LIMIT >= READ, "a request that is being read fits");
