//! The nodes as columns: one slot a node, one vector a property, so that filters and scores run over plain arrays.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use hashbrown::HashMap;

use super::Malformed;
use super::balance::balance;
use super::features::declared;
use super::numbers::Numbers;
use super::object;
use super::pods::PodId;
use super::quantity::Quantity;
use super::requests::{Requests, is_scalar};
use super::selector::{Labels, NodeView, label};
use super::spec::HostPort;
use super::symbols::{Symbol, Symbols};
use super::taints::{Effect, Taint};

/// Where a node stands in the columns.
pub type Slot = u32;

/// What an update of a node changed of that which scheduling looks at.
pub mod change {
    /// The node is new.
    pub const ADDED: u32 = 1;
    /// Allocatable resources.
    pub const ALLOCATABLE: u32 = 2;
    /// Labels.
    pub const LABELS: u32 = 4;
    /// Taints.
    pub const TAINTS: u32 = 8;
    /// spec.unschedulable.
    pub const UNSCHEDULABLE: u32 = 16;
    /// status.declaredFeatures, as far as pods may need them.
    pub const FEATURES: u32 = 64;
    /// The images on the node, which concern scores alone.
    pub const IMAGES: u32 = 32;
}

/// A resource on every node: what may be used and what pods request of it.
#[derive(Default)]
pub struct Column {
    /// status.allocatable.
    pub allocatable: Numbers,
    /// The sum over the pods on the node, assumed ones included.
    pub requested: Numbers,
}

impl Column {
    fn resize(&mut self, slots: usize) {
        self.allocatable.resize(slots);
        self.requested.resize(slots);
    }
}

/// Names and sizes of images, sorted by name.
pub type Images = Box<[(Symbol, i64)]>;

/// Taints that several nodes have alike.
pub type TaintSet = u32;

/// Host ports taken on a node, with the number of pods that take each.
#[derive(Default)]
pub struct Ports(Vec<(HostPort, u32)>);

impl Ports {
    fn add(&mut self, port: HostPort) {
        match self.0.iter_mut().find(|(p, _)| *p == port) {
            Some((_, count)) => *count += 1,
            None => self.0.push((port, 1)),
        }
    }

    fn remove(&mut self, port: HostPort) {
        if let Some(at) = self.0.iter().position(|(p, _)| *p == port) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.swap_remove(at);
            }
        }
    }

    /// Whether `port` is taken: by the same protocol and number on the same address, or where either is all of them.
    pub fn conflicts(&self, port: HostPort, all_addresses: Symbol) -> bool {
        self.0.iter().any(|(taken, _)| {
            (taken.protocol, taken.port) == (port.protocol, port.port)
                && (taken.ip == port.ip || taken.ip == all_addresses || port.ip == all_addresses)
        })
    }
}

/// All nodes. A slot also stands for a node that is not there (yet) while pods are bound to it.
#[derive(Default)]
pub struct Nodes {
    by_name: HashMap<Symbol, Slot>,
    free: BinaryHeap<Reverse<Slot>>,
    count: usize,
    /// Counts the changes of which node is in which slot.
    pub layout: u64,
    /// Names.
    pub name: Vec<Symbol>,
    /// Whether the Node object exists.
    pub present: Vec<bool>,
    /// spec.unschedulable.
    pub unschedulable: Vec<bool>,
    /// Labels, sorted by key.
    pub labels: Vec<Labels>,
    /// Index into `taint_sets`.
    pub taints: Vec<TaintSet>,
    /// The distinct lists of taints. The first is the empty one.
    pub taint_sets: Vec<Box<[Taint]>>,
    /// Number of nodes with a taint of effect PreferNoSchedule.
    pub discouraged: usize,
    /// The label topology.kubernetes.io/zone as a number from 1; 0 without it.
    pub zone: Vec<u32>,
    /// Zone labels met so far.
    pub zones: Vec<Symbol>,
    /// Whether the node has the label kubernetes.io/hostname.
    pub hostname: Vec<bool>,
    /// CPU in thousandths.
    pub cpu: Column,
    /// Memory in bytes.
    pub memory: Column,
    /// Ephemeral storage in bytes.
    pub ephemeral: Column,
    /// Number of pods: allowed and there.
    pub pods: Column,
    /// CPU requested, counting pods without a request with a default: what scores look at.
    pub nonzero_cpu: Numbers,
    /// The same for memory.
    pub nonzero_memory: Numbers,
    /// How evenly CPU and memory are used as it is: the same for every pod that may come (see `balance`).
    pub balance: Vec<i32>,
    /// Extended resources and their like.
    pub scalars: Vec<(Symbol, Column)>,
    /// status.declaredFeatures as bits (see `features`).
    pub features: Vec<u8>,
    /// Images on the node by name, each with its size in bytes, sorted.
    pub images: Vec<Images>,
    /// How many nodes have each image.
    pub image_holders: HashMap<Symbol, u32>,
    /// Host ports taken.
    pub ports: Vec<Ports>,
    /// The pods on the node.
    pub residents: Vec<Vec<PodId>>,
}

