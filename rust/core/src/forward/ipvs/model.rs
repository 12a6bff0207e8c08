//! Virtual servers, and the steps from what is programmed to what is wanted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use super::super::model::{Frontend, Protocol};
use super::super::scheduling::Scheduler;

/// A virtual server's options: everything but its destinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How new connections are spread.
    pub scheduler: Scheduler,
    /// IP_VS_SVC_F_PERSISTENT and the scheduler's own flags.
    pub flags: u32,
    /// Seconds for which a client sticks to its destination, where the flag says so.
    pub timeout: u32,
}

/// A destination's place.
pub type Target = (IpAddr, u16);

/// One virtual server: options, and the weight of each destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Everything but the destinations.
    pub options: Options,
    /// Weight by place. A destination of weight 0 gets no new connections.
    pub destinations: BTreeMap<Target, u32>,
}

/// What the kernel has, or should have.
pub type Servers = HashMap<Frontend, Server>;

/// One change, which is one netlink message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new virtual server.
    AddServer(Frontend, Options),
    /// Other options.
    SetServer(Frontend, Options),
    /// The virtual server and all its destinations go.
    RemoveServer(Frontend),
    /// A new destination.
    Add(Frontend, Target, u32),
    /// Another weight.
    Set(Frontend, Target, u32),
    /// The destination goes.
    Remove(Frontend, Target),
}

impl Step {
    /// The virtual server that it concerns.
    pub fn frontend(&self) -> &Frontend {
        match self {
            Self::AddServer(frontend, _)
            | Self::SetServer(frontend, _)
            | Self::RemoveServer(frontend)
            | Self::Add(frontend, ..)
            | Self::Set(frontend, ..)
            | Self::Remove(frontend, _) => frontend,
        }
    }

    /// What it makes of `servers`.
    pub fn apply(&self, servers: &mut Servers) {
        match *self {
            Self::AddServer(frontend, options) | Self::SetServer(frontend, options) => {
                servers.entry(frontend).or_default().options = options;
            }
            Self::RemoveServer(frontend) => {
                servers.remove(&frontend);
            }
            Self::Add(frontend, target, weight) | Self::Set(frontend, target, weight) => {
                let server = servers.entry(frontend).or_default();
                server.destinations.insert(target, weight);
            }
            Self::Remove(frontend, target) => {
                if let Some(server) = servers.get_mut(&frontend) {
                    server.destinations.remove(&target);
                }
            }
        }
    }
}

/// The steps for one virtual server, which either may lack, added to `steps`.
///
/// A destination that is not wanted any more only gets weight 0: its connections may end first, and `Remove` follows
/// when they have. Of UDP it goes at once, as upstream has it: there is no end to wait for.
pub fn difference(
    frontend: Frontend,
    wanted: Option<&Server>,
    programmed: Option<&Server>,
    steps: &mut Vec<Step>,
) {
    let Some(wanted) = wanted else {
        if programmed.is_some() {
            steps.push(Step::RemoveServer(frontend));
        }
        return;
    };
    let none = BTreeMap::new();
    let before = match programmed {
        None => {
            steps.push(Step::AddServer(frontend, wanted.options));
            &none
        }
        Some(server) => {
            if server.options != wanted.options {
                steps.push(Step::SetServer(frontend, wanted.options));
            }
            &server.destinations
        }
    };
    // Those that come first, so that there is one at any moment.
    for (&target, &weight) in &wanted.destinations {
        match before.get(&target) {
            None => steps.push(Step::Add(frontend, target, weight)),
            Some(&now) if now != weight => steps.push(Step::Set(frontend, target, weight)),
            Some(_) => {}
        }
    }
    for (&target, &weight) in before {
        if wanted.destinations.contains_key(&target) {
            continue;
        }
        if frontend.protocol == Protocol::Udp {
            steps.push(Step::Remove(frontend, target));
        } else if weight != 0 {
            steps.push(Step::Set(frontend, target, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frontend(protocol: Protocol) -> Frontend {
        Frontend {
            address: IpAddr::from([10, 0, 0, 1]),
            port: 80,
            protocol,
        }
    }

    fn target(last: u8) -> Target {
        (IpAddr::from([10, 1, 0, last]), 8080)
    }

    fn server(lasts: &[u8]) -> Server {
        Server {
            options: Options::default(),
            destinations: lasts.iter().map(|&last| (target(last), 1)).collect(),
        }
    }

    fn steps(protocol: Protocol, before: Option<&Server>, after: Option<&Server>) -> Vec<Step> {
        let mut steps = Vec::new();
        difference(frontend(protocol), after, before, &mut steps);
        steps
    }

    #[test]
    fn one_endpoint_for_another_is_one_message_each() {
        let at = frontend(Protocol::Tcp);
        let found = steps(
            Protocol::Tcp,
            Some(&server(&[1, 2])),
            Some(&server(&[2, 3])),
        );
        assert_eq!(
            found,
            [Step::Add(at, target(3), 1), Step::Set(at, target(1), 0)]
        );
        let at = frontend(Protocol::Udp);
        let found = steps(Protocol::Udp, Some(&server(&[1])), Some(&server(&[])));
        assert_eq!(found, [Step::Remove(at, target(1))]);
    }

    #[test]
    fn one_that_comes_back_gets_its_weight_again() {
        let at = frontend(Protocol::Sctp);
        let mut before = server(&[1, 2]);
        before.destinations.insert(target(1), 0);
        assert_eq!(
            steps(Protocol::Sctp, Some(&before), Some(&server(&[1, 2]))),
            [Step::Set(at, target(1), 1)]
        );
        assert_eq!(
            steps(Protocol::Sctp, Some(&before), Some(&server(&[2]))),
            [],
            "it is on its way out already"
        );
    }

    #[test]
    fn servers_come_change_and_go() {
        let at = frontend(Protocol::Tcp);
        let one = server(&[1]);
        assert_eq!(
            steps(Protocol::Tcp, None, Some(&one)),
            [
                Step::AddServer(at, Options::default()),
                Step::Add(at, target(1), 1)
            ]
        );
        assert_eq!(
            steps(Protocol::Tcp, Some(&one), None),
            [Step::RemoveServer(at)]
        );
        assert_eq!(steps(Protocol::Tcp, None, None), []);
        let options = Options {
            timeout: 60,
            flags: 1,
            ..Options::default()
        };
        let sticky = Server {
            options,
            ..server(&[1])
        };
        assert_eq!(
            steps(Protocol::Tcp, Some(&one), Some(&sticky)),
            [Step::SetServer(at, options)]
        );
    }
}
