//! From service ports to virtual servers.

use std::collections::HashSet;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::super::model::{Claim, Family, Frontend, Kind, PortName, State};
use super::super::scheduling::Scheduling;
use super::message::{FALLBACK, PERSISTENT, WITH_PORT};
use super::model::{Options, Server, Servers};

/// What the node chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// For Services that do not say.
    pub scheduling: Scheduling,
}

/// Which virtual servers and addresses are wanted, kept from service ports one by one.
pub struct Wanted {
    choice: Choice,
    ports: HashMap<PortName, State>,
    /// Which of them node ports are on.
    node_ports: Vec<IpAddr>,
    /// The node's own, which need no device to bear them.
    own: HashSet<IpAddr>,
    /// What is wanted.
    pub servers: Servers,
    /// Addresses that the device is to bear, and how many frontends each has.
    pub addresses: HashMap<IpAddr, u32>,
}

impl Wanted {
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            ports: HashMap::new(),
            node_ports: Vec::new(),
            own: HashSet::new(),
            servers: HashMap::new(),
            addresses: HashMap::new(),
        }
    }

    /// Takes new states of service ports, and names of those that are gone. Returns the frontends that may differ.
    pub fn change(&mut self, set: &[(&PortName, &State)], removed: &[PortName]) -> Vec<Frontend> {
        let mut touched = Vec::new();
        // All that goes first: one may take over what another gives up in the same step, and in any order.
        for name in removed.iter().chain(set.iter().map(|(name, _)| *name)) {
            touched.extend(self.remove(name));
        }
        for (name, state) in set {
            touched.extend(self.set(name, state));
        }
        touched
    }

    /// Takes a service port's new state. Returns the frontends that may differ.
    fn set(&mut self, name: &PortName, state: &State) -> Vec<Frontend> {
        let mut touched = self.remove(name);
        let Self {
            node_ports, own, ..
        } = self;
        for claim in &state.frontends {
            let server = server(state, claim, self.choice);
            for frontend in frontends(claim, node_ports) {
                if claim.kind != Kind::NodePort && !own.contains(&frontend.address) {
                    *self.addresses.entry(frontend.address).or_default() += 1;
                }
                self.servers.insert(frontend, server.clone());
                touched.push(frontend);
            }
        }
        self.ports.insert(name.clone(), state.clone());
        touched
    }

    /// Forgets a service port.
    fn remove(&mut self, name: &PortName) -> Vec<Frontend> {
        let Some(state) = self.ports.remove(name) else {
            return Vec::new();
        };
        let mut touched = Vec::new();
        for claim in &state.frontends {
            for frontend in frontends(claim, &self.node_ports) {
                if claim.kind != Kind::NodePort && !self.own.contains(&frontend.address) {
                    release(&mut self.addresses, frontend.address);
                }
                self.servers.remove(&frontend);
                touched.push(frontend);
            }
        }
        touched
    }

    /// Forgets all.
    pub fn clear(&mut self) -> Vec<Frontend> {
        self.ports.clear();
        self.addresses.clear();
        self.servers.drain().map(|(frontend, _)| frontend).collect()
    }

    /// Other addresses of the node. All is made anew: they seldom change.
    pub fn set_addresses(
        &mut self,
        node_ports: Vec<IpAddr>,
        own: HashSet<IpAddr>,
    ) -> Vec<Frontend> {
        if node_ports == self.node_ports && own == self.own {
            return Vec::new();
        }
        let ports = std::mem::take(&mut self.ports);
        let mut touched = self.clear();
        self.node_ports = node_ports;
        self.own = own;
        for (name, state) in &ports {
            touched.extend(self.set(name, state));
        }
        touched
    }
}

fn release(addresses: &mut HashMap<IpAddr, u32>, address: IpAddr) {
    if let Some(count) = addresses.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            addresses.remove(&address);
        }
    }
}

/// A node port is one frontend on each of the node's addresses.
fn frontends(claim: &Claim, node_ports: &[IpAddr]) -> Vec<Frontend> {
    if claim.kind != Kind::NodePort {
        return vec![claim.frontend];
    }
    let family = Family::of(&claim.frontend.address);
    let chosen = node_ports.iter().filter(|a| Family::of(a) == family);
    chosen
        .map(|&address| Frontend {
            address,
            ..claim.frontend
        })
        .collect()
}

