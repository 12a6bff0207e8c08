//! The wanted table in IPVS: a virtual server for each frontend, and the device that bears their addresses.
//!
//! [`Ipvs`] keeps what is wanted and what is programmed, and sends the steps between the two over one netlink socket.
//! Only virtual servers that are ours are ever changed: those wanted, those on an address of our device, and those that
//! the caller knows from an earlier life.

mod device;
mod message;
mod model;
mod netlink;
mod wanted;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use hashbrown::HashMap;
use rustix::io::Errno;

use super::model::{Family, Frontend, PortName, State};
use device::Device;
pub use message::{Counters, Destination};
pub use model::{Options, Server, Servers, Step, Target, difference};
use netlink::{Message, Socket, attributes, inside, number16};
pub use wanted::Choice;
use wanted::Wanted;

/// Why the kernel's IPVS cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The kernel knows no IPVS, or its module is not loaded.
    Missing,
    /// A socket failed, or a dump.
    Io(io::Error),
    /// The kernel refused some of what was asked, each with what it concerns.
    Refused(Vec<String>),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => write!(f, "the kernel has no IPVS"),
            Self::Io(error) => write!(f, "netlink: {error}"),
            Self::Refused(all) => write!(f, "{}", all.join("; ")),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A virtual server as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Where traffic arrives.
    pub frontend: Frontend,
    /// Scheduler, flags, persistence.
    pub options: Options,
    /// What it has served.
    pub counters: Counters,
    /// Its destinations.
    pub destinations: Vec<Destination>,
}

/// IPVS of one network namespace.
pub struct Ipvs {
    socket: Socket,
    family: u16,
    device: Device,
    device_index: Option<u32>,
    wanted: Wanted,
    programmed: Servers,
    bound: HashSet<IpAddr>,
    touched: HashSet<Frontend>,
    /// Destinations of weight 0 whose connections have not ended.
    draining: HashSet<(Frontend, Target)>,
}

impl Ipvs {
    /// Opens the sockets in the network namespace of this file, or in the caller's.
    pub fn open(namespace: Option<&Path>, device: &str, choice: Choice) -> Result<Self, Error> {
        let (mut socket, device) = inside(namespace, || {
            let socket = Socket::open(Some(rustix::net::netlink::GENERIC), 0)?;
            Ok((socket, Device::open(device)?))
        })?;
        let family = family(&mut socket)?;
        Ok(Self {
            socket,
            family,
            device,
            device_index: None,
            wanted: Wanted::new(choice),
            programmed: HashMap::new(),
            bound: HashSet::new(),
            touched: HashSet::new(),
            draining: HashSet::new(),
        })
    }

    /// A socket that becomes readable when the namespace's addresses change.
    pub fn watch(namespace: Option<&Path>) -> io::Result<OwnedFd> {
        inside(namespace, Device::watch)
    }

    /// How many messages have been sent to IPVS.
    pub fn sent(&self) -> u64 {
        self.socket.sent
    }

    /// Everything that IPVS has in this namespace, whoever made it, but for servers by firewall mark.
    pub fn dump(&mut self) -> Result<Vec<Shown>, Error> {
        let mut all = Vec::new();
        for body in self.socket.dump(&message::all_servers(self.family))? {
            if let Some((frontend, options, counters)) = message::read_server(&body) {
                let destinations = self.destinations(&frontend)?;
                all.push(Shown {
                    frontend,
                    options,
                    counters,
                    destinations,
                });
            }
        }
        Ok(all)
    }

    fn destinations(&mut self, frontend: &Frontend) -> Result<Vec<Destination>, Error> {
        let request = message::destinations_of(self.family, frontend);
        let bodies = match self.socket.dump(&request) {
            // It went in between.
            Err(error) if is(&error, Errno::SRCH) => return Ok(Vec::new()),
            other => other?,
        };
        let v6 = frontend.address.is_ipv6();
        Ok(bodies
            .iter()
            .filter_map(|body| message::read_destination(body, v6))
            .collect())
    }

    /// Addresses of the namespace, but for those on our device.
    pub fn node_addresses(&mut self) -> Result<Vec<IpAddr>, Error> {
        let ours = self.device.index()?;
        let all = self.device.addresses()?;
        Ok(all
            .into_iter()
            .filter(|(index, _)| Some(*index) != ours)
            .map(|(_, address)| address)
            .collect())
    }

