//! Which endpoints of a service port may serve: readiness, the terminating fallback, traffic policies and topology
//! hints, as kube-proxy's CategorizeEndpoints has them.

use super::model::{Backend, DEFAULT_WEIGHT};
use std::net::IpAddr;

/// Ready for new traffic.
pub const READY: u8 = 1;
/// Can still answer, whether or not it is terminating.
pub const SERVING: u8 = 1 << 1;
/// Being deleted.
pub const TERMINATING: u8 = 1 << 2;
/// On this node.
pub const LOCAL: u8 = 1 << 3;
/// Carries hints for nodes.
pub const NODE_HINTS: u8 = 1 << 4;
/// This node is among them.
pub const NODE_HINT_HERE: u8 = 1 << 5;
/// Carries hints for zones.
pub const ZONE_HINTS: u8 = 1 << 6;
/// This node's zone is among them.
pub const ZONE_HINT_HERE: u8 = 1 << 7;

/// Which of the two lists a Service's traffic policies need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Some frontend sends to all endpoints.
    pub cluster: bool,
    /// Some frontend sends to this node's endpoints only.
    pub local: bool,
}

/// An endpoint of one service port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub address: IpAddr,
    pub port: u16,
    pub flags: u8,
}

impl Candidate {
    fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    fn ready(&self) -> bool {
        self.has(READY)
    }

    fn fallback(&self) -> bool {
        !self.ready() && self.has(SERVING | TERMINATING)
    }

    /// Of two copies in different slices (an endpoint on its way from one to the other), the more useful one counts;
    /// of two that serve alike, the one whose hints say more (the order of the flags).
    fn worth(&self) -> (bool, bool, bool, u8) {
        (self.ready(), self.fallback(), self.has(LOCAL), self.flags)
    }
}

/// What came of it. Lists are sorted by address and port, each pair once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub cluster: Box<[Backend]>,
    pub local: Box<[Backend]>,
    pub any_endpoint: bool,
    /// Those of `local` are there only because none is ready.
    pub local_going: bool,
}

/// Joins the candidates of all slices and chooses. The order of `candidates` is lost.
pub fn select(candidates: &mut Vec<Candidate>, uses: Uses) -> Selection {
    candidates.sort_unstable_by(|a, b| {
        (a.address, a.port)
            .cmp(&(b.address, b.port))
            .then_with(|| b.worth().cmp(&a.worth()))
    });
    candidates.dedup_by(|later, first| (later.address, later.port) == (first.address, first.port));
    let mut selection = Selection::default();
    if uses.cluster {
        let hint = hinted(candidates);
        selection.cluster = gather(candidates, |c| c.ready() && c.has(hint));
        if selection.cluster.is_empty() {
            selection.cluster = gather(candidates, Candidate::fallback);
        }
    }
    if uses.local {
        selection.local = gather(candidates, |c| c.ready() && c.has(LOCAL));
        if selection.local.is_empty() {
            selection.local = gather(candidates, |c| c.fallback() && c.has(LOCAL));
            selection.local_going = !selection.local.is_empty();
        }
    }
    selection.any_endpoint = candidates.iter().any(|c| c.ready() || c.fallback());
    selection
}

/// The flag that an endpoint must carry by topology hints; 0 where hints are absent, partial or point elsewhere only.
fn hinted(candidates: &[Candidate]) -> u8 {
    for (all, here) in [(NODE_HINTS, NODE_HINT_HERE), (ZONE_HINTS, ZONE_HINT_HERE)] {
        let mut ready = candidates.iter().filter(|c| c.ready());
        if ready.clone().any(|c| c.has(here)) && ready.all(|c| c.has(all)) {
            return here;
        }
    }
    0
}

fn gather(candidates: &[Candidate], wanted: impl Fn(&Candidate) -> bool) -> Box<[Backend]> {
    let chosen = candidates.iter().filter(|c| wanted(c));
    chosen
        .map(|c| Backend {
            address: c.address,
            port: c.port,
            weight: DEFAULT_WEIGHT,
            here: c.has(LOCAL),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(last: u8, flags: u8) -> Candidate {
        Candidate {
            address: IpAddr::from([10, 1, 0, last]),
            port: 80,
            flags,
        }
    }

    fn lasts(backends: &[Backend]) -> Vec<String> {
        backends
            .iter()
            .map(|b| {
                b.address
                    .to_string()
                    .rsplit('.')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }

    const ALL: Uses = Uses {
        cluster: true,
        local: true,
    };
    const UP: u8 = READY | SERVING;
    const GOING: u8 = SERVING | TERMINATING;

    #[test]
    fn terminating_ones_serve_only_when_nothing_is_ready() {
        let selection = select(&mut vec![candidate(1, UP), candidate(2, GOING)], ALL);
        assert_eq!(lasts(&selection.cluster), ["1"]);
        let selection = select(
            &mut vec![candidate(1, TERMINATING), candidate(2, GOING)],
            ALL,
        );
        assert_eq!(lasts(&selection.cluster), ["2"]);
        assert!(selection.local.is_empty() && selection.any_endpoint);
        assert_eq!(
            select(&mut vec![candidate(1, 0)], ALL),
            Selection::default()
        );
    }

    #[test]
    fn local_falls_back_on_its_own() {
        let selection = select(
            &mut vec![candidate(1, UP), candidate(2, GOING | LOCAL)],
            ALL,
        );
        assert_eq!(
            (lasts(&selection.cluster), lasts(&selection.local)),
            (vec!["1".into()], vec!["2".into()])
        );
    }

    #[test]
    fn a_copy_that_is_ready_wins() {
        let selection = select(
            &mut vec![candidate(1, GOING), candidate(1, UP), candidate(1, 0)],
            ALL,
        );
        assert_eq!(lasts(&selection.cluster), ["1"]);
    }

    #[test]
    fn hints_count_only_when_all_ready_ones_have_them() {
        let here = UP | ZONE_HINTS | ZONE_HINT_HERE;
        let there = UP | ZONE_HINTS;
        assert_eq!(
            lasts(&select(&mut vec![candidate(1, here), candidate(2, there)], ALL).cluster),
            ["1"]
        );
        assert_eq!(
            lasts(&select(&mut vec![candidate(1, here), candidate(2, UP)], ALL).cluster),
            ["1", "2"]
        );
        assert_eq!(
            lasts(&select(&mut vec![candidate(1, there), candidate(2, there)], ALL).cluster),
            ["1", "2"]
        );
        let node = UP | NODE_HINTS | NODE_HINT_HERE | ZONE_HINTS | ZONE_HINT_HERE;
        assert_eq!(
            lasts(
                &select(
                    &mut vec![candidate(1, node), candidate(2, here | NODE_HINTS)],
                    ALL
                )
                .cluster
            ),
            ["1"]
        );
    }
}
