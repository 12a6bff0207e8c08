//! NodeUnschedulable: spec.unschedulable keeps pods away that do not tolerate the taint of that name.

use std::ops::Range;

use super::{Filter, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::symbols::Symbol;
use crate::sched::table::Table;
use crate::sched::taints::{Effect, Taint, tolerated};

const REASON: &str = "node(s) were unschedulable";

pub struct NodeUnschedulable;

impl Filter for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn skips(&self, table: &Table, subject: &Subject) -> bool {
        let taint = Taint {
            key: table.names.unschedulable,
            value: Symbol::EMPTY,
            effect: Effect::NoSchedule,
        };
        tolerated(&subject.spec.tolerations, &taint)
    }

    fn filter(
        &self,
        table: &Table,
        _: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        refuse(range, code, verdicts, |slot| {
            table.nodes.unschedulable[slot]
        });
    }

    fn refusal(&self, _: &Table, _: &Subject, _: usize) -> Refusal {
        Refusal::unresolvable(REASON)
    }
}
