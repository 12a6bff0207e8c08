//! What the relay is told, and tells: lines of JSON over a Unix socket, a line of answer to each.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::pool::Pool;
use super::tcp::{self, Connections};
use super::udp;
use crate::forward::model::Protocol;
use crate::forward::scheduling::Scheduling;

/// Who speaks another version is told to retire, and another relay takes its place.
pub const VERSION: u32 = 2;
/// How often a relay that retires looks whether its connections have ended.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    /// These listeners are to be as they are here. Others stay.
    Set(Vec<Wanted>),
    /// Listeners but these are closed; their connections go on.
    Keep(HashSet<String>),
    /// These are closed.
    Drop(Vec<String>),
    /// What is there?
    Show,
    /// Take nothing new, and end when the last connection has.
    Retire,
    /// End.
    Stop,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: String,
    protocol: String,
    family: u8,
    scheduler: String,
    affinity_seconds: u32,
    backends: Vec<(IpAddr, u16, u32)>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ports {
        ports: HashMap<String, u16>,
        /// The address of those that are not at any.
        addresses: HashMap<String, IpAddr>,
        /// Why there is no port for others, as where the kernel does not know the protocol.
        errors: HashMap<String, String>,
    },
    Shown(Shown),
    Done(bool),
    Error(String),
}

#[derive(Serialize)]
struct Shown {
    version: u32,
    process: u32,
    connections: usize,
    listeners: Vec<ShownListener>,
}

#[derive(Serialize)]
struct ShownListener {
    id: String,
    port: u16,
    backends: Vec<ShownBackend>,
}

#[derive(Serialize)]
struct ShownBackend {
    address: IpAddr,
    port: u16,
    weight: u32,
    active: u32,
    total: u64,
    failed: u64,
    sent: u64,
    received: u64,
}

struct Listening {
    protocol: Protocol,
    family: u8,
    address: Option<IpAddr>,
    port: u16,
    pool: Arc<Pool>,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Serving,
    Retired,
    Stopped,
}

struct Relay {
    path: PathBuf,
    listening: Mutex<HashMap<String, Listening>>,
    connections: Arc<Connections>,
    life: watch::Sender<Life>,
}

/// Serves the socket at `path` until it is told to end.
pub async fn serve(path: &Path, ready: impl FnOnce()) -> io::Result<()> {
    let socket = UnixListener::bind(path)?;
    ready();
    let (life, mut told) = watch::channel(Life::Serving);
    let relay = Arc::new(Relay {
        path: path.into(),
        listening: Mutex::new(HashMap::new()),
        connections: Arc::default(),
        life,
    });
    let accept = async {
        loop {
            if let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(relay.clone().converse(stream));
            }
        }
    };
    tokio::select! {
        () = accept => {}
        _ = told.wait_for(|life| *life != Life::Serving) => {}
    }
    while *told.borrow() == Life::Retired && relay.connections.count() > 0 {
        sleep(LOOK).await;
    }
    Ok(())
}

impl Relay {
    async fn converse(self: Arc<Self>, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let (answer, life) = match serde_json::from_str(&line) {
                Ok(request) => self.answer(request),
                Err(error) => (Answer::Error(error.to_string()), None),
            };
            let Ok(mut text) = serde_json::to_vec(&answer) else {
                return;
            };
            text.push(b'\n');
            let written = write.write_all(&text).await;
            if let Some(life) = life {
                let _ = self.life.send(life);
            }
            if written.is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: Request) -> (Answer, Option<Life>) {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match request {
            Request::Set(wanted) => {
                let (mut ports, mut errors) = (HashMap::new(), HashMap::new());
                let mut addresses = HashMap::new();
                for each in wanted {
                    match self.set(&mut listening, &each) {
                        Ok((port, address)) => {
                            addresses.extend(address.map(|address| (each.id.clone(), address)));
                            ports.insert(each.id, port);
                        }
                        Err(why) => drop(errors.insert(each.id, why)),
                    }
                }
                let answer = Answer::Ports {
                    ports,
                    addresses,
                    errors,
                };
                (answer, None)
            }
            Request::Keep(wanted) => {
                listening.retain(|id, _| wanted.contains(id));
                (Answer::Done(true), None)
            }
            Request::Drop(ids) => {
                for id in ids {
                    listening.remove(&id);
                }
                (Answer::Done(true), None)
            }
            Request::Show => (Answer::Shown(self.show(&listening)), None),
            Request::Retire => {
                listening.clear();
                // Who comes next makes this file anew.
                let _ = std::fs::remove_file(&self.path);
                (Answer::Done(true), Some(Life::Retired))
            }
            Request::Stop => {
                let _ = std::fs::remove_file(&self.path);
                (Answer::Done(true), Some(Life::Stopped))
            }
        }
    }

