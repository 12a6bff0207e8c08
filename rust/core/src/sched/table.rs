//! The table of nodes and pods, kept up to date from the API's objects and the scheduler's own assumptions.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::Malformed;
use super::budgets::Budgets;
use super::dryruns::DryRuns;
use super::facts::{PodFacts, difference, facts_of, key_of, pod_change, row, same_place};
use super::groups::{Groups, spreading_owner};
use super::identity::Identity;
use super::labels::{Labels, labels_of};
use super::nodes::{NodeFacts, Nodes, Slot, change};
use super::nominated::Nominated;
use super::object::{self, decode};
use super::peers::{AllPeers, PeersId};
use super::pods::{Pod, PodId, Pods};
use super::profile::{Profile, ProfileId};
use super::spec::{ALL_ADDRESSES, Spec};
use super::symbols::{Symbol, Symbols};

/// Changes kept before the oldest are dropped; whoever is further behind evaluates all nodes anew.
const LOG_LIMIT: usize = 4096;

/// Symbols that are looked for by name.
pub struct Names {
    /// topology.kubernetes.io/zone
    pub zone: Symbol,
    /// kubernetes.io/hostname
    pub hostname: Symbol,
    /// node.kubernetes.io/unschedulable
    pub unschedulable: Symbol,
    /// 0.0.0.0
    pub all_addresses: Symbol,
}

/// Nodes, pods and what connects them.
pub struct Table {
    /// Texts as numbers.
    pub symbols: Symbols,
    /// Symbols known by name.
    pub names: Names,
    /// The nodes.
    pub nodes: Nodes,
    /// The pods.
    pub pods: Pods,
    /// Replicas that are spread.
    pub groups: Groups,
    /// Pods by who they are to other pods.
    pub peers: AllPeers,
    /// Labels of namespaces.
    pub namespaces: HashMap<Box<str>, Labels>,
    /// PodDisruptionBudgets.
    pub budgets: Budgets,
    /// Waiting pods that preemption makes room for.
    pub nominated: Nominated,
    /// Who the pod of the last change was to others: before it, and after it.
    pub changed: [Option<Arc<Identity>>; 2],
    /// What pods are decided by, according to their spec.schedulerName; there is at least one.
    profiles: Vec<Arc<Profile>>,
    /// What preemption found last.
    pub dry_runs: DryRuns,
    /// Slots in the order in which they changed; `log_start` is the number of the first one.
    log: Vec<Slot>,
    log_start: u64,
    /// How many pods on nodes have each priority.
    priorities: BTreeMap<i32, usize>,
}

impl Default for Table {
    fn default() -> Self {
        let mut symbols = Symbols::default();
        let names = Names {
            zone: symbols.intern("topology.kubernetes.io/zone"),
            hostname: symbols.intern("kubernetes.io/hostname"),
            unschedulable: symbols.intern("node.kubernetes.io/unschedulable"),
            all_addresses: symbols.intern(ALL_ADDRESSES),
        };
        Self {
            symbols,
            names,
            nodes: Nodes::default(),
            pods: Pods::default(),
            groups: Groups::default(),
            peers: AllPeers::default(),
            namespaces: HashMap::new(),
            budgets: Budgets::default(),
            nominated: Nominated::default(),
            changed: [None, None],
            profiles: vec![Arc::new(Profile::standard())],
            dry_runs: DryRuns::default(),
            log: Vec::new(),
            log_start: 0,
            priorities: BTreeMap::new(),
        }
    }
}

impl Table {
    /// A table with these profiles, as the configuration's reader states them; with none, upstream's default one.
    pub fn with_profiles(stated: &[&[u8]]) -> Result<Self, Malformed> {
        let mut table = Self::default();
        for (id, json) in stated.iter().enumerate() {
            let id = ProfileId::try_from(id)
                .map_err(|_| Malformed(format!("more than {} profiles", ProfileId::MAX)))?;
            let profile = Arc::new(Profile::of(json, id, &mut table.symbols)?);
            if id == 0 {
                table.profiles.clear();
            }
            table.profiles.push(profile);
        }
        Ok(table)
    }

    /// The profile in a place.
    pub fn profile(&self, id: ProfileId) -> &Arc<Profile> {
        &self.profiles[usize::from(id)]
    }