/// A node's object, read but not yet in the columns.
pub struct NodeFacts {
    name: Symbol,
    unschedulable: bool,
    labels: Labels,
    taints: Box<[Taint]>,
    cpu: i64,
    memory: i64,
    ephemeral: i64,
    pods: i64,
    scalars: Vec<(Symbol, i64)>,
    images: Images,
    features: u8,
}

impl NodeFacts {
    /// Reads a Node; the error names the field.
    pub fn of(node: &object::Node, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let mut facts = Self {
            name: symbols.intern(&node.metadata.name),
            unschedulable: node.spec.unschedulable,
            labels: Labels::default(),
            taints: node
                .spec
                .taints
                .iter()
                .map(|taint| Taint::of(taint, symbols))
                .collect(),
            cpu: 0,
            memory: 0,
            ephemeral: 0,
            pods: 0,
            scalars: Vec::new(),
            images: images_of(&node.status.images, symbols),
            features: declared(&node.status.declared_features),
        };
        if node.metadata.name.is_empty() {
            return Err(Malformed(
                "metadata.name: Required value: name or generateName is required".into(),
            ));
        }
        let mut labels: Vec<_> = node
            .metadata
            .labels
            .0
            .iter()
            .map(|(k, v)| (symbols.intern(k), symbols.intern(v)))
            .collect();
        labels.sort_unstable();
        facts.labels = labels.into();
        for (name, amount) in &node.status.allocatable.0 {
            let quantity = Quantity::parse(&amount.0).map_err(|error| {
                Malformed(format!(
                    "status.allocatable[{}]: Invalid value: {:?}: {error}",
                    &**name, &*amount.0
                ))
            })?;
            match &**name {
                "cpu" => facts.cpu = quantity.milli(),
                "memory" => facts.memory = quantity.value(),
                "ephemeral-storage" => facts.ephemeral = quantity.value(),
                "pods" => facts.pods = quantity.value(),
                name if is_scalar(name) => {
                    facts.scalars.push((symbols.intern(name), quantity.value()))
                }
                _ => {}
            }
        }
        Ok(facts)
    }
}

impl Nodes {
    /// Number of slots; some may stand empty.
    pub fn slots(&self) -> usize {
        self.name.len()
    }

    /// Number of nodes that exist.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All slots.
    pub fn all(&self) -> Range<usize> {
        0..self.slots()
    }

    /// The slot of a node's name.
    pub fn find(&self, name: Symbol) -> Option<Slot> {
        self.by_name.get(&name).copied()
    }

    /// What a selector sees of a node.
    pub fn view<'a>(&'a self, slot: usize, symbols: &'a Symbols) -> NodeView<'a> {
        NodeView {
            name: self.name[slot],
            labels: &self.labels[slot],
            symbols,
        }
    }

    /// The taints of a node.
    pub fn taints_of(&self, slot: usize) -> &[Taint] {
        &self.taint_sets[self.taints[slot] as usize]
    }

