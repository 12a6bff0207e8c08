//! The scheduler core: a column table of nodes and pods, a chain of filters, a list of scores.
//!
//! It is fed the API's own JSON and answers where each pod should go and why not elsewhere. Names, order, meaning and
//! words of filters and scores are those of Kubernetes 1.37; all nodes are looked at, none sampled.

pub mod balance;
pub mod budgets;
pub mod decide;
pub mod disks;
pub mod dryruns;
pub mod explain;
pub mod facts;
pub mod features;
pub mod filter;
pub mod groups;
pub mod identity;
pub mod labels;
pub mod nodes;
pub mod nominated;
pub mod numbers;
pub mod object;
pub mod open;
pub mod peers;
pub mod pods;
pub mod preempt;
pub mod profile;
pub mod quantity;
pub mod refusal;
pub mod requests;
pub mod score;
pub mod selector;
pub mod spec;
pub mod symbols;
pub mod table;
pub mod taints;

use std::fmt;
use std::sync::Arc;

use decide::{Considered, Decider, consider};
use facts::key_of;
use nodes::Slot;
use open::Say;
use pods::Subject;
use preempt::Answer;
use refusal::Refusal;
use spec::Spec;
use table::Table;

/// An object that cannot be read: which one, which field, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl Malformed {
    fn of(self, kind: &str, name: &str) -> Self {
        let name = if name.is_empty() {
            String::new()
        } else {
            format!(" {name:?}")
        };
        Self(format!("{kind}{name}: {}", self.0))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What was decided for a pod.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is assumed on this node from now on.
    Placed {
        /// The node's name.
        node: String,
        /// How many nodes were feasible.
        feasible: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// No node is feasible.
    Refused(Refusal),
    /// The pod does not wait for a node (any more): it is gone, or has one.
    NotWaiting,
}

/// The scheduler core.
pub struct Core {
    /// Nodes and pods.
    pub table: Table,
    decider: Decider,
}

impl Core {
    /// A core without nodes or pods, and with upstream's default profile. Among equally good nodes it chooses by lot, and
    /// the lots follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            table: Table::default(),
            decider: Decider::new(seed),
        }
    }

    /// The same with profiles of its own (see `profile`).
    pub fn with_profiles(seed: u64, stated: &[&[u8]]) -> Result<Self, Malformed> {
        Ok(Self {
            table: Table::with_profiles(stated)?,
            decider: Decider::new(seed),
        })
    }

    /// Decides for each pod (namespace, name) in turn; a placed one counts as on its node for those after it.
    pub fn schedule<N: AsRef<str>>(&mut self, pods: &[(N, N)]) -> Vec<Decision> {
        pods.iter()
            .map(|(namespace, name)| {
                self.decide(&key_of(namespace.as_ref(), name.as_ref()), Say::default())
            })
            .collect()
    }

    /// Counts a waiting pod in on a node, as `schedule` does for what it decides. Returns whether pod and node are there.
    pub fn assume(&mut self, namespace: &str, name: &str, uid: &str, node: &str) -> bool {
        let table = &mut self.table;
        let slot = table
            .symbols
            .find(node)
            .and_then(|name| table.nodes.find(name));
        let pod = table.pods.find(&key_of(namespace, name));
        let waits = |id: &pods::PodId| table.pods.get(*id).is_some_and(|pod| *pod.uid == *uid);
        match (
            pod.filter(waits),
            slot.filter(|&slot| table.nodes.present[slot as usize]),
        ) {
            (Some(id), Some(slot)) => table.assume(id, slot),
            _ => false,
        }
    }

    fn decide(&mut self, key: &str, said: Say) -> Decision {
        let decided = self.with_subject(key, |core, spec, subject, id| {
            core.decide_for(id, spec, subject, said)
        });
        decided.unwrap_or(Decision::NotWaiting)
    }

    /// Decides for one pod as `schedule` does, with what others say of the nodes. None where the nodes are not in the
    /// slots any more of which they spoke (see `Filtered::layout`).
    pub fn place(
        &mut self,
        namespace: &str,
        name: &str,
        said: Say,
        layout: u64,
    ) -> Option<Decision> {
        (layout == self.table.nodes.layout).then(|| self.decide(&key_of(namespace, name), said))
    }

    /// Calls `with` for a pod that waits for a node; None where it does not.
    fn with_subject<T>(
        &mut self,
        key: &str,
        with: impl FnOnce(&mut Self, &Arc<Spec>, &Subject, pods::PodId) -> T,
    ) -> Option<T> {
        let id = self.table.pods.find(key)?;
        let waits = |pod: &&pods::Pod| pod.node.is_none() && !pod.terminating;
        let pod = self.table.pods.get(id).filter(waits)?;
        // All are held for as long as the table may change under the subject.
        let (spec, identity) = (Arc::clone(&pod.spec), Arc::clone(&pod.identity));
        let uid = pod.uid.clone();
        let profile = Arc::clone(self.table.profile(pod.profile));
        let subject = Subject {
            spec: &spec,
            identity: &identity,
            uid: &uid,
            profile: &profile,
            ..pod.subject(&profile)
        };
        Some(with(self, &spec, &subject, id))
    }

    fn decide_for(
        &mut self,
        id: pods::PodId,
        spec: &Arc<Spec>,
        subject: &Subject,
        said: Say,
    ) -> Decision {
        match consider(&mut self.table, &mut self.decider, spec, subject, said) {
            Considered::Placed(slot, feasible) => {
                self.table.assume(id, slot as Slot);
                self.placed(slot, feasible)
            }
            Considered::Refused(refusal) => self.refused(id, refusal),
        }
    }

    fn placed(&self, slot: usize, feasible: usize) -> Decision {
        let table = &self.table;
        Decision::Placed {
            node: table.symbols.text(table.nodes.name[slot]).to_owned(),
            feasible,
            nodes: table.nodes.len(),
        }
    }

    /// Nominates the pod, or takes its nomination back, as preemption says.
    fn refused(&mut self, id: pods::PodId, refusal: Refusal) -> Decision {
        match &refusal.preemption {
            Some(Answer::Helps(preemption)) => {
                let node = self.table.symbols.intern(&preemption.node);
                self.table.nominate(id, Some(node));
            }
            Some(Answer::Helpless(_)) => self.table.nominate(id, None),
            Some(Answer::Ineligible(_)) | None => {}
        }
        Decision::Refused(refusal)
    }
}

#[cfg(test)]
mod tests;
