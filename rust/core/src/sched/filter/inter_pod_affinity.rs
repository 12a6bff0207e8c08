//! InterPodAffinity: required pod affinity and anti-affinity, those of the pods that are there already included.

use hashbrown::HashSet;

use super::{Check, ClusterFilter, Reason};
use crate::sched::identity::{Identity, Term};
use crate::sched::labels::Labels;
use crate::sched::nodes::Slot;
use crate::sched::peers::Peers;
use crate::sched::pods::Subject;
use crate::sched::selector::label;
use crate::sched::symbols::Symbol;
use crate::sched::table::Table;

const AFFINITY: Reason = Reason {
    text: "node(s) didn't match pod affinity rules",
    unresolvable: true,
};
const ANTI_AFFINITY: Reason = Reason {
    text: "node(s) didn't match pod anti-affinity rules",
    unresolvable: false,
};
const EXISTING: Reason = Reason {
    text: "node(s) didn't satisfy existing pods anti-affinity rules",
    unresolvable: false,
};

pub struct InterPodAffinity;

/// Places: a topology key and its value.
type Places = HashSet<(Symbol, Symbol)>;

impl ClusterFilter for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn prepare<'a>(&self, table: &'a Table, subject: &Subject<'a>) -> Option<Check<'a>> {
        let own: &'a Identity = subject.identity;
        let (mut wanted, mut shunned, mut forbidden) =
            (Places::new(), Places::new(), Places::new());
        let mut anti_affine = false;
        let own_labels = namespace_labels(table, &own.namespace);
        if table.peers.with_terms > 0 {
            for peers in table
                .peers
                .iter()
                .filter(|peers| !peers.identity.anti_affinity.is_empty())
            {
                for term in peers
                    .identity
                    .anti_affinity
                    .iter()
                    .filter(|term| term.matches(own, own_labels))
                {
                    anti_affine = true;
                    collect(table, peers, term.topology_key, &mut forbidden);
                }
            }
        }
        if own.affinity.is_empty() && own.anti_affinity.is_empty() && !anti_affine {
            return None;
        }
        let speaks_of = |term: &Term, other: &Identity| {
            term.matches(other, namespace_labels(table, &other.namespace))
        };
        for peers in table.peers.iter() {
            if !own.affinity.is_empty()
                && own
                    .affinity
                    .iter()
                    .all(|term| speaks_of(term, &peers.identity))
            {
                for term in &own.affinity {
                    collect(table, peers, term.topology_key, &mut wanted);
                }
            }
            for term in own
                .anti_affinity
                .iter()
                .filter(|term| speaks_of(term, &peers.identity))
            {
                collect(table, peers, term.topology_key, &mut shunned);
            }
        }
        // The first of pods that want to be together has nobody to be with, and may go anywhere.
        let first = wanted.is_empty()
            && own
                .affinity
                .iter()
                .all(|term| term.matches(own, own_labels));
        Some(Box::new(move |slot| {
            let labels = &table.nodes.labels[slot];
            let place = |key: Symbol| label(labels, key).map(|value| (key, value));
            for term in &own.affinity {
                match place(term.topology_key) {
                    None => return Some(AFFINITY),
                    Some(place) if !first && !wanted.contains(&place) => return Some(AFFINITY),
                    Some(_) => {}
                }
            }
            let is_shunned = |term: &Term| {
                place(term.topology_key).is_some_and(|place| shunned.contains(&place))
            };
            if own.anti_affinity.iter().any(is_shunned) {
                return Some(ANTI_AFFINITY);
            }
            let is_forbidden =
                !forbidden.is_empty() && labels.iter().any(|place| forbidden.contains(place));
            is_forbidden.then_some(EXISTING)
        }))
    }
}

/// The labels of a namespace; none where it is not known.
pub fn namespace_labels<'t>(table: &'t Table, namespace: &str) -> &'t Labels {
    static NONE: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::default);
    table.namespaces.get(namespace).unwrap_or(&NONE)
}

