//! NodeDeclaredFeatures: the node must declare every feature that the pod needs (see `features`).

use std::ops::Range;

use super::{Filter, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

const REASON: &str = "node(s) didn't match Pod's required features";

pub struct NodeDeclaredFeatures;

impl Filter for NodeDeclaredFeatures {
    fn name(&self) -> &'static str {
        "NodeDeclaredFeatures"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.spec.features == 0
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        let needed = subject.spec.features;
        refuse(range, code, verdicts, |slot| {
            table.nodes.features[slot] & needed != needed
        });
    }

    fn refusal(&self, _: &Table, _: &Subject, _: usize) -> Refusal {
        Refusal::unresolvable(REASON)
    }
}
