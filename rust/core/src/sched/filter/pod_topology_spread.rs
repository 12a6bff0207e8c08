//! PodTopologySpread: constraints with whenUnsatisfiable DoNotSchedule.

use hashbrown::HashMap;

use super::{Check, ClusterFilter, Reason};
use crate::sched::identity::Constraint;
use crate::sched::peers::AllPeers;
use crate::sched::pods::Subject;
use crate::sched::selector::label;
use crate::sched::symbols::Symbol;
use crate::sched::table::Table;
use crate::sched::taints::tolerated;

const REASON: Reason = Reason {
    text: "node(s) didn't match pod topology spread constraints",
    unresolvable: false,
};
const NO_LABEL: Reason = Reason {
    text: "node(s) didn't match pod topology spread constraints (missing required label)",
    unresolvable: true,
};

pub struct PodTopologySpread;

impl ClusterFilter for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn prepare<'a>(&self, table: &'a Table, subject: &Subject<'a>) -> Option<Check<'a>> {
        let hard: Vec<&Constraint> = subject.spread().iter().filter(|c| c.forbids).collect();
        if hard.is_empty() {
            return None;
        }
        let nodes = &table.nodes;
        let counts: Vec<Vec<u32>> = hard
            .iter()
            .map(|constraint| matching(table, subject, constraint))
            .collect();
        let mut domains: Vec<HashMap<Symbol, u32>> = hard.iter().map(|_| HashMap::new()).collect();
        for slot in nodes
            .all()
            .filter(|&slot| nodes.present[slot] && has_all(table, slot, &hard))
        {
            for ((constraint, counts), domains) in hard.iter().zip(&counts).zip(&mut domains) {
                if included(table, subject, constraint, slot)
                    && let Some(value) = label(&nodes.labels[slot], constraint.topology_key)
                {
                    *domains.entry(value).or_insert(0) += counts[slot];
                }
            }
        }
        let limits: Vec<i64> = hard
            .iter()
            .zip(&domains)
            .map(|(constraint, domains)| {
                let enough = domains.len() as i64 >= i64::from(constraint.min_domains);
                let fewest = if enough {
                    domains.values().copied().min().unwrap_or(0)
                } else {
                    0
                };
                let itself = i64::from(constraint.counts(&subject.identity.labels));
                i64::from(fewest) + i64::from(constraint.max_skew) - itself
            })
            .collect();
        Some(Box::new(move |slot| {
            for ((constraint, domains), &limit) in hard.iter().zip(&domains).zip(&limits) {
                let Some(value) = label(&table.nodes.labels[slot], constraint.topology_key) else {
                    return Some(NO_LABEL);
                };
                if i64::from(domains.get(&value).copied().unwrap_or(0)) > limit {
                    return Some(REASON);
                }
            }
            None
        }))
    }
}

/// Whether the node has the label of every constraint.
pub fn has_all(table: &Table, slot: usize, constraints: &[&Constraint]) -> bool {
    constraints
        .iter()
        .all(|constraint| label(&table.nodes.labels[slot], constraint.topology_key).is_some())
}

/// Whether the constraint's policies let the node count.
pub fn included(table: &Table, subject: &Subject, constraint: &Constraint, slot: usize) -> bool {
    let affine = || {
        subject
            .spec
            .selector
            .matches(table.nodes.view(slot, &table.symbols))
    };
    let untainted = || {
        let mut forbidding = table
            .nodes
            .taints_of(slot)
            .iter()
            .filter(|taint| taint.effect.forbids());
        forbidding.all(|taint| tolerated(&subject.spec.tolerations, taint))
    };
    (!constraint.honors_affinity || affine()) && (!constraint.honors_taints || untainted())
}

