//! A profile: the filters and scores, with weights and arguments, that the pods of one spec.schedulerName are decided by.
//!
//! It is read from JSON that the configuration's reader has made of a KubeSchedulerProfile: plug-ins in their order,
//! defaults filled in, everything validated. Plug-ins that are not the core's own are passed over.

use serde::Deserialize;

use super::Malformed;
use super::filter::{CHAIN, Step};
use super::identity::Constraint;
use super::labels::Labels;
use super::object::{self, SpreadConstraint, decode};
use super::score::{self, Score};
use super::selector::{NodeSelector, PreferredTerms};
use super::symbols::{Symbol, Symbols};

/// Where a profile stands among the profiles of a core.
pub type ProfileId = u16;

/// spec.schedulerName of pods that name none.
pub const DEFAULT_NAME: &str = "default-scheduler";

/// What the pods of one spec.schedulerName are decided by.
pub struct Profile {
    /// Its place among the profiles of its core.
    pub id: ProfileId,
    /// spec.schedulerName.
    pub name: Box<str>,
    /// The filters in their order; the first that refuses a node gives the reasons.
    pub filters: Vec<Step>,
    /// The scores, each with its weight.
    pub scores: Vec<(&'static dyn Score, i32)>,
    /// Whether node affinity narrows the nodes down before any filter (NodeAffinity at the point preFilter).
    pub names_nodes: bool,
    /// Whether a refused pod may push others out (DefaultPreemption at the point postFilter).
    pub preempts: bool,
    /// NodeResourcesFitArgs.
    pub fit: FitArgs,
    /// NodeResourcesBalancedAllocationArgs: the resources to be balanced.
    pub balanced: Vec<Resource>,
    /// NodeAffinityArgs.addedAffinity, required.
    pub enforced: NodeSelector,
    /// NodeAffinityArgs.addedAffinity, preferred.
    pub added_preferred: PreferredTerms,
    /// InterPodAffinityArgs.
    pub pod_affinity: PodAffinityArgs,
    /// PodTopologySpreadArgs: the constraints of pods that have none of their own. None: the system's.
    pub spread: Option<Vec<Constraint>>,
}

/// NodeResourcesFitArgs.
pub struct FitArgs {
    /// Extended resources that the filter does not look at.
    pub ignored: Vec<Symbol>,
    /// The same by the part of their names before the slash.
    pub ignored_groups: Vec<Box<str>>,
    /// How the score looks at a resource.
    pub strategy: Strategy,
    /// The resources that are scored, with their weights.
    pub resources: Vec<(Resource, i64)>,
}

/// ScoringStrategyType.
#[derive(Debug, PartialEq)]
pub enum Strategy {
    /// The more is free, the better.
    LeastAllocated,
    /// The less is free, the better.
    MostAllocated,
    /// As a shape says: points of (used hundredths, score of 100), in rising order.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// InterPodAffinityArgs.
pub struct PodAffinityArgs {
    /// What a pod's required affinity weighs for those that it wants near.
    pub hard_weight: i32,
    /// Whether the wishes of pods that are there already do not count for a pod without wishes.
    pub ignores_preferred_of_existing: bool,
}

/// A resource as scores know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// cpu.
    Cpu,
    /// memory.
    Memory,
    /// ephemeral-storage.
    Ephemeral,
    /// Any other.
    Scalar(Symbol),
}

impl Resource {
    fn of(name: &str, symbols: &mut Symbols) -> Self {
        match name {
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            "ephemeral-storage" => Self::Ephemeral,
            other => Self::Scalar(symbols.intern(other)),
        }
    }
}

/// The highest score in a shape (upstream's MaxCustomPriorityScore).
const MAX_SHAPE_SCORE: i64 = 10;

/// What the configuration's reader says of one profile.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
#[derive(Default)]
struct Stated<'a> {
    scheduler_name: String,
    pre_filter: Vec<String>,
    filter: Vec<String>,
    post_filter: Vec<String>,
    score: Vec<Weighted>,
    args: Args<'a>,
}

/// A plug-in or a resource, and its weight.
#[derive(Deserialize)]
struct Weighted {
    name: String,
    weight: i64,
}