    /// The profile of a spec.schedulerName; the first one where it is none's.
    fn profile_of(&self, name: &str) -> ProfileId {
        let found = self.profiles.iter().find(|profile| *profile.name == *name);
        found.map_or(0, |profile| profile.id)
    }

    /// The number that the next change will have.
    pub fn sequence(&self) -> u64 {
        self.log_start + self.log.len() as u64
    }

    /// The slots changed since `sequence`, or None where the table no longer knows.
    pub fn changes(&self, sequence: u64) -> Option<&[Slot]> {
        sequence
            .checked_sub(self.log_start)
            .map(|from| &self.log[from as usize..])
    }

    fn touch(&mut self, slot: Slot) {
        if self.log.len() == LOG_LIMIT {
            let dropped = LOG_LIMIT / 2;
            self.log.drain(..dropped);
            self.log_start += dropped as u64;
        }
        self.log.push(slot);
    }

    /// Makes every evaluation so far void: something changed that concerns all nodes.
    fn touch_all(&mut self) {
        self.log_start = self.sequence() + 1;
        self.log.clear();
    }

    /// Takes over a Node as the API serves it. Returns what changed (see `nodes::change`).
    pub fn upsert_node(&mut self, json: &[u8]) -> Result<u32, Malformed> {
        let node: object::Node = decode(json).map_err(|error| error.of("node", ""))?;
        let facts = NodeFacts::of(&node, &mut self.symbols)
            .map_err(|error| error.of("node", &node.metadata.name))?;
        let discouraged = self.nodes.discouraged;
        let (slot, changed) = self
            .nodes
            .upsert(facts, self.names.zone, self.names.hostname);
        if (discouraged == 0) != (self.nodes.discouraged == 0) || self.spreads_images(changed) {
            self.touch_all();
        } else if changed != 0 {
            self.touch(slot);
        }
        Ok(changed)
    }

    /// Whether a change of one node changes the share of nodes that have an image.
    fn spreads_images(&self, changed: u32) -> bool {
        let counted = changed & change::ADDED != 0 && !self.nodes.image_holders.is_empty();
        changed & change::IMAGES != 0 || counted
    }

    /// Forgets a node. Returns whether it was there.
    pub fn delete_node(&mut self, name: &str) -> bool {
        let slot = self
            .symbols
            .find(name)
            .and_then(|name| self.nodes.find(name));
        let Some(slot) = slot.filter(|&slot| self.nodes.present[slot as usize]) else {
            return false;
        };
        let discouraged = self.nodes.discouraged;
        let shared = !self.nodes.image_holders.is_empty();
        self.nodes.remove(slot);
        if (discouraged == 0) != (self.nodes.discouraged == 0) || shared {
            self.touch_all();
        } else {
            self.touch(slot);
        }
        true
    }

    /// Takes over a Namespace as the API serves it. Returns whether its labels changed.
    pub fn upsert_namespace(&mut self, json: &[u8]) -> Result<bool, Malformed> {
        let namespace: object::Namespace =
            decode(json).map_err(|error| error.of("namespace", ""))?;
        let labels = labels_of(&namespace.metadata.labels);
        let before = self
            .namespaces
            .insert((*namespace.metadata.name).into(), labels.clone());
        Ok(before.unwrap_or_default() != labels)
    }

    /// Forgets a namespace.
    pub fn delete_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Reads a pod without adding it. Its group is one that is there; its node, if any, comes as a name.
    pub fn read_pod(&mut self, json: &[u8]) -> Result<(Pod, Option<Symbol>), Malformed> {
        let pod: object::Pod = decode(json).map_err(|error| error.of("pod", ""))?;
        let (spec, identity) = self.spec_of(&pod)?;
        let node_name =
            (!pod.spec.node_name.is_empty()).then(|| self.symbols.intern(&pod.spec.node_name));
        let group = spreading_owner(&pod.metadata).and_then(|owner| self.groups.find(owner));
        let nominated = self.nominated_of(&pod);
        let mut row = row(
            &pod,
            Arc::new(spec),
            group,
            PeersId::MAX,
            Arc::new(identity),
        );
        row.profile = self.profile_of(&pod.spec.scheduler_name);
        row.nominated = nominated;
        Ok((row, node_name))
    }

