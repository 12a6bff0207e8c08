//! The fields of Node and Pod that scheduling reads, straight from the API's JSON; everything else is passed over.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::Malformed;

/// Decodes an object's JSON. The error names the field.
pub fn decode<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(json).or_else(|_| {
        // The path costs time, so it is looked for only once something is known to be wrong.
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            Malformed(if path == "." {
                inner.to_string()
            } else {
                format!("{path}: {inner}")
            })
        })
    })
}

/// A text, borrowed from the JSON where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

struct TextVisitor {
    numbers: bool,
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
        self.number(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
        self.number(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text<'de>, E> {
        self.number(number.to_string())
    }
}

impl TextVisitor {
    fn number<'de, E: Error>(self, digits: String) -> Result<Text<'de>, E> {
        if self.numbers {
            Ok(Text(Cow::Owned(digits)))
        } else {
            Err(E::custom("expected a string, found a number"))
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor { numbers: false })
    }
}

/// A quantity's text; JSON numbers are taken too, as upstream does.
#[derive(Clone, Debug, Default)]
pub struct Amount<'a>(pub Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Amount<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(TextVisitor { numbers: true })
            .map(Amount)
    }
}

/// A JSON object as a list of its members, in their order.
#[derive(Clone, Debug)]
pub struct Map<'a, V>(pub Vec<(Text<'a>, V)>);

impl<V> Default for Map<'_, V> {
    fn default() -> Self {
        Map(Vec::new())
    }
}

impl<'a, V> Map<'a, V> {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.0.iter().find(|(k, _)| &**k == key).map(|(_, v)| v)
    }
}

struct MapVisitor<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
    type Value = Map<'de, V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(access.size_hint().unwrap_or(4));
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Map(members))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Map::default())
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Map<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapVisitor(std::marker::PhantomData))
    }
}

/// null is the zero value, as in Go.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Declares structs whose fields may be absent or null.
macro_rules! objects {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
        #[allow(missing_docs)]
        pub struct $name<'a> {
            $($(#[$attr])* #[serde(deserialize_with = "nullable")] pub $field: $type,)*
        }
    )*};
}

