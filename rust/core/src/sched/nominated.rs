//! Pods that wait for room on a node that preemption is making for them (status.nominatedNodeName).

use hashbrown::HashMap;

use super::filter::{self, ABSENT, Refusal, Verdict};
use super::nodes::Slot;
use super::pods::{PodId, Subject};
use super::symbols::Symbol;
use super::table::Table;

/// The waiting pods by the node that they are nominated for.
#[derive(Default)]
pub struct Nominated(HashMap<Symbol, Vec<PodId>>);

impl Nominated {
    /// Adds a pod.
    pub fn add(&mut self, node: Symbol, id: PodId) {
        self.0.entry(node).or_default().push(id);
    }

    /// Takes a pod out.
    pub fn remove(&mut self, node: Symbol, id: PodId) {
        if let Some(pods) = self.0.get_mut(&node) {
            pods.retain(|&pod| pod != id);
            if pods.is_empty() {
                self.0.remove(&node);
            }
        }
    }

    /// The pods nominated for a node.
    pub fn on(&self, node: Symbol) -> &[PodId] {
        self.0.get(&node).map_or(&[], Vec::as_slice)
    }

    /// The nodes that some pod is nominated for.
    pub fn nodes(&self) -> impl Iterator<Item = Symbol> {
        self.0.keys().copied()
    }
}

/// A node that refuses a pod because of pods that are nominated for it.
pub struct Held {
    /// Where.
    pub slot: Slot,
    /// The plug-in that refuses.
    pub plugin: &'static str,
    /// Its reasons.
    pub refusal: Refusal,
}

/// The nodes that refuse `subject` once those nominated for them, of the same priority or a higher one, are counted in.
pub fn held(table: &mut Table, subject: &Subject) -> Vec<Held> {
    let slots: Vec<Slot> = table
        .nominated
        .nodes()
        .filter_map(|name| table.nodes.find(name))
        .filter(|&slot| table.nodes.present[slot as usize])
        .collect();
    let held = slots.into_iter().filter_map(|slot| {
        let (plugin, refusal) = with_nominated(table, subject, slot)?;
        Some(Held {
            slot,
            plugin,
            refusal,
        })
    });
    held.collect()
}

/// What refuses `subject` on a node, first with the pods nominated for it and then without: both must let it in, since
/// those nominated may never come.
pub fn refused(
    table: &mut Table,
    subject: &Subject,
    slot: Slot,
) -> Option<(&'static str, Refusal)> {
    with_nominated(table, subject, slot).or_else(|| refused_alone(table, subject, slot))
}

fn with_nominated(
    table: &mut Table,
    subject: &Subject,
    slot: Slot,
) -> Option<(&'static str, Refusal)> {
    let counts = |id: &PodId| {
        let pod = table.pods.get(*id);
        pod.is_some_and(|pod| pod.priority >= subject.priority && *pod.uid != *subject.uid)
    };
    let name = table.nodes.name[slot as usize];
    let pods: Vec<PodId> = table.nominated.on(name).to_vec();
    let pods: Vec<PodId> = pods.into_iter().filter(counts).collect();
    if pods.is_empty() {
        return None;
    }
    pods.iter().for_each(|&id| table.count_at(id, slot, 1));
    let refusal = refused_alone(table, subject, slot);
    pods.iter().for_each(|&id| table.count_at(id, slot, -1));
    refusal
}

fn refused_alone(table: &Table, subject: &Subject, slot: Slot) -> Option<(&'static str, Refusal)> {
    let at = slot as usize;
    let mut verdict: [Verdict; 1] = [ABSENT];
    let checks = filter::prepare(table, subject);
    filter::run_node(table, subject, at..at + 1, &mut verdict);
    filter::run_cluster(&checks, at..at + 1, &mut verdict);
    filter::explain(table, subject, &checks, at, verdict[0])
}
