//! TaintToleration: the fewer untolerated taints of effect PreferNoSchedule, the better.

use std::ops::Range;

use super::{Score, normalize_by_highest};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::pods::Subject;
use crate::sched::table::Table;
use crate::sched::taints::{Effect, Toleration, tolerated};

pub struct TaintToleration;

impl Score for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn skips(&self, _: &Table, _: &Subject) -> bool {
        false
    }

    fn indifferent(&self, table: &Table, _: &Subject) -> bool {
        table.nodes.discouraged == 0
    }

    fn score(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        verdicts: &[Verdict],
        scores: &mut [i32],
    ) {
        let tolerations: Vec<Toleration> = subject
            .spec
            .tolerations
            .iter()
            .filter(|toleration| toleration.concerns_preference())
            .copied()
            .collect();
        for ((slot, verdict), score) in range.zip(verdicts).zip(scores) {
            if *verdict == FEASIBLE {
                let taints = table.nodes.taints_of(slot).iter();
                let untolerated = taints.filter(|t| {
                    t.effect == Effect::PreferNoSchedule && !tolerated(&tolerations, t)
                });
                *score = untolerated.count() as i32;
            }
        }
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn normalize(&self, verdicts: &[Verdict], scores: &mut [i32]) {
        normalize_by_highest(true, verdicts, scores);
    }
}