objects! {
    /// core/v1 Node.
    struct Node { metadata: Metadata<'a>, spec: NodeSpec<'a>, status: NodeStatus<'a>, }
    /// meta/v1 ObjectMeta.
    struct Metadata {
        name: Text<'a>, namespace: Text<'a>, uid: Text<'a>, generation: i64, labels: Map<'a, Text<'a>>,
        deletion_timestamp: Option<Text<'a>>, owner_references: Vec<OwnerReference<'a>>,
    }
    /// meta/v1 OwnerReference.
    struct OwnerReference { api_version: Text<'a>, kind: Text<'a>, uid: Text<'a>, controller: bool, }
    /// core/v1 NodeSpec.
    struct NodeSpec { unschedulable: bool, taints: Vec<Taint<'a>>, }
    /// core/v1 Taint.
    struct Taint { key: Text<'a>, value: Text<'a>, effect: Text<'a>, }
    /// core/v1 NodeStatus.
    struct NodeStatus { allocatable: Map<'a, Amount<'a>>, images: Vec<Image<'a>>, declared_features: Vec<Text<'a>>, }
    /// core/v1 ContainerImage.
    struct Image { names: Vec<Text<'a>>, size_bytes: i64, }
    /// core/v1 Pod.
    struct Pod { metadata: Metadata<'a>, spec: PodSpec<'a>, status: PodStatus<'a>, }
    /// core/v1 PodSpec.
    struct PodSpec {
        node_name: Text<'a>, scheduler_name: Text<'a>, priority: i32, preemption_policy: Text<'a>,
        scheduling_gates: Vec<Gate<'a>>, node_selector: Map<'a, Text<'a>>, affinity: Affinity<'a>,
        tolerations: Vec<Toleration<'a>>, containers: Vec<Container<'a>>, init_containers: Vec<Container<'a>>,
        overhead: Map<'a, Amount<'a>>, resources: Resources<'a>,
        topology_spread_constraints: Vec<SpreadConstraint<'a>>, volumes: Vec<Volume<'a>>,
        host_network: bool, host_users: Option<bool>,
    }
    /// core/v1 Volume, as far as nodes can have it once only.
    struct Volume {
        gce_persistent_disk: Option<GceDisk<'a>>, aws_elastic_block_store: Option<EbsVolume<'a>>,
        iscsi: Option<IscsiDisk<'a>>, rbd: Option<RbdImage<'a>>,
    }
    /// core/v1 GCEPersistentDiskVolumeSource.
    struct GceDisk { pd_name: Text<'a>, read_only: bool, }
    /// core/v1 AWSElasticBlockStoreVolumeSource.
    struct EbsVolume { #[serde(rename = "volumeID")] volume_id: Text<'a>, }
    /// core/v1 ISCSIVolumeSource.
    struct IscsiDisk { iqn: Text<'a>, read_only: bool, }
    /// core/v1 RBDVolumeSource.
    struct RbdImage { monitors: Vec<Text<'a>>, image: Text<'a>, pool: Text<'a>, read_only: bool, }
    /// core/v1 ContainerRestartRule.
    struct RestartRule { action: Text<'a>, }
    /// core/v1 TopologySpreadConstraint.
    struct SpreadConstraint {
        max_skew: i32, topology_key: Text<'a>, when_unsatisfiable: Text<'a>,
        label_selector: Option<LabelSelector<'a>>, min_domains: Option<i32>, match_label_keys: Vec<Text<'a>>,
        node_affinity_policy: Text<'a>, node_taints_policy: Text<'a>,
    }
    /// meta/v1 LabelSelector.
    struct LabelSelector { match_labels: Map<'a, Text<'a>>, match_expressions: Vec<Requirement<'a>>, }
    /// core/v1 PodAffinity or PodAntiAffinity.
    struct PodAffinity {
        required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm<'a>>,
        preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm<'a>>,
    }
    /// core/v1 WeightedPodAffinityTerm.
    struct WeightedPodAffinityTerm { weight: i32, pod_affinity_term: PodAffinityTerm<'a>, }
    /// core/v1 PodAffinityTerm. The API server has merged matchLabelKeys and mismatchLabelKeys into the selector.
    struct PodAffinityTerm {
        label_selector: Option<LabelSelector<'a>>, namespaces: Vec<Text<'a>>, topology_key: Text<'a>,
        namespace_selector: Option<LabelSelector<'a>>,
    }
    /// policy/v1 PodDisruptionBudget.
    struct Budget { metadata: Metadata<'a>, spec: BudgetSpec<'a>, status: BudgetStatus<'a>, }
    /// policy/v1 PodDisruptionBudgetSpec.
    struct BudgetSpec { selector: Option<LabelSelector<'a>>, }
    /// policy/v1 PodDisruptionBudgetStatus.
    struct BudgetStatus { disruptions_allowed: i32, disrupted_pods: Map<'a, Text<'a>>, }
    /// core/v1 Namespace.
    struct Namespace { metadata: Metadata<'a>, }
    /// core/v1 PodSchedulingGate.
    struct Gate { name: Text<'a>, }
    /// core/v1 Affinity.
    struct Affinity {
        node_affinity: NodeAffinity<'a>, pod_affinity: PodAffinity<'a>, pod_anti_affinity: PodAffinity<'a>,
    }
    /// core/v1 NodeAffinity.
    struct NodeAffinity {
        required_during_scheduling_ignored_during_execution: Option<NodeSelector<'a>>,
        preferred_during_scheduling_ignored_during_execution: Vec<PreferredTerm<'a>>,
    }
    /// core/v1 NodeSelector.
    struct NodeSelector { node_selector_terms: Vec<SelectorTerm<'a>>, }
    /// core/v1 NodeSelectorTerm.
    struct SelectorTerm { match_expressions: Vec<Requirement<'a>>, match_fields: Vec<Requirement<'a>>, }
    /// core/v1 NodeSelectorRequirement and meta/v1 LabelSelectorRequirement.
    struct Requirement { key: Text<'a>, operator: Text<'a>, values: Vec<Text<'a>>, }
    /// core/v1 PreferredSchedulingTerm.
    struct PreferredTerm { weight: i32, preference: SelectorTerm<'a>, }
    /// core/v1 Toleration.
    struct Toleration { key: Text<'a>, operator: Text<'a>, value: Text<'a>, effect: Text<'a>, }
    /// core/v1 Container.
    struct Container {
        name: Text<'a>, image: Text<'a>, restart_policy: Text<'a>, resources: Resources<'a>,
        ports: Vec<Port<'a>>, restart_policy_rules: Vec<RestartRule<'a>>,
    }
    /// core/v1 ResourceRequirements.
    struct Resources { requests: Map<'a, Amount<'a>>, }
    /// core/v1 ContainerPort.
    struct Port {
        host_port: i32, protocol: Text<'a>,
        #[serde(rename = "hostIP")] host_ip: Text<'a>,
    }
    /// core/v1 PodStatus.
    struct PodStatus {
        phase: Text<'a>, nominated_node_name: Text<'a>, start_time: Text<'a>, conditions: Vec<Condition<'a>>,
        container_statuses: Vec<ContainerStatus<'a>>, init_container_statuses: Vec<ContainerStatus<'a>>,
    }
    /// core/v1 PodCondition.
    struct Condition {
        #[serde(rename = "type")] kind: Text<'a>,
        status: Text<'a>, reason: Text<'a>, message: Text<'a>,
    }
    /// core/v1 ContainerStatus.
    struct ContainerStatus {
        name: Text<'a>, allocated_resources: Option<Map<'a, Amount<'a>>>, resources: Option<StatusResources<'a>>,
    }
    /// core/v1 ResourceRequirements of a status: requests may be absent.
    struct StatusResources { requests: Option<Map<'a, Amount<'a>>>, }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn null_and_absent_are_zero() {
        let pod: Pod =
            decode(br#"{"metadata":{"name":"a\u0041","labels":null},"spec":{"containers":null,"priority":null}}"#)
                .unwrap();
        assert_eq!(&*pod.metadata.name, "aA");
        assert_eq!(pod.spec.priority, 0);
        assert!(pod.spec.containers.is_empty());
    }

    #[test]
    fn an_error_names_the_field() {
        let error = decode::<Pod>(br#"{"spec":{"containers":[{"ports":[{"hostPort":"x"}]}]}}"#)
            .unwrap_err();
        assert!(
            error
                .0
                .starts_with("spec.containers[0].ports[0].hostPort: invalid type"),
            "{}",
            error.0
        );
        let error = decode::<Node>(b"{\"spec\":").unwrap_err();
        assert!(error.0.contains("EOF"), "{}", error.0);
    }

    #[test]
    fn quantities_may_be_numbers_but_texts_may_not() {
        let node: Node = decode(br#"{"status":{"allocatable":{"cpu":2,"memory":"1Gi"}}}"#).unwrap();
        assert_eq!(&*node.status.allocatable.get("cpu").unwrap().0, "2");
        assert!(decode::<Node>(br#"{"metadata":{"name":2}}"#).is_err());
    }
}
