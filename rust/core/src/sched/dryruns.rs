//! What dry runs of preemption found on each node, kept for pods that ask for the same until the node changes: of many
//! equal pods in a row each finds most nodes as the one before left them.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::{Arc, Weak};

use super::nodes::Slot;
use super::pods::{PodId, Subject};
use super::profile::ProfileId;
use super::spec::Spec;
use super::table::Table;

/// Pods that would have to go from one node, by importance.
#[derive(Clone)]
pub struct Candidate {
    /// Where.
    pub slot: Slot,
    /// How many of the victims' evictions would break a budget.
    pub violations: usize,
    /// Who.
    pub victims: Vec<PodId>,
}

/// How good a candidate is; the least is the best (see `preempt::rank`).
pub type Rank = (usize, i32, i64, usize, Reverse<u64>);

/// What a dry run found on a node: whom to evict, or why that would not help.
pub type Found = Result<(Rank, Candidate), Vec<Cow<'static, str>>>;

/// The dry runs for pods of one spec, profile and priority.
#[derive(Default)]
pub struct DryRuns {
    spec: Weak<Spec>,
    profile: ProfileId,
    priority: i32,
    /// The table's sequence, and the version of the budgets, at which this holds.
    sequence: u64,
    budgets: u64,
    found: Vec<Option<Found>>,
}

impl DryRuns {
    /// Forgets what no longer holds, or is of pods that ask for something else. Only for a pod whose verdict on a node
    /// depends on that node alone.
    pub fn refresh(&mut self, table: &Table, subject: &Subject) {
        let spec = table.pods.shared(subject.spec);
        let known = match (&spec, self.spec.upgrade()) {
            (Some(spec), Some(kept)) => Arc::ptr_eq(spec, &kept),
            _ => false,
        };
        let same =
            known && (self.priority, self.budgets) == (subject.priority, table.budgets.version());
        match table.changes(self.sequence).filter(|_| same) {
            Some(changed) => {
                for &slot in changed {
                    if let Some(found) = self.found.get_mut(slot as usize) {
                        *found = None;
                    }
                }
            }
            None => self.found.clear(),
        }
        self.found.resize_with(table.nodes.slots(), || None);
        self.spec = spec.as_ref().map_or_else(Weak::new, Arc::downgrade);
        self.profile = subject.profile.id;
        self.priority = subject.priority;
        self.budgets = table.budgets.version();
        self.sequence = table.sequence();
    }

    /// What is known of a node; `find` finds it out.
    pub fn of(&mut self, slot: Slot, find: impl FnOnce() -> Found) -> &Found {
        self.found[slot as usize].get_or_insert_with(find)
    }
}
