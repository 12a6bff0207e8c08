//! Connections: TCP, and SCTP's one-to-one sockets, which work alike.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::pool::{Backend, Pool, Use};
use super::splice::Pipe;

/// For so long each backend may take to answer, in the first round and in those after it: upstream's figures.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Connections that the kernel keeps for the listener.
const BACKLOG: i32 = 1024;
/// Bytes that are read at once while they are copied.
const BUFFER: usize = 16 * 1024;
/// A message of SCTP must come in one piece, to go on in one.
const MESSAGE: usize = 256 * 1024;
/// Bytes of one direction after which it is worth a pipe: before that, two system calls for each piece cost more than
/// its copy.
const WORTH_A_PIPE: u64 = 128 * 1024;
/// A peer that vanished without a word is noticed after this and nine probes, of 75 s each.
const KEEPALIVE: Duration = Duration::from_secs(300);
/// How long to wait before the next connection is taken, when the process has no file for it.
const PAUSE: Duration = Duration::from_millis(50);

/// The address at which a listener for SCTP is to be, where this machine has one to go out with; None for any.
///
/// SCTP tells its peer every address that its socket is bound to (RFC 9260, 5.1.2), and the peer soon tries them all.
/// They are not translated: what comes that way belongs to no association, and is answered by an abort that ends the one
/// that there is. So it must be one, the one that is translated.
pub fn sctp_address(v6: bool) -> Option<IpAddr> {
    // Nothing is sent: the kernel only looks for a route. The addresses are those of documentation (RFC 5737, 3849).
    let (any, somewhere) = if v6 {
        ("[::]:0", "[2001:db8::1]:9")
    } else {
        ("0.0.0.0:0", "192.0.2.1:9")
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(somewhere).ok()?;
    let found = socket.local_addr().ok()?.ip();
    (!found.is_loopback() && !found.is_unspecified()).then_some(found)
}

/// A listener on a port that the kernel chooses, at this address or at any.
pub fn listen(v6: bool, sctp: bool, address: Option<IpAddr>) -> io::Result<TcpListener> {
    let socket = open(v6, sctp)?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    let any: IpAddr = if v6 {
        [0u16; 8].into()
    } else {
        [0u8; 4].into()
    };
    socket.bind(&SocketAddr::new(address.unwrap_or(any), 0).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn open(v6: bool, sctp: bool) -> io::Result<Socket> {
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    let protocol = if sctp { Protocol::SCTP } else { Protocol::TCP };
    let socket = Socket::new(domain, Type::STREAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Takes connections until it is dropped; those that it has go on then, in `connections` of the caller.
pub async fn serve(
    listener: TcpListener,
    pool: Arc<Pool>,
    sctp: bool,
    connections: Arc<Connections>,
) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                let pool = pool.clone();
                connections.spawn(async move {
                    // Whatever happens to one connection is told to its two ends alone.
                    let _ = carry(client, peer, &pool, sctp).await;
                });
            }
            // A connection that is gone again, or no file is left for it.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// All connections of a relay.
#[derive(Default)]
pub struct Connections {
    tasks: std::sync::Mutex<JoinSet<()>>,
}

impl Connections {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self
            .tasks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let mut tasks = self
            .tasks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }
}

async fn carry(client: TcpStream, peer: SocketAddr, pool: &Pool, sctp: bool) -> io::Result<()> {
    let asked = original(&client, peer);
    let Some((server, used)) = reach(peer, asked, pool, sctp).await else {
        return reset(&client);
    };
    if !sctp {
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
            let _ =
                SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        }
    }
    let outcome = tokio::try_join!(
        pump(&client, &server, &used.0.sent, sctp),
        pump(&server, &client, &used.0.received, sctp)
    );
    if outcome.is_err() {
        // One end broke: the other must not take it for the regular end.
        let _ = (reset(&client), reset(&server));
    }
    outcome.map(|_| ())
}

/// The address that the client asked, before it was redirected here.
fn original(client: &TcpStream, peer: SocketAddr) -> Option<IpAddr> {
    let socket = SockRef::from(client);
    let found = if peer.is_ipv4() {
        socket.original_dst_v4()
    } else {
        socket.original_dst_v6()
    };
    found.ok()?.as_socket().map(|address| address.ip())
}

/// A connection to a backend: another one where one refuses or does not answer in time, all of them again with more
/// patience where some did not answer.
async fn reach(
    peer: SocketAddr,
    asked: Option<IpAddr>,
    pool: &Pool,
    sctp: bool,
) -> Option<(TcpStream, Use)> {
    let mut refused: Vec<SocketAddr> = Vec::new();
    for patience in PATIENCE {
        let mut tried = refused.clone();
        let mut slow = false;
        while let Some(backend) = pool.choose(peer, asked, &tried) {
            let used = Use::of(backend.clone());
            match timeout(patience, connect(&backend, sctp)).await {
                Ok(Ok(server)) => {
                    backend.works();
                    return Some((server, used));
                }
                Ok(Err(_)) => refused.push(backend.address),
                Err(_) => slow = true,
            }
            backend.fail();
            tried.push(backend.address);
        }
        if !slow {
            return None;
        }
    }
    None
}

async fn connect(backend: &Backend, sctp: bool) -> io::Result<TcpStream> {
    let socket = open(backend.address.is_ipv6(), sctp)?;
    match socket.connect(&backend.address.into()) {
        Ok(()) => {}
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

/// Ends a connection with a reset.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Everything from one end to the other, and then that no more will come.
async fn pump(from: &TcpStream, to: &TcpStream, moved: &AtomicU64, sctp: bool) -> io::Result<()> {
    let mut buffer = vec![0; if sctp { MESSAGE } else { BUFFER }];
    let mut copied = 0;
    loop {
        from.readable().await?;
        let count = match from.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        write(to, &buffer[..count]).await?;
        copied += count as u64;
        moved.fetch_add(count as u64, Ordering::Relaxed);
        if copied >= WORTH_A_PIPE && count == buffer.len() && !sctp {
            if let Ok(pipe) = Pipe::new() {
                drop(buffer);
                pipe.pump(from, to, moved).await?;
                break;
            }
            copied = 0;
        }
    }
    SockRef::from(to).shutdown(std::net::Shutdown::Write)
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => to.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
