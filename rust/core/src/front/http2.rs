//! A connection of HTTP/2: each stream has an outbox of its own, as if it were a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::HOST;
use http::request::Parts;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::inbox::Shared;
use super::limits::{BATCH, Limits};
use super::meter::{Bucket, Meter, Metered};
use super::outbox::{Found, Outbox};
use super::request::{Request, Style};
use super::stream::Stream;

/// Bytes of a request's header fields, 32 counted for each: what HTTP/1.1 may have.
const HEADERS: u32 = 64 * 1024;
/// Bytes of a stream that a client may send before the app takes them; of all streams of a connection.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that a client has reset and the app has not seen: more ends the connection (CVE-2023-44487, "rapid reset").
const PENDING_RESETS: usize = 20;
/// Requests under way, for each stream that there may be at a time: a client that resets a stream has a place for
/// another, but the app may not have ended yet what was asked for. More ends the connection, as upstream's listener does.
const UNDER_WAY: usize = 4;
/// Streams that we reset for the client's errors: more ends the connection (CVE-2025-8671, "made you reset").
const ERROR_RESETS: usize = 100;
/// For a connection that ends to hear why.
const FAREWELL: Duration = Duration::from_secs(10);
/// Bytes of a stream that may wait for the connection to write them.
const SEND_BUFFER: usize = BATCH;

/// Serves a connection until it ends.
pub async fn serve<S>(io: S, outbox: Arc<Outbox>, shared: Arc<Shared>, limits: Limits)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The connection's own outbox stands for it as a whole: its number, its end, its waking at the front's end.
    let _ = run(io, &outbox, &shared, limits).await;
    outbox.lost();
}

async fn run<S>(
    io: S,
    outbox: &Arc<Outbox>,
    shared: &Arc<Shared>,
    limits: Limits,
) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(HEADERS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(Some(ERROR_RESETS))
        .max_send_buffer_size(SEND_BUFFER);
    let meter = Arc::new(Meter::default());
    let mut bucket = Bucket::new(Arc::clone(&meter), Instant::now());
    let handshake = builder.handshake::<_, Bytes>(Metered::new(io, Arc::clone(&meter)));
    let Ok(connection) = timeout(limits.header, handshake).await else {
        return Ok(());
    };
    let mut connection = connection?;
    // Those whose outbox someone still holds: the stream's own task, or the app.
    let running = Arc::new(AtomicUsize::new(0));
    let most = UNDER_WAY * limits.streams as usize;
    let mut idle = Box::pin(sleep_until(Instant::now() + limits.header));
    let mut leaving = false;
    let mut cut = false;
    loop {
        let next = std::future::poll_fn(|context| {
            outbox.register(context.waker());
            let now = Instant::now();
            if !cut && (bucket.is_full(now) || running.load(Ordering::Acquire) > most) {
                (leaving, cut) = (true, true);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                idle.as_mut().reset(now + FAREWELL);
            }
            if !leaving && outbox.is_draining() {
                leaving = true;
                connection.graceful_shutdown();
                idle.as_mut().reset(now + FAREWELL);
            }
            while idle.as_mut().poll(context).is_ready() {
                match running.load(Ordering::Acquire) {
                    // A farewell asks for an answer: who gives none has had its time.
                    _ if cut => return Poll::Ready(None),
                    0 if leaving => return Poll::Ready(None),
                    0 => {
                        leaving = true;
                        connection.graceful_shutdown();
                        idle.as_mut().reset(now + FAREWELL);
                    }
                    _ => idle.as_mut().reset(now + limits.idle),
                }
            }
            connection.poll_accept(context)
        })
        .await;
        let Some(next) = next else {
            return Ok(());
        };
        let (request, respond) = next?;
        if !leaving {
            idle.as_mut().reset(Instant::now() + limits.idle);
        }
        meter.explain(u64::from(HEADERS));
        let one = Outbox::counted(Arc::clone(shared), Arc::clone(&running));
        tokio::spawn(Exchange::new(request, respond, one, outbox.id, &meter));
    }
}

/// The task of one stream.
struct Exchange {
    outbox: Arc<Outbox>,
    receive: Option<RecvStream>,
    respond: SendResponse<Bytes>,
    send: Option<SendStream<Bytes>>,
    current: Option<Box<Stream>>,
    out: Bytes,
    meter: Arc<Meter>,
}

