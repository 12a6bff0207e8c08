//! Filters: which nodes a pod may be placed on, and why not on the others.

mod inter_pod_affinity;
mod node_affinity;
mod node_declared_features;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod pod_topology_spread;
mod taint_toleration;
mod volume_restrictions;

use std::borrow::Cow;
use std::ops::Range;

use super::pods::Subject;
use super::table::Table;

pub use inter_pod_affinity::namespace_labels;
pub use pod_topology_spread::{has_all, included, matching};

/// All filters in the order in which they run by default; the first that refuses a node gives the reasons. A profile says
/// which of them run.
pub const CHAIN: [Step; 10] = [
    Step::Node(&node_unschedulable::NodeUnschedulable),
    Step::Node(&node_name::NodeName),
    Step::Node(&taint_toleration::TaintToleration),
    Step::Node(&node_affinity::NodeAffinity),
    Step::Node(&node_ports::NodePorts),
    Step::Node(&node_resources_fit::NodeResourcesFit),
    Step::Node(&volume_restrictions::VolumeRestrictions),
    Step::Cluster(&pod_topology_spread::PodTopologySpread),
    Step::Cluster(&inter_pod_affinity::InterPodAffinity),
    Step::Node(&node_declared_features::NodeDeclaredFeatures),
];

/// A filter, and what its verdict depends on.
#[derive(Clone, Copy)]
pub enum Step {
    /// On the node alone: the verdict stands until the node changes.
    Node(&'static dyn Filter),
    /// On pods elsewhere too: the verdict is found anew for each decision.
    Cluster(&'static dyn ClusterFilter),
}

impl Step {
    /// The filter of this name; None where the core has none.
    pub fn named(name: &str) -> Option<Self> {
        CHAIN.into_iter().find(|step| step.name() == name)
    }

    /// Upstream's name of the plug-in.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Node(filter) => filter.name(),
            Self::Cluster(filter) => filter.name(),
        }
    }
}

/// What the chain says of a node: `FEASIBLE`, or 1 + the index of the filter that refused it, or one of the below.
pub type Verdict = u8;

/// Every filter lets the pod onto the node.
pub const FEASIBLE: Verdict = 0;
/// It is refused from outside (see `open`).
pub const OUTSIDE: Verdict = 252;
/// A filter refuses it because of pods that are nominated for it (see `nominated`).
pub const HELD: Verdict = 253;
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

/// A filter that looks at one node at a time, over the slots of a table.
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

/// One reason for one node.
#[derive(Clone, Copy)]
pub struct Reason {
    text: &'static str,
    unresolvable: bool,
}

/// What a `ClusterFilter` says of the node in a slot; None where it does not refuse it.
pub type Check<'a> = Box<dyn Fn(usize) -> Option<Reason> + 'a>;

/// A filter that looks at where other pods are.
pub trait ClusterFilter: Sync {
    /// Upstream's name of the plug-in.
    fn name(&self) -> &'static str;

    /// Looks at the cluster once for a decision. None where it lets this pod onto every node.
    fn prepare<'a>(&self, table: &'a Table, subject: &Subject<'a>) -> Option<Check<'a>>;
}

/// The prepared cluster filters of the chain, each with its code.
pub type Checks<'a> = Vec<(Verdict, &'static str, Check<'a>)>;

/// Prepares the cluster filters of the pod's profile that concern it.
pub fn prepare<'a>(table: &'a Table, subject: &Subject<'a>) -> Checks<'a> {
    let steps = subject.profile.filters.iter().zip(1..);
    steps
        .filter_map(|(step, code)| match step {
            Step::Cluster(filter) => filter
                .prepare(table, subject)
                .map(|check| (code, filter.name(), check)),
            Step::Node(_) => None,
        })
        .collect()
}

/// Runs the node filters of the chain over the slots of `range`.
pub fn run_node(table: &Table, subject: &Subject, range: Range<usize>, verdicts: &mut [Verdict]) {
    for (verdict, &present) in verdicts.iter_mut().zip(&table.nodes.present[range.clone()]) {
        *verdict = if present { FEASIBLE } else { ABSENT };
    }
    if subject.profile.names_nodes {
        node_affinity::keep_named(table, subject, range.clone(), verdicts);
    }
    for (step, code) in subject.profile.filters.iter().zip(1..) {
        if let Step::Node(filter) = step
            && !filter.skips(table, subject)
        {
            filter.filter(table, subject, range.clone(), code, verdicts);
        }
    }
}

/// Runs the cluster filters of the chain after the node filters, over the slots of `range`. A profile may want them
/// earlier: then theirs is the reason.
pub fn run_cluster(checks: &Checks, range: Range<usize>, verdicts: &mut [Verdict]) {
    for (code, _, check) in checks {
        for (slot, verdict) in range.clone().zip(&mut *verdicts) {
            let later = *verdict > *code && *verdict < OUTSIDE;
            if (*verdict == FEASIBLE || later) && check(slot).is_some() {
                *verdict = *code;
            }
        }
    }
}

/// Why the node in `slot` has `verdict`: the refusing plug-in's name and its reasons. None for a feasible one.
pub fn explain(
    table: &Table,
    subject: &Subject,
    checks: &Checks,
    slot: usize,
    verdict: Verdict,
) -> Option<(&'static str, Refusal)> {
    match verdict {
        FEASIBLE | ABSENT | HELD | OUTSIDE => None,
        NOT_NAMED => {
            let name = node_affinity::NodeAffinity.name();
            Some((
                name,
                Refusal::unresolvable("node(s) didn't satisfy plugin(s) [NodeAffinity]"),
            ))
        }
        code => match subject.profile.filters[code as usize - 1] {
            Step::Node(filter) => Some((filter.name(), filter.refusal(table, subject, slot))),
            Step::Cluster(_) => {
                let (_, name, check) = checks.iter().find(|(of, _, _)| *of == code)?;
                let Reason { text, unresolvable } = check(slot)?;
                Some((
                    name,
                    Refusal {
                        reasons: vec![text.into()],
                        unresolvable,
                    },
                ))
            }
        },
    }
}

/// Why the node in `slot` is refused, by every plug-in of the chain that does, in their order.
pub fn refusals(
    table: &Table,
    subject: &Subject,
    checks: &Checks,
    slot: usize,
) -> Vec<(&'static str, Refusal)> {
    let range = slot..slot + 1;
    let mut named = [FEASIBLE];
    if subject.profile.names_nodes {
        node_affinity::keep_named(table, subject, range.clone(), &mut named);
    }
    let codes = subject
        .profile
        .filters
        .iter()
        .zip(1..)
        .map(|(step, code)| match step {
            Step::Node(filter) if !filter.skips(table, subject) => {
                let mut verdict = [FEASIBLE];
                filter.filter(table, subject, range.clone(), code, &mut verdict);
                verdict[0]
            }
            Step::Node(_) => FEASIBLE,
            Step::Cluster(_) => code,
        });
    let mut found: Vec<(&'static str, Refusal)> = Vec::new();
    for code in named.into_iter().chain(codes) {
        if let Some((plugin, refusal)) = explain(table, subject, checks, slot, code)
            && found.iter().all(|(known, _)| *known != plugin)
        {
            found.push((plugin, refusal));
        }
    }
    found
}

/// A reason that concerns the pod alone, found before any node is looked at (upstream's PreFilter).
pub fn prefilter(subject: &Subject) -> Option<(&'static str, &'static str)> {
    if !subject.profile.names_nodes {
        return None;
    }
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