/// An address of external policy Local has two sets of endpoints: this node's for all, and every one for the cluster's
/// own traffic. A second virtual server has the one that the address' own has not: the cluster IP's, to which such
/// traffic is translated. So where the cluster IP has this node's, the address has every one.
fn server(state: &State, claim: &Claim, choice: Choice) -> Server {
    let mut of_cluster_ip = state.frontends.iter().filter(|c| c.kind == Kind::ClusterIp);
    let local = if claim.kind == Kind::ClusterIp {
        claim.local
    } else {
        claim.local && !of_cluster_ip.next().is_some_and(|c| c.local)
    };
    let backends = if local { &state.local } else { &state.cluster };
    let scheduling = state.scheduling.unwrap_or(choice.scheduling);
    let mut flags = 0;
    for (set, flag) in [
        (state.affinity_seconds > 0, PERSISTENT),
        (scheduling.fallback, FALLBACK),
        (scheduling.port, WITH_PORT),
    ] {
        flags |= if set { flag } else { 0 };
    }
    Server {
        options: Options {
            scheduler: scheduling.scheduler,
            flags,
            timeout: state.affinity_seconds,
        },
        destinations: backends
            .iter()
            .map(|b| ((b.address, b.port), u32::from(b.weight)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::{Backend, Protocol};
    use super::*;

    #[test]
    fn an_address_that_passes_from_one_to_another_in_one_step_stays() {
        let frontend = Frontend {
            address: IpAddr::from([10, 96, 0, 1]),
            port: 53,
            protocol: Protocol::Udp,
        };
        let name = |service: &str| PortName {
            service: service.into(),
            port: "".into(),
            protocol: Protocol::Udp,
            family: Family::V4,
        };
        let holding = State {
            frontends: Box::new([Claim {
                kind: Kind::ClusterIp,
                frontend,
                local: false,
            }]),
            ..State::default()
        };
        let (heir, giver, without) = (name("d/heir"), name("d/giver"), State::default());
        for order in [[0, 1], [1, 0]] {
            let mut wanted = Wanted::new(Choice::default());
            wanted.change(&[(&giver, &holding)], &[]);
            let step = [(&heir, &holding), (&giver, &without)];
            let touched = wanted.change(&order.map(|i| step[i]), &[]);
            assert!(touched.contains(&frontend));
            assert!(wanted.servers.contains_key(&frontend));
            assert_eq!(wanted.addresses.get(&frontend.address), Some(&1));
        }
    }

    #[test]
    fn the_two_sets_of_an_address_of_policy_local_are_on_two_servers() {
        let at = |last, port| Frontend {
            address: IpAddr::from([10, 96, 0, last]),
            port,
            protocol: Protocol::Tcp,
        };
        let claim = |kind, frontend, local| Claim {
            kind,
            frontend,
            local,
        };
        let backend = |last| Backend {
            address: IpAddr::from([10, 1, 0, last]),
            port: 80,
            weight: 1,
            here: last == 1,
        };
        let name = PortName {
            service: "d/web".into(),
            port: "".into(),
            protocol: Protocol::Tcp,
            family: Family::V4,
        };
        // (policies, cluster IP's number, external address' number)
        for (internal_local, external_local, inside, outside) in [
            (false, false, 2, 2),
            (false, true, 2, 1),
            (true, false, 1, 2),
            (true, true, 1, 2),
        ] {
            let state = State {
                frontends: Box::new([
                    claim(Kind::ClusterIp, at(1, 80), internal_local),
                    claim(Kind::ExternalIp, at(2, 80), external_local),
                ]),
                cluster: Box::new([backend(1), backend(2)]),
                local: Box::new([backend(1)]),
                ..State::default()
            };
            let mut wanted = Wanted::new(Choice::default());
            wanted.change(&[(&name, &state)], &[]);
            let count = |frontend| wanted.servers[&frontend].destinations.len();
            assert_eq!((count(at(1, 80)), count(at(2, 80))), (inside, outside));
        }
    }
}
