//! NodeName: spec.nodeName, where it is given, is the node.

use std::ops::Range;

use super::{Filter, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

const REASON: &str = "node(s) didn't match the requested node name";

pub struct NodeName;

impl Filter for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.node_name.is_none()
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        refuse(range, code, verdicts, |slot| {
            Some(table.nodes.name[slot]) != subject.node_name
        });
    }

    fn refusal(&self, _: &Table, _: &Subject, _: usize) -> Refusal {
        Refusal::unresolvable(REASON)
    }
}
