//! What is read of a Pod as the API serves it: its row of the table, what a queue needs to know, what an update changed.

use std::sync::Arc;

use super::groups::GroupId;
use super::identity::Identity;
use super::object;
use super::peers::PeersId;
use super::pods::Pod;
use super::spec::Spec;

/// What an update of a pod changed, as bits.
pub mod pod_change {
    /// The pod is new.
    pub const ADDED: u32 = 1;
    /// A pending pod asks for something else, so that a refusal may no longer hold.
    pub const SPEC: u32 = 2;
    /// The pod is on a node where the table did not know it.
    pub const ASSIGNED: u32 = 4;
    /// Something became free on a node: a pod ended, went, or asks for less.
    pub const FREED: u32 = 8;
    /// The labels of a pod on a node.
    pub const LABELS: u32 = 16;
}

/// What a queue needs to know of a pod.
#[derive(Debug, Default)]
pub struct PodFacts {
    /// metadata.namespace.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
    /// metadata.uid.
    pub uid: String,
    /// spec.schedulerName.
    pub scheduler_name: String,
    /// spec.priority.
    pub priority: i32,
    /// spec.nodeName, empty while it waits.
    pub node: String,
    /// Whether the table assumes it on a node that the API does not name yet.
    pub assumed: bool,
    /// metadata.generation.
    pub generation: i64,
    /// Whether scheduling gates hold it back.
    pub gated: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Whether it has ended (phase Succeeded or Failed): the table does not keep it.
    pub ended: bool,
    /// status.nominatedNodeName.
    pub nominated: String,
    /// Status, reason and message of its condition PodScheduled.
    pub condition: Option<(String, String, String)>,
    /// What changed (see `pod_change`).
    pub changed: u32,
    /// The node on which something became free; empty for none.
    pub freed: String,
}

/// `namespace/name`.
pub fn key_of(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// A pod of the table, on no node yet.
pub fn row(
    pod: &object::Pod,
    spec: Arc<Spec>,
    group: Option<GroupId>,
    peers: PeersId,
    identity: Arc<Identity>,
) -> Pod {
    Pod {
        key: key_of(&pod.metadata.namespace, &pod.metadata.name).into(),
        uid: (&*pod.metadata.uid).into(),
        spec,
        group,
        peers,
        identity,
        node: None,
        assumed: false,
        terminating: pod.metadata.deletion_timestamp.is_some(),
        profile: 0,
        priority: pod.spec.priority,
        peaceful: &*pod.spec.preemption_policy == "Never",
        started: started(&pod.status.start_time),
        preempted: pod.status.conditions.iter().any(|condition| {
            (&*condition.kind, &*condition.status, &*condition.reason)
                == ("DisruptionTarget", "True", "PreemptionByScheduler")
        }),
        nominated: None,
        nominated_told: None,
    }
}

/// A time of the API (RFC 3339, in UTC) as a number that grows with it; the largest for none.
fn started(time: &str) -> u64 {
    const SECONDS: usize = "2006-01-02T15:04:05".len();
    let digits = time.bytes().take(SECONDS).filter(u8::is_ascii_digit);
    if time.is_empty() {
        u64::MAX
    } else {
        digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    }
}

/// What a queue needs to know of a pod as the API serves it.
pub fn facts_of(pod: &object::Pod) -> PodFacts {
    let condition = pod
        .status
        .conditions
        .iter()
        .find(|condition| &*condition.kind == "PodScheduled");
    PodFacts {
        namespace: pod.metadata.namespace.to_string(),
        name: pod.metadata.name.to_string(),
        uid: pod.metadata.uid.to_string(),
        scheduler_name: pod.spec.scheduler_name.to_string(),
        priority: pod.spec.priority,
        node: pod.spec.node_name.to_string(),
        assumed: false,
        generation: pod.metadata.generation,
        gated: !pod.spec.scheduling_gates.is_empty(),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        nominated: pod.status.nominated_node_name.to_string(),
        ended: matches!(&*pod.status.phase, "Succeeded" | "Failed"),
        condition: condition.map(|c| {
            (
                c.status.to_string(),
                c.reason.to_string(),
                c.message.to_string(),
            )
        }),
        changed: 0,
        freed: String::new(),
    }
}

/// Whether `after` counts in the columns exactly as `before` does.
pub fn same_place(before: &Pod, after: &Pod) -> bool {
    (&before.uid, before.node, before.group, before.peers)
        == (&after.uid, after.node, after.group, after.peers)
        && (before.terminating, before.priority) == (after.terminating, after.priority)
        && Arc::ptr_eq(&before.spec, &after.spec)
}

/// What `after` is that `before` was not, as bits of `pod_change`.
pub fn difference(before: &Pod, after: &Pod) -> u32 {
    let mut changed = 0;
    if before.uid != after.uid {
        changed |= pod_change::ADDED;
    } else if after.node.is_none()
        && (!(Arc::ptr_eq(&before.spec, &after.spec) && before.peers == after.peers)
            // Somebody more important takes the place that was made for it, so it looks for another one.
            || (before.nominated.is_some() && after.nominated.is_none()))
    {
        changed |= pod_change::SPEC;
    }
    if before.node.is_some()
        && before.node == after.node
        && before.identity.labels != after.identity.labels
    {
        changed |= pod_change::LABELS;
    }
    if after.node.is_some() && before.node != after.node {
        changed |= pod_change::ASSIGNED;
    }
    let lighter = before.node == after.node && after.spec.requests.less_than(&before.spec.requests);
    if before.node.is_some() && (before.node != after.node || before.uid != after.uid || lighter) {
        changed |= pod_change::FREED;
    }
    changed
}
