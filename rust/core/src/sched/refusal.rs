//! Why no node is right for a pod, counted by reason and told in upstream's words (framework.FitError).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::filter::{self, ABSENT, Verdict};
use super::nodes::Slot;
use super::pods::Subject;
use super::table::Table;

/// The reasons of all nodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many nodes give each reason, unless one reason about the pod itself refused all.
    pub reasons: Vec<(String, usize)>,
    /// The reason about the pod itself.
    pub prefilter: Option<&'static str>,
    /// The plug-ins that refused some node, sorted.
    pub plugins: Vec<&'static str>,
    /// What preemption says. None where it could help, since pods are not preempted yet.
    pub preemption: Option<String>,
}

/// Upstream's words where there is no node at all.
const NO_NODES: &str = "no nodes available to schedule pods";
const NOT_HELPFUL: &str = "Preemption is not helpful for scheduling";
const NO_VICTIMS: &str = "No preemption victims found for incoming pod";
const NEVER: &str = "not eligible due to preemptionPolicy=Never.";

type Histogram = BTreeMap<Cow<'static, str>, usize>;

impl Refusal {
    /// Gathers the reasons behind `verdicts`, none of which is feasible.
    pub fn gather(table: &mut Table, subject: &Subject, verdicts: &[Verdict]) -> Self {
        let nodes = table.nodes.len();
        if nodes == 0 {
            return Self::default();
        }
        if let Some((plugin, reason)) = filter::prefilter(subject) {
            let preemption = if subject.peaceful {
                NEVER.into()
            } else {
                unavailable(nodes, &Histogram::from([(NOT_HELPFUL.into(), nodes)]))
            };
            return Self {
                nodes,
                prefilter: Some(reason),
                plugins: vec![plugin],
                preemption: Some(preemption),
                ..Self::default()
            };
        }
        let (mut reasons, mut plugins, mut resolvable) = (Histogram::new(), Vec::new(), Vec::new());
        let checks = filter::prepare(table, subject);
        for (slot, &verdict) in verdicts
            .iter()
            .enumerate()
            .filter(|(_, verdict)| **verdict != ABSENT)
        {
            let Some((plugin, refusal)) = filter::explain(table, subject, &checks, slot, verdict)
            else {
                continue;
            };
            if !plugins.contains(&plugin) {
                plugins.push(plugin);
            }
            if !refusal.unresolvable {
                resolvable.push(slot as Slot);
            }
            for reason in refusal.reasons {
                *reasons.entry(reason).or_insert(0) += 1;
            }
        }
        drop(checks);
        plugins.sort_unstable();
        Self {
            nodes,
            reasons: reasons
                .into_iter()
                .map(|(reason, count)| (reason.into_owned(), count))
                .collect(),
            prefilter: None,
            plugins,
            preemption: preemption(table, subject, &resolvable),
        }
    }

    /// The message of the condition and the event.
    pub fn message(&self) -> String {
        if self.nodes == 0 {
            return NO_NODES.into();
        }
        let mut message = match self.prefilter {
            Some(reason) => format!("0/{} nodes are available: {reason}.", self.nodes),
            None => unavailable(
                self.nodes,
                &self
                    .reasons
                    .iter()
                    .map(|(r, c)| (Cow::Owned(r.clone()), *c))
                    .collect(),
            ),
        };
        if let Some(preemption) = &self.preemption {
            message.push_str(" preemption: ");
            message.push_str(preemption);
        }
        message
    }
}

/// What upstream's DefaultPreemption says where it finds no candidate: none of the `resolvable` nodes would take the
/// pod even without all pods of lower priority.
fn preemption(table: &mut Table, subject: &Subject, resolvable: &[Slot]) -> Option<String> {
    if subject.peaceful {
        return Some(NEVER.into());
    }
    let nodes = table.nodes.len();
    let mut reasons = Histogram::new();
    let mut count = |reason, nodes| *reasons.entry(reason).or_insert(0) += nodes;
    if nodes > resolvable.len() {
        count(Cow::Borrowed(NOT_HELPFUL), nodes - resolvable.len());
    }
    if table
        .lowest_priority()
        .is_none_or(|lowest| lowest >= subject.priority)
    {
        if !resolvable.is_empty() {
            count(Cow::Borrowed(NO_VICTIMS), resolvable.len());
        }
        return Some(unavailable(nodes, &reasons));
    }
    for &slot in resolvable {
        let at = slot as usize;
        let without = table.without_lower(slot, subject.priority, |table| {
            let mut verdict = [ABSENT];
            let checks = filter::prepare(table, subject);
            filter::run_node(table, subject, at..at + 1, &mut verdict);
            filter::run_cluster(&checks, at..at + 1, &mut verdict);
            filter::explain(table, subject, &checks, at, verdict[0])
        });
        match without {
            None => count(Cow::Borrowed(NO_VICTIMS), 1),
            Some(None) => return None,
            Some(Some((_, refusal))) => refusal
                .reasons
                .into_iter()
                .for_each(|reason| count(reason, 1)),
        }
    }
    Some(unavailable(nodes, &reasons))
}

fn unavailable(nodes: usize, reasons: &Histogram) -> String {
    // Sorted as texts, counts first: that is upstream's order.
    let mut counted: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    counted.sort_unstable();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}
