//! PodDisruptionBudgets, as far as preemption minds them.

use hashbrown::{HashMap, HashSet};

use super::Malformed;
use super::facts::key_of;
use super::identity::Identity;
use super::labels::Selector;
use super::object::{self, decode};

/// A PodDisruptionBudget.
#[derive(Debug)]
pub struct Budget {
    namespace: Box<str>,
    selector: Selector,
    /// status.disruptionsAllowed.
    allowed: i32,
    /// status.disruptedPods: already counted by whoever keeps the budget.
    disrupted: HashSet<Box<str>>,
}

/// All PodDisruptionBudgets.
#[derive(Default)]
pub struct Budgets {
    by_key: HashMap<Box<str>, Budget>,
    version: u64,
}

impl Budgets {
    /// Takes over a policy/v1 PodDisruptionBudget as the API serves it.
    pub fn upsert(&mut self, json: &[u8]) -> Result<(), Malformed> {
        let budget: object::Budget =
            decode(json).map_err(|error| error.of("poddisruptionbudget", ""))?;
        let key = key_of(&budget.metadata.namespace, &budget.metadata.name);
        let selector = Selector::of(budget.spec.selector.as_ref(), "spec.selector")
            .map_err(|error| error.of("poddisruptionbudget", &key))?;
        let disrupted = budget.status.disrupted_pods.0.iter();
        let read = Budget {
            namespace: (*budget.metadata.namespace).into(),
            selector,
            allowed: budget.status.disruptions_allowed,
            disrupted: disrupted.map(|(name, _)| (**name).into()).collect(),
        };
        self.by_key.insert(key.into(), read);
        self.version += 1;
        Ok(())
    }

    /// Grows with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Forgets a budget.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        self.by_key.remove(&*key_of(namespace, name));
        self.version += 1;
    }

    /// For each pod (name and identity) whether its eviction, after those of the pods before it, would break a budget.
    pub fn violated<'p>(&self, pods: impl Iterator<Item = (&'p str, &'p Identity)>) -> Vec<bool> {
        let mut left: Vec<(&Budget, i64)> = self
            .by_key
            .values()
            .map(|budget| (budget, i64::from(budget.allowed)))
            .collect();
        let breaks = |(name, identity): (&str, &Identity)| {
            let mut broken = false;
            for (budget, left) in &mut left {
                // As upstream: a pod without labels and a selector that asks for nothing match nothing.
                if budget.namespace == identity.namespace
                    && !identity.labels.is_empty()
                    && !budget.selector.is_empty()
                    && budget.selector.matches(&identity.labels)
                    && !budget.disrupted.contains(name)
                {
                    *left -= 1;
                    broken |= *left < 0;
                }
            }
            broken
        };
        pods.map(breaks).collect()
    }
}
