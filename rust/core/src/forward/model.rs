//! The nouns of the forwarding table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scheduling::Scheduling;

/// A transport that Services know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Reads the API's name; absent or empty means TCP.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// An IP family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// The address that stands for "any address of this node" in the key of a node port.
    pub fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

/// The key of the table: where traffic arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frontend {
    /// The destination address; the unspecified address for a node port.
    pub address: IpAddr,
    /// The destination port.
    pub port: u16,
    /// The transport.
    pub protocol: Protocol,
}

/// What kind of address a frontend is. The order is the order of precedence when two Services claim the same
/// frontend: nobody can take over a cluster IP by naming it in `externalIPs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// One of `spec.clusterIPs`.
    ClusterIp,
    /// `spec.ports[].nodePort` on the node's addresses.
    NodePort,
    /// A load balancer's address from the status, with ipMode VIP.
    LoadBalancer,
    /// One of `spec.externalIPs`.
    ExternalIp,
}

impl Kind {
    /// The name used at the border.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
            Self::ExternalIp => "ExternalIP",
        }
    }

    /// Reads [`Kind::name`].
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::ClusterIp,
            Self::NodePort,
            Self::LoadBalancer,
            Self::ExternalIp,
        ]
        .into_iter()
        .find(|k| k.name() == name)
    }
}

/// A frontend of a service port, and the traffic policy it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The kind of address.
    pub kind: Kind,
    /// The key.
    pub frontend: Frontend,
    /// True where the traffic policy is Local: only endpoints on this node serve it (for external traffic, the
    /// cluster's own pods and the node itself are short-circuited to all endpoints).
    pub local: bool,
}

/// One destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backend {
    /// The endpoint's first address.
    pub address: IpAddr,
    /// The target port.
    pub port: u16,
    /// Its share of new connections relative to the others.
    pub weight: u16,
    /// Whether it is on this node: only such a one can be its own client (hairpin).
    pub here: bool,
}

/// A range of addresses, its host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Reads `ADDRESS/PREFIX`; host bits are cleared.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
        let address = match address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(prefix.into()).unwrap_or_default();
                (prefix <= 32).then(|| IpAddr::from((u32::from(v4) & !host).to_be_bytes()))
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(prefix.into()).unwrap_or_default();
                (prefix <= 128).then(|| IpAddr::from((u128::from(v6) & !host).to_be_bytes()))
            }
        }?;
        Some(Self { address, prefix })
    }

    /// Its IP family.
    pub fn family(&self) -> Family {
        Family::of(&self.address)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Every endpoint's weight: Kubernetes has no field for another.
pub const DEFAULT_WEIGHT: u16 = 1;

/// The name of a service port in one IP family.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortName {
    /// `namespace/name` of the Service.
    pub service: Box<str>,
    /// `spec.ports[].name`, which may be empty.
    pub port: Box<str>,
    /// The transport.
    pub protocol: Protocol,
    /// The IP family.
    pub family: Family,
}

/// What is wanted for one service port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The frontends, sorted, without those that another Service holds by precedence. Never empty.
    pub frontends: Box<[Claim]>,
    /// Backends for traffic of policy Cluster, sorted. Empty too when no frontend needs them.
    pub cluster: Box<[Backend]>,
    /// Backends for traffic of policy Local, sorted. Empty too when no frontend needs them.
    pub local: Box<[Backend]>,
    /// Seconds for which a client address sticks to its backend; 0 without session affinity.
    pub affinity_seconds: u32,
    /// Whether any endpoint, here or elsewhere, could serve: without one traffic is rejected, with one that the
    /// policy forbids it is dropped.
    pub any_endpoint: bool,
    /// What the Service's annotation asks for; None for the node's own choice.
    pub scheduling: Option<Scheduling>,
    /// Who may ask the load balancer's addresses, sorted; empty for everybody.
    pub source_ranges: Box<[Cidr]>,
    /// Where a load balancer asks whether this node has an endpoint (`spec.healthCheckNodePort`); 0 for nowhere.
    pub health_port: u16,
    /// Whether those of `local` are all on their way out: a load balancer must not count them.
    pub local_going: bool,
}
