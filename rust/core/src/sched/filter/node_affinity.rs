//! NodeAffinity: spec.nodeSelector and the required terms of the node affinity, the pod's and the profile's.

use std::ops::Range;

use super::{FEASIBLE, Filter, NOT_NAMED, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::selector::Named;
use crate::sched::table::Table;

const REASON: &str = "node(s) didn't match Pod's node affinity/selector";
const ENFORCED: &str = "node(s) didn't match scheduler-enforced node affinity";
const CONFLICT: &str = "pod affinity terms conflict";

pub struct NodeAffinity;

impl Filter for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.spec.selector.is_empty() && subject.profile.enforced.is_empty()
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        let (selector, enforced) = (&subject.spec.selector, &subject.profile.enforced);
        refuse(range, code, verdicts, |slot| {
            let node = table.nodes.view(slot, &table.symbols);
            !selector.matches(node) || !enforced.matches(node)
        });
    }

    fn refusal(&self, table: &Table, subject: &Subject, slot: usize) -> Refusal {
        let node = table.nodes.view(slot, &table.symbols);
        Refusal::unresolvable(if subject.profile.enforced.matches(node) {
            REASON
        } else {
            ENFORCED
        })
    }
}

/// Where every term names its nodes, the others are out before any filter runs (upstream's PreFilterResult).
pub fn keep_named(table: &Table, subject: &Subject, range: Range<usize>, verdicts: &mut [Verdict]) {
    let Named::Only(names) = &subject.spec.selector.named else {
        return;
    };
    for (slot, verdict) in range.zip(verdicts) {
        if *verdict == FEASIBLE && names.binary_search(&table.nodes.name[slot]).is_err() {
            *verdict = NOT_NAMED;
        }
    }
}

/// The reason where the terms contradict each other whatever the node.
pub fn conflict(subject: &Subject) -> Option<&'static str> {
    matches!(subject.spec.selector.named, Named::Conflict).then_some(CONFLICT)
}
