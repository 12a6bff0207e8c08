//! The socket in the container's folder: JSON lines with descriptors beside them.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, accept4, bind, getsockopt, listen, recvmsg, sendmsg, socket, sockopt,
};
use nix::unistd::geteuid;
use serde::Deserialize;
use serde_json::Value;

use crate::sys;

/// The socket's name in the container's folder.
pub const SOCKET: &str = "shim.sock";

/// The version of this protocol; a request of another version is refused.
pub const VERSION: u32 = 1;

/// Longest request: an exec's arguments, which the kernel limits to about this as well (ARG_MAX).
const LONGEST_REQUEST: usize = 2 << 20;

/// Bytes taken from a connection at once.
const CHUNK: usize = 16 << 10;

/// Most descriptors that come with one request: stdin, stdout and stderr.
const MOST_DESCRIPTORS: usize = 3;

/// What may be asked.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Request {
    /// Who runs.
    State,
    /// A signal to the container's first process, or to all of the container.
    #[serde(rename_all = "camelCase")]
    Kill {
        /// Its number.
        signal: i32,
        /// Everything in the container's control group (SIGKILL only).
        #[serde(default)]
        all: bool,
    },
    /// Tells the end when it comes, and when the log is full.
    Wait,
    /// A command in the container; its end is told on the same connection.
    #[serde(rename_all = "camelCase")]
    Exec {
        /// Program and arguments.
        args: Vec<String>,
        /// With a terminal of its own, whose master comes back; else three descriptors come along.
        #[serde(default)]
        tty: bool,
    },
    /// A signal to this connection's command.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Output from now on into the two descriptors that come along; stdin or the terminal comes back.
    Attach {
        /// Whether stdin is wanted.
        #[serde(default)]
        stdin: bool,
    },
    /// The attached client will write no more.
    CloseStdin,
    /// The log file was renamed: write to a new one.
    ReopenLog,
}

#[derive(Deserialize)]
struct Envelope {
    v: u32,
    #[serde(flatten)]
    request: Request,
}

/// A listening socket in the current directory, for this user and root.
pub fn listener() -> Result<OwnedFd, String> {
    let describe = |e: Errno| format!("cannot listen on {SOCKET}: {}", e.desc());
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(describe)?;
    let _ = nix::unistd::unlink(SOCKET);
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = UnixAddr::new(SOCKET).and_then(|address| bind(fd.as_raw_fd(), &address));
    nix::sys::stat::umask(before);
    bound.map_err(describe)?;
    listen(&fd, Backlog::new(64).unwrap_or(Backlog::MAXCONN)).map_err(describe)?;
    Ok(fd)
}

/// One client.
pub struct Connection {
    /// Tells connections apart; never used again.
    pub id: u64,
    /// Its socket.
    pub fd: OwnedFd,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    /// Wants to be told the end.
    pub waits: bool,
    /// Was told that the log is full.
    pub told_full: bool,
}

impl Connection {
    /// The next client, if it may connect.
    pub fn accept(listener: &OwnedFd, id: u64) -> Option<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = sys::own(accept4(listener.as_raw_fd(), flags).ok()?);
        let peer = getsockopt(&fd, sockopt::PeerCredentials).ok()?;
        if peer.uid() != 0 && peer.uid() != geteuid().as_raw() {
            return None;
        }
        Some(Self::new(fd, id))
    }

    /// A client that was there before the socket.
    pub fn new(fd: OwnedFd, id: u64) -> Self {
        Self {
            id,
            fd,
            received: Vec::new(),
            descriptors: Vec::new(),
            waits: false,
            told_full: false,
        }
    }

    /// What came in: whole requests. None when the client went away or sent what cannot be.
    pub fn receive(&mut self) -> Option<Vec<Result<Request, String>>> {
        let mut buffer = [0u8; CHUNK];
        let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        let message = match recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut space), flags)
        {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Some(Vec::new()),
            Err(_) => return None,
        };
        for control in message.cmsgs().ok()? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                self.descriptors.extend(fds.into_iter().map(sys::own));
            }
        }
        let count = message.bytes;
        if count == 0
            || self.received.len() + count > LONGEST_REQUEST
            || self.descriptors.len() > MOST_DESCRIPTORS
        {
            return None;
        }
        self.received.extend_from_slice(&buffer[..count]);
        let mut requests = Vec::new();
        while let Some(end) = self.received.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            requests.push(parse(&line));
        }
        Some(requests)
    }

    /// The descriptors that came with the last request.
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// Sends one line, with a descriptor beside it. A client that does not read its few short answers loses them.
    pub fn send(&self, message: &Value, descriptor: Option<&OwnedFd>) {
        let text = format!("{message}\n");
        let parts = [IoSlice::new(text.as_bytes())];
        let raw: Vec<RawFd> = descriptor.iter().map(|fd| fd.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() {
            &rights[..0]
        } else {
            &rights[..]
        };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let _ = sendmsg::<()>(self.fd.as_raw_fd(), &parts, control, flags, None);
    }
}

fn parse(line: &[u8]) -> Result<Request, String> {
    let envelope: Envelope =
        serde_json::from_slice(line).map_err(|e| format!("not a request: {e}"))?;
    if envelope.v != VERSION {
        return Err(format!(
            "this shim speaks version {VERSION}, the request is of version {}",
            envelope.v
        ));
    }
    Ok(envelope.request)
}