    /// Reads the kernel's state as what is programmed. `known` are frontends of ours from an earlier life.
    pub fn adopt(&mut self, known: &HashSet<Frontend>) -> Result<(), Error> {
        self.device_index = self.device.index()?;
        let index = self.device_index;
        let addresses = self.device.addresses()?;
        self.bound = addresses
            .into_iter()
            .filter(|(on, address)| Some(*on) == index && !is_link_local(address))
            .map(|(_, address)| address)
            .collect();
        self.programmed.clear();
        self.draining.clear();
        for shown in self.dump()? {
            let frontend = shown.frontend;
            // The unspecified address stands for any: node ports, whose address may have gone with its link.
            let anywhere = Frontend {
                address: Family::of(&frontend.address).unspecified(),
                ..frontend
            };
            let ours = self.bound.contains(&frontend.address)
                || known.contains(&frontend)
                || known.contains(&anywhere);
            if !ours && !self.wanted.servers.contains_key(&frontend) {
                continue;
            }
            let targets = shown.destinations.iter().map(|d| (d.target, d.weight));
            let server = Server {
                options: shown.options,
                destinations: targets.collect(),
            };
            for (&target, &weight) in &server.destinations {
                if weight == 0 {
                    self.draining.insert((frontend, target));
                }
            }
            self.programmed.insert(frontend, server);
        }
        let all = self.programmed.keys().chain(self.wanted.servers.keys());
        self.touched = all.copied().collect();
        Ok(())
    }

    /// Forgets what was wanted.
    pub fn forget(&mut self) {
        self.touched.extend(self.wanted.clear());
    }

