//! NodePorts: the host ports of the pod must be free on the node.

use std::ops::Range;

use super::{Filter, Refusal, Verdict, refuse};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

pub struct NodePorts;

impl Filter for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        subject.spec.ports.is_empty()
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        let all = table.names.all_addresses;
        let taken = |slot: usize| {
            subject
                .spec
                .ports
                .iter()
                .any(|&port| table.nodes.ports[slot].conflicts(port, all))
        };
        refuse(range, code, verdicts, taken);
    }

    fn refusal(&self, _: &Table, _: &Subject, _: usize) -> Refusal {
        Refusal {
            reasons: vec![REASON.into()],
            unresolvable: false,
        }
    }
}
