//! Why no node is right for a pod, counted by reason and told in upstream's words (framework.FitError).

use std::borrow::Cow;

use super::filter::{self, Verdict};
use super::nodes::Slot;
use super::nominated::Held;
use super::open::{Say, say};
use super::pods::Subject;
use super::preempt::{Answer, Histogram, hopeless, preempt, unavailable};
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
    /// What preemption says. None where there is no node, or the profile has none.
    pub preemption: Option<Answer>,
}

/// Upstream's words where there is no node at all.
const NO_NODES: &str = "no nodes available to schedule pods";
impl Refusal {
    /// The refusal of a pod that is itself at fault (`filter::prefilter`).
    pub fn of_pod(table: &Table, subject: &Subject) -> Self {
        let nodes = table.nodes.len();
        match filter::prefilter(subject).filter(|_| nodes > 0) {
            None => Self::default(),
            Some((plugin, reason)) => Self {
                nodes,
                prefilter: Some(reason),
                plugins: vec![plugin],
                preemption: subject.profile.preempts.then(|| hopeless(subject, nodes)),
                ..Self::default()
            },
        }
    }

    /// Gathers the reasons behind `verdicts`, none of which is feasible, and asks preemption.
    pub fn gather(
        table: &mut Table,
        subject: &Subject,
        verdicts: &[Verdict],
        held: &[Held],
        said: Say,
    ) -> Self {
        let nodes = table.nodes.len();
        if nodes == 0 {
            return Self::default();
        }
        let (mut reasons, mut plugins, mut resolvable) = (Histogram::new(), Vec::new(), Vec::new());
        let checks = filter::prepare(table, subject);
        let mut add = |slot: Slot, plugin: &'static str, refusal: &filter::Refusal| {
            if !plugins.contains(&plugin) {
                plugins.push(plugin);
            }
            if !refusal.unresolvable && said.of(slot as usize) == say::ALLOWED {
                resolvable.push(slot);
            }
            for reason in &refusal.reasons {
                *reasons.entry(reason.clone()).or_insert(0) += 1;
            }
        };
        for (slot, &verdict) in verdicts.iter().enumerate() {
            if let Some((plugin, refusal)) = filter::explain(table, subject, &checks, slot, verdict)
            {
                add(slot as Slot, plugin, &refusal);
            }
        }
        for node in held
            .iter()
            .filter(|node| said.of(node.slot as usize) != say::REFUSED)
        {
            add(node.slot, node.plugin, &node.refusal);
        }
        resolvable.sort_unstable();
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
            preemption: match subject.profile.preempts {
                true => Some(preempt(table, subject, &resolvable)),
                false => None,
            },
        }
    }

    /// What preemption adds to the message.
    pub fn preemption_message(&self) -> Option<String> {
        let answer = self.preemption.as_ref();
        answer.and_then(|answer| answer.message(self.nodes))
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
        if let Some(preemption) = self.preemption_message() {
            message.push_str(" preemption: ");
            message.push_str(&preemption);
        }
        message
    }
}
