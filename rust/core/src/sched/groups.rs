//! Replicas that are spread: the pods of one ReplicaSet, StatefulSet or ReplicationController, counted by node.
//!
//! Upstream finds them by the owner's label selector (joined with those of the services that select the pod). A
//! controller adopts or releases pods until exactly those its selector matches carry its owner reference, so the
//! reference is taken here: it needs no look at labels. Pods without such an owner are not spread by default.

use hashbrown::HashMap;

use super::nodes::Slot;
use super::object::Metadata;

/// Where a group stands.
pub type GroupId = u32;

/// Counts of one owner's pods.
pub struct Group {
    owner: Box<str>,
    members: u32,
    /// Pods by node, those being deleted left out.
    pub by_node: HashMap<Slot, u32>,
}

/// All groups.
#[derive(Default)]
pub struct Groups {
    by_owner: HashMap<Box<str>, GroupId>,
    rows: Vec<Option<Group>>,
    free: Vec<GroupId>,
}

/// The uid of the controller whose replicas are spread.
pub fn spreading_owner<'a>(metadata: &'a Metadata) -> Option<&'a str> {
    let owner = metadata
        .owner_references
        .iter()
        .find(|owner| owner.controller)?;
    let kind = (&*owner.api_version, &*owner.kind);
    matches!(
        kind,
        ("apps/v1", "ReplicaSet" | "StatefulSet") | ("v1", "ReplicationController")
    )
    .then_some(&*owner.uid)
}

impl Groups {
    /// The group in a row.
    pub fn get(&self, id: GroupId) -> Option<&Group> {
        self.rows.get(id as usize).and_then(Option::as_ref)
    }

    /// The group of `owner`'s pods, where there are any.
    pub fn find(&self, owner: &str) -> Option<GroupId> {
        self.by_owner.get(owner).copied()
    }

    /// Counts a pod of `owner` in, wherever it is.
    pub fn join(&mut self, owner: &str) -> GroupId {
        let id = self.find(owner).unwrap_or_else(|| {
            let id = self.free.pop().unwrap_or(self.rows.len() as GroupId);
            if id as usize == self.rows.len() {
                self.rows.push(None);
            }
            self.rows[id as usize] = Some(Group {
                owner: owner.into(),
                members: 0,
                by_node: HashMap::new(),
            });
            self.by_owner.insert(owner.into(), id);
            id
        });
        if let Some(group) = &mut self.rows[id as usize] {
            group.members += 1;
        }
        id
    }

    /// Counts a pod out; the last one takes the group with it.
    pub fn leave(&mut self, id: GroupId) {
        let Some(group) = self.rows[id as usize].as_mut() else {
            return;
        };
        group.members -= 1;
        if group.members == 0 {
            self.by_owner.remove(&group.owner);
            self.rows[id as usize] = None;
            self.free.push(id);
        }
    }

    /// A pod of the group comes to (or with -1 leaves) a node.
    pub fn count(&mut self, id: GroupId, slot: Slot, sign: i32) {
        let Some(group) = self.rows[id as usize].as_mut() else {
            return;
        };
        let count = group.by_node.entry(slot).or_insert(0);
        *count = count.saturating_add_signed(sign);
        if *count == 0 {
            group.by_node.remove(&slot);
        }
    }
}
