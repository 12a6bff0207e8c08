//! Features that a node must declare (status.declaredFeatures) so that certain pods can run there, as bits.
//!
//! Which pod needs which is component-helpers' `nodedeclaredfeatures`, InferForScheduling.

use super::object::{Pod, Text};

/// Containers with a restart rule RestartAllContainers.
const RESTART_ALL: (&str, u8) = ("RestartAllContainersOnContainerExits", 1);
/// A user namespace beside the host's network.
const HOST_NETWORK_USERS: (&str, u8) = ("UserNamespacesHostNetworkSupport", 2);

/// What the pod needs.
pub fn needed(pod: &Pod) -> u8 {
    let spec = &pod.spec;
    let mut containers = spec.containers.iter().chain(&spec.init_containers);
    let restarts_all = containers.any(|container| {
        let mut rules = container.restart_policy_rules.iter();
        rules.any(|rule| &*rule.action == "RestartAllContainers")
    });
    let users = spec.host_network && spec.host_users == Some(false);
    (u8::from(restarts_all) * RESTART_ALL.1) | (u8::from(users) * HOST_NETWORK_USERS.1)
}

/// What a node declares, as far as pods may need it.
pub fn declared(features: &[Text]) -> u8 {
    let bit = |(name, bit)| {
        let has = features.iter().any(|declared| &**declared == name);
        u8::from(has) * bit
    };
    bit(RESTART_ALL) | bit(HOST_NETWORK_USERS)
}
