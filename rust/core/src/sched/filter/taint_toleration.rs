//! TaintToleration: every taint of effect NoSchedule or NoExecute must be tolerated.

use std::ops::Range;

use super::{Filter, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::table::Table;
use crate::sched::taints::{Taint, tolerated};

const REASON: &str = "node(s) had untolerated taint(s)";

pub struct TaintToleration;

fn untolerated(subject: &Subject, taints: &[Taint]) -> bool {
    taints
        .iter()
        .any(|taint| taint.effect.forbids() && !tolerated(&subject.spec.tolerations, taint))
}

impl Filter for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn skips(&self, table: &Table, _: &Subject) -> bool {
        // The first set is the empty one.
        table.nodes.taint_sets.len() <= 1
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        let nodes = &table.nodes;
        if range.len() < nodes.taint_sets.len() {
            refuse(range, code, verdicts, |slot| {
                untolerated(subject, nodes.taints_of(slot))
            });
        } else {
            // Nodes share few distinct lists of taints: each list is looked at once.
            let refused: Vec<bool> = nodes
                .taint_sets
                .iter()
                .map(|taints| untolerated(subject, taints))
                .collect();
            refuse(range, code, verdicts, |slot| {
                refused[nodes.taints[slot] as usize]
            });
        }
    }

    fn refusal(&self, _: &Table, _: &Subject, _: usize) -> Refusal {
        Refusal::unresolvable(REASON)
    }
}
