//! The scheduler core: a column table of nodes and pods, a chain of filters, a list of scores.
//!
//! It is fed the API's own JSON and answers where each pod should go and why not elsewhere. Names, order, meaning and
//! words of filters and scores are those of Kubernetes 1.37; all nodes are looked at, none sampled.

pub mod budgets;
pub mod decide;
pub mod disks;
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

use decide::Decider;
use filter::{ABSENT, HELD};
use nodes::Slot;
use open::Say;
use pods::Subject;
use preempt::Answer;
use refusal::Refusal;
use spec::Spec;
use table::{Table, key_of};

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

/// What is said of one node for one pod.
#[derive(Debug, PartialEq)]
pub struct NodeExplanation {
    /// The node's name.
    pub node: String,
    /// The plug-in that refused it, where one did.
    pub plugin: Option<&'static str>,
    /// Why it did.
    pub reasons: Vec<String>,
    /// The normalized score and the weight of each plug-in, where none refused it.
    pub scores: Vec<(&'static str, i32, i32)>,
    /// The sum of score × weight.
    pub total: i32,
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
        if filter::prefilter(subject).is_some() {
            return self.refused(id, Refusal::of_pod(&self.table, subject));
        }
        let held = nominated::held(&mut self.table, subject);
        let choice = self.decider.choose(&self.table, spec, subject, &held, said);
        match choice.slot {
            Some(slot) => {
                self.table.assume(id, slot as Slot);
                Decision::Placed {
                    node: self
                        .table
                        .symbols
                        .text(self.table.nodes.name[slot])
                        .to_owned(),
                    feasible: choice.feasible,
                    nodes: self.table.nodes.len(),
                }
            }
            None => {
                let verdicts = self.decider.verdicts();
                let refusal = Refusal::gather(&mut self.table, subject, verdicts, &held, said);
                self.refused(id, refusal)
            }
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

    /// What is said of every node for a pod as the API would serve it, in the order of their slots. The pod need not
    /// be in the table; where it is on a node there, it counts on that node too.
    pub fn explain(&mut self, json: &[u8]) -> Result<Vec<NodeExplanation>, Malformed> {
        let (pod, node_name) = self.table.read_pod(json)?;
        let profile = Arc::clone(self.table.profile(pod.profile));
        let subject = Subject {
            node_name,
            ..pod.subject(&profile)
        };
        Ok(self.explain_subject(&subject))
    }

    fn explain_subject(&mut self, subject: &Subject) -> Vec<NodeExplanation> {
        let held = nominated::held(&mut self.table, subject);
        let table = &self.table;
        let all = table.nodes.all();
        let mut verdicts = vec![ABSENT; all.len()];
        let checks = filter::prepare(table, subject);
        filter::run_node(table, subject, all.clone(), &mut verdicts);
        filter::run_cluster(&checks, all.clone(), &mut verdicts);
        for node in &held {
            verdicts[node.slot as usize] = HELD;
        }
        let scores = subject.profile.scores.iter();
        let scored: Vec<(&str, i32, Vec<i32>)> = scores
            .filter(|(score, _)| !score.skips(table, subject))
            .map(|(score, weight)| {
                let mut scores = vec![0; all.len()];
                score.score(table, subject, all.clone(), &verdicts, &mut scores);
                score.normalize(&verdicts, &mut scores);
                (score.name(), *weight, scores)
            })
            .collect();
        let prefilter = filter::prefilter(subject);
        let explain = |slot: usize| {
            let node = table.symbols.text(table.nodes.name[slot]).to_owned();
            let refused = |plugin, reasons| NodeExplanation {
                node: node.clone(),
                plugin: Some(plugin),
                reasons,
                scores: Vec::new(),
                total: 0,
            };
            if let Some((plugin, reason)) = prefilter {
                return refused(plugin, vec![reason.to_owned()]);
            }
            let words = |refusal: &filter::Refusal| {
                let words = refusal.reasons.iter();
                words.map(|reason| reason.clone().into_owned()).collect()
            };
            if let Some(node) = held.iter().find(|node| node.slot as usize == slot) {
                return refused(node.plugin, words(&node.refusal));
            }
            if let Some((plugin, refusal)) =
                filter::explain(table, subject, &checks, slot, verdicts[slot])
            {
                return refused(plugin, words(&refusal));
            }
            let scores: Vec<_> = scored
                .iter()
                .map(|(name, weight, of)| (*name, of[slot], *weight))
                .collect();
            let total = scores.iter().map(|(_, score, weight)| score * weight).sum();
            NodeExplanation {
                node: node.clone(),
                plugin: None,
                reasons: Vec::new(),
                scores,
                total,
            }
        };
        all.filter(|&slot| verdicts[slot] != ABSENT)
            .map(explain)
            .collect()
    }
}

#[cfg(test)]
mod tests;
