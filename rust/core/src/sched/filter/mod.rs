//! Filters: which nodes a pod may be placed on, and why not on the others.

mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod taint_toleration;

use std::borrow::Cow;
use std::ops::Range;

use super::pods::Subject;
use super::table::Table;

/// The filters in the order in which they run; the first that refuses a node gives the reasons.
pub const CHAIN: [&dyn Filter; 6] = [
    &node_name::NodeName,
    &node_unschedulable::NodeUnschedulable,
    &taint_toleration::TaintToleration,
    &node_affinity::NodeAffinity,
    &node_ports::NodePorts,
    &node_resources_fit::NodeResourcesFit,
];

/// What the chain says of a node: `FEASIBLE`, or 1 + the index of the filter that refused it, or one of the below.
pub type Verdict = u8;

/// Every filter lets the pod onto the node.
pub const FEASIBLE: Verdict = 0;
/// The pod names by metadata.name which nodes it may go to, and this is none of them.
pub const NOT_NAMED: Verdict = 254;
/// There is no node in the slot.
pub const ABSENT: Verdict = 255;

/// Why a filter refuses a node.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Upstream's words.
    pub reasons: Vec<Cow<'static, str>>,
    /// Whether no eviction of pods from the node could change it.
    pub unresolvable: bool,
}

impl Refusal {
    /// A refusal that evicting pods from the node cannot change.
    fn unresolvable(reason: &'static str) -> Self {
        Self {
            reasons: vec![Cow::Borrowed(reason)],
            unresolvable: true,
        }
    }
}

/// One filter, over the slots of a table.
pub trait Filter: Sync {
    /// Upstream's name of the plug-in.
    fn name(&self) -> &'static str;

    /// Whether it lets this pod onto every node.
    fn skips(&self, table: &Table, subject: &Subject) -> bool;

    /// Puts `code` as the verdict of every slot of `range` that is feasible so far and that this filter refuses.
    /// `verdicts` starts at the range's start.
    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    );

    /// Why it refuses the pod on the node in `slot`.
    fn refusal(&self, table: &Table, subject: &Subject, slot: usize) -> Refusal;
}

/// Runs the chain over the slots of `range`.
pub fn run(table: &Table, subject: &Subject, range: Range<usize>, verdicts: &mut [Verdict]) {
    for (verdict, &present) in verdicts.iter_mut().zip(&table.nodes.present[range.clone()]) {
        *verdict = if present { FEASIBLE } else { ABSENT };
    }
    node_affinity::keep_named(table, subject, range.clone(), verdicts);
    for (index, filter) in CHAIN.iter().enumerate() {
        if !filter.skips(table, subject) {
            filter.filter(
                table,
                subject,
                range.clone(),
                index as Verdict + 1,
                verdicts,
            );
        }
    }
}

/// Why the node in `slot` has `verdict`: the refusing plug-in's name and its reasons. None for a feasible one.
pub fn explain(
    table: &Table,
    subject: &Subject,
    slot: usize,
    verdict: Verdict,
) -> Option<(&'static str, Refusal)> {
    match verdict {
        FEASIBLE | ABSENT => None,
        NOT_NAMED => {
            let name = node_affinity::NodeAffinity.name();
            Some((
                name,
                Refusal::unresolvable("node(s) didn't satisfy plugin(s) [NodeAffinity]"),
            ))
        }
        verdict => {
            let filter = CHAIN[verdict as usize - 1];
            Some((filter.name(), filter.refusal(table, subject, slot)))
        }
    }
}

/// A reason that concerns the pod alone, found before any node is looked at (upstream's PreFilter).
pub fn prefilter(subject: &Subject) -> Option<(&'static str, &'static str)> {
    node_affinity::conflict(subject).map(|reason| (node_affinity::NodeAffinity.name(), reason))
}

/// Puts `code` wherever the verdict is feasible so far and `refuses` holds.
fn refuse(
    range: Range<usize>,
    code: Verdict,
    verdicts: &mut [Verdict],
    refuses: impl Fn(usize) -> bool,
) {
    for (slot, verdict) in range.zip(verdicts) {
        if *verdict == FEASIBLE && refuses(slot) {
            *verdict = code;
        }
    }
}
