//! DefaultPreemption: on which node a refused pod could be if pods of lower priority made room, and which those are.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use hashbrown::HashSet;

use super::dryruns::{Candidate, Found, Rank};
use super::filter;
use super::nodes::Slot;
use super::nominated::refused;
use super::pods::{Pod, PodId, Subject};
use super::table::Table;

/// How many nodes give each reason.
pub type Histogram = BTreeMap<Cow<'static, str>, usize>;

const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NEVER: &str = "not eligible due to preemptionPolicy=Never.";
const TERMINATING: &str = "not eligible due to a terminating pod on the nominated node.";

/// A pod that others are told about: namespace, name, uid.
pub type PodName = (String, String, String);

/// What is to be done so that a pod fits on a node.
#[derive(Debug, PartialEq, Eq)]
pub struct Preemption {
    /// The node.
    pub node: String,
    /// Pods to be deleted, the most important first. Those that are being deleted already are left out.
    pub victims: Vec<PodName>,
    /// Pods of lower priority whose nomination for the node is to be cleared.
    pub displaced: Vec<PodName>,
}

/// What preemption says.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It helps.
    Helps(Preemption),
    /// Victims are still ending, or the pod must not preempt: all stays as it is.
    Ineligible(&'static str),
    /// It helps on no node; a nomination is to be cleared.
    Helpless(Histogram),
}

impl Answer {
    /// What it adds to the message of a refusal.
    pub fn message(&self, nodes: usize) -> Option<String> {
        match self {
            Self::Helps(_) => None,
            Self::Ineligible(reason) => Some((*reason).to_owned()),
            Self::Helpless(reasons) => Some(unavailable(nodes, reasons)),
        }
    }
}

/// Looks for the node with the least victims among `resolvable`, those that refused the pod for something that
/// evictions may change. The pod is nominated by the caller.
pub fn preempt(table: &mut Table, subject: &Subject, resolvable: &[Slot]) -> Answer {
    if subject.peaceful {
        return Answer::Ineligible(NEVER);
    }
    if victims_are_ending(table, subject, resolvable) {
        return Answer::Ineligible(TERMINATING);
    }
    let nodes = table.nodes.len();
    let mut reasons = Histogram::new();
    let mut count = |reason, nodes| *reasons.entry(reason).or_insert(0) += nodes;
    if nodes > resolvable.len() {
        count(Cow::Borrowed(NOT_HELPFUL), nodes - resolvable.len());
    }
    let lowest = table.lowest_priority();
    if lowest.is_none_or(|lowest| lowest >= subject.priority) {
        if !resolvable.is_empty() {
            count(Cow::Borrowed(NO_VICTIMS), resolvable.len());
        }
        return Answer::Helpless(reasons);
    }
    let mut best: Option<(Rank, Candidate)> = None;
    let mut weigh = |found: &Found| match found {
        // Of equals the first one, in the order of their slots.
        Ok((rank, candidate)) if best.as_ref().is_none_or(|(least, _)| rank < least) => {
            best = Some((*rank, candidate.clone()));
        }
        Ok(_) => {}
        Err(words) => words.iter().for_each(|reason| count(reason.clone(), 1)),
    };
    // Where other pods matter, or pods that are nominated, a node is not to be told by its own changes.
    let alone = filter::prepare(table, subject).is_empty();
    let held: HashSet<Slot> = table
        .nominated
        .nodes()
        .filter_map(|name| table.nodes.find(name))
        .collect();
    let mut kept = std::mem::take(&mut table.dry_runs);
    if alone {
        kept.refresh(table, subject);
    }
    for &slot in resolvable {
        if alone && !held.contains(&slot) {
            weigh(kept.of(slot, || dry_run(table, subject, slot)));
        } else {
            weigh(&dry_run(table, subject, slot));
        }
    }
    table.dry_runs = kept;
    match best {
        Some((_, candidate)) => Answer::Helps(told(table, subject, &candidate)),
        None => Answer::Helpless(reasons),
    }
}

/// All nodes on which evictions would help, the best one first, each with the number of budgets that they break.
pub fn candidates(
    table: &mut Table,
    subject: &Subject,
    resolvable: &[Slot],
) -> Vec<(Preemption, usize)> {
    let mut found = Vec::new();
    for &slot in resolvable {
        if let Ok(ranked) = dry_run(table, subject, slot) {
            found.push(ranked);
        }
    }
    // Stable, so that equals stay in the order of their slots.
    found.sort_by_key(|(rank, _)| *rank);
    let told =
        |(_, candidate): (_, Candidate)| (told(table, subject, &candidate), candidate.violations);
    found.into_iter().map(told).collect()
}

