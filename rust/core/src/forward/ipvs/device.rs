//! The device that bears the addresses of services, by rtnetlink (include/uapi/linux/{rtnetlink,if_addr,if_link}.h).

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use super::netlink::{CREATE, Message, Socket, attributes, number32};

/// NETLINK_ROUTE is 0: the protocol that is not named.
const ROUTE: Option<rustix::net::Protocol> = None;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
/// IFA_F_NODAD: there is nobody on a dummy link who could hold the address too, and asking takes a second.
const NO_DUPLICATES: u32 = 2;
const IFF_UP: u32 = 1;
/// RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR.
const ADDRESSES_CHANGE: u32 = 0x10 | 0x100;

/// Links and addresses of one network namespace.
pub struct Device {
    socket: Socket,
    name: String,
}

impl Device {
    /// Nothing is made yet.
    pub fn open(name: &str) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::open(ROUTE, 0)?,
            name: name.to_owned(),
        })
    }

    /// A socket that becomes readable when an address of this namespace comes or goes.
    pub fn watch() -> io::Result<OwnedFd> {
        Ok(Socket::open(ROUTE, ADDRESSES_CHANGE)?.into_fd())
    }

    /// The device's number; None where there is none.
    pub fn index(&mut self) -> io::Result<Option<u32>> {
        let mut message = Message::new(RTM_GETLINK, 0, &link(0));
        message.put(IFLA_IFNAME, &self.c_name());
        match self.socket.ask(&message) {
            Ok(body) => Ok(number32(body.get(4..).unwrap_or_default())),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes it where it is not there. It is up, and answers no ARP (dummy links have IFF_NOARP).
    pub fn ensure(&mut self) -> io::Result<u32> {
        if let Some(index) = self.index()? {
            return Ok(index);
        }
        let mut message = Message::new(RTM_NEWLINK, CREATE, &link(IFF_UP));
        message.put(IFLA_IFNAME, &self.c_name());
        message.nest(IFLA_LINKINFO, |m| m.put(IFLA_INFO_KIND, b"dummy\0"));
        self.one(message)?;
        self.index()?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes it away, with its addresses.
    pub fn remove(&mut self) -> io::Result<()> {
        let Some(index) = self.index()? else {
            return Ok(());
        };
        let mut head = link(0);
        head[4..8].copy_from_slice(&index.to_ne_bytes());
        self.one(Message::new(RTM_DELLINK, 0, &head))
    }

    /// All addresses of the namespace, with the number of the device that bears each.
    pub fn addresses(&mut self) -> io::Result<Vec<(u32, IpAddr)>> {
        let mut found = Vec::new();
        for body in self.socket.dump(&Message::new(RTM_GETADDR, 0, &[0; 8]))? {
            let (Some(family), Some(index)) = (body.first(), body.get(4..).and_then(number32))
            else {
                continue;
            };
            // IFA_LOCAL is a point-to-point link's own end; elsewhere both are the same.
            let mut address = None;
            for (kind, value) in attributes(body.get(8..).unwrap_or_default()) {
                if kind == IFA_LOCAL || (kind == IFA_ADDRESS && address.is_none()) {
                    address = read_address(*family, value);
                }
            }
            found.extend(address.map(|address| (index, address)));
        }
        Ok(found)
    }

    /// Adds and takes away addresses of the device. Gives what was refused.
    pub fn change(
        &mut self,
        index: u32,
        add: &[IpAddr],
        remove: &[IpAddr],
    ) -> io::Result<Vec<(IpAddr, io::Error)>> {
        let added = add.iter().map(|a| address(RTM_NEWADDR, CREATE, index, a));
        let removed = remove.iter().map(|a| address(RTM_DELADDR, 0, index, a));
        let messages: Vec<_> = added.chain(removed).collect();
        let refused = self.socket.execute(&messages)?;
        let all: Vec<_> = add.iter().chain(remove).collect();
        let there = [rustix::io::Errno::EXIST, rustix::io::Errno::ADDRNOTAVAIL];
        Ok(refused
            .into_iter()
            // It is as it should be already.
            .filter(|(_, e)| {
                !there
                    .iter()
                    .any(|t| e.raw_os_error() == Some(t.raw_os_error()))
            })
            .map(|(at, error)| (*all[at], error))
            .collect())
    }

    fn one(&mut self, message: Message) -> io::Result<()> {
        let refused = self.socket.execute(&[message])?;
        refused
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    fn c_name(&self) -> Vec<u8> {
        let mut name = self.name.as_bytes().to_vec();
        name.push(0);
        name
    }
}

/// struct ifinfomsg.
fn link(flags: u32) -> [u8; 16] {
    let mut head = [0; 16];
    head[8..12].copy_from_slice(&flags.to_ne_bytes());
    head[12..16].copy_from_slice(&flags.to_ne_bytes());
    head
}

/// struct ifaddrmsg and the address, of one host.
fn address(kind: u16, flags: u16, index: u32, address: &IpAddr) -> Message {
    let (family, length) = if address.is_ipv4() {
        (2, 32)
    } else {
        (10, 128)
    };
    let mut head = [family, length, 0, 0, 0, 0, 0, 0];
    head[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut message = Message::new(kind, flags, &head);
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    message.put(IFA_LOCAL, &octets);
    message.put(IFA_ADDRESS, &octets);
    if kind == RTM_NEWADDR && address.is_ipv6() {
        message.put(IFA_FLAGS, &NO_DUPLICATES.to_ne_bytes());
    }
    message
}

fn read_address(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        2 => Some(IpAddr::from(*value.first_chunk::<4>()?)),
        10 => Some(IpAddr::from(*value.first_chunk::<16>()?)),
        _ => None,
    }
}