/// The number of pods on each node that the constraint's selector matches.
pub fn matching(table: &Table, subject: &Subject, constraint: &Constraint) -> Vec<u32> {
    let mut counts = vec![0; table.nodes.slots()];
    if constraint.replicas {
        let group = subject.group.and_then(|id| table.groups.get(id));
        for (&slot, &count) in group.iter().flat_map(|group| &group.by_node) {
            counts[slot as usize] = count;
        }
        return counts;
    }
    // Upstream counts nothing for a selector that asks for nothing.
    if !constraint.selector.is_empty() {
        let peers: &AllPeers = &table.peers;
        let same = peers
            .iter()
            .filter(|p| p.identity.namespace == subject.identity.namespace);
        for peers in same.filter(|p| constraint.selector.matches(&p.identity.labels)) {
            for (&slot, count) in &peers.by_node {
                counts[slot as usize] += count.staying;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use crate::sched::Core;
    use crate::sched::tests::{add, core, cpu, message, node, placed, pod};

    const SELF: &str = r#""labelSelector":{"matchLabels":{"app":"web"}}"#;

    fn constrained(name: &str, constraint: &str) -> String {
        let constraint = format!(
            r#"{},"topologySpreadConstraints":[{{"maxSkew":1,"topologyKey":"kubernetes.io/hostname","whenUnsatisfiable":"DoNotSchedule",{constraint}}}]"#,
            cpu("1m")
        );
        pod(name, &constraint).replace(r#""uid""#, r#""labels":{"app":"web"},"uid""#)
    }

    fn place(core: &mut Core, name: &str, constraint: &str) -> String {
        add(core, constrained(name, constraint));
        placed(core, name)
    }

    #[test]
    fn no_domain_gets_more_than_the_skew_ahead() {
        let mut core = core(&[node("a", "4", ""), node("b", "4", "")]);
        let first = place(&mut core, "p1", SELF);
        assert_ne!(place(&mut core, "p2", SELF), first);
        let bare = node("c", "4", "").replace("kubernetes.io/hostname", "other");
        assert!(core.table.upsert_node(bare.as_bytes()).is_ok());
        let elsewhere = constrained("p3", SELF).replace(
            r#""containers""#,
            r#""nodeSelector":{"other":"c"},"containers""#,
        );
        add(&mut core, elsewhere);
        assert!(message(&mut core, "p3").starts_with(
            "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), \
             2 node(s) didn't match Pod's node affinity/selector. "
        ));
    }

    #[test]
    fn too_few_domains_count_as_an_empty_one() {
        let mut core = core(&[node("a", "4", "")]);
        let three = format!(r#"{SELF},"minDomains":3"#);
        place(&mut core, "p1", &three);
        add(&mut core, constrained("p2", &three));
        assert!(message(&mut core, "p2").starts_with(
            "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints. "
        ));
        place(&mut core, "p3", SELF);
    }

    #[test]
    fn a_tainted_node_counts_unless_taints_are_honoured() {
        let tainted = node("b", "4", r#""taints":[{"key":"k","effect":"NoSchedule"}]"#);
        let mut core = core(&[node("a", "4", ""), tainted]);
        place(&mut core, "p1", SELF);
        add(&mut core, constrained("p2", SELF));
        assert!(
            message(&mut core, "p2")
                .contains("1 node(s) didn't match pod topology spread constraints,")
        );
        place(
            &mut core,
            "p3",
            &format!(r#"{SELF},"nodeTaintsPolicy":"Honor""#),
        );
    }

    #[test]
    fn pods_being_deleted_do_not_count() {
        let mut core = core(&[node("a", "4", ""), node("b", "4", "")]);
        let first = place(&mut core, "p1", SELF);
        let bound = constrained("p1", SELF)
            .replace(
                r#""containers""#,
                &format!(r#""nodeName":"{first}","containers""#),
            )
            .replace(
                r#""uid""#,
                r#""deletionTimestamp":"2026-01-01T00:00:00Z","uid""#,
            );
        add(&mut core, bound);
        let second = place(&mut core, "p2", SELF);
        assert_ne!(place(&mut core, "p3", SELF), second);
    }
}