/// pluginConfig, by plug-in.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, bound(deserialize = "'de: 'a"))]
struct Args<'a> {
    node_resources_fit: Fit,
    node_resources_balanced_allocation: Balanced,
    node_affinity: Affinity<'a>,
    inter_pod_affinity: PodAffinity,
    pod_topology_spread: Spread<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fit {
    ignored_resources: Vec<String>,
    ignored_resource_groups: Vec<String>,
    scoring_strategy: Option<ScoringStrategy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScoringStrategy {
    #[serde(rename = "type")]
    kind: String,
    resources: Vec<Weighted>,
    #[serde(default)]
    requested_to_capacity_ratio: Option<Ratio>,
}

#[derive(Deserialize)]
struct Ratio {
    shape: Vec<Point>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Point {
    utilization: i64,
    score: i64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Balanced {
    resources: Vec<Weighted>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Affinity<'a> {
    added_affinity: Option<object::NodeAffinity<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodAffinity {
    hard_pod_affinity_weight: Option<i32>,
    ignore_preferred_terms_of_existing_pods: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Spread<'a> {
    default_constraints: Vec<SpreadConstraint<'a>>,
    defaulting_type: String,
}

impl Profile {
    /// Upstream's default profile.
    pub fn standard() -> Self {
        Self {
            id: 0,
            name: DEFAULT_NAME.into(),
            filters: CHAIN.to_vec(),
            scores: score::LIST.to_vec(),
            names_nodes: true,
            preempts: true,
            fit: FitArgs {
                ignored: Vec::new(),
                ignored_groups: Vec::new(),
                strategy: Strategy::LeastAllocated,
                resources: vec![(Resource::Cpu, 1), (Resource::Memory, 1)],
            },
            balanced: vec![Resource::Cpu, Resource::Memory],
            enforced: NodeSelector::default(),
            added_preferred: PreferredTerms::default(),
            pod_affinity: PodAffinityArgs {
                hard_weight: 1,
                ignores_preferred_of_existing: false,
            },
            spread: None,
        }
    }

    /// Reads a profile (see above); the error names the field.
    pub fn of(json: &[u8], id: ProfileId, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let stated: Stated = decode(json).map_err(|error| error.of("profile", ""))?;
        let name = stated.scheduler_name.clone();
        Self::read(stated, id, symbols).map_err(|error| error.of("profile", &name))
    }

    fn read(stated: Stated, id: ProfileId, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let standard = Self::standard();
        let args = stated.args;
        let added = args.node_affinity.added_affinity.unwrap_or_default();
        let constraints = args
            .pod_topology_spread
            .default_constraints
            .iter()
            .enumerate();
        let spread = (args.pod_topology_spread.defaulting_type == "List").then(|| {
            constraints
                .map(|(index, constraint)| {
                    Constraint::of(constraint, index, &Labels::default(), symbols)
                        .map(Constraint::of_replicas)
                })
                .collect::<Result<Vec<Constraint>, Malformed>>()
        });
        let scores = stated.score.iter().filter_map(|stated| {
            let (score, _) = score::LIST
                .iter()
                .find(|(score, _)| score.name() == stated.name)?;
            let weight = i32::try_from(stated.weight).unwrap_or(i32::MAX);
            Some((*score, weight))
        });
        let has = |list: &[String], name: &str| list.iter().any(|stated| stated == name);
        Ok(Self {
            id,
            name: stated.scheduler_name.into(),
            filters: stated
                .filter
                .iter()
                .filter_map(|name| Step::named(name))
                .collect(),
            scores: scores.collect(),
            names_nodes: has(&stated.pre_filter, "NodeAffinity"),
            preempts: has(&stated.post_filter, "DefaultPreemption"),
            fit: FitArgs::of(args.node_resources_fit, standard.fit, symbols)?,
            balanced: match &args.node_resources_balanced_allocation.resources[..] {
                [] => standard.balanced,
                some => some
                    .iter()
                    .map(|r| Resource::of(&r.name, symbols))
                    .collect(),
            },
            enforced: NodeSelector::of(
                &object::Map::default(),
                added
                    .required_during_scheduling_ignored_during_execution
                    .as_ref(),
                symbols,
            ),
            added_preferred: PreferredTerms::of(
                &added.preferred_during_scheduling_ignored_during_execution,
                symbols,
            )?,
            pod_affinity: PodAffinityArgs {
                hard_weight: args
                    .inter_pod_affinity
                    .hard_pod_affinity_weight
                    .unwrap_or(1),
                ignores_preferred_of_existing: args
                    .inter_pod_affinity
                    .ignore_preferred_terms_of_existing_pods,
            },
            spread: spread.transpose()?,
        })
    }
}

impl FitArgs {
    fn of(fit: Fit, standard: Self, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let Some(stated) = fit.scoring_strategy else {
            return Ok(standard);
        };
        let strategy = match (&*stated.kind, stated.requested_to_capacity_ratio) {
            ("LeastAllocated", _) => Strategy::LeastAllocated,
            ("MostAllocated", _) => Strategy::MostAllocated,
            ("RequestedToCapacityRatio", Some(ratio)) if !ratio.shape.is_empty() => {
                let scale = i64::from(score::MAX) / MAX_SHAPE_SCORE;
                let point = |point: &Point| (point.utilization, point.score * scale);
                Strategy::RequestedToCapacityRatio(ratio.shape.iter().map(point).collect())
            }
            (kind, _) => {
                return Err(Malformed(format!(
                    "args.NodeResourcesFit.scoringStrategy: Invalid value: {kind:?}: no such strategy, or no shape"
                )));
            }
        };
        let resources = stated.resources.iter();
        Ok(Self {
            ignored: fit
                .ignored_resources
                .iter()
                .map(|r| symbols.intern(r))
                .collect(),
            ignored_groups: fit
                .ignored_resource_groups
                .into_iter()
                .map(Into::into)
                .collect(),
            strategy,
            resources: resources
                .map(|r| (Resource::of(&r.name, symbols), r.weight))
                .collect(),
        })
    }

    /// Whether the filter passes over an extended resource.
    pub fn ignores(&self, name: Symbol, symbols: &Symbols) -> bool {
        if self.ignored.is_empty() && self.ignored_groups.is_empty() {
            return false;
        }
        let text = symbols.text(name);
        // Native resources cannot be ignored.
        let Some((group, _)) = text
            .split_once('/')
            .filter(|_| !text.contains("kubernetes.io/"))
        else {
            return false;
        };
        self.ignored.contains(&name)
            || self
                .ignored_groups
                .iter()
                .any(|ignored| **ignored == *group)
    }
}
