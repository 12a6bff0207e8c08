//! Why: what every filter and every score says of every node for a pod, and what would be decided for it. Nothing is
//! changed by asking, and no lot is drawn.

use std::sync::Arc;

use super::decide::{Considered, Decider, consider};
use super::filter::{self, ABSENT, FEASIBLE, HELD};
use super::nodes::Column;
use super::open::Say;
use super::pods::Subject;
use super::table::Table;
use super::{Core, Decision, Malformed, nominated};

/// A filter that refuses a node.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The plug-in.
    pub plugin: &'static str,
    /// Upstream's words.
    pub reasons: Vec<String>,
    /// Whether no eviction of pods from the node could change it.
    pub unresolvable: bool,
}

/// What a score says of a node.
#[derive(Debug, PartialEq, Eq)]
pub struct Scored {
    /// The plug-in.
    pub plugin: &'static str,
    /// Before it is normalized; what it means is the plug-in's own affair.
    pub raw: i32,
    /// From 0 to `score::MAX`.
    pub score: i32,
    /// What `score` is multiplied with.
    pub weight: i32,
}

/// A resource of which a node has too little left.
#[derive(Debug, PartialEq, Eq)]
pub struct Lack {
    /// Its name.
    pub resource: String,
    /// What the pod requests: thousandths for cpu, whole units for all others.
    pub wanted: i64,
    /// What is left of it; less than nothing where pods hold more than there is.
    pub free: i64,
    /// What there is in all.
    pub allocatable: i64,
}

/// What is said of one node for one pod.
#[derive(Debug, PartialEq, Eq)]
pub struct NodeExplanation {
    /// The node's name.
    pub node: String,
    /// Every filter that refuses it, in the order in which they run: a decision tells of the first.
    pub refusals: Vec<Refused>,
    /// What it has too little of.
    pub lacks: Vec<Lack>,
    /// The scores, where no filter refuses it.
    pub scores: Vec<Scored>,
    /// The sum of score × weight.
    pub total: i32,
}

impl Core {
    /// What is said of every node for a pod as the API would serve it, in the order of their slots. The pod need not
    /// be in the table; where it is on a node there, it counts on that node too.
    pub fn explain(&mut self, json: &[u8]) -> Result<Vec<NodeExplanation>, Malformed> {
        let (pod, node_name) = self.table.read_pod(json)?;
        let profile = Arc::clone(self.table.profile(pod.profile));
        let subject = Subject {
            node_name,
            ..pod.subject(&profile)
        };
        Ok(explain(&mut self.table, &subject))
    }

    /// What would be decided for a pod as the API would serve it, were it waiting. Of equally good nodes
    /// one is named, always the same.
    pub fn preview(&mut self, json: &[u8]) -> Result<Decision, Malformed> {
        let (pod, _) = self.table.read_pod(json)?;
        let spec = Arc::clone(&pod.spec);
        let mut decider = Decider::new(0);
        let profile = Arc::clone(self.table.profile(pod.profile));
        let subject = pod.subject(&profile);
        let said = Say::default();
        let considered = consider(&mut self.table, &mut decider, &spec, &subject, said);
        Ok(match considered {
            Considered::Placed(slot, feasible) => self.placed(slot, feasible),
            Considered::Refused(refusal) => Decision::Refused(refusal),
        })
    }
}

fn explain(table: &mut Table, subject: &Subject) -> Vec<NodeExplanation> {
    let mut held = nominated::held(table, subject);
    let table = &*table;
    let all = table.nodes.all();
    let mut verdicts = vec![ABSENT; all.len()];
    let checks = filter::prepare(table, subject);
    filter::run_node(table, subject, all.clone(), &mut verdicts);
    filter::run_cluster(&checks, all.clone(), &mut verdicts);
    for node in &held {
        verdicts[node.slot as usize] = HELD;
    }
    let scored: Vec<_> = subject
        .profile
        .scores
        .iter()
        .filter(|(score, _)| !score.skips(table, subject))
        .map(|(score, weight)| {
            let mut raw = vec![0; all.len()];
            score.score(table, subject, all.clone(), &verdicts, &mut raw);
            let mut scores = raw.clone();
            score.normalize(&verdicts, &mut scores);
            (score.name(), *weight, raw, scores)
        })
        .collect();
    let mut explanations = Vec::with_capacity(table.nodes.len());
    for slot in all.filter(|&slot| verdicts[slot] != ABSENT) {
        let mut refusals: Vec<Refused> = Vec::new();
        if let Some((plugin, reason)) = filter::prefilter(subject) {
            refusals.push(Refused {
                plugin,
                reasons: vec![reason.to_owned()],
                unresolvable: true,
            });
        }
        let first = held.iter().position(|node| node.slot as usize == slot);
        let first = first.map(|at| held.swap_remove(at));
        let first = first.map(|node| (node.plugin, node.refusal));
        let others = match verdicts[slot] {
            FEASIBLE => Vec::new(),
            _ => filter::refusals(table, subject, &checks, slot),
        };
        for (plugin, refusal) in first.into_iter().chain(others) {
            if refusals.iter().all(|known| known.plugin != plugin) {
                refusals.push(Refused {
                    plugin,
                    reasons: refusal.reasons.into_iter().map(Into::into).collect(),
                    unresolvable: refusal.unresolvable,
                });
            }
        }
        let mut scores = Vec::new();
        if refusals.is_empty() {
            scores.extend(
                scored
                    .iter()
                    .map(|(plugin, weight, raw, normalized)| Scored {
                        plugin,
                        raw: raw[slot],
                        score: normalized[slot],
                        weight: *weight,
                    }),
            );
        }
        explanations.push(NodeExplanation {
            node: table.symbols.text(table.nodes.name[slot]).to_owned(),
            lacks: lacks(table, subject, slot),
            total: scores.iter().map(|s: &Scored| s.score * s.weight).sum(),
            refusals,
            scores,
        });
    }
    explanations
}

