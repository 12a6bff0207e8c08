//! Decisions in which others have a say: they are told what the core's own filters say of each node, and answer which
//! nodes they allow and what they add to the nodes' totals.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Core;
use super::facts::key_of;
use super::filter::{self, FEASIBLE, Verdict, prefilter};
use super::identity::{Constraint, Identity, Term};
use super::nodes::Slot;
use super::nominated;
use super::pods::Subject;
use super::preempt::{self, Preemption};

/// What others say of a node.
pub mod say {
    /// It is refused, and theirs is the reason.
    pub const REFUSED: u8 = 0;
    /// It is allowed.
    pub const ALLOWED: u8 = 1;
    /// It is refused, but a filter of the core refuses it too, and that one's is the reason.
    pub const REFUSED_BOTH: u8 = 2;
}

/// What others say of every slot.
#[derive(Clone, Copy, Default)]
pub struct Say<'a> {
    /// See `say`; empty where all nodes are allowed.
    pub allowed: &'a [u8],
    /// What is added to the total of each slot; empty for nothing.
    pub extra: &'a [i32],
}

impl Say<'_> {
    /// What is said of the node in `slot`.
    pub fn of(&self, slot: usize) -> u8 {
        self.allowed.get(slot).copied().unwrap_or(say::ALLOWED)
    }
}

/// What the core's own filters say of each slot for a waiting pod.
pub struct Filtered {
    /// For each slot the index of the filter that refuses it; see `NONE` and `ABSENT`.
    pub refused_by: Vec<u8>,
    /// The filters, by index.
    pub filters: Vec<&'static str>,
    /// The arrangement of slots that this speaks of.
    pub layout: u64,
}

/// Nothing refuses the node.
pub const NONE: u8 = 255;
/// There is no node in the slot.
pub const ABSENT: u8 = 254;

impl Core {
    /// What the core's own filters say of each slot. None where the pod does not wait, or a reason in itself refuses it
    /// everywhere: `schedule` says so then.
    pub fn filtered(&mut self, namespace: &str, name: &str) -> Option<Filtered> {
        self.with_subject(&key_of(namespace, name), |core, spec, subject, _| {
            if prefilter(subject).is_some() {
                return None;
            }
            let held = nominated::held(&mut core.table, subject);
            let verdicts = core.decider.judge(&core.table, spec, subject, &held);
            let filters: Vec<&'static str> = subject
                .profile
                .filters
                .iter()
                .map(|step| step.name())
                .collect();
            let index = |plugin: &str| filters.iter().position(|name| *name == plugin).unwrap_or(0);
            let mut refused_by: Vec<u8> = verdicts.iter().map(|verdict| told(*verdict)).collect();
            for (slot, refused) in refused_by.iter_mut().enumerate() {
                if *refused == NAMED {
                    *refused = index("NodeAffinity") as u8;
                }
                if let Some(node) = held.iter().find(|node| node.slot as usize == slot) {
                    *refused = index(node.plugin) as u8;
                }
            }
            Some(Filtered {
                refused_by,
                filters,
                layout: core.table.nodes.layout,
            })
        })?
    }

