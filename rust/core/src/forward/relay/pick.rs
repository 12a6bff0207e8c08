//! Which backend is next: the rules of IPVS' schedulers, over backends that one relay knows the connections of.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};

use crate::forward::scheduling::{Scheduler, Scheduling};

/// What a choice depends on.
pub struct Question<'a> {
    /// Who asks.
    pub client: SocketAddr,
    /// The address that was asked, where it is known.
    pub asked: Option<IpAddr>,
    /// Weight and connections of each backend.
    pub loads: &'a [Load],
    /// Those that may be chosen, by index, in ascending order; never empty, and all of a weight above 0.
    pub eligible: &'a [usize],
}

/// One backend's part in a choice.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Its share of new connections.
    pub weight: u32,
    /// Connections or flows that it has.
    pub active: u32,
    /// A number that is the backend's own for as long as it is there.
    pub key: u64,
}

/// Destination addresses that are remembered (lblc, lblcr): a listener has few.
const LOCALITIES_MAX: usize = 1024;

/// Keeps what a rule has to remember between two choices.
pub struct Picker {
    scheduling: Scheduling,
    hasher: RandomState,
    last: usize,
    /// wrr: how much each backend is owed, by key.
    owed: HashMap<u64, i64>,
    /// lblc, lblcr: the backends of an address, by key.
    near: HashMap<Option<IpAddr>, Vec<u64>>,
}

impl Picker {
    pub fn new(scheduling: Scheduling) -> Self {
        Self {
            scheduling,
            hasher: RandomState::new(),
            last: usize::MAX,
            owed: HashMap::new(),
            near: HashMap::new(),
        }
    }

    pub fn scheduling(&self) -> Scheduling {
        self.scheduling
    }

    /// The index of the chosen one.
    pub fn pick(&mut self, question: &Question<'_>) -> usize {
        let loads = question.loads;
        let chosen = match self.scheduling.scheduler {
            Scheduler::Rr => self.turn(question),
            Scheduler::Wrr => self.by_debt(question),
            Scheduler::Lc => self.least(question, |load| (load.active, 1)),
            Scheduler::Wlc => self.least(question, |load| (load.active, load.weight)),
            Scheduler::Sed => self.least(question, |load| (load.active + 1, load.weight)),
            Scheduler::Nq => {
                let idle = question.eligible.iter().find(|&&i| loads[i].active == 0);
                match idle {
                    Some(&idle) => idle,
                    None => self.least(question, |load| (load.active + 1, load.weight)),
                }
            }
            Scheduler::Sh | Scheduler::Mh => {
                let port = self.scheduling.port.then(|| question.client.port());
                self.by_hash(question, &(question.client.ip(), port))
            }
            Scheduler::Dh => self.by_hash(question, &question.asked),
            Scheduler::Lblc => self.by_locality(question, false),
            Scheduler::Lblcr => self.by_locality(question, true),
            Scheduler::Fo => heaviest(question, |_| true).unwrap_or(question.eligible[0]),
            Scheduler::Ovf => heaviest(question, |load| load.active < load.weight)
                .or_else(|| heaviest(question, |_| true))
                .unwrap_or(question.eligible[0]),
        };
        self.last = chosen;
        chosen
    }

    /// The next one after the last, in a circle.
    fn turn(&self, question: &Question<'_>) -> usize {
        let after = question
            .eligible
            .iter()
            .find(|&&i| self.last != usize::MAX && i > self.last);
        *after.unwrap_or(&question.eligible[0])
    }

    /// Each is owed its weight at every choice; who is owed most is chosen, and pays for all.
    fn by_debt(&mut self, question: &Question<'_>) -> usize {
        let keys: Vec<u64> = question.loads.iter().map(|load| load.key).collect();
        self.owed.retain(|key, _| keys.contains(key));
        let mut total = 0;
        let mut best = (i64::MIN, question.eligible[0]);
        for &i in question.eligible {
            let weight = i64::from(question.loads[i].weight);
            let owed = self.owed.entry(keys[i]).or_default();
            *owed += weight;
            total += weight;
            if *owed > best.0 {
                best = (*owed, i);
            }
        }
        *self.owed.entry(keys[best.1]).or_default() -= total;
        best.1
    }

