//! What a pod asks of a node. Pods that ask for the same share one `Spec`, and with it the work of filtering.

use std::borrow::Cow;

use super::Malformed;
use super::disks::Disk;
use super::features::needed;
use super::object;
use super::requests::Requests;
use super::selector::{NodeSelector, PreferredTerms};
use super::symbols::{Symbol, Symbols};
use super::taints::Toleration;

/// Everything of a pod's spec that filters and node-local scores depend on.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Spec {
    /// What it requests.
    pub requests: Requests,
    /// Taints it tolerates.
    pub tolerations: Box<[Toleration]>,
    /// spec.nodeSelector and the required node affinity.
    pub selector: NodeSelector,
    /// The preferred node affinity.
    pub preferred: PreferredTerms,
    /// Host ports of its containers and sidecars.
    pub ports: Box<[HostPort]>,
    /// Disks that can be on one node once only.
    pub disks: Box<[Disk]>,
    /// Features that its node must declare, as bits (see `features`).
    pub features: u8,
    /// The images of its containers and init containers, tag included.
    pub images: Box<[Symbol]>,
}

/// A port that is taken on the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The address; `0.0.0.0` (also where none is given) is all of them.
    pub ip: Symbol,
    /// TCP where none is given.
    pub protocol: Symbol,
    /// The port's number.
    pub port: i32,
}

/// Stands for every address of the node.
pub const ALL_ADDRESSES: &str = "0.0.0.0";

impl Spec {
    /// Reads the parts of `pod` that matter; the error names the field.
    pub fn of(pod: &object::Pod, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let affinity = &pod.spec.affinity.node_affinity;
        Ok(Self {
            requests: Requests::of(pod, symbols)?,
            tolerations: pod
                .spec
                .tolerations
                .iter()
                .map(|t| Toleration::of(t, symbols))
                .collect(),
            selector: NodeSelector::of(
                &pod.spec.node_selector,
                affinity
                    .required_during_scheduling_ignored_during_execution
                    .as_ref(),
                symbols,
            ),
            preferred: PreferredTerms::of(
                &affinity.preferred_during_scheduling_ignored_during_execution,
                symbols,
            )?,
            ports: host_ports(pod, symbols),
            disks: Disk::of(pod, symbols),
            features: needed(pod),
            images: images(pod, symbols),
        })
    }
}

fn host_ports(pod: &object::Pod, symbols: &mut Symbols) -> Box<[HostPort]> {
    let sidecars = pod
        .spec
        .init_containers
        .iter()
        .filter(|c| &*c.restart_policy == "Always");
    let ports = sidecars
        .chain(&pod.spec.containers)
        .flat_map(|container| &container.ports);
    ports
        .filter(|port| port.host_port > 0)
        .map(|port| HostPort {
            ip: symbols.intern(or(&port.host_ip, ALL_ADDRESSES)),
            protocol: symbols.intern(or(&port.protocol, "TCP")),
            port: port.host_port,
        })
        .collect()
}

fn images(pod: &object::Pod, symbols: &mut Symbols) -> Box<[Symbol]> {
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    containers
        .map(|container| symbols.intern(&with_tag(&container.image)))
        .collect()
}

/// An image's name as nodes list it; a name without a tag is that of the tag latest.
fn with_tag(image: &str) -> Cow<'_, str> {
    let tagged = image.rfind(':') > image.rfind('/');
    if tagged {
        image.into()
    } else {
        format!("{image}:latest").into()
    }
}

fn or<'t>(text: &'t str, default: &'t str) -> &'t str {
    if text.is_empty() { default } else { text }
}
