//! IPVS' own messages: generic netlink family "IPVS" (include/uapi/linux/ip_vs.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::model::{Frontend, Protocol};
use super::super::scheduling::Scheduler;
use super::model::{Options, Step, Target};
use super::netlink::{Message, attributes, number16, number32, number64};

/// IP_VS_SVC_F_PERSISTENT.
pub const PERSISTENT: u32 = 1;
/// IP_VS_SVC_F_SCHED1 and IP_VS_SVC_F_SCHED2: sh-fallback and sh-port, mh-fallback and mh-port.
pub const FALLBACK: u32 = 8;
/// See [`FALLBACK`].
pub const WITH_PORT: u32 = 16;
/// The flags that are set from here. The others are the kernel's own or somebody's choice.
pub const OUR_FLAGS: u32 = PERSISTENT | FALLBACK | WITH_PORT;

const NEW_SERVICE: u8 = 1;
const SET_SERVICE: u8 = 2;
const DEL_SERVICE: u8 = 3;
const GET_SERVICE: u8 = 4;
const NEW_DEST: u8 = 5;
const SET_DEST: u8 = 6;
const DEL_DEST: u8 = 7;
const GET_DEST: u8 = 8;

const CMD_SERVICE: u16 = 1;
const CMD_DEST: u16 = 2;

const SVC_AF: u16 = 1;
const SVC_PROTOCOL: u16 = 2;
const SVC_ADDR: u16 = 3;
const SVC_PORT: u16 = 4;
const SVC_FWMARK: u16 = 5;
const SVC_SCHED_NAME: u16 = 6;
const SVC_FLAGS: u16 = 7;
const SVC_TIMEOUT: u16 = 8;
const SVC_NETMASK: u16 = 9;
const SVC_STATS64: u16 = 12;

const DEST_ADDR: u16 = 1;
const DEST_PORT: u16 = 2;
const DEST_FWD_METHOD: u16 = 3;
const DEST_WEIGHT: u16 = 4;
const DEST_UPPER: u16 = 5;
const DEST_LOWER: u16 = 6;
const DEST_ACTIVE: u16 = 7;
const DEST_INACTIVE: u16 = 8;
const DEST_ADDR_FAMILY: u16 = 11;
const DEST_STATS64: u16 = 12;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// IP_VS_CONN_F_MASQ: addresses are translated, so that destinations need know nothing.
const TRANSLATE: u32 = 0;
/// A client is one address, not a net of them.
const WHOLE_V4: u32 = u32::MAX;
const WHOLE_V6: u32 = 128;

/// What the kernel counted, since the server or destination was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients, and to them.
    pub packets: (u64, u64),
    /// Bytes from clients, and to them.
    pub bytes: (u64, u64),
}

/// A destination as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its place.
    pub target: Target,
    /// Its weight.
    pub weight: u32,
    /// Connections that are established.
    pub active: u32,
    /// Connections in any other state.
    pub inactive: u32,
    /// What it has served.
    pub counters: Counters,
}

/// The request for one step. `family` is the number that the kernel gave IPVS.
pub fn encode(family: u16, step: &Step) -> Message {
    match *step {
        Step::AddServer(frontend, options) => {
            with_options(family, NEW_SERVICE, &frontend, &options)
        }
        Step::SetServer(frontend, options) => {
            with_options(family, SET_SERVICE, &frontend, &options)
        }
        Step::RemoveServer(frontend) => bare(family, DEL_SERVICE, &frontend),
        Step::Add(frontend, target, weight) => {
            dest(family, NEW_DEST, &frontend, target, Some(weight))
        }
        Step::Set(frontend, target, weight) => {
            dest(family, SET_DEST, &frontend, target, Some(weight))
        }
        Step::Remove(frontend, target) => dest(family, DEL_DEST, &frontend, target, None),
    }
}

/// Asks for all virtual servers.
pub fn all_servers(family: u16) -> Message {
    request(family, GET_SERVICE)
}

/// Asks for the destinations of one.
pub fn destinations_of(family: u16, frontend: &Frontend) -> Message {
    bare(family, GET_DEST, frontend)
}

/// Reads a virtual server. None for those by firewall mark, of protocols or with schedulers that are never ours.
pub fn read_server(body: &[u8]) -> Option<(Frontend, Options, Counters)> {
    let inner = attributes(body.get(4..)?)
        .find(|(kind, _)| *kind == CMD_SERVICE)?
        .1;
    let (mut protocol, mut port, mut family, mut address) = (None, None, AF_INET, &[][..]);
    let mut options = Options::default();
    let mut counters = Counters::default();
    for (kind, value) in attributes(inner) {
        match kind {
            SVC_AF => family = number16(value)?,
            SVC_PROTOCOL => protocol = protocol_of(number16(value)?),
            SVC_ADDR => address = value,
            SVC_PORT => port = Some(u16::from_be_bytes(*value.first_chunk()?)),
            SVC_FWMARK => return None,
            SVC_SCHED_NAME => {
                let name = value.split(|b| *b == 0).next()?;
                options.scheduler = Scheduler::parse(std::str::from_utf8(name).ok()?)?;
            }
            SVC_FLAGS => options.flags = number32(value)? & OUR_FLAGS,
            SVC_TIMEOUT => options.timeout = number32(value)?,
            SVC_STATS64 => counters = read_counters(value),
            _ => {}
        }
    }
    if options.flags & PERSISTENT == 0 {
        options.timeout = 0;
    }
    let frontend = Frontend {
        address: read_address(family, address)?,
        port: port?,
        protocol: protocol?,
    };
    Some((frontend, options, counters))
}

