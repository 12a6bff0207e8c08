//! PodTopologySpread: the pod's own constraints with whenUnsatisfiable ScheduleAnyway; for a pod without constraints
//! upstream's system defaults, which keep replicas apart by hostname (maxSkew 3) and by zone (maxSkew 5). Whose
//! replicas a pod is one of, see `groups`.

use std::array::from_fn;
use std::ops::Range;

use hashbrown::HashMap;

use super::{MAX, Score, feasible};
use crate::sched::filter::{FEASIBLE, Verdict, has_all, included, matching};
use crate::sched::identity::Constraint;
use crate::sched::pods::Subject;
use crate::sched::selector::label;
use crate::sched::symbols::Symbol;
use crate::sched::table::Table;

const HOSTNAME_MAX_SKEW: i32 = 3;
const ZONE_MAX_SKEW: i32 = 5;
/// Replicas on one node up to which scores are computed once for all nodes.
const KNOWN_COUNTS: usize = 16;
/// The raw score of a node that the pod's constraints say nothing of.
const IGNORED: i32 = -1;

pub struct PodTopologySpread;

impl Score for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn skips(&self, _: &Table, subject: &Subject) -> bool {
        if subject.spreads_as_the_system() {
            subject.group.is_none()
        } else {
            subject.spread().iter().all(|constraint| constraint.forbids)
        }
    }

    fn local(&self) -> bool {
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
        if subject.spreads_as_the_system() {
            by_owner(table, subject, range, verdicts, scores);
        } else {
            by_constraints(table, subject, range, verdicts, scores);
        }
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn normalize(&self, verdicts: &[Verdict], scores: &mut [i32]) {
        let (mut lowest, mut highest) = (i32::MAX, 0);
        for score in feasible(verdicts, scores).filter(|score| *score != IGNORED) {
            lowest = lowest.min(score);
            highest = highest.max(score);
        }
        if highest == 0 {
            for score in scores.iter_mut() {
                *score = if *score == IGNORED { 0 } else { MAX };
            }
            return;
        }
        // Few different scores occur, and a division for each costs less than one for each node.
        let scaled = |score: i32| {
            if score == IGNORED {
                return 0;
            }
            let distance = i64::from(highest) + i64::from(lowest) - i64::from(score);
            (i64::from(MAX) * distance / i64::from(highest)) as i32
        };
        if (highest - lowest) as usize <= scores.len() {
            let known: Vec<i32> = (lowest..=highest).map(scaled).collect();
            for (score, verdict) in scores.iter_mut().zip(verdicts) {
                if *verdict == FEASIBLE {
                    *score = known.get((*score - lowest) as usize).copied().unwrap_or(0);
                }
            }
        } else {
            for (score, _) in scores
                .iter_mut()
                .zip(verdicts)
                .filter(|(_, verdict)| **verdict == FEASIBLE)
            {
                *score = scaled(*score);
            }
        }
    }
}

