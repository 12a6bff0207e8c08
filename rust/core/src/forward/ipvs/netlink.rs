//! Netlink messages and a socket that sends them in batches (RFC 3549; include/uapi/linux/netlink.h).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::net::{bind, netlink, recv, send, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Messages in one `send`. A system call each is half of the cost; with 64 the replies still fit into any receive
/// buffer.
pub const BATCH: usize = 64;
/// The kernel never writes a larger part of a dump (net/netlink/af_netlink.c).
const BUFFER: usize = 32 << 10;
const HEADER: usize = 16;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
/// NLM_F_CREATE | NLM_F_EXCL, for requests that make something.
pub const CREATE: u16 = 0x600;
const NESTED: u16 = 0x8000;
const TYPE: u16 = 0x3fff;

/// A message: its type, flags beyond those of every request, and its body.
pub struct Message {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    /// `head` is the family's own fixed header.
    pub fn new(kind: u16, flags: u16, head: &[u8]) -> Self {
        Self {
            kind,
            flags,
            body: head.to_vec(),
        }
    }

    /// Adds an attribute.
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        let length = (value.len() + 4) as u16;
        self.body.extend_from_slice(&length.to_ne_bytes());
        self.body.extend_from_slice(&kind.to_ne_bytes());
        self.body.extend_from_slice(value);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
    }

    /// Adds an attribute that holds those which `fill` adds.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.body.len();
        self.put(kind | NESTED, &[]);
        fill(self);
        let length = (self.body.len() - at) as u16;
        self.body[at..at + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn write(&self, out: &mut Vec<u8>, flags: u16, sequence: u32) {
        out.extend_from_slice(&((HEADER + self.body.len()) as u32).to_ne_bytes());
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&(NLM_F_REQUEST | self.flags | flags).to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&0u32.to_ne_bytes());
        out.extend_from_slice(&self.body);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// The attributes in a body, as (type, value). What is cut short ends them.
pub fn attributes(mut body: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(number16(body)?);
        let kind = number16(body.get(2..)?)? & TYPE;
        let value = body.get(4..length)?;
        body = body.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first two bytes in the machine's order.
pub fn number16(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.first_chunk()?))
}

/// The first four bytes in the machine's order.
pub fn number32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.first_chunk()?))
}

/// The first eight bytes in the machine's order.
pub fn number64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.first_chunk()?))
}

/// One netlink socket. The kernel answers each request while it is being sent, so nothing here waits for long.
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    /// Messages sent, for whoever counts them.
    pub sent: u64,
}

impl Socket {
    /// A socket of a netlink protocol, subscribed to `groups` (a bit each).
    pub fn open(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        let family = AddressFamily::NETLINK;
        let fd = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        bind(&fd, &netlink::SocketAddrNetlink::new(0, groups))?;
        Ok(Self {
            fd,
            sequence: 0,
            buffer: vec![0; BUFFER],
            sent: 0,
        })
    }

    /// The socket itself.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Sends all in batches and waits for each one's acknowledgement. Gives the error of each that was refused, by its
    /// place. Fails where the socket itself does; then nobody knows what was done.
    pub fn execute(&mut self, messages: &[Message]) -> io::Result<Vec<(usize, io::Error)>> {
        let mut refused = Vec::new();
        let mut out = Vec::new();
        for (number, batch) in messages.chunks(BATCH).enumerate() {
            out.clear();
            let first = self.sequence.wrapping_add(1);
            for (at, message) in batch.iter().enumerate() {
                message.write(&mut out, NLM_F_ACK, first.wrapping_add(at as u32));
            }
            self.sequence = self.sequence.wrapping_add(batch.len() as u32);
            self.sent += batch.len() as u64;
            send(&self.fd, &out, SendFlags::empty())?;
            let mut waiting = batch.len();
            while waiting > 0 {
                let length = self.receive()?;
                for (kind, sequence, body) in frames(&self.buffer[..length]) {
                    let at = sequence.wrapping_sub(first) as usize;
                    if kind == NLMSG_ERROR && at < batch.len() {
                        waiting -= 1;
                        if let Some(error) = failure(body) {
                            refused.push((number * BATCH + at, error));
                        }
                    }
                }
            }
        }
        Ok(refused)
    }

