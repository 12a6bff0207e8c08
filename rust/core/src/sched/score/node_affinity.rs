//! NodeAffinity: the weights of the preferred terms that a node matches.

use std::ops::Range;

use super::{Score, normalize_by_highest};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

pub struct NodeAffinity;

impl Score for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.spec.preferred.is_empty() && subject.profile.added_preferred.is_empty()
    }

    fn score(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        verdicts: &[Verdict],
        scores: &mut [i32],
    ) {
        for ((slot, verdict), score) in range.zip(verdicts).zip(scores) {
            if *verdict == FEASIBLE {
                let node = table.nodes.view(slot, &table.symbols);
                *score = subject.spec.preferred.score(node)
                    + subject.profile.added_preferred.score(node);
            }
        }
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn normalize(&self, verdicts: &[Verdict], scores: &mut [i32]) {
        normalize_by_highest(false, verdicts, scores);
    }
}