/// The defaults over the replicas of the pod's owner.
fn by_owner(
    table: &Table,
    subject: &Subject,
    range: Range<usize>,
    verdicts: &[Verdict],
    scores: &mut [i32],
) {
    let nodes = &table.nodes;
    let empty = HashMap::new();
    let by_node = subject
        .group
        .and_then(|id| table.groups.get(id))
        .map_or(&empty, |group| &group.by_node);

    // Zones with a feasible node, "no zone" being one of them, and the replicas in each.
    let mut by_zone: Vec<Option<u32>> = vec![None; nodes.zones.len() + 1];
    let mut candidates = 0;
    for (&zone, &verdict) in nodes.zone[range.clone()].iter().zip(verdicts) {
        if verdict == FEASIBLE {
            by_zone[zone as usize] = Some(0);
            candidates += 1;
        }
    }
    let zones = by_zone.iter().flatten().count();
    let selector = &subject.spec.selector;
    for (&slot, &count) in by_node {
        let slot = slot as usize;
        // Replicas count on nodes that this pod may use by its node affinity.
        if nodes.present[slot]
            && selector.matches(nodes.view(slot, &table.symbols))
            && let Some(sum) = &mut by_zone[nodes.zone[slot] as usize]
        {
            *sum += count;
        }
    }

    let (by_hostname, zone_weight) = (weight(candidates), weight(zones));
    let total = |zone: usize, hostname: bool, on_node: u32| {
        let mut total = 0.0;
        if hostname {
            total += skewed(on_node, HOSTNAME_MAX_SKEW, by_hostname);
        }
        if zone > 0 {
            total += skewed(by_zone[zone].unwrap_or(0), ZONE_MAX_SKEW, zone_weight);
        }
        // Half away from zero, as Go's math.Round.
        total.round() as i32
    };
    // Nodes of one zone differ only by a few counts: each combination is computed once.
    let known: Vec<[[i32; KNOWN_COUNTS]; 2]> = (0..by_zone.len())
        .map(|zone| {
            [false, true].map(|hostname| from_fn(|count| total(zone, hostname, count as u32)))
        })
        .collect();
    let start = range.start;
    let columns = nodes.zone[range.clone()].iter().zip(&nodes.hostname[range]);
    for ((&zone, &hostname), score) in columns.zip(scores.iter_mut()) {
        *score = known[zone as usize][usize::from(hostname)][0];
    }
    for (&slot, &count) in by_node {
        let slot = slot as usize;
        let (zone, hostname) = (nodes.zone[slot] as usize, nodes.hostname[slot]);
        scores[slot - start] = match known[zone][usize::from(hostname)].get(count as usize) {
            Some(&score) => score,
            None => total(zone, hostname, count),
        };
    }
}

/// The pod's own constraints. Nodes without one of their labels are ignored.
fn by_constraints(
    table: &Table,
    subject: &Subject,
    range: Range<usize>,
    verdicts: &[Verdict],
    scores: &mut [i32],
) {
    let nodes = &table.nodes;
    let soft: Vec<&Constraint> = subject.spread().iter().filter(|c| !c.forbids).collect();
    let candidate =
        |slot: usize| verdicts[slot - range.start] == FEASIBLE && has_all(table, slot, &soft);
    let candidates = range.clone().filter(|&slot| candidate(slot)).count();
    let mut totals = vec![0.0; scores.len()];
    for constraint in &soft {
        let key = constraint.topology_key;
        let counts = matching(table, subject, constraint);
        if key == table.names.hostname {
            for slot in range.clone().filter(|&slot| candidate(slot)) {
                totals[slot - range.start] +=
                    skewed(counts[slot], constraint.max_skew, weight(candidates));
            }
            continue;
        }
        let value = |slot: usize| label(&nodes.labels[slot], key);
        let mut domains: HashMap<Symbol, u32> = range
            .clone()
            .filter(|&slot| candidate(slot))
            .filter_map(value)
            .map(|value| (value, 0))
            .collect();
        for slot in nodes
            .all()
            .filter(|&slot| nodes.present[slot] && has_all(table, slot, &soft))
        {
            if included(table, subject, constraint, slot)
                && let Some(sum) = value(slot).and_then(|value| domains.get_mut(&value))
            {
                *sum += counts[slot];
            }
        }
        let by_domain = weight(domains.len());
        for slot in range.clone().filter(|&slot| candidate(slot)) {
            let count = value(slot)
                .and_then(|value| domains.get(&value))
                .copied()
                .unwrap_or(0);
            totals[slot - range.start] += skewed(count, constraint.max_skew, by_domain);
        }
    }
    for ((slot, score), total) in range.clone().zip(scores).zip(totals) {
        *score = if candidate(slot) {
            f64::round(total) as i32
        } else {
            IGNORED
        };
    }
}

/// What the counts of a topology weigh, so that those of one with few values are not drowned.
fn weight(values: usize) -> f64 {
    ((values + 2) as f64).ln()
}

/// A count with the tolerance for skews that `max_skew` gives.
fn skewed(count: u32, max_skew: i32, weight: f64) -> f64 {
    f64::from(count) * weight + f64::from(max_skew - 1)
}