    /// The smallest fraction; of equal ones the next after the last chosen.
    fn least(&self, question: &Question<'_>, share: impl Fn(&Load) -> (u32, u32)) -> usize {
        let count = question.loads.len();
        let start = self.last.wrapping_add(1) % count.max(1);
        let turned = |i: usize| (i + count - start) % count;
        let better = |&a: &usize, &b: &usize| {
            let (a_over, a_under) = share(&question.loads[a]);
            let (b_over, b_under) = share(&question.loads[b]);
            let left = u64::from(a_over) * u64::from(b_under);
            let right = u64::from(b_over) * u64::from(a_under);
            left.cmp(&right).then(turned(a).cmp(&turned(b)))
        };
        let found = question.eligible.iter().copied().min_by(better);
        found.unwrap_or(question.eligible[0])
    }

    /// By the highest of hashes of key and backend, each raised by its weight (rendezvous hashing): the same key leads to
    /// the same backend, and when one goes only its own keys move.
    fn by_hash(&self, question: &Question<'_>, key: &impl std::hash::Hash) -> usize {
        let score = |i: usize| {
            let load = &question.loads[i];
            let hash = self.hasher.hash_one((key, load.key));
            // Uniform in (0, 1]; the 53 bits that a double holds.
            let uniform = ((hash >> 11) + 1) as f64 / (1u64 << 53) as f64;
            -uniform.ln() / f64::from(load.weight)
        };
        let all = question.eligible.iter().copied();
        let found = all.min_by(|&a, &b| score(a).total_cmp(&score(b)));
        found.unwrap_or(question.eligible[0])
    }

    /// An address stays with its backend until that has more connections than its weight while another has fewer than
    /// half of its own; `several` then adds one instead of moving.
    fn by_locality(&mut self, question: &Question<'_>, several: bool) -> usize {
        let loads = question.loads;
        let known = self.near.get(&question.asked);
        let here: Vec<usize> = question
            .eligible
            .iter()
            .copied()
            .filter(|&i| known.is_some_and(|keys| keys.contains(&loads[i].key)))
            .collect();
        let near = Question {
            eligible: &here,
            ..*question
        };
        let idle = question
            .eligible
            .iter()
            .any(|&i| loads[i].active * 2 < loads[i].weight);
        if !here.is_empty() {
            let stay = self.least(&near, |load| (load.active, load.weight));
            if loads[stay].active <= loads[stay].weight || !idle {
                return stay;
            }
        }
        let chosen = self.least(question, |load| (load.active, load.weight));
        if self.near.len() >= LOCALITIES_MAX {
            self.near.clear();
        }
        let keys = self.near.entry(question.asked).or_default();
        if !several {
            keys.clear();
        }
        if !keys.contains(&loads[chosen].key) {
            keys.push(loads[chosen].key);
        }
        chosen
    }
}

