//! Takes connections, ends their handshakes and gives each a task of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::http2;
use super::identity::Identity;
use super::inbox::{Opened, Shared};
use super::limits::Limits;
use super::outbox::Outbox;
use super::raw::Raw;
use super::tls::TLS_BUFFER;

/// A rest after an accept that failed for want of descriptors or memory: connections that end give some back.
const REST: Duration = Duration::from_millis(50);

/// A client that vanished without a word is found out after about a minute: asked after half of it, then three times.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_STEP: Duration = Duration::from_secs(10);
const KEEPALIVE_TRIES: u32 = 3;
/// And one that takes nothing of what was sent, after this.
const UNANSWERED: Duration = Duration::from_secs(60);

/// Takes connections until told to stop.
pub async fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    tls: Arc<RwLock<Arc<ServerConfig>>>,
    limits: Limits,
    mut accepting: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            // Told, or whoever could tell is gone.
            _ = accepting.wait_for(|accepting| !accepting) => return,
            next = next => next,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, peer))) => {
                let config = Arc::clone(&tls.read().unwrap_or_else(PoisonError::into_inner));
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A connection that fails before its first request is nobody's business.
                    let _ = connect(stream, peer, place, shared, config, limits).await;
                });
            }
            (_, Err(error)) if passing(&error) => {}
            _ => sleep(REST).await,
        }
    }
}

/// The client went away between the kernel's word of it and our accept.
fn passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    config: Arc<ServerConfig>,
    limits: Limits,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_STEP)
        .with_retries(KEEPALIVE_TRIES);
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNANSWERED))?;
    let local = stream.local_addr()?;
    let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
    let mut stream = timeout(limits.handshake, handshake).await??;
    let (_, session) = stream.get_mut();
    session.set_buffer_limit(Some(TLS_BUFFER));
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let opened = Opened {
        peer,
        local,
        identity: certificate.and_then(|certificate| Identity::of(certificate)),
        server_name: session.server_name().map(str::to_owned),
    };
    let two = session.alpn_protocol() == Some(b"h2");
    let outbox = Outbox::new(Arc::clone(&shared));
    outbox.opened(opened);
    if two {
        Box::pin(http2::serve(stream, outbox, shared, limits)).await;
    } else {
        Raw::new(stream, outbox, limits).await;
    }
    drop(place);
    Ok(())
}