/// Adds the places, by `key`, where any of `peers` is.
fn collect(table: &Table, peers: &Peers, key: Symbol, places: &mut Places) {
    let value = |&slot: &Slot| {
        let slot = slot as usize;
        table.nodes.present[slot]
            .then(|| label(&table.nodes.labels[slot], key))
            .flatten()
    };
    places.extend(
        peers
            .by_node
            .keys()
            .filter_map(value)
            .map(|value| (key, value)),
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::sched::Core;
    use crate::sched::tests::{add, core, cpu, message, node, placed, pod};

    fn labelled(name: &str, app: &str, spec: &str) -> String {
        let more = if spec.is_empty() {
            cpu("1m")
        } else {
            format!("{},{spec}", cpu("1m"))
        };
        pod(name, &more).replace(r#""uid""#, &format!(r#""labels":{{"app":"{app}"}},"uid""#))
    }

    fn term(app: &str, more: &str) -> String {
        format!(
            r#"{{"topologyKey":"kubernetes.io/hostname","labelSelector":{{"matchLabels":{{"app":"{app}"}}}}{more}}}"#
        )
    }

    fn required(kind: &str, term: &str) -> String {
        format!(
            r#""affinity":{{"{kind}":{{"requiredDuringSchedulingIgnoredDuringExecution":[{term}]}}}}"#
        )
    }

    fn two_nodes() -> Core {
        core(&[node("a", "4", ""), node("b", "4", "")])
    }

    #[test]
    fn pods_that_want_to_be_together_are() {
        let mut core = two_nodes();
        add(
            &mut core,
            labelled("lonely", "web", &required("podAffinity", &term("db", ""))),
        );
        assert!(
            message(&mut core, "lonely").starts_with(
                "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. "
            )
        );
        // The first of its own kind may start anywhere.
        let own = required("podAffinity", &term("db", ""));
        add(&mut core, labelled("db1", "db", &own));
        let place = placed(&mut core, "db1");
        for name in ["db2", "db3"] {
            add(&mut core, labelled(name, "db", &own));
            assert_eq!(placed(&mut core, name), place);
        }
        assert_eq!(placed(&mut core, "lonely"), place);
    }

    #[test]
    fn pods_that_shun_each_other_are_apart_whoever_says_so() {
        let mut core = two_nodes();
        let shuns = required("podAntiAffinity", &term("db", ""));
        add(&mut core, labelled("db1", "db", &shuns));
        add(&mut core, labelled("db2", "db", &shuns));
        assert_ne!(placed(&mut core, "db1"), placed(&mut core, "db2"));
        add(&mut core, labelled("db3", "db", &shuns));
        assert!(
            message(&mut core, "db3").contains("2 node(s) didn't match pod anti-affinity rules")
        );
        add(&mut core, labelled("db4", "db", ""));
        assert!(
            message(&mut core, "db4")
                .contains("2 node(s) didn't satisfy existing pods anti-affinity rules")
        );
        assert!(core.table.delete_pod("default", "db1").is_some());
        placed(&mut core, "db4");
    }

    #[test]
    fn namespaces_by_name_and_by_selector() {
        let mut core = two_nodes();
        let elsewhere =
            labelled("db", "db", "").replace(r#""namespace":"default""#, r#""namespace":"prod""#);
        add(
            &mut core,
            elsewhere.replace(r#""containers""#, r#""nodeName":"b","containers""#),
        );
        let selected = r#","namespaceSelector":{"matchLabels":{"team":"x"}}"#;
        add(
            &mut core,
            labelled("p1", "web", &required("podAffinity", &term("db", selected))),
        );
        assert!(message(&mut core, "p1").contains("didn't match pod affinity rules"));
        let namespace = r#"{"metadata":{"name":"prod","labels":{"team":"x"}}}"#;
        assert!(core.table.upsert_namespace(namespace.as_bytes()).unwrap());
        assert_eq!(placed(&mut core, "p1"), "b");
        let named = r#","namespaces":["prod"]"#;
        add(
            &mut core,
            labelled(
                "p2",
                "web",
                &required("podAntiAffinity", &term("db", named)),
            ),
        );
        assert_eq!(placed(&mut core, "p2"), "a");
        add(
            &mut core,
            labelled(
                "p3",
                "web",
                &required("podAffinity", &term("db", r#","namespaceSelector":{}"#)),
            ),
        );
        assert_eq!(placed(&mut core, "p3"), "b");
    }
}
