//! NodeResourcesFit, strategy LeastAllocated over cpu and memory: the more stays free, the better.

use std::ops::Range;

use super::{MAX, Score};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::pods::Subject;
use crate::sched::table::Table;

pub struct NodeResourcesFit;

impl Score for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn weight(&self) -> i32 {
        1
    }

    fn skips(&self, _: &Table, _: &Subject) -> bool {
        false
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
            .zip(&nodes.nonzero_cpu[range.clone()]);
        let memory = nodes.memory.allocatable[range.clone()]
            .iter()
            .zip(&nodes.nonzero_memory[range]);
        for (((verdict, score), cpu), memory) in verdicts.iter().zip(scores).zip(cpu).zip(memory) {
            if *verdict == FEASIBLE {
                let cpu = free(*cpu.0, cpu.1 + requests.scored_cpu);
                let memory = free(*memory.0, memory.1 + requests.scored_memory);
                // A resource that the node does not have does not count.
                *score = match (cpu, memory) {
                    (Some(cpu), Some(memory)) => (cpu + memory) / 2,
                    (Some(one), None) | (None, Some(one)) => one,
                    (None, None) => 0,
                };
            }
        }
    }
}

/// What stays free of `capacity`, in hundredths rounded down.
fn free(capacity: i64, requested: i64) -> Option<i32> {
    if capacity == 0 {
        return None;
    }
    if requested > capacity {
        return Some(0);
    }
    let free = capacity - requested;
    Some(match free.checked_mul(i64::from(MAX)) {
        Some(hundredfold) => hundredfold / capacity,
        None => (i128::from(free) * i128::from(MAX) / i128::from(capacity)) as i64,
    } as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_is_rounded_down() {
        assert_eq!(free(0, 5), None);
        assert_eq!(free(3, 1), Some(66));
        assert_eq!(free(3, 4), Some(0));
        assert_eq!(free(i64::MAX, 1), Some(99));
    }
}