/// Reads a destination. `family` is the virtual server's, for kernels that do not say.
pub fn read_destination(body: &[u8], v6: bool) -> Option<Destination> {
    let inner = attributes(body.get(4..)?)
        .find(|(kind, _)| *kind == CMD_DEST)?
        .1;
    let mut family = if v6 { AF_INET6 } else { AF_INET };
    let (mut address, mut port, mut weight, mut active, mut inactive) = (&[][..], 0, 0, 0, 0);
    let mut counters = Counters::default();
    for (kind, value) in attributes(inner) {
        match kind {
            DEST_ADDR => address = value,
            DEST_PORT => port = u16::from_be_bytes(*value.first_chunk()?),
            DEST_WEIGHT => weight = number32(value)?,
            DEST_ACTIVE => active = number32(value)?,
            DEST_INACTIVE => inactive = number32(value)?,
            DEST_ADDR_FAMILY => family = number16(value)?,
            DEST_STATS64 => counters = read_counters(value),
            _ => {}
        }
    }
    Some(Destination {
        target: (read_address(family, address)?, port),
        weight,
        active,
        inactive,
        counters,
    })
}

fn request(family: u16, command: u8) -> Message {
    Message::new(family, 0, &[command, 1, 0, 0])
}

fn bare(family: u16, command: u8, frontend: &Frontend) -> Message {
    let mut message = request(family, command);
    message.nest(CMD_SERVICE, |m| identify(m, frontend));
    message
}

fn with_options(family: u16, command: u8, frontend: &Frontend, options: &Options) -> Message {
    let mut message = request(family, command);
    message.nest(CMD_SERVICE, |m| {
        identify(m, frontend);
        let mut name = options.scheduler.name().as_bytes().to_vec();
        name.push(0);
        m.put(SVC_SCHED_NAME, &name);
        let mut flags = options.flags.to_ne_bytes().to_vec();
        flags.extend_from_slice(&OUR_FLAGS.to_ne_bytes());
        m.put(SVC_FLAGS, &flags);
        m.put(SVC_TIMEOUT, &options.timeout.to_ne_bytes());
        let netmask = if frontend.address.is_ipv4() {
            WHOLE_V4
        } else {
            WHOLE_V6
        };
        m.put(SVC_NETMASK, &netmask.to_ne_bytes());
    });
    message
}

fn dest(
    family: u16,
    command: u8,
    frontend: &Frontend,
    target: Target,
    weight: Option<u32>,
) -> Message {
    let mut message = bare(family, command, frontend);
    message.nest(CMD_DEST, |m| {
        m.put(DEST_ADDR, &address_bytes(&target.0));
        m.put(DEST_PORT, &target.1.to_be_bytes());
        m.put(DEST_ADDR_FAMILY, &address_family(&target.0).to_ne_bytes());
        if let Some(weight) = weight {
            m.put(DEST_FWD_METHOD, &TRANSLATE.to_ne_bytes());
            m.put(DEST_WEIGHT, &weight.to_ne_bytes());
            m.put(DEST_UPPER, &0u32.to_ne_bytes());
            m.put(DEST_LOWER, &0u32.to_ne_bytes());
        }
    });
    message
}

fn identify(message: &mut Message, frontend: &Frontend) {
    message.put(SVC_AF, &address_family(&frontend.address).to_ne_bytes());
    message.put(
        SVC_PROTOCOL,
        &protocol_number(frontend.protocol).to_ne_bytes(),
    );
    message.put(SVC_ADDR, &address_bytes(&frontend.address));
    message.put(SVC_PORT, &frontend.port.to_be_bytes());
}

fn read_counters(body: &[u8]) -> Counters {
    let mut counters = Counters::default();
    for (kind, value) in attributes(body) {
        let Some(number) = number64(value) else {
            continue;
        };
        match kind {
            1 => counters.connections = number,
            2 => counters.packets.0 = number,
            3 => counters.packets.1 = number,
            4 => counters.bytes.0 = number,
            5 => counters.bytes.1 = number,
            _ => {}
        }
    }
    counters
}

fn address_family(address: &IpAddr) -> u16 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// union nf_inet_addr: always 16 bytes.
fn address_bytes(address: &IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&v4.octets());
            bytes
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn read_address(family: u16, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(IpAddr::V4(Ipv4Addr::from(*bytes.first_chunk::<4>()?))),
        AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk::<16>()?))),
        _ => None,
    }
}

fn protocol_number(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

fn protocol_of(number: u16) -> Option<Protocol> {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp]
        .into_iter()
        .find(|p| protocol_number(*p) == number)
}