    /// Everything that the kernel says to a request for a dump: the bodies.
    pub fn dump(&mut self, message: &Message) -> io::Result<Vec<Vec<u8>>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        let mut out = Vec::new();
        message.write(&mut out, NLM_F_DUMP, self.sequence);
        send(&self.fd, &out, SendFlags::empty())?;
        let mut bodies = Vec::new();
        loop {
            let length = self.receive()?;
            for (kind, sequence, body) in frames(&self.buffer[..length]) {
                if sequence != self.sequence {
                    continue;
                }
                match kind {
                    NLMSG_DONE => return Ok(bodies),
                    NLMSG_ERROR => match failure(body) {
                        Some(error) => return Err(error),
                        None => return Ok(bodies),
                    },
                    _ => bodies.push(body.to_vec()),
                }
            }
        }
    }

    /// The one answer to a request.
    pub fn ask(&mut self, message: &Message) -> io::Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.sent += 1;
        let mut out = Vec::new();
        message.write(&mut out, 0, self.sequence);
        send(&self.fd, &out, SendFlags::empty())?;
        loop {
            let length = self.receive()?;
            for (kind, sequence, body) in frames(&self.buffer[..length]) {
                if sequence != self.sequence {
                    continue;
                }
                if kind == NLMSG_ERROR
                    && let Some(error) = failure(body)
                {
                    return Err(error);
                }
                return Ok(body.to_vec());
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        loop {
            match recv(&self.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => return Ok(length),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// (type, sequence, body) of each message in what was received.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u16, u32, &[u8])> {
    std::iter::from_fn(move || {
        let length = number32(bytes)? as usize;
        let frame = bytes.get(..length).filter(|_| length >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((
            number16(&frame[4..])?,
            number32(&frame[8..])?,
            &frame[HEADER..],
        ))
    })
}

/// The error in an NLMSG_ERROR; None for an acknowledgement.
fn failure(body: &[u8]) -> Option<io::Error> {
    match number32(body).map(|code| code as i32) {
        Some(0) => None,
        Some(code) => Some(io::Error::from_raw_os_error(-code)),
        None => Some(io::ErrorKind::InvalidData.into()),
    }
}

/// Runs `work` in a thread of its own in the network namespace of this file, or right here without one. A socket stays
/// in the namespace in which it was made.
pub fn inside<T: Send>(
    namespace: Option<&Path>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let Some(path) = namespace else { return work() };
    let file = File::open(path)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let mut message = Message::new(1, 0, &[]);
        message.put(7, b"abc");
        message.nest(2, |m| m.put(3, &5u32.to_ne_bytes()));
        let read: Vec<_> = attributes(&message.body).collect();
        assert_eq!((read[0], read.len()), ((7, &b"abc"[..]), 2));
        let inner: Vec<_> = attributes(read[1].1).collect();
        assert_eq!(inner, [(3, &5u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn what_is_cut_short_ends_the_reading() {
        assert_eq!(attributes(&[9, 0, 1, 0, 5]).count(), 0);
        assert_eq!(
            attributes(&[2, 0, 1, 0]).count(),
            0,
            "a length below its own header"
        );
        assert_eq!(frames(&[16, 0, 0]).count(), 0);
        assert_eq!(frames(&[4; 40]).count(), 0);
    }

    #[test]
    fn the_kernel_answers_each_of_a_batch() {
        // Links that do not exist: refused one by one, whoever asks.
        let mut socket = Socket::open(None, 0).unwrap();
        let messages: Vec<_> = (0..BATCH + 3)
            .map(|_| {
                let mut head = [0; 16];
                head[4..8].copy_from_slice(&i32::MAX.to_ne_bytes());
                Message::new(17, 0, &head)
            })
            .collect();
        let refused = socket.execute(&messages).unwrap();
        let places: Vec<_> = refused.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, (0..BATCH + 3).collect::<Vec<_>>());
    }
}