impl Exchange {
    fn new(
        request: http::Request<RecvStream>,
        respond: SendResponse<Bytes>,
        outbox: Arc<Outbox>,
        connection: u64,
        meter: &Arc<Meter>,
    ) -> Exchange {
        let (parts, receive) = request.into_parts();
        let more = !receive.is_end_stream();
        outbox.requested(read(parts, &outbox, connection, more));
        Exchange {
            outbox,
            receive: more.then_some(receive),
            respond,
            send: None,
            current: None,
            out: Bytes::new(),
            meter: Arc::clone(meter),
        }
    }

    /// Passes on what comes of the body. Ready: the stream is broken.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(receive) = &mut self.receive
            && self.outbox.wants()
        {
            match receive.poll_data(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(data))) => {
                    // The window opens again as far as the app's share of unread bytes lets us read on.
                    let _ = receive.flow_control().release_capacity(data.len());
                    self.meter.explain(data.len() as u64);
                    self.outbox.received(data.to_vec());
                }
                Poll::Ready(None) => {
                    self.receive = None;
                    self.outbox.eof();
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Writes what there is room for. Ready: the stream is over; false if it broke.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            if let Some(send) = &mut self.send {
                if send.poll_reset(context).is_ready() {
                    return Poll::Ready(false);
                }
                while !self.out.is_empty() {
                    send.reserve_capacity(self.out.len());
                    match send.poll_capacity(context) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Some(Ok(size))) => {
                            let data = self.out.split_to(size.min(self.out.len()));
                            if send.send_data(data, false).is_err() {
                                return Poll::Ready(false);
                            }
                        }
                        Poll::Ready(_) => return Poll::Ready(false),
                    }
                }
            } else if self.respond.poll_reset(context).is_ready() {
                return Poll::Ready(false);
            }
            let mut out = Vec::new();
            match self.outbox.fill(&mut self.current, &mut out, BATCH) {
                Found::Head(head) => match self.respond.send_response(*head, false) {
                    Ok(send) => self.send = Some(send),
                    Err(_) => return Poll::Ready(false),
                },
                Found::Bytes if self.send.is_some() => self.out = out.into(),
                Found::Done => {
                    let Some(send) = &mut self.send else {
                        return Poll::Ready(false);
                    };
                    return Poll::Ready(send.send_data(Bytes::new(), true).is_ok());
                }
                Found::Nothing => return Poll::Pending,
                // Bytes without a head, or an answer that the app gives up.
                Found::Bytes | Found::Eof | Found::Close => return Poll::Ready(false),
            }
        }
    }
}

impl Future for Exchange {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.outbox.register(context.waker());
        let over = match this.write(context) {
            Poll::Ready(over) => Some(over),
            _ if this.outbox.is_aborted() || this.read(context).is_ready() => Some(false),
            Poll::Pending => None,
        };
        let Some(whole) = over else {
            return Poll::Pending;
        };
        if !whole {
            match &mut this.send {
                Some(send) => send.send_reset(Reason::INTERNAL_ERROR),
                None => this.respond.send_reset(Reason::INTERNAL_ERROR),
            }
        }
        // Of a body that nobody read, h2 wants no more once the answer is out: it resets the stream with NO_ERROR when
        // this is dropped (RFC 9113, 8.1). Reset from here, the stream would lose what of the answer still waits.
        this.current = None;
        this.outbox.lost();
        Poll::Ready(())
    }
}

fn read(parts: Parts, outbox: &Arc<Outbox>, connection: u64, more: bool) -> Request {
    let mut headers = Vec::with_capacity(parts.headers.len() + 1);
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(HOST)
    {
        headers.push((b"host".to_vec(), authority.as_str().as_bytes().to_vec()));
    }
    let fields = parts.headers.iter();
    headers.extend(fields.map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec())));
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Request {
        outbox: Arc::clone(outbox),
        connection,
        method: parts.method.as_str().to_owned(),
        target: target.as_bytes().to_vec(),
        headers,
        body: Vec::new(),
        more,
        style: Style::Two,
    }
}
