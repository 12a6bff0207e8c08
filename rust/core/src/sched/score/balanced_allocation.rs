//! NodeResourcesBalancedAllocation: how much the pod brings the used shares of cpu and memory together.

use std::ops::Range;

use super::{MAX, Score};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

pub struct BalancedAllocation;

impl Score for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn weight(&self) -> i32 {
        1
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        // A pod that requests nothing changes no balance; with a score, all of its kind would go to one node.
        subject.spec.requests.cpu == 0 && subject.spec.requests.memory == 0
    }

    fn score(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        verdicts: &[Verdict],
        scores: &mut [i32],
    ) {
        let (nodes, requests) = (&table.nodes, &subject.spec.requests);
        let cpu = nodes.cpu.allocatable[range.clone()]
            .iter()
            .zip(&nodes.cpu.requested[range.clone()]);
        let memory = nodes.memory.allocatable[range.clone()]
            .iter()
            .zip(&nodes.memory.requested[range]);
        for (((verdict, score), cpu), memory) in verdicts.iter().zip(scores).zip(cpu).zip(memory) {
            if *verdict == FEASIBLE {
                let with = balance(
                    (*cpu.0, cpu.1 + requests.cpu),
                    (*memory.0, memory.1 + requests.memory),
                );
                let without = balance((*cpu.0, *cpu.1), (*memory.0, *memory.1));
                *score = MAX / 2 + (MAX / 2 + with - without) / 2;
            }
        }
    }
}

/// (1 - standard deviation of the used shares) × MAX. Shares are capped at 1; a resource the node lacks is left out.
fn balance(cpu: (i64, i64), memory: (i64, i64)) -> i32 {
    let share =
        |(allocatable, requested): (i64, i64)| (requested as f64 / allocatable as f64).min(1.0);
    let deviation = if cpu.0 == 0 || memory.0 == 0 {
        0.0
    } else {
        ((share(cpu) - share(memory)) / 2.0).abs()
    };
    ((1.0 - deviation) * f64::from(MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_shares_the_better() {
        assert_eq!(balance((10, 5), (20, 10)), 100);
        assert_eq!(balance((10, 0), (10, 10)), 50);
        assert_eq!(balance((10, 0), (10, 90)), 50);
        assert_eq!(balance((0, 0), (10, 9)), 100);
        assert_eq!(balance((3, 1), (3, 2)), 83);
    }
}
