//! NodeResourcesFit: what the pod requests must be free on the node, and there must be room for one more pod.

use std::borrow::Cow;
use std::ops::Range;

use super::{FEASIBLE, Filter, Refusal, Verdict, refuse};
use crate::sched::nodes::Column;
use crate::sched::pods::Subject;
use crate::sched::table::Table;

pub struct NodeResourcesFit;

impl Filter for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn skips(&self, _: &Table, _: &Subject) -> bool {
        false
    }

    fn filter(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        code: Verdict,
        verdicts: &mut [Verdict],
    ) {
        let (nodes, requests) = (&table.nodes, &subject.spec.requests);
        // One pass a resource, each over two plain arrays.
        let mut check = |column: &Column, wanted: i64| {
            if wanted > 0 {
                let allocatable = &column.allocatable[range.clone()];
                let requested = &column.requested[range.clone()];
                for ((verdict, allocatable), requested) in
                    verdicts.iter_mut().zip(allocatable).zip(requested)
                {
                    if *verdict == FEASIBLE && wanted > allocatable - requested {
                        *verdict = code;
                    }
                }
            }
        };
        check(&nodes.pods, 1);
        check(&nodes.cpu, requests.cpu);
        check(&nodes.memory, requests.memory);
        check(&nodes.ephemeral, requests.ephemeral);
        let mut nowhere = false;
        let ignored = |name| subject.profile.fit.ignores(name, &table.symbols);
        for &(name, wanted) in requests.scalars.iter().filter(|(name, _)| !ignored(*name)) {
            match nodes.scalar(name) {
                Some(column) => check(column, wanted),
                None => nowhere |= wanted > 0,
            }
        }
        if nowhere {
            refuse(range, code, verdicts, |_| true);
        }
    }

    fn refusal(&self, table: &Table, subject: &Subject, slot: usize) -> Refusal {
        let (nodes, requests) = (&table.nodes, &subject.spec.requests);
        let mut refusal = Refusal {
            reasons: Vec::new(),
            unresolvable: false,
        };
        if nodes.pods.requested[slot] + 1 > nodes.pods.allocatable[slot] {
            refusal.reasons.push("Too many pods".into());
        }
        let mut check =
            |column: Option<&Column>, wanted: i64, reason: &dyn Fn() -> Cow<'static, str>| {
                let (allocatable, requested) =
                    column.map_or((0, 0), |c| (c.allocatable[slot], c.requested[slot]));
                if wanted > 0 && wanted > allocatable - requested {
                    refusal.reasons.push(reason());
                    refusal.unresolvable |= wanted > allocatable;
                }
            };
        check(Some(&nodes.cpu), requests.cpu, &|| {
            "Insufficient cpu".into()
        });
        check(Some(&nodes.memory), requests.memory, &|| {
            "Insufficient memory".into()
        });
        check(Some(&nodes.ephemeral), requests.ephemeral, &|| {
            "Insufficient ephemeral-storage".into()
        });
        let ignored = |name| subject.profile.fit.ignores(name, &table.symbols);
        for &(name, wanted) in requests.scalars.iter().filter(|(name, _)| !ignored(*name)) {
            check(nodes.scalar(name), wanted, &|| {
                format!("Insufficient {}", table.symbols.text(name)).into()
            });
        }
        refusal
    }
}