    /// Takes new states of service ports, and names of those that are gone.
    pub fn want<'a>(
        &mut self,
        set: impl IntoIterator<Item = (&'a PortName, &'a State)>,
        removed: &[PortName],
    ) {
        let set: Vec<_> = set.into_iter().collect();
        self.touched.extend(self.wanted.change(&set, removed));
    }

    /// The node's addresses for node ports are others now.
    pub fn set_node_addresses(&mut self, node_ports: Vec<IpAddr>, own: HashSet<IpAddr>) {
        self.touched
            .extend(self.wanted.set_addresses(node_ports, own));
    }

    /// Takes away virtual servers that are not wanted any more. Returns how many messages that took.
    pub fn retire(&mut self) -> Result<usize, Error> {
        let mut steps = Vec::new();
        for frontend in &self.touched {
            if !self.wanted.servers.contains_key(frontend) && self.programmed.contains_key(frontend)
            {
                steps.push(Step::RemoveServer(*frontend));
            }
        }
        self.execute(&steps)
    }

    /// Makes the kernel's state what is wanted: addresses first, then servers, then addresses that are of no use.
    /// Returns how many messages that took. On an error nothing is known of the kernel's state any more.
    pub fn program(&mut self) -> Result<usize, Error> {
        let mut count = self.bind(true)?;
        let mut steps = Vec::new();
        for frontend in std::mem::take(&mut self.touched) {
            let wanted = self.wanted.servers.get(&frontend);
            difference(frontend, wanted, self.programmed.get(&frontend), &mut steps);
        }
        count += self.execute(&steps)?;
        count += self.bind(false)?;
        Ok(count)
    }

    fn bind(&mut self, more: bool) -> Result<usize, Error> {
        let (changed, add): (Vec<IpAddr>, bool) = if more {
            let missing = self.wanted.addresses.keys();
            (
                missing
                    .filter(|a| !self.bound.contains(*a))
                    .copied()
                    .collect(),
                true,
            )
        } else if self.bound.len() > self.wanted.addresses.len() {
            let spare = self.bound.iter();
            (
                spare
                    .filter(|a| !self.wanted.addresses.contains_key(*a))
                    .copied()
                    .collect(),
                false,
            )
        } else {
            (Vec::new(), false)
        };
        if changed.is_empty() {
            return Ok(0);
        }
        let index = match self.device_index {
            Some(index) => index,
            None => *self.device_index.insert(self.device.ensure()?),
        };
        let (new, old): (&[IpAddr], &[IpAddr]) = if add {
            (&changed, &[])
        } else {
            (&[], &changed)
        };
        let refused = self.device.change(index, new, old)?;
        if !refused.is_empty() {
            let what = refused.iter().map(|(a, e)| format!("address {a}: {e}"));
            return Err(Error::Refused(what.collect()));
        }
        for address in &changed {
            if add {
                self.bound.insert(*address);
            } else {
                self.bound.remove(address);
            }
        }
        Ok(changed.len())
    }

    /// Makes our device, which says whether the kernel has dummy links.
    pub fn ensure_device(&mut self) -> io::Result<()> {
        self.device_index = Some(self.device.ensure()?);
        Ok(())
    }

    /// Takes away destinations whose connections have ended. Returns how many are still waiting.
    pub fn drain(&mut self) -> Result<usize, Error> {
        let servers: HashSet<_> = self
            .draining
            .iter()
            .map(|(frontend, _)| *frontend)
            .collect();
        let mut steps = Vec::new();
        for frontend in servers {
            let now = self.destinations(&frontend)?;
            self.draining.retain(|(at, target)| {
                *at != frontend || now.iter().any(|d| d.target == *target && d.weight == 0)
            });
            for each in now {
                if each.active + each.inactive == 0
                    && self.draining.contains(&(frontend, each.target))
                {
                    steps.push(Step::Remove(frontend, each.target));
                }
            }
        }
        self.execute(&steps)?;
        Ok(self.draining.len())
    }

    /// How many destinations wait for their connections to end.
    pub fn draining(&self) -> usize {
        self.draining.len()
    }

    /// Takes everything away that is ours.
    pub fn cleanup(&mut self, known: &HashSet<Frontend>) -> Result<(), Error> {
        self.forget();
        self.adopt(known)?;
        self.retire()?;
        self.device.remove()?;
        self.device_index = None;
        self.bound.clear();
        self.touched.clear();
        Ok(())
    }

    fn execute(&mut self, steps: &[Step]) -> Result<usize, Error> {
        let messages: Vec<Message> = steps
            .iter()
            .map(|s| message::encode(self.family, s))
            .collect();
        let refused = self.socket.execute(&messages)?;
        let mut told = Vec::new();
        for (at, error) in &refused {
            let step = &steps[*at];
            let gone = matches!(step, Step::RemoveServer(_) | Step::Remove(..));
            // What should go is not there: that is as it should be.
            if !(gone && (is(error, Errno::SRCH) || is(error, Errno::NOENT))) {
                told.push(describe(step, error));
            }
        }
        for (at, step) in steps.iter().enumerate() {
            if refused.iter().any(|(place, _)| *place == at) {
                continue;
            }
            step.apply(&mut self.programmed);
            match *step {
                Step::Set(frontend, target, 0) => {
                    self.draining.insert((frontend, target));
                }
                Step::Set(frontend, target, _)
                | Step::Add(frontend, target, _)
                | Step::Remove(frontend, target) => {
                    self.draining.remove(&(frontend, target));
                }
                Step::RemoveServer(frontend) => self.draining.retain(|(at, _)| *at != frontend),
                _ => {}
            }
        }
        if told.is_empty() {
            Ok(steps.len())
        } else {
            Err(Error::Refused(told))
        }
    }
}

/// The number of IPVS' generic netlink family (include/uapi/linux/genetlink.h: CTRL_CMD_GETFAMILY of family 16).
fn family(socket: &mut Socket) -> Result<u16, Error> {
    let mut message = Message::new(16, 0, &[3, 1, 0, 0]);
    message.put(2, b"IPVS\0");
    let body = match socket.ask(&message) {
        Err(error) if is(&error, Errno::NOENT) => return Err(Error::Missing),
        other => other?,
    };
    let mut found = attributes(body.get(4..).unwrap_or_default());
    let id = found
        .find(|(kind, _)| *kind == 1)
        .and_then(|(_, value)| number16(value));
    id.ok_or(Error::Missing)
}

fn describe(step: &Step, error: &io::Error) -> String {
    let frontend = step.frontend();
    let at = std::net::SocketAddr::new(frontend.address, frontend.port);
    let protocol = frontend.protocol.name();
    match step {
        Step::AddServer(_, options) | Step::SetServer(_, options) => {
            let name = options.scheduler.name();
            format!("virtual server {protocol} {at} with scheduler {name}: {error}")
        }
        Step::RemoveServer(_) => format!("virtual server {protocol} {at}: {error}"),
        Step::Add(_, (address, port), _)
        | Step::Set(_, (address, port), _)
        | Step::Remove(_, (address, port)) => {
            let to = std::net::SocketAddr::new(*address, *port);
            format!("destination {to} of virtual server {protocol} {at}: {error}")
        }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
