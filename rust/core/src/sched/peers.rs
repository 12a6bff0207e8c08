//! Pods with one identity, counted by node: what spread constraints and pod affinity look at instead of single pods.

use std::sync::Arc;

use hashbrown::HashMap;

use super::identity::Identity;
use super::nodes::Slot;

/// Where a set of peers stands.
pub type PeersId = u32;

/// Pods of one identity.
pub struct Peers {
    /// Who they are.
    pub identity: Arc<Identity>,
    members: u32,
    /// How many are on each node.
    pub by_node: HashMap<Slot, Count>,
}

/// Pods on a node.
#[derive(Clone, Copy, Default)]
pub struct Count {
    /// All of them.
    pub all: u32,
    /// Without those being deleted.
    pub staying: u32,
}

/// All sets of peers.
#[derive(Default)]
pub struct AllPeers {
    by_identity: HashMap<Arc<Identity>, PeersId>,
    rows: Vec<Option<Peers>>,
    free: Vec<PeersId>,
    /// Sets with terms about other pods.
    pub with_terms: usize,
}

impl AllPeers {
    /// The sets of peers that there are.
    pub fn iter(&self) -> impl Iterator<Item = &Peers> {
        self.rows.iter().flatten()
    }

    /// The set in a row.
    pub fn get(&self, id: PeersId) -> Option<&Peers> {
        self.rows.get(id as usize).and_then(Option::as_ref)
    }

    /// Counts a pod in, wherever it is.
    pub fn join(&mut self, identity: Identity) -> PeersId {
        let id = self.by_identity.get(&identity).copied().unwrap_or_else(|| {
            let id = self.free.pop().unwrap_or(self.rows.len() as PeersId);
            if id as usize == self.rows.len() {
                self.rows.push(None);
            }
            let identity = Arc::new(identity);
            self.with_terms += usize::from(identity.has_terms());
            self.by_identity.insert(identity.clone(), id);
            self.rows[id as usize] = Some(Peers {
                identity,
                members: 0,
                by_node: HashMap::new(),
            });
            id
        });
        if let Some(peers) = &mut self.rows[id as usize] {
            peers.members += 1;
        }
        id
    }

    /// Counts a pod out; the last one takes the set with it.
    pub fn leave(&mut self, id: PeersId) {
        let Some(peers) = self.rows[id as usize].as_mut() else {
            return;
        };
        peers.members -= 1;
        if peers.members == 0 {
            self.with_terms -= usize::from(peers.identity.has_terms());
            self.by_identity.remove(&peers.identity);
            self.rows[id as usize] = None;
            self.free.push(id);
        }
    }

    /// A pod of the set comes to (or with -1 leaves) a node.
    pub fn count(&mut self, id: PeersId, slot: Slot, staying: bool, sign: i32) {
        let Some(peers) = self.rows[id as usize].as_mut() else {
            return;
        };
        let count = peers.by_node.entry(slot).or_default();
        count.all = count.all.saturating_add_signed(sign);
        if staying {
            count.staying = count.staying.saturating_add_signed(sign);
        }
        if count.all == 0 {
            peers.by_node.remove(&slot);
        }
    }
}