    fn nominated_of(&mut self, pod: &object::Pod) -> Option<Symbol> {
        let name = &*pod.status.nominated_node_name;
        (!name.is_empty()).then(|| self.symbols.intern(name))
    }

    fn spec_of(&mut self, pod: &object::Pod) -> Result<(Spec, Identity), Malformed> {
        let key = key_of(&pod.metadata.namespace, &pod.metadata.name);
        if pod.metadata.name.is_empty() {
            return Err(Malformed(
                "pod: metadata.name: Required value: name or generateName is required".into(),
            ));
        }
        let spec = Spec::of(pod, &mut self.symbols).map_err(|error| error.of("pod", &key))?;
        let identity =
            Identity::of(pod, &mut self.symbols).map_err(|error| error.of("pod", &key))?;
        Ok((spec, identity))
    }

    /// Takes over a Pod as the API serves it. An assumption about it stands until the API names a node, or the pod
    /// ends, is being deleted or is another one. On an error the table is as before.
    pub fn upsert_pod(&mut self, json: &[u8]) -> Result<PodFacts, Malformed> {
        let pod: object::Pod = decode(json).map_err(|error| error.of("pod", ""))?;
        let (spec, identity) = self.spec_of(&pod)?;
        let mut facts = facts_of(&pod);
        let before = self.pods.find(&key_of(&facts.namespace, &facts.name));
        if facts.ended {
            let freed = before.and_then(|id| self.place_of(id));
            let taken = before.and_then(|id| self.take(id));
            self.changed = [taken.map(|pod| pod.identity), None];
            facts.changed = if freed.is_some() {
                pod_change::FREED
            } else {
                0
            };
            facts.freed = freed.unwrap_or_default();
            return Ok(facts);
        }
        let spec = self.pods.share(spec);
        let group = spreading_owner(&pod.metadata).map(|owner| self.groups.join(owner));
        let peers = self.peers.join(identity);
        let identity = self
            .peers
            .get(peers)
            .map(|peers| peers.identity.clone())
            .unwrap_or_default();
        let known = before.and_then(|id| self.pods.get(id));
        self.changed = [
            known.map(|pod| Arc::clone(&pod.identity)),
            Some(Arc::clone(&identity)),
        ];
        let mut after = row(&pod, spec, group, peers, identity);
        after.profile = self.profile_of(&pod.spec.scheduler_name);
        after.nominated_told = self.nominated_of(&pod);
        after.nominated = after.nominated_told;
        if !pod.spec.node_name.is_empty() {
            let name = self.symbols.intern(&pod.spec.node_name);
            after.node = Some(self.nodes.slot_for(name));
        }
        let Some(id) = before else {
            facts.changed = pod_change::ADDED
                | if after.node.is_some() {
                    pod_change::ASSIGNED
                } else {
                    0
                };
            self.put(after);
            return Ok(facts);
        };
        if let Some(before) = self.pods.get(id) {
            if before.assumed
                && before.uid == after.uid
                && after.node.is_none()
                && !after.terminating
            {
                after.node = before.node;
                after.assumed = true;
            }
            if before.uid == after.uid && before.nominated_told == after.nominated_told {
                // What the scheduler decided meanwhile stands until the API tells of a change.
                after.nominated = before.nominated;
            }
            facts.changed = difference(before, &after);
            facts.assumed = after.assumed;
            if facts.changed & pod_change::FREED != 0 {
                facts.freed = self.place_of(id).unwrap_or_default();
            }
            if same_place(before, &after) {
                self.renew(id, after);
                return Ok(facts);
            }
        }
        // Taking the old one out may give its slot up, so the new one's place is looked up by name again.
        let name = after.node.map(|slot| self.nodes.name[slot as usize]);
        self.take(id);
        after.node = name.map(|name| self.nodes.slot_for(name));
        self.put(after);
        Ok(facts)
    }

    /// Replaces a row whose pod counts as it did before.
    fn renew(&mut self, id: PodId, after: Pod) {
        if let Some(group) = after.group {
            // Joined a second time above.
            self.groups.leave(group);
        }
        self.peers.leave(after.peers);
        self.list(id, false);
        if let Some(row) = self.pods.get_mut(id) {
            let older = (row.started != after.started).then_some(row.node).flatten();
            *row = after;
            if let Some(slot) = older {
                // Who goes first from the node may be another one now.
                self.touch(slot);
            }
        }
        self.list(id, true);
    }