    fn set(
        &self,
        listening: &mut HashMap<String, Listening>,
        wanted: &Wanted,
    ) -> Result<(u16, Option<IpAddr>), String> {
        let protocol = Protocol::parse(Some(&wanted.protocol))
            .ok_or_else(|| format!("protocol: unknown: {:?}", wanted.protocol))?;
        let scheduling = Scheduling::parse(&wanted.scheduler)?;
        let affinity = Duration::from_secs(wanted.affinity_seconds.into());
        let backends: Vec<(SocketAddr, u32)> = wanted
            .backends
            .iter()
            .map(|&(address, port, weight)| (SocketAddr::new(address, port), weight))
            .collect();
        let v6 = wanted.family == 6;
        let address = (protocol == Protocol::Sctp)
            .then(|| tcp::sctp_address(v6))
            .flatten();
        if let Some(there) = listening.get(&wanted.id)
            && (there.protocol, there.family, there.address) == (protocol, wanted.family, address)
            && !there.task.is_finished()
        {
            there.pool.set(scheduling, affinity, &backends);
            return Ok((there.port, address));
        }
        let pool = Arc::new(Pool::new(scheduling));
        pool.set(scheduling, affinity, &backends);
        let (port, task) = match protocol {
            Protocol::Udp => udp::Listener::open(v6).and_then(|listener| {
                let port = listener.port()?;
                Ok((port, tokio::spawn(Arc::new(listener).serve(pool.clone()))))
            }),
            _ => {
                let sctp = protocol == Protocol::Sctp;
                tcp::listen(v6, sctp, address).and_then(|listener| {
                    let port = listener.local_addr()?.port();
                    let serve = tcp::serve(listener, pool.clone(), sctp, self.connections.clone());
                    Ok((port, tokio::spawn(serve)))
                })
            }
        }
        .map_err(|error| format!("cannot listen for {}: {error}", protocol.name()))?;
        let made = Listening {
            protocol,
            family: wanted.family,
            address,
            port,
            pool,
            task,
        };
        listening.insert(wanted.id.clone(), made);
        Ok((port, address))
    }

    fn show(&self, listening: &HashMap<String, Listening>) -> Shown {
        let listeners = listening.iter().map(|(id, there)| ShownListener {
            id: id.clone(),
            port: there.port,
            backends: there
                .pool
                .backends()
                .iter()
                .map(|backend| ShownBackend {
                    address: backend.address.ip(),
                    port: backend.address.port(),
                    weight: backend.weight(),
                    active: backend.active.load(Ordering::Relaxed),
                    total: backend.total.load(Ordering::Relaxed),
                    failed: backend.failed.load(Ordering::Relaxed),
                    sent: backend.sent.load(Ordering::Relaxed),
                    received: backend.received.load(Ordering::Relaxed),
                })
                .collect(),
        });
        Shown {
            version: VERSION,
            process: std::process::id(),
            connections: self.connections.count(),
            listeners: listeners.collect(),
        }
    }
}