/// What the node has too little of, pods themselves ("pods") included.
fn lacks(table: &Table, subject: &Subject, slot: usize) -> Vec<Lack> {
    let (nodes, requests) = (&table.nodes, &subject.spec.requests);
    let plain = [
        ("pods", Some(&nodes.pods), 1),
        ("cpu", Some(&nodes.cpu), requests.cpu),
        ("memory", Some(&nodes.memory), requests.memory),
        (
            "ephemeral-storage",
            Some(&nodes.ephemeral),
            requests.ephemeral,
        ),
    ];
    let scalars = requests
        .scalars
        .iter()
        .map(|&(name, wanted)| (table.symbols.text(name), nodes.scalar(name), wanted));
    let lack = |(resource, column, wanted): (&str, Option<&Column>, i64)| {
        let (allocatable, requested) =
            column.map_or((0, 0), |c| (c.allocatable[slot], c.requested[slot]));
        let free = allocatable - requested;
        (wanted > 0 && wanted > free).then(|| Lack {
            resource: resource.to_owned(),
            wanted,
            free,
            allocatable,
        })
    };
    plain.into_iter().chain(scalars).filter_map(lack).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sched::tests::{add, core, cpu, message, node, pod};

    #[test]
    fn tells_every_filter_that_refuses_and_what_is_lacking() {
        let taint = r#""taints":[{"key":"gpu","effect":"NoSchedule"}]"#;
        let mut core = core(&[node("a", "1", taint), node("b", "9", "")]);
        let spec = format!(r#"{},"nodeSelector":{{"disk":"ssd"}}"#, cpu("2500m"));
        add(&mut core, pod("p", &spec));
        let said = core.explain(pod("p", &spec).as_bytes()).unwrap();
        let plugins = |node: &NodeExplanation| -> Vec<&str> {
            node.refusals.iter().map(|refused| refused.plugin).collect()
        };
        assert_eq!(
            plugins(&said[0]),
            ["TaintToleration", "NodeAffinity", "NodeResourcesFit"]
        );
        assert_eq!(plugins(&said[1]), ["NodeAffinity"]);
        let lack = Lack {
            resource: "cpu".into(),
            wanted: 2500,
            free: 1000,
            allocatable: 1000,
        };
        assert_eq!(said[0].lacks, [lack]);
        assert!(said[1].lacks.is_empty());
    }

    #[test]
    fn a_preview_is_the_decision_and_changes_nothing() {
        let mut core = core(&[node("a", "2", ""), node("b", "4", "")]);
        let big = pod("big", &cpu("3"));
        for _ in 0..2 {
            let preview = core.preview(big.as_bytes()).unwrap();
            assert!(matches!(&preview, Decision::Placed { node, .. } if node == "b"));
        }
        add(&mut core, big);
        assert_eq!(core.schedule(&[("default", "big")]).len(), 1);
        let next = pod("next", &cpu("3"));
        let Decision::Refused(refusal) = core.preview(next.as_bytes()).unwrap() else {
            panic!("there is no room left");
        };
        add(&mut core, next);
        assert_eq!(refusal.message(), message(&mut core, "next"));
    }

    #[test]
    fn room_that_is_held_for_another_pod_is_told_first() {
        let mut core = core(&[node("a", "2", "")]);
        let waiting = pod("first", &format!(r#"{},"priority":5"#, cpu("2"))).replace(
            r#"},"spec""#,
            r#"},"status":{"nominatedNodeName":"a"},"spec""#,
        );
        add(&mut core, waiting);
        let said = core.explain(pod("p", &cpu("1")).as_bytes()).unwrap();
        assert_eq!(said[0].refusals[0].reasons, ["Insufficient cpu"]);
        assert!(said[0].lacks.is_empty() && said[0].scores.is_empty());
    }
}
