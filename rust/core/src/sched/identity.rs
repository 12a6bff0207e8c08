//! Who a pod is to other pods: its namespace and labels, and what it asks of where they are.

use super::Malformed;
use super::labels::{Labels, Requirement, Selector, labels_of, value_of};
use super::object;
use super::symbols::{Symbol, Symbols};

/// What pods of one kind have alike towards others. Replicas share one, so that they are counted together.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// metadata.namespace.
    pub namespace: Box<str>,
    /// metadata.labels.
    pub labels: Labels,
    /// spec.topologySpreadConstraints.
    pub spread: Box<[Constraint]>,
    /// spec.affinity.podAffinity, required.
    pub affinity: Box<[Term]>,
    /// spec.affinity.podAntiAffinity, required.
    pub anti_affinity: Box<[Term]>,
    /// spec.affinity.podAffinity, preferred, by weight; then podAntiAffinity's with negative weights.
    pub preferred: Box<[(i32, Term)]>,
}

/// A topology spread constraint.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Constraint {
    /// How much more of the pods one domain may have than the one with the fewest.
    pub max_skew: i32,
    /// The node label whose values are the domains.
    pub topology_key: Symbol,
    /// Whether it forbids (DoNotSchedule) or only makes a node worse (ScheduleAnyway).
    pub forbids: bool,
    /// The pods that are counted, in the pod's own namespace.
    pub selector: Selector,
    /// Domains that there must be for the fewest to count at all.
    pub min_domains: i32,
    /// Only nodes that the pod's node affinity selects count.
    pub honors_affinity: bool,
    /// Only nodes whose taints the pod tolerates count.
    pub honors_taints: bool,
    /// Not the selector's pods are counted but the replicas that the pod is one of: a default constraint.
    pub replicas: bool,
}

/// A term of pod affinity or anti-affinity.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Term {
    namespaces: Box<[Box<str>]>,
    namespace_selector: Selector,
    selector: Selector,
    /// The node label whose value makes nodes one place.
    pub topology_key: Symbol,
}

impl Identity {
    /// Reads it; the error names the field.
    pub fn of(pod: &object::Pod, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let labels = labels_of(&pod.metadata.labels);
        let mut spread = Vec::new();
        for (index, constraint) in pod.spec.topology_spread_constraints.iter().enumerate() {
            spread.push(Constraint::of(constraint, index, &labels, symbols)?);
        }
        let namespace = &*pod.metadata.namespace;
        let mut terms = |field: &str, terms: &[object::PodAffinityTerm]| {
            let path = |index| {
                format!(
                    "spec.affinity.{field}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"
                )
            };
            let read = terms
                .iter()
                .enumerate()
                .map(|(index, t)| Term::of(t, namespace, &path(index), symbols));
            read.collect::<Result<Box<[Term]>, Malformed>>()
        };
        let (towards, away) = (
            &pod.spec.affinity.pod_affinity,
            &pod.spec.affinity.pod_anti_affinity,
        );
        let affinity = terms(
            "podAffinity",
            &towards.required_during_scheduling_ignored_during_execution,
        )?;
        let anti_affinity = terms(
            "podAntiAffinity",
            &away.required_during_scheduling_ignored_during_execution,
        )?;
        let mut preferred = Vec::new();
        for (field, list, sign) in [("podAffinity", towards, 1), ("podAntiAffinity", away, -1)] {
            for (index, weighted) in list
                .preferred_during_scheduling_ignored_during_execution
                .iter()
                .enumerate()
            {
                let path = format!(
                    "spec.affinity.{field}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
                );
                let term = Term::of(&weighted.pod_affinity_term, namespace, &path, symbols)?;
                preferred.push((sign * weighted.weight, term));
            }
        }
        Ok(Self {
            namespace: namespace.into(),
            labels,
            spread: spread.into(),
            affinity,
            anti_affinity,
            preferred: preferred.into(),
        })
    }

    /// Whether it says anything about other pods that concerns those that are to be placed.
    pub fn has_terms(&self) -> bool {
        !self.affinity.is_empty() || !self.anti_affinity.is_empty() || !self.preferred.is_empty()
    }
}

impl Constraint {
    /// Reads it; the error names the field.
    pub fn of(
        constraint: &object::SpreadConstraint,
        index: usize,
        labels: &Labels,
        symbols: &mut Symbols,
    ) -> Result<Self, Malformed> {
        let path = format!("spec.topologySpreadConstraints[{index}]");
        let forbids = match &*constraint.when_unsatisfiable {
            "DoNotSchedule" => true,
            "ScheduleAnyway" => false,
            other => {
                return Err(Malformed(format!(
                    "{path}.whenUnsatisfiable: Unsupported value: {other:?}: supported values: \"DoNotSchedule\", \"ScheduleAnyway\""
                )));
            }
        };
        let mut selector = Selector::of(
            constraint.label_selector.as_ref(),
            &format!("{path}.labelSelector"),
        )?;
        for key in &constraint.match_label_keys {
            if let Some(value) = value_of(labels, key) {
                selector.and(Requirement::equal(key, value));
            }
        }
        Ok(Self {
            max_skew: constraint.max_skew,
            topology_key: symbols.intern(&constraint.topology_key),
            forbids,
            selector,
            min_domains: constraint.min_domains.unwrap_or(1),
            honors_affinity: &*constraint.node_affinity_policy != "Ignore",
            honors_taints: &*constraint.node_taints_policy == "Honor",
            replicas: false,
        })
    }

    /// The same over the replicas of whatever pod it is for.
    pub fn of_replicas(self) -> Self {
        Self {
            replicas: true,
            ..self
        }
    }

    /// Whether the pod itself is among those that are counted.
    pub fn counts(&self, labels: &Labels) -> bool {
        self.replicas || self.selector.matches(labels)
    }
}

impl Term {
    fn of(
        term: &object::PodAffinityTerm,
        namespace: &str,
        path: &str,
        symbols: &mut Symbols,
    ) -> Result<Self, Malformed> {
        let mut namespaces: Vec<Box<str>> = term.namespaces.iter().map(|n| (**n).into()).collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.into());
        }
        Ok(Self {
            namespaces: namespaces.into(),
            namespace_selector: Selector::of(
                term.namespace_selector.as_ref(),
                &format!("{path}.namespaceSelector"),
            )?,
            selector: Selector::of(
                term.label_selector.as_ref(),
                &format!("{path}.labelSelector"),
            )?,
            topology_key: symbols.intern(&term.topology_key),
        })
    }

    /// Whether it speaks of pods like `other`, whose namespace has `namespace_labels`.
    pub fn matches(&self, other: &Identity, namespace_labels: &Labels) -> bool {
        (self.namespaces.contains(&other.namespace)
            || self.namespace_selector.matches(namespace_labels))
            && self.selector.matches(&other.labels)
    }
}