fn heaviest(question: &Question<'_>, may: impl Fn(&Load) -> bool) -> Option<usize> {
    let all = question.eligible.iter().copied();
    let open = all.filter(|&i| may(&question.loads[i]));
    // The first of equal ones.
    open.rev().max_by_key(|&i| question.loads[i].weight)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn loads(all: &[(u32, u32)]) -> Vec<Load> {
        all.iter()
            .enumerate()
            .map(|(i, &(weight, active))| Load {
                weight,
                active,
                key: i as u64 + 100,
            })
            .collect()
    }

    fn picker(text: &str) -> Picker {
        Picker::new(Scheduling::parse(text).unwrap())
    }

    fn ask(picker: &mut Picker, loads: &[Load], client: u16, eligible: &[usize]) -> usize {
        picker.pick(&Question {
            client: SocketAddr::from(([10, 0, (client >> 8) as u8, client as u8], client)),
            asked: Some([10, 96, 0, 1].into()),
            loads,
            eligible,
        })
    }

    fn series(name: &str, loads: &[Load], times: u16) -> Vec<usize> {
        let mut picker = picker(name);
        let all: Vec<usize> = (0..loads.len()).collect();
        (0..times)
            .map(|client| ask(&mut picker, loads, client, &all))
            .collect()
    }

    #[test]
    fn each_rule_chooses_as_it_says() {
        assert_eq!(
            series("rr", &loads(&[(1, 0), (5, 9), (1, 0)]), 5),
            [0, 1, 2, 0, 1]
        );
        let weighted = series("wrr", &loads(&[(3, 0), (1, 0)]), 8);
        assert_eq!(weighted.iter().filter(|&&i| i == 0).count(), 6);
        assert_eq!(weighted[..4], weighted[4..]);
        assert_eq!(series("lc", &loads(&[(1, 3), (9, 4), (1, 2)]), 2), [2, 2]);
        assert_eq!(series("wlc", &loads(&[(1, 3), (9, 4), (1, 2)]), 2), [1, 1]);
        assert_eq!(series("lc", &loads(&[(1, 1), (1, 1)]), 4), [0, 1, 0, 1]);
        assert_eq!(series("sed", &loads(&[(1, 0), (3, 1)]), 1), [1]);
        assert_eq!(series("nq", &loads(&[(1, 0), (3, 1)]), 1), [0]);
        assert_eq!(series("nq", &loads(&[(1, 1), (3, 1)]), 1), [1]);
        assert_eq!(series("fo", &loads(&[(1, 0), (3, 9), (3, 0)]), 2), [1, 1]);
        assert_eq!(series("ovf", &loads(&[(1, 0), (3, 3), (2, 1)]), 1), [2]);
        assert_eq!(series("ovf", &loads(&[(1, 1), (3, 3)]), 1), [1]);
    }

    #[test]
    fn a_hash_keeps_a_client_and_moves_only_those_of_a_backend_that_went() {
        let four = loads(&[(1, 0), (1, 0), (1, 0), (2, 0)]);
        for name in ["sh", "mh"] {
            let mut picker = picker(name);
            let before: Vec<_> = (0..2000)
                .map(|c| ask(&mut picker, &four, c, &[0, 1, 2, 3]))
                .collect();
            let after: Vec<_> = (0..2000)
                .map(|c| ask(&mut picker, &four, c, &[0, 2, 3]))
                .collect();
            for (b, a) in before.iter().zip(&after) {
                assert!(a != &1 && (b == a || b == &1));
            }
            let heavy = before.iter().filter(|&&i| i == 3).count();
            assert!(
                (650..950).contains(&heavy),
                "two fifths of 2000, not {heavy}"
            );
        }
        assert_eq!(
            series("dh", &four, 50)
                .iter()
                .collect::<std::collections::HashSet<_>>()
                .len(),
            1
        );
    }

    #[test]
    fn a_locality_moves_when_it_is_overloaded() {
        for (name, later) in [("lblc", 1), ("lblcr", 1)] {
            let mut picker = picker(name);
            assert_eq!(ask(&mut picker, &loads(&[(2, 0), (2, 1)]), 1, &[0, 1]), 0);
            assert_eq!(
                ask(&mut picker, &loads(&[(2, 2), (2, 0)]), 1, &[0, 1]),
                0,
                "not above its weight"
            );
            assert_eq!(
                ask(&mut picker, &loads(&[(2, 3), (2, 1)]), 1, &[0, 1]),
                0,
                "nobody is idle"
            );
            assert_eq!(
                ask(&mut picker, &loads(&[(2, 3), (2, 0)]), 1, &[0, 1]),
                later
            );
            let back = ask(&mut picker, &loads(&[(2, 0), (2, 1)]), 1, &[0, 1]);
            assert_eq!(back, if name == "lblcr" { 0 } else { 1 });
        }
    }

    #[test]
    fn who_may_not_be_chosen_is_not() {
        let some = loads(&[(1, 0), (1, 0), (1, 0)]);
        for name in [
            "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "sed", "nq", "fo", "ovf",
        ] {
            let mut picker = picker(name);
            for client in 0..20 {
                assert_eq!(ask(&mut picker, &some, client, &[1]), 1, "{name}");
            }
        }
    }
}
