//! Datagrams: a flow for each client and address that it asked, with a socket of its own towards its backend.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::pool::{Pool, Use};

/// A flow that nobody has answered, and one that somebody has, is forgotten after this without a datagram: conntrack's
/// figures (nf_conntrack_udp_timeout and …_stream).
const UNANSWERED: Duration = Duration::from_secs(30);
const ANSWERED: Duration = Duration::from_secs(120);
/// Flows of one listener, each with a socket: beyond that, datagrams of new ones are dropped.
const FLOWS_MAX: usize = 16_384;
/// Datagrams that wait for a flow's backend; more are dropped, as by any queue on their way.
const WAITING_MAX: usize = 256;
/// Datagrams without an answer that are sent again when a backend refuses.
const UNANSWERED_MAX: usize = 16;
/// The longest datagram, and what the kernel may join of several.
const DATAGRAM: usize = 65_535;
/// Datagrams, or what the kernel has joined, that are taken by one system call.
const BATCH: usize = 4;
/// How long to wait after an error of the listener's own socket, as when the kernel has no memory.
const PAUSE: Duration = Duration::from_millis(50);

type Key = (SocketAddr, Option<IpAddr>);

/// A socket that tells which of the node's addresses a datagram was sent to, and answers from it.
pub struct Listener {
    socket: UdpSocket,
    state: UdpSocketState,
    flows: Mutex<HashMap<Key, mpsc::Sender<Vec<u8>>>>,
}

impl Listener {
    /// On a port that the kernel chooses.
    pub fn open(v6: bool) -> io::Result<Self> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, None)?;
        if v6 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        let any: IpAddr = if v6 {
            [0u16; 8].into()
        } else {
            [0u8; 4].into()
        };
        socket.bind(&SocketAddr::new(any, 0).into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // It forbids fragments, which long answers need.
        if v6 {
            sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::WANT)?;
        } else {
            sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::WANT)?;
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            state,
            flows: Mutex::new(HashMap::new()),
        })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Takes datagrams until it is dropped.
    pub async fn serve(self: Arc<Self>, pool: Arc<Pool>) {
        let mut space = vec![0; BATCH * DATAGRAM];
        loop {
            let mut meta = [RecvMeta::default(); BATCH];
            let came = self.receive(&mut space, &mut meta).await;
            let Ok(count) = came else {
                sleep(PAUSE).await;
                continue;
            };
            for (meta, buffer) in meta.iter().zip(space.chunks(DATAGRAM)).take(count) {
                let stride = meta.stride.max(1);
                for datagram in buffer[..meta.len].chunks(stride) {
                    self.take((meta.addr, meta.dst_ip), datagram, &pool);
                }
                if meta.len == 0 {
                    self.take((meta.addr, meta.dst_ip), &[], &pool);
                }
            }
        }
    }

    async fn receive(&self, space: &mut [u8], meta: &mut [RecvMeta; BATCH]) -> io::Result<usize> {
        let mut slices = space.chunks_mut(DATAGRAM).map(IoSliceMut::new);
        let mut buffers: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        self.socket
            .async_io(Interest::READABLE, || {
                self.state
                    .recv(UdpSockRef::from(&self.socket), &mut buffers, meta)
            })
            .await
    }

    fn take(self: &Arc<Self>, key: Key, datagram: &[u8], pool: &Arc<Pool>) {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut datagram = datagram.to_vec();
        if let Some(flow) = flows.get(&key) {
            match flow.try_send(datagram) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return,
                Err(mpsc::error::TrySendError::Closed(back)) => datagram = back,
            }
        } else if flows.len() >= FLOWS_MAX {
            return;
        }
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let _ = sender.try_send(datagram);
        flows.insert(key, sender.clone());
        let (listener, pool) = (self.clone(), pool.clone());
        tokio::spawn(async move {
            listener.flow(key, receiver, &pool).await;
            let mut flows = listener
                .flows
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if flows.get(&key).is_some_and(|now| now.same_channel(&sender)) {
                flows.remove(&key);
            }
        });
    }

    /// One flow, until it has been silent too long, or nobody is left to serve it.
    async fn flow(&self, key: Key, mut from_client: mpsc::Receiver<Vec<u8>>, pool: &Pool) {
        let mut tried = Vec::new();
        let mut unanswered: Vec<Vec<u8>> = Vec::new();
        let mut buffer = vec![0; DATAGRAM];
        while let Some(backend) = pool.choose(key.0, None, &tried) {
            let used = Use::of(backend.clone());
            let Ok(socket) = connect(backend.address).await else {
                backend.fail();
                tried.push(backend.address);
                continue;
            };
            let mut answered = false;
            let mut refused = false;
            for datagram in &unanswered {
                refused |= socket.send(datagram).await.is_err();
            }
            while !refused {
                let patience = if answered { ANSWERED } else { UNANSWERED };
                tokio::select! {
                    datagram = from_client.recv() => {
                        let Some(datagram) = datagram else { return };
                        if backend.gone() {
                            (unanswered, tried) = (vec![datagram], Vec::new());
                            break;
                        }
                        used.0.sent.fetch_add(datagram.len() as u64, std::sync::atomic::Ordering::Relaxed);
                        // An error is what the backend's machine said of an earlier one.
                        refused = socket.send(&datagram).await.is_err();
                        if unanswered.len() < UNANSWERED_MAX && (refused || !answered) {
                            unanswered.push(datagram);
                        }
                    }
                    count = socket.recv(&mut buffer) => match count {
                        Ok(count) => {
                            if !answered {
                                (answered, unanswered) = (true, Vec::new());
                                backend.works();
                            }
                            used.0.received.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
                            self.answer(key, &buffer[..count]).await;
                        }
                        Err(_) => refused = true,
                    },
                    () = sleep(patience) => return,
                }
            }
            if refused {
                backend.fail();
                tried.push(backend.address);
            }
        }
    }

    async fn answer(&self, (client, asked): Key, contents: &[u8]) {
        let transmit = Transmit {
            destination: client,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: asked,
        };
        let sent = self.socket.async_io(Interest::WRITABLE, || {
            self.state
                .try_send(UdpSockRef::from(&self.socket), &transmit)
        });
        // One that cannot be sent is lost, as datagrams are.
        let _ = timeout(PAUSE, sent).await;
    }
}

async fn connect(backend: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if backend.is_ipv6() {
        [0u16; 8].into()
    } else {
        [0u8; 4].into()
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(backend).await?;
    Ok(socket)
}