    /// Puts a pod on the list of those nominated for its node, or takes it off.
    fn list(&mut self, id: PodId, on: bool) {
        if let Some(node) = self.pods.get(id).and_then(Pod::awaits) {
            if on {
                self.nominated.add(node, id);
            } else {
                self.nominated.remove(node, id);
            }
        }
    }

    /// Nominates a pod for a node, or for none, before the API says so.
    pub fn nominate(&mut self, id: PodId, node: Option<Symbol>) {
        self.list(id, false);
        if let Some(pod) = self.pods.get_mut(id) {
            pod.nominated = node;
        }
        self.list(id, true);
    }

    /// Forgets a pod. Returns the name of the node on which that freed something.
    pub fn delete_pod(&mut self, namespace: &str, name: &str) -> Option<String> {
        let id = self.pods.find(&key_of(namespace, name))?;
        let node = self.place_of(id);
        self.changed = [self.take(id).map(|pod| pod.identity), None];
        node
    }

    /// The name of the node that a pod is on.
    fn place_of(&self, id: PodId) -> Option<String> {
        let slot = self.pods.get(id)?.node?;
        Some(self.symbols.text(self.nodes.name[slot as usize]).to_owned())
    }

    /// Counts a waiting pod in on a node before the API says so. Returns whether it was waiting.
    pub fn assume(&mut self, id: PodId, slot: Slot) -> bool {
        if self.pods.get(id).is_none_or(|pod| pod.node.is_some()) {
            return false;
        }
        self.list(id, false);
        let Some(pod) = self.pods.get_mut(id) else {
            return false;
        };
        pod.node = Some(slot);
        pod.assumed = true;
        self.settle(id, 1);
        true
    }

    /// Takes an assumption back. Returns the name of the node, where there was one.
    pub fn forget(&mut self, namespace: &str, name: &str, uid: &str) -> Option<String> {
        let id = self.pods.find(&key_of(namespace, name))?;
        self.pods
            .get(id)
            .filter(|pod| pod.assumed && *pod.uid == *uid)?;
        let node = self.place_of(id);
        self.changed = [self.pods.get(id).map(|pod| Arc::clone(&pod.identity)), None];
        self.settle(id, -1);
        if let Some(pod) = self.pods.get_mut(id) {
            pod.node = None;
            pod.assumed = false;
        }
        self.list(id, true);
        node
    }

    fn put(&mut self, pod: Pod) {
        let id = self.pods.insert(pod);
        self.settle(id, 1);
        self.list(id, true);
    }

    fn take(&mut self, id: PodId) -> Option<Pod> {
        self.settle(id, -1);
        self.list(id, false);
        let pod = self.pods.remove(id)?;
        if let Some(group) = pod.group {
            self.groups.leave(group);
        }
        self.peers.leave(pod.peers);
        self.pods.unshare(&pod.spec);
        Some(pod)
    }

    /// Counts a pod in where it is, or with -1 out, and notes that its node changed.
    fn settle(&mut self, id: PodId, sign: i32) {
        if let Some(slot) = self.pods.get(id).and_then(|pod| pod.node) {
            self.count_at(id, slot, sign);
            self.touch(slot);
        }
    }

    /// Counts a pod in on a node, or with -1 out; where it is stays as it was.
    pub fn count_at(&mut self, id: PodId, slot: Slot, sign: i32) {
        let Some(pod) = self.pods.get(id) else {
            return;
        };
        if let Some(group) = pod.group.filter(|_| !pod.terminating) {
            self.groups.count(group, slot, sign);
        }
        self.peers.count(pod.peers, slot, !pod.terminating, sign);
        let alike = self.priorities.entry(pod.priority).or_insert(0);
        *alike = alike.saturating_add_signed(sign as isize);
        if *alike == 0 {
            self.priorities.remove(&pod.priority);
        }
        if sign > 0 {
            self.nodes
                .place(slot, id, &pod.spec.requests, &pod.spec.ports);
        } else {
            self.nodes
                .displace(slot, id, &pod.spec.requests, &pod.spec.ports);
        }
    }

    /// The lowest priority of any pod that is on a node.
    pub fn lowest_priority(&self) -> Option<i32> {
        self.priorities
            .first_key_value()
            .map(|(&priority, _)| priority)
    }
}
