//! NodeResourcesFit: how much of the node's resources is used with the pod there, by the profile's strategy.

use std::ops::Range;

use super::{MAX, Score};
use crate::sched::filter::{FEASIBLE, Verdict};
use crate::sched::nodes::Nodes;
use crate::sched::pods::Subject;
use crate::sched::profile::{FitArgs, Resource, Strategy};
use crate::sched::requests::Requests;
use crate::sched::table::Table;

/// Up to here (70 TB) the hundredfold is exact as a float, and a quotient below a whole number is further from it than
/// rounding goes: divided in floats it is exact, and no other division is as fast.
const EXACT: i64 = 1 << 46;

pub struct NodeResourcesFit;

impl Score for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
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
        let (nodes, requests, args) = (&table.nodes, &subject.spec.requests, &subject.profile.fit);
        if args.strategy == Strategy::LeastAllocated
            && args.resources == [(Resource::Cpu, 1), (Resource::Memory, 1)]
        {
            least_allocated(nodes, requests, range, verdicts, scores);
            return;
        }
        for ((slot, verdict), score) in range.zip(verdicts).zip(scores) {
            if *verdict == FEASIBLE {
                *score = by_strategy(nodes, requests, args, slot);
            }
        }
    }
}

/// Upstream's default, over plain arrays.
fn least_allocated(
    nodes: &Nodes,
    requests: &Requests,
    range: Range<usize>,
    verdicts: &[Verdict],
    scores: &mut [i32],
) {
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

fn by_strategy(nodes: &Nodes, requests: &Requests, args: &FitArgs, slot: usize) -> i32 {
    let (mut total, mut weights) = (0, 0);
    for &(resource, weight) in &args.resources {
        let (capacity, requested) = amounts(nodes, requests, resource, slot);
        if capacity == 0 {
            continue;
        }
        let score = match &args.strategy {
            Strategy::LeastAllocated => i64::from(free(capacity, requested).unwrap_or(0)),
            Strategy::MostAllocated => hundredths(requested.min(capacity), capacity),
            Strategy::RequestedToCapacityRatio(shape) => {
                let used = if requested > capacity {
                    i64::from(MAX)
                } else {
                    hundredths(requested, capacity)
                };
                on_shape(shape, used)
            }
        };
        // Where a shape gives nothing, upstream leaves the resource out.
        if score > 0 || !matches!(args.strategy, Strategy::RequestedToCapacityRatio(_)) {
            total += score * weight;
            weights += weight;
        }
    }
    if weights == 0 {
        return 0;
    }
    match args.strategy {
        Strategy::RequestedToCapacityRatio(_) => (total as f64 / weights as f64).round() as i32,
        _ => (total / weights) as i32,
    }
}

/// What the node has of a resource, and what is requested of it with the pod there; nothing where the pod does not ask
/// for an extended resource, since then it says nothing about the node.
fn amounts(nodes: &Nodes, requests: &Requests, resource: Resource, slot: usize) -> (i64, i64) {
    match resource {
        Resource::Cpu => (
            nodes.cpu.allocatable[slot],
            nodes.nonzero_cpu[slot] + requests.scored_cpu,
        ),
        Resource::Memory => (
            nodes.memory.allocatable[slot],
            nodes.nonzero_memory[slot] + requests.scored_memory,
        ),
        other => plain_amounts(nodes, requests, other, slot),
    }
}

/// The same with what pods really request.
pub fn plain_amounts(
    nodes: &Nodes,
    requests: &Requests,
    resource: Resource,
    slot: usize,
) -> (i64, i64) {
    let (column, wanted) = match resource {
        Resource::Cpu => (Some(&nodes.cpu), requests.cpu),
        Resource::Memory => (Some(&nodes.memory), requests.memory),
        Resource::Ephemeral => (Some(&nodes.ephemeral), requests.ephemeral),
        Resource::Scalar(name) => {
            let wanted = requests.scalar(name);
            (nodes.scalar(name).filter(|_| wanted != 0), wanted)
        }
    };
    column.map_or((0, 0), |column| {
        (column.allocatable[slot], column.requested[slot] + wanted)
    })
}

/// The line through the points of `shape` at `used`, level before the first and after the last.
fn on_shape(shape: &[(i64, i64)], used: i64) -> i64 {
    let at = shape.partition_point(|&(point, _)| point < used);
    match (at.checked_sub(1).map(|before| shape[before]), shape.get(at)) {
        (None, Some(&(_, score))) | (Some((_, score)), None) => score,
        (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (used - x0) / (x1 - x0),
        (None, None) => 0,
    }
}

fn hundredths(part: i64, whole: i64) -> i64 {
    (i128::from(part) * i128::from(MAX) / i128::from(whole)) as i64
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
    if capacity <= EXACT {
        return Some((free as f64 * f64::from(MAX) / capacity as f64) as i32);
    }
    Some(match free.checked_mul(i64::from(MAX)) {
        Some(hundredfold) => quotient(hundredfold, capacity),
        None => hundredths(free, capacity),
    } as i32)
}

/// `part` / `whole` rounded down, of a quotient of at most 100. In floats, which divide several times as fast; they may
/// be one off next to a whole number, which is put right.
fn quotient(part: i64, whole: i64) -> i64 {
    let near = (part as f64 / whole as f64) as i64;
    // As products of 128 bits: the quotient's next may be more than fits.
    let above = i128::from(near) * i128::from(whole) > i128::from(part);
    let below = i128::from(near + 1) * i128::from(whole) <= i128::from(part);
    near - i64::from(above) + i64::from(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_level_outside_its_points() {
        let shape = [(10, 100), (50, 0), (100, 50)];
        let scores = [0, 10, 30, 50, 75, 100].map(|used| on_shape(&shape, used));
        assert_eq!(scores, [100, 100, 50, 0, 25, 50]);
        assert_eq!(on_shape(&[(20, 30)], 90), 30);
    }

    #[test]
    fn free_is_rounded_down() {
        assert_eq!(free(0, 5), None);
        assert_eq!(free(3, 1), Some(66));
        assert_eq!(free(3, 4), Some(0));
        assert_eq!(free(i64::MAX, 1), Some(99));
    }

    #[test]
    fn floats_are_exact_up_to_their_limit() {
        let mut lot = 11_u64;
        let mut next = || {
            lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (lot >> 8) as i64
        };
        for round in 0..300_000 {
            let capacity = ((next() % EXACT) >> (round % 46)).max(1);
            // Next to where the score changes, since only there it can be wrong.
            let at = capacity - (i128::from(capacity) * i128::from(next() % 101) / 100) as i64;
            for requested in [at - 1, at, at + 1, next() % capacity] {
                if (0..=capacity).contains(&requested) {
                    let exact = hundredths(capacity - requested, capacity);
                    assert_eq!(free(capacity, requested), Some(exact as i32));
                }
            }
        }
        assert_eq!(free(EXACT, 1), Some(99));
        assert_eq!(free(EXACT + 1, 1), Some(99));
    }

    #[test]
    fn quotients_are_exact() {
        let mut lot = 7_u64;
        for _ in 0..200_000 {
            lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let whole = ((lot >> 8) as i64 >> (lot & 47)).max(1);
            for parts in 0..=100 {
                let Some(part) = whole.checked_mul(parts).map(|p| p / 100 * 100) else {
                    continue;
                };
                for part in [part, part - 1, part + 1] {
                    if part >= 0 && part / whole <= 100 {
                        assert_eq!(quotient(part, whole), part / whole, "{part} / {whole}");
                    }
                }
            }
        }
    }
}