    /// The column of the scalar resource `name`, where any node or pod has it.
    pub fn scalar(&self, name: Symbol) -> Option<&Column> {
        self.scalars
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, column)| column)
    }

    /// The slot for `name`, the lowest free one where it has none yet.
    pub fn slot_for(&mut self, name: Symbol) -> Slot {
        if let Some(slot) = self.find(name) {
            return slot;
        }
        let slot = self
            .free
            .pop()
            .map_or(self.slots() as Slot, |Reverse(slot)| slot);
        if slot as usize == self.slots() {
            self.grow();
        }
        self.layout += 1;
        self.name[slot as usize] = name;
        self.by_name.insert(name, slot);
        slot
    }

    fn grow(&mut self) {
        let slots = self.slots() + 1;
        if self.taint_sets.is_empty() {
            self.taint_sets.push(Box::default());
        }
        self.name.resize(slots, Symbol::EMPTY);
        self.present.resize(slots, false);
        self.unschedulable.resize(slots, false);
        self.labels.resize(slots, Labels::default());
        self.taints.resize(slots, 0);
        self.zone.resize(slots, 0);
        self.hostname.resize(slots, false);
        for column in [
            &mut self.cpu,
            &mut self.memory,
            &mut self.ephemeral,
            &mut self.pods,
        ] {
            column.resize(slots);
        }
        self.nonzero_cpu.resize(slots);
        self.nonzero_memory.resize(slots);
        self.balance.resize(slots, balance((0, 0), (0, 0)));
        for (_, column) in &mut self.scalars {
            column.resize(slots);
        }
        self.features.resize(slots, 0);
        self.images.resize(slots, Images::default());
        self.ports.resize_with(slots, Ports::default);
        self.residents.resize_with(slots, Vec::new);
    }

    /// Takes over what the Node object says. Returns its slot and what changed (see `change`).
    pub fn upsert(
        &mut self,
        facts: NodeFacts,
        zone_key: Symbol,
        hostname_key: Symbol,
    ) -> (Slot, u32) {
        let slot = self.slot_for(facts.name);
        let at = slot as usize;
        let mut changed = 0;
        if !self.present[at] {
            self.present[at] = true;
            self.layout += 1;
            self.count += 1;
            changed |= change::ADDED;
        }
        if self.unschedulable[at] != facts.unschedulable {
            self.unschedulable[at] = facts.unschedulable;
            changed |= change::UNSCHEDULABLE;
        }
        if self.taints_of(at) != &*facts.taints {
            self.set_taints(at, facts.taints);
            changed |= change::TAINTS;
        }
        if self.labels[at] != facts.labels {
            self.hostname[at] = label(&facts.labels, hostname_key).is_some();
            self.zone[at] = label(&facts.labels, zone_key).map_or(0, |zone| self.zone_number(zone));
            self.labels[at] = facts.labels;
            changed |= change::LABELS;
        }
        if self.features[at] != facts.features {
            self.features[at] = facts.features;
            changed |= change::FEATURES;
        }
        if self.images[at] != facts.images {
            self.set_images(at, facts.images);
            changed |= change::IMAGES;
        }
        let mut set = |column: &mut Column, amount: i64| {
            if column.allocatable[at] != amount {
                column.allocatable[at] = amount;
                changed |= change::ALLOCATABLE;
            }
        };
        set(&mut self.cpu, facts.cpu);
        set(&mut self.memory, facts.memory);
        set(&mut self.ephemeral, facts.ephemeral);
        set(&mut self.pods, facts.pods);
        for &(name, _) in &facts.scalars {
            scalar_column(&mut self.scalars, self.name.len(), name);
        }
        for (name, column) in &mut self.scalars {
            set(
                column,
                facts
                    .scalars
                    .iter()
                    .find(|(n, _)| n == name)
                    .map_or(0, |&(_, amount)| amount),
            );
        }
        self.weigh(at);
        (slot, changed)
    }

    fn weigh(&mut self, at: usize) {
        self.balance[at] = balance(
            (self.cpu.allocatable[at], self.cpu.requested[at]),
            (self.memory.allocatable[at], self.memory.requested[at]),
        );
    }

    fn set_images(&mut self, at: usize, images: Images) {
        for (name, _) in std::mem::replace(&mut self.images[at], images) {
            if let Some(holders) = self.image_holders.get_mut(&name) {
                *holders -= 1;
                if *holders == 0 {
                    self.image_holders.remove(&name);
                }
            }
        }
        for &(name, _) in &self.images[at] {
            *self.image_holders.entry(name).or_insert(0) += 1;
        }
    }

    fn set_taints(&mut self, at: usize, taints: Box<[Taint]>) {
        let discouraging =
            |taints: &[Taint]| taints.iter().any(|t| t.effect == Effect::PreferNoSchedule) as usize;
        self.discouraged -= discouraging(self.taints_of(at));
        self.discouraged += discouraging(&taints);
        let known = self.taint_sets.iter().position(|set| *set == taints);
        let known = known.or_else(|| {
            // A list that no node has any more makes room, so that passing taints do not pile up.
            let unused = (1..self.taint_sets.len())
                .find(|&set| !self.taints.contains(&(set as TaintSet)))?;
            self.taint_sets[unused] = taints.clone();
            Some(unused)
        });
        self.taints[at] = known.unwrap_or_else(|| {
            self.taint_sets.push(taints);
            self.taint_sets.len() - 1
        }) as TaintSet;
    }

    fn zone_number(&mut self, zone: Symbol) -> u32 {
        let known = self.zones.iter().position(|&z| z == zone);
        known.unwrap_or_else(|| {
            self.zones.push(zone);
            self.zones.len() - 1
        }) as u32
            + 1
    }

    /// Forgets the Node object; its slot stays while pods are bound to the name.
    pub fn remove(&mut self, slot: Slot) {
        let at = slot as usize;
        self.set_taints(at, Box::default());
        self.set_images(at, Images::default());
        self.features[at] = 0;
        self.present[at] = false;
        self.layout += 1;
        self.count -= 1;
        self.unschedulable[at] = false;
        self.labels[at] = Labels::default();
        self.zone[at] = 0;
        self.hostname[at] = false;
        for column in [
            &mut self.cpu,
            &mut self.memory,
            &mut self.ephemeral,
            &mut self.pods,
        ] {
            column.allocatable[at] = 0;
        }
        for (_, column) in &mut self.scalars {
            column.allocatable[at] = 0;
        }
        self.weigh(at);
        self.release(slot);
    }

    /// Frees a slot that stands for nothing any more.
    fn release(&mut self, slot: Slot) {
        let at = slot as usize;
        if !self.present[at] && self.residents[at].is_empty() {
            self.by_name.remove(&self.name[at]);
            self.name[at] = Symbol::EMPTY;
            self.free.push(Reverse(slot));
        }
    }

    /// Counts a pod in.
    pub fn place(&mut self, slot: Slot, pod: PodId, requests: &Requests, ports: &[HostPort]) {
        self.residents[slot as usize].push(pod);
        self.account(slot, requests, 1);
        for &port in ports {
            self.ports[slot as usize].add(port);
        }
    }

    /// Counts a pod out.
    pub fn displace(&mut self, slot: Slot, pod: PodId, requests: &Requests, ports: &[HostPort]) {
        let residents = &mut self.residents[slot as usize];
        if let Some(at) = residents.iter().position(|&resident| resident == pod) {
            residents.swap_remove(at);
        }
        self.account(slot, requests, -1);
        for &port in ports {
            self.ports[slot as usize].remove(port);
        }
        self.release(slot);
    }

    fn account(&mut self, slot: Slot, requests: &Requests, sign: i64) {
        let at = slot as usize;
        self.cpu.requested[at] += sign * requests.cpu;
        self.memory.requested[at] += sign * requests.memory;
        self.ephemeral.requested[at] += sign * requests.ephemeral;
        self.pods.requested[at] += sign;
        self.nonzero_cpu[at] += sign * requests.nonzero_cpu;
        self.nonzero_memory[at] += sign * requests.nonzero_memory;
        for &(name, amount) in &requests.scalars {
            scalar_column(&mut self.scalars, self.name.len(), name).requested[at] += sign * amount;
        }
        self.weigh(at);
    }
}

fn images_of(images: &[object::Image], symbols: &mut Symbols) -> Images {
    let names = images
        .iter()
        .flat_map(|image| image.names.iter().map(|name| (name, image.size_bytes)));
    let mut sorted: Vec<_> = names
        .map(|(name, size)| (symbols.intern(name), size))
        .collect();
    sorted.sort_unstable();
    sorted.dedup_by_key(|&mut (name, _)| name);
    sorted.into()
}

fn scalar_column(scalars: &mut Vec<(Symbol, Column)>, slots: usize, name: Symbol) -> &mut Column {
    let at = scalars
        .iter()
        .position(|(n, _)| *n == name)
        .unwrap_or_else(|| {
            let mut column = Column::default();
            column.resize(slots);
            scalars.push((name, column));
            scalars.len() - 1
        });
    &mut scalars[at].1
}
