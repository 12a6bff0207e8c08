//! The pods: what each asks for, and where it is.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::groups::GroupId;
use super::identity::{Constraint, Identity};
use super::nodes::Slot;
use super::peers::PeersId;
use super::profile::{Profile, ProfileId};
use super::spec::Spec;
use super::symbols::Symbol;

/// Where a pod stands in the table.
pub type PodId = u32;

/// A pod that has not ended.
pub struct Pod {
    /// `namespace/name`.
    pub key: Box<str>,
    /// metadata.uid: a pod made anew under the same name is another one.
    pub uid: Box<str>,
    /// What it asks for.
    pub spec: Arc<Spec>,
    /// The replicas it is one of, which are spread.
    pub group: Option<GroupId>,
    /// Those who are to other pods what it is.
    pub peers: PeersId,
    /// Who it is to other pods.
    pub identity: Arc<Identity>,
    /// The node it is on.
    pub node: Option<Slot>,
    /// Whether that is the scheduler's own word, not yet the API's.
    pub assumed: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The profile of its spec.schedulerName.
    pub profile: ProfileId,
    /// spec.priority.
    pub priority: i32,
    /// spec.preemptionPolicy is Never.
    pub peaceful: bool,
    /// When it started, as a number that grows with time; the largest where it has not.
    pub started: u64,
    /// Whether its condition DisruptionTarget says that the scheduler evicts it.
    pub preempted: bool,
    /// The node that preemption makes room on for it, as the scheduler has it.
    pub nominated: Option<Symbol>,
    /// The same as the API has it, which follows.
    pub nominated_told: Option<Symbol>,
}

/// What a decision looks at of a pod.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What it is decided by.
    pub profile: &'a Profile,
    /// What it asks for.
    pub spec: &'a Spec,
    /// spec.nodeName, which only a pod evaluated as it stands has.
    pub node_name: Option<Symbol>,
    /// The replicas it is one of.
    pub group: Option<GroupId>,
    /// Who it is to other pods.
    pub identity: &'a Identity,
    /// spec.priority.
    pub priority: i32,
    /// spec.preemptionPolicy is Never.
    pub peaceful: bool,
    /// metadata.uid.
    pub uid: &'a str,
    /// The node that it is nominated for.
    pub nominated: Option<Symbol>,
}

impl<'a> Subject<'a> {
    /// The topology spread constraints that hold for it: its own, else its profile's if it is one of replicas.
    pub fn spread(&self) -> &'a [Constraint] {
        match &self.profile.spread {
            Some(defaults) if self.identity.spread.is_empty() && self.group.is_some() => defaults,
            _ => &self.identity.spread,
        }
    }

    /// Whether it is spread by upstream's system defaults.
    pub fn spreads_as_the_system(&self) -> bool {
        self.identity.spread.is_empty() && self.profile.spread.is_none()
    }
}

impl Pod {
    /// metadata.namespace.
    pub fn namespace(&self) -> &str {
        self.key
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// metadata.name.
    pub fn name(&self) -> &str {
        self.key.split_once('/').map_or(&self.key, |(_, name)| name)
    }

    /// The node for which it is counted as nominated: only a pod that waits is.
    pub fn awaits(&self) -> Option<Symbol> {
        self.nominated
            .filter(|_| self.node.is_none() && !self.terminating)
    }

    /// The pod as one that waits for a node.
    pub fn subject<'a>(&'a self, profile: &'a Profile) -> Subject<'a> {
        Subject {
            profile,
            spec: &self.spec,
            node_name: None,
            group: self.group,
            identity: &self.identity,
            priority: self.priority,
            peaceful: self.peaceful,
            uid: &self.uid,
            nominated: self.nominated,
        }
    }
}

/// All pods, and the distinct specs among them.
#[derive(Default)]
pub struct Pods {
    by_key: HashMap<Box<str>, PodId>,
    rows: Vec<Option<Pod>>,
    free: Vec<PodId>,
    specs: HashSet<Arc<Spec>>,
}

impl Pods {
    /// Number of pods.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Number of distinct specs among them.
    pub fn specs(&self) -> usize {
        self.specs.len()
    }

    /// The pod's row by its `namespace/name`.
    pub fn find(&self, key: &str) -> Option<PodId> {
        self.by_key.get(key).copied()
    }

    /// The pod in a row.
    pub fn get(&self, id: PodId) -> Option<&Pod> {
        self.rows.get(id as usize).and_then(Option::as_ref)
    }

    /// The pod in a row, to change.
    pub fn get_mut(&mut self, id: PodId) -> Option<&mut Pod> {
        self.rows.get_mut(id as usize).and_then(Option::as_mut)
    }

    /// Adds a pod under a key that is not there.
    pub fn insert(&mut self, pod: Pod) -> PodId {
        let id = self.free.pop().unwrap_or(self.rows.len() as PodId);
        if id as usize == self.rows.len() {
            self.rows.push(None);
        }
        self.by_key.insert(pod.key.clone(), id);
        self.rows[id as usize] = Some(pod);
        id
    }

    /// Takes a pod out.
    pub fn remove(&mut self, id: PodId) -> Option<Pod> {
        let pod = self.rows.get_mut(id as usize)?.take()?;
        self.by_key.remove(&pod.key);
        self.free.push(id);
        Some(pod)
    }

    /// The one copy of `spec` that all pods asking for the same share.
    pub fn share(&mut self, spec: Spec) -> Arc<Spec> {
        if let Some(known) = self.specs.get(&spec) {
            return known.clone();
        }
        let spec = Arc::new(spec);
        self.specs.insert(spec.clone());
        spec
    }

    /// The shared copy of `spec`, where some pod asks for the same.
    pub fn shared(&self, spec: &Spec) -> Option<Arc<Spec>> {
        self.specs.get(spec).cloned()
    }

    /// To be called with the spec of a pod that goes: the last one takes the shared copy with it.
    pub fn unshare(&mut self, spec: &Arc<Spec>) {
        const THE_SET_AND_THE_POD: usize = 2;
        if Arc::strong_count(spec) <= THE_SET_AND_THE_POD {
            self.specs.remove(spec);
        }
    }
}