    /// For each of the waiting pods the filter that keeps it from a node as things stand; None where it might be placed
    /// there, by evictions if need be. That other pods may have to be near or far is not looked at: it cannot be told
    /// from one node.
    pub fn kept_off<N: AsRef<str>>(
        &mut self,
        pods: &[(N, N)],
        node: &str,
    ) -> Vec<Option<&'static str>> {
        let slot = self
            .table
            .symbols
            .find(node)
            .and_then(|name| self.table.nodes.find(name));
        let slot = slot.filter(|&slot| self.table.nodes.present[slot as usize]);
        let mut known = HashMap::new();
        pods.iter()
            .map(|(namespace, name)| {
                let key = key_of(namespace.as_ref(), name.as_ref());
                let answer = self.with_subject(&key, |core, spec, subject, _| {
                    let Some(slot) = slot else {
                        return Some("NodeName");
                    };
                    let address = Arc::as_ptr(spec) as usize;
                    let kind = (subject.profile.id, address, subject.priority);
                    *known
                        .entry(kind)
                        .or_insert_with(|| core.keeps_off(subject, slot))
                });
                answer.flatten()
            })
            .collect()
    }

    /// All nodes on which evictions would help a waiting pod, the best one first; see `preempt::candidates`.
    pub fn candidates(
        &mut self,
        namespace: &str,
        name: &str,
        said: Say,
    ) -> Vec<(Preemption, usize)> {
        let found = self.with_subject(&key_of(namespace, name), |core, spec, subject, _| {
            if subject.peaceful || !subject.profile.preempts || prefilter(subject).is_some() {
                return Vec::new();
            }
            let held = nominated::held(&mut core.table, subject);
            let verdicts = core
                .decider
                .judge(&core.table, spec, subject, &held)
                .to_vec();
            let resolvable: Vec<Slot> = {
                let checks = filter::prepare(&core.table, subject);
                let may = |slot: &usize| {
                    let told =
                        filter::explain(&core.table, subject, &checks, *slot, verdicts[*slot]);
                    let held = held.iter().find(|node| node.slot as usize == *slot);
                    let refusal = told.as_ref().map(|(_, refusal)| refusal);
                    let refusal = refusal.or(held.map(|node| &node.refusal));
                    said.of(*slot) == say::ALLOWED && refusal.is_some_and(|r| !r.unresolvable)
                };
                core.table
                    .nodes
                    .all()
                    .filter(may)
                    .map(|slot| slot as Slot)
                    .collect()
            };
            preempt::candidates(&mut core.table, subject, &resolvable)
        });
        found.unwrap_or_default()
    }

    /// Nominates a waiting pod for a node, or for none.
    pub fn nominate(&mut self, namespace: &str, name: &str, node: Option<&str>) {
        if let Some(id) = self.table.pods.find(&key_of(namespace, name)) {
            let node = node.map(|node| self.table.symbols.intern(node));
            self.table.nominate(id, node);
        }
    }

    /// Whether the pod of the table's last change is one that the affinity or the topology spread of each of the waiting
    /// pods speaks of, or that speaks of them.
    pub fn may_concern<N: AsRef<str>>(&mut self, pods: &[(N, N)]) -> Vec<bool> {
        let changed: Vec<Arc<Identity>> = self.table.changed.iter().flatten().cloned().collect();
        let concerns = |core: &mut Self, subject: &Subject| {
            changed
                .iter()
                .any(|other| speak_of_each_other(core, subject, other))
        };
        let ask = |(namespace, name): &(N, N)| {
            let key = key_of(namespace.as_ref(), name.as_ref());
            self.with_subject(&key, |core, _, subject, _| concerns(core, subject))
                .unwrap_or(true)
        };
        pods.iter().map(ask).collect()
    }

    fn keeps_off(&self, subject: &Subject, slot: Slot) -> Option<&'static str> {
        let at = slot as usize;
        let mut verdict: [Verdict; 1] = [FEASIBLE];
        filter::run_node(&self.table, subject, at..at + 1, &mut verdict);
        let (plugin, refusal) = filter::explain(&self.table, subject, &Vec::new(), at, verdict[0])?;
        let residents = self.table.nodes.residents[at].iter();
        let mut lower = residents.filter_map(|&id| self.table.pods.get(id));
        let evictable = subject.profile.preempts
            && !subject.peaceful
            && !refusal.unresolvable
            && lower.any(|pod| pod.priority < subject.priority);
        (!evictable).then_some(plugin)
    }
}

fn speak_of_each_other(core: &Core, subject: &Subject, other: &Identity) -> bool {
    let own = subject.identity;
    let labels = |of: &Identity| filter::namespace_labels(&core.table, &of.namespace);
    let spoken =
        |terms: &[Term], of: &Identity| terms.iter().any(|term| term.matches(of, labels(of)));
    let counted = |constraint: &Constraint| {
        constraint.replicas
            || (own.namespace == other.namespace && constraint.selector.matches(&other.labels))
    };
    spoken(&own.affinity, other)
        || spoken(&own.anti_affinity, other)
        || spoken(&other.anti_affinity, own)
        || subject.spread().iter().any(counted)
}

/// Set apart for now from the filters' indexes: the node is not among those that the pod names.
const NAMED: u8 = 253;

fn told(verdict: Verdict) -> u8 {
    match verdict {
        FEASIBLE => NONE,
        filter::ABSENT => ABSENT,
        filter::NOT_NAMED => NAMED,
        filter::HELD | filter::OUTSIDE => 0,
        code => code - 1,
    }
}
