//! Scores: which of the feasible nodes is best for a pod.

mod balanced_allocation;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_resources_fit;
mod pod_topology_spread;
mod taint_toleration;

use std::ops::Range;

use super::filter::{FEASIBLE, Verdict};
use super::pods::Subject;
use super::table::Table;

/// All scores with upstream's default weights, in the order in which upstream lists them; a node's total is the sum of
/// score × weight. A profile says which of them count.
pub const LIST: [(&dyn Score, i32); 7] = [
    (&taint_toleration::TaintToleration, 3),
    (&node_affinity::NodeAffinity, 2),
    (&node_resources_fit::NodeResourcesFit, 1),
    (&pod_topology_spread::PodTopologySpread, 2),
    (&inter_pod_affinity::InterPodAffinity, 2),
    (&balanced_allocation::BalancedAllocation, 1),
    (&image_locality::ImageLocality, 1),
];

/// The best score a plug-in gives (upstream's MaxNodeScore).
pub const MAX: i32 = 100;

/// One score, over the slots of a table.
pub trait Score: Sync {
    /// Upstream's name of the plug-in.
    fn name(&self) -> &'static str;

    /// Whether it has nothing to say of this pod (upstream's PreScore returns Skip): then it counts nowhere.
    fn skips(&self, table: &Table, subject: &Subject) -> bool;

    /// Whether every node gets the same score, as things stand, so that a choice need not compute it.
    fn indifferent(&self, _: &Table, _: &Subject) -> bool {
        false
    }

    /// Whether a node's score depends on that node alone before it is normalized, and may be kept until the node
    /// changes.
    fn local(&self) -> bool {
        true
    }

    /// Puts the raw score of each feasible slot of `range` into `scores`; both slices start at the range's start.
    fn score(
        &self,
        table: &Table,
        subject: &Subject,
        range: Range<usize>,
        verdicts: &[Verdict],
        scores: &mut [i32],
    );

    /// Whether `normalize` does anything.
    fn normalizes(&self) -> bool {
        false
    }

    /// Brings the raw scores of all feasible slots to 0..=MAX.
    fn normalize(&self, _verdicts: &[Verdict], _scores: &mut [i32]) {}
}

/// The scores of the feasible slots.
fn feasible<'a>(verdicts: &'a [Verdict], scores: &'a [i32]) -> impl Iterator<Item = i32> + 'a {
    verdicts
        .iter()
        .zip(scores)
        .filter(|(verdict, _)| **verdict == FEASIBLE)
        .map(|(_, &score)| score)
}

/// Upstream's DefaultNormalizeScore: the highest becomes MAX, or with `reverse` 0.
fn normalize_by_highest(reverse: bool, verdicts: &[Verdict], scores: &mut [i32]) {
    let highest = feasible(verdicts, scores).max().unwrap_or(0).max(0);
    if highest == 0 {
        if reverse {
            scores.fill(MAX);
        }
        return;
    }
    for (score, _) in scores
        .iter_mut()
        .zip(verdicts)
        .filter(|(_, verdict)| **verdict == FEASIBLE)
    {
        let scaled = (i64::from(MAX) * i64::from(*score) / i64::from(highest)) as i32;
        *score = if reverse { MAX - scaled } else { scaled };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes_as_upstream() {
        let verdicts = [FEASIBLE, 1, FEASIBLE, FEASIBLE];
        let mut scores = [1, 99, 3, 0];
        normalize_by_highest(false, &verdicts, &mut scores);
        assert_eq!(scores, [33, 99, 100, 0]);
        let mut scores = [1, 99, 3, 0];
        normalize_by_highest(true, &verdicts, &mut scores);
        assert_eq!(scores, [67, 99, 0, 100]);
        let mut scores = [0; 4];
        normalize_by_highest(true, &verdicts, &mut scores);
        assert_eq!(scores, [100; 4]);
    }
}
