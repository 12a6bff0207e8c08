//! InterPodAffinity: preferred pod affinity and anti-affinity, in both directions, and required affinity of the pods
//! that are there already.

use std::ops::Range;

use hashbrown::HashMap;

use super::{MAX, Score, feasible};
use crate::sched::filter::{FEASIBLE, Verdict, namespace_labels};
use crate::sched::peers::Peers;
use crate::sched::pods::Subject;
use crate::sched::selector::label;
use crate::sched::symbols::Symbol;
use crate::sched::table::Table;

pub struct InterPodAffinity;

/// Weights by place: a topology key and its value.
type Places = HashMap<(Symbol, Symbol), i64>;

impl Score for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn skips(&self, table: &Table, subject: &Subject) -> bool {
        weights(table, subject).is_empty()
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
        let weights = weights(table, subject);
        let keys: Vec<Symbol> = {
            let mut keys: Vec<Symbol> = weights.keys().map(|&(key, _)| key).collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        for ((slot, verdict), score) in range.zip(verdicts).zip(scores) {
            if *verdict == FEASIBLE {
                let labels = &table.nodes.labels[slot];
                let weight =
                    |&key: &Symbol| label(labels, key).and_then(|value| weights.get(&(key, value)));
                let sum: i64 = keys.iter().filter_map(weight).sum();
                *score = sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
            }
        }
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn normalize(&self, verdicts: &[Verdict], scores: &mut [i32]) {
        let lowest = feasible(verdicts, scores).min().unwrap_or(0);
        let highest = feasible(verdicts, scores).max().unwrap_or(0);
        let span = f64::from(highest) - f64::from(lowest);
        for (score, _) in scores
            .iter_mut()
            .zip(verdicts)
            .filter(|(_, verdict)| **verdict == FEASIBLE)
        {
            let above = f64::from(*score) - f64::from(lowest);
            *score = if span > 0.0 {
                (f64::from(MAX) * (above / span)) as i32
            } else {
                0
            };
        }
    }
}

/// What each place weighs for the pod.
fn weights(table: &Table, subject: &Subject) -> Places {
    let own = subject.identity;
    let args = &subject.profile.pod_affinity;
    let mut places = Places::new();
    if own.preferred.is_empty() && args.ignores_preferred_of_existing {
        return places;
    }
    if own.preferred.is_empty() && table.peers.with_terms == 0 {
        return places;
    }
    let own_labels = namespace_labels(table, &own.namespace);
    for peers in table.peers.iter().filter(|peers| !peers.by_node.is_empty()) {
        let other = &*peers.identity;
        if own.preferred.is_empty() && !other.has_terms() {
            continue;
        }
        let labels = namespace_labels(table, &other.namespace);
        for (weight, term) in own
            .preferred
            .iter()
            .filter(|(_, term)| term.matches(other, labels))
        {
            weigh(table, peers, term.topology_key, *weight, &mut places);
        }
        for term in other
            .affinity
            .iter()
            .filter(|term| args.hard_weight > 0 && term.matches(own, own_labels))
        {
            weigh(
                table,
                peers,
                term.topology_key,
                args.hard_weight,
                &mut places,
            );
        }
        for (weight, term) in other
            .preferred
            .iter()
            .filter(|(_, term)| term.matches(own, own_labels))
        {
            weigh(table, peers, term.topology_key, *weight, &mut places);
        }
    }
    places
}

/// Adds `weight` for every one of `peers` to the place where it is.
fn weigh(table: &Table, peers: &Peers, key: Symbol, weight: i32, places: &mut Places) {
    for (&slot, count) in &peers.by_node {
        let slot = slot as usize;
        if table.nodes.present[slot]
            && let Some(value) = label(&table.nodes.labels[slot], key)
        {
            *places.entry((key, value)).or_insert(0) += i64::from(weight) * i64::from(count.all);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::sched::Core;
    use crate::sched::tests::{add, core, cpu, node, pod};

    fn labelled(name: &str, app: &str, spec: &str) -> String {
        let more = if spec.is_empty() {
            cpu("1m")
        } else {
            format!("{},{spec}", cpu("1m"))
        };
        pod(name, &more).replace(r#""uid""#, &format!(r#""labels":{{"app":"{app}"}},"uid""#))
    }

    fn affinity(kind: &str, app: &str, weight: i32) -> String {
        let term = format!(
            r#"{{"topologyKey":"kubernetes.io/hostname","labelSelector":{{"matchLabels":{{"app":"{app}"}}}}}}"#
        );
        match weight {
            0 => format!(
                r#""affinity":{{"{kind}":{{"requiredDuringSchedulingIgnoredDuringExecution":[{term}]}}}}"#
            ),
            _ => format!(
                r#""affinity":{{"{kind}":{{"preferredDuringSchedulingIgnoredDuringExecution":[{{"weight":{weight},"podAffinityTerm":{term}}}]}}}}"#
            ),
        }
    }

    /// The score of each of the nodes a, b and c; None where the plug-in has nothing to say.
    fn scores(core: &mut Core, pod: &str) -> Option<Vec<i32>> {
        let explained = core.explain(pod.as_bytes()).unwrap();
        let score = |node: &crate::sched::explain::NodeExplanation| {
            node.scores
                .iter()
                .find(|scored| scored.plugin == "InterPodAffinity")
                .map(|scored| scored.score)
        };
        explained.iter().map(score).collect()
    }

    fn world(pods: &[(&str, &str, &str, &str)]) -> Core {
        let mut core = core(&[node("a", "4", ""), node("b", "4", ""), node("c", "4", "")]);
        for (name, app, on, spec) in pods {
            let placed = format!(r#""nodeName":"{on}","containers""#);
            add(
                &mut core,
                labelled(name, app, spec).replace(r#""containers""#, &placed),
            );
        }
        core
    }

    #[test]
    fn near_what_it_prefers_and_far_from_what_it_does_not() {
        let mut core = world(&[
            ("p1", "db", "a", ""),
            ("p2", "db", "a", ""),
            ("p3", "db", "b", ""),
        ]);
        let near = labelled("p", "web", &affinity("podAffinity", "db", 5));
        assert_eq!(scores(&mut core, &near), Some(vec![100, 50, 0]));
        let far = labelled("p", "web", &affinity("podAntiAffinity", "db", 5));
        assert_eq!(scores(&mut core, &far), Some(vec![0, 50, 100]));
        assert_eq!(scores(&mut core, &labelled("p", "web", "")), None);
    }

    #[test]
    fn what_is_there_already_has_its_wishes_too() {
        let wants = affinity("podAffinity", "web", 0);
        let likes = affinity("podAffinity", "web", 4);
        let mut core = world(&[("p1", "db", "a", &wants), ("p2", "db", "b", &likes)]);
        assert_eq!(
            scores(&mut core, &labelled("p", "web", "")),
            Some(vec![25, 100, 0])
        );
        assert_eq!(scores(&mut core, &labelled("p", "other", "")), None);
    }
}