/// Whether pods evicted for this one are still ending on its nominated node, which may yet take it.
fn victims_are_ending(table: &Table, subject: &Subject, resolvable: &[Slot]) -> bool {
    let slot = subject.nominated.and_then(|name| table.nodes.find(name));
    slot.is_some_and(|slot| {
        resolvable.contains(&slot)
            && table.nodes.residents[slot as usize]
                .iter()
                .filter_map(|&id| table.pods.get(id))
                .any(|pod| pod.priority < subject.priority && pod.terminating && pod.preempted)
    })
}

/// Who would have to go from a node, or why that would not help: without all pods of lower priority the pod must fit;
/// then each is taken back in turn, the most important first, if the pod still fits.
fn dry_run(table: &mut Table, subject: &Subject, slot: Slot) -> Found {
    let lower = |id: &PodId| {
        table
            .pods
            .get(*id)
            .is_some_and(|pod| pod.priority < subject.priority)
    };
    let residents = table.nodes.residents[slot as usize].iter().copied();
    let mut lower: Vec<PodId> = residents.filter(lower).collect();
    if lower.is_empty() {
        return Err(vec![NO_VICTIMS.into()]);
    }
    for &id in &lower {
        table.count_at(id, slot, -1);
    }
    if let Some((_, refusal)) = refused(table, subject, slot) {
        for &id in &lower {
            table.count_at(id, slot, 1);
        }
        return Err(refusal.reasons);
    }
    by_importance(table, &mut lower);
    let named = lower.iter().filter_map(|&id| table.pods.get(id));
    let violated = table
        .budgets
        .violated(named.map(|pod| (pod.name(), &*pod.identity)));
    let mut victims = Vec::new();
    let mut violations = 0;
    for breaking in [true, false] {
        let turn = lower.iter().zip(&violated);
        for (&id, _) in turn.filter(|(_, violated)| **violated == breaking) {
            table.count_at(id, slot, 1);
            if refused(table, subject, slot).is_some() {
                table.count_at(id, slot, -1);
                victims.push(id);
                violations += usize::from(breaking);
            }
        }
    }
    for &id in &victims {
        table.count_at(id, slot, 1);
    }
    by_importance(table, &mut victims);
    let candidate = Candidate {
        slot,
        violations,
        victims,
    };
    Ok((rank(table, &candidate), candidate))
}

/// The most important pods first: by priority, then those that have run longest.
fn by_importance(table: &Table, pods: &mut [PodId]) {
    let key = |&id: &PodId| {
        let pod = table.pods.get(id);
        pod.map(|pod| (Reverse(pod.priority), pod.started, pod.key.clone()))
    };
    pods.sort_by_cached_key(key);
}

/// The least is the best: fewest broken budgets, the lowest highest priority, the lowest sum of priorities, the fewest
/// pods, the latest start of those with the highest priority.
fn rank(table: &Table, candidate: &Candidate) -> Rank {
    let pods = || {
        candidate
            .victims
            .iter()
            .filter_map(|&id| table.pods.get(id))
    };
    let highest = pods().map(|pod| pod.priority).max().unwrap_or(i32::MIN);
    // As upstream: moved up so that few pods of negative priority come before many.
    let sum = pods()
        .map(|pod| i64::from(pod.priority) + (1 << 31))
        .sum::<i64>();
    let earliest = pods()
        .filter(|pod| pod.priority == highest)
        .map(|pod| pod.started)
        .min()
        .unwrap_or(u64::MAX);
    (
        candidate.violations,
        highest,
        sum,
        candidate.victims.len(),
        Reverse(earliest),
    )
}

fn told(table: &Table, subject: &Subject, candidate: &Candidate) -> Preemption {
    let node = table.nodes.name[candidate.slot as usize];
    let named = |pod: &Pod| {
        (
            pod.namespace().to_owned(),
            pod.name().to_owned(),
            pod.uid.to_string(),
        )
    };
    let pods = |ids: &[PodId], wanted: &dyn Fn(&Pod) -> bool| {
        let pods = ids.iter().filter_map(|&id| table.pods.get(id));
        pods.filter(|pod| wanted(pod)).map(named).collect()
    };
    Preemption {
        node: table.symbols.text(node).to_owned(),
        victims: pods(&candidate.victims, &|pod| !pod.terminating),
        displaced: pods(table.nominated.on(node), &|pod| {
            pod.priority < subject.priority
        }),
    }
}

/// What is said where no node is even looked at, since the pod itself is at fault.
pub fn hopeless(subject: &Subject, nodes: usize) -> Answer {
    if subject.peaceful {
        Answer::Ineligible(NEVER)
    } else {
        Answer::Helpless(Histogram::from([(NOT_HELPFUL.into(), nodes)]))
    }
}

/// As upstream's FitError has it.
pub fn unavailable(nodes: usize, reasons: &Histogram) -> String {
    // Sorted as texts, counts first: that is upstream's order.
    let mut counted: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    counted.sort_unstable();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}
