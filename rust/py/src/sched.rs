//! The border of `sched`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use orlop_core::sched::explain::NodeExplanation;
use orlop_core::sched::facts::{self, pod_change};
use orlop_core::sched::open::Say;
use orlop_core::sched::preempt::{Answer, PodName, Preemption};
use orlop_core::sched::{self, Core, filter, nodes, score};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::columns::Columns;
use crate::detach::detached;
use crate::error::value_error;

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PodFacts>()?;
    module.add_class::<Decision>()?;
    module.add_class::<Filtered>()?;
    module.add_class::<SchedulerCore>()
}

/// What a queue needs to know of a pod.
#[pyclass(module = "orlop.native", frozen, get_all)]
struct PodFacts {
    namespace: String,
    name: String,
    uid: String,
    scheduler_name: String,
    priority: i32,
    node: String,
    assumed: bool,
    generation: i64,
    gated: bool,
    terminating: bool,
    ended: bool,
    nominated: String,
    condition: Option<(String, String, String)>,
    changed: u32,
    freed: String,
}

impl From<facts::PodFacts> for PodFacts {
    fn from(facts: facts::PodFacts) -> Self {
        Self {
            namespace: facts.namespace,
            name: facts.name,
            uid: facts.uid,
            scheduler_name: facts.scheduler_name,
            priority: facts.priority,
            node: facts.node,
            assumed: facts.assumed,
            generation: facts.generation,
            gated: facts.gated,
            terminating: facts.terminating,
            ended: facts.ended,
            nominated: facts.nominated,
            condition: facts.condition,
            changed: facts.changed,
            freed: facts.freed,
        }
    }
}

/// What was decided for one pod.
#[pyclass(module = "orlop.native", frozen, get_all)]
#[derive(Default)]
struct Decision {
    waiting: bool,
    node: Option<String>,
    feasible: usize,
    nodes: usize,
    message: String,
    preemption: Option<String>,
    reasons: Vec<(String, usize)>,
    plugins: Vec<&'static str>,
    nominated: Option<String>,
    victims: Vec<PodName>,
    displaced: Vec<PodName>,
    helpless: bool,
}

impl From<sched::Decision> for Decision {
    fn from(decision: sched::Decision) -> Self {
        match decision {
            sched::Decision::Placed {
                node,
                feasible,
                nodes,
            } => Self {
                waiting: true,
                node: Some(node),
                feasible,
                nodes,
                ..Self::default()
            },
            sched::Decision::Refused(refusal) => {
                let refused = Self {
                    waiting: true,
                    nodes: refusal.nodes,
                    message: refusal.message(),
                    preemption: refusal.preemption_message(),
                    reasons: refusal.reasons,
                    plugins: refusal.plugins,
                    ..Self::default()
                };
                match refusal.preemption {
                    Some(Answer::Helps(preemption)) => Self {
                        nominated: Some(preemption.node),
                        victims: preemption.victims,
                        displaced: preemption.displaced,
                        ..refused
                    },
                    Some(Answer::Helpless(_)) => Self {
                        helpless: true,
                        ..refused
                    },
                    Some(Answer::Ineligible(_)) | None => refused,
                }
            }
            sched::Decision::NotWaiting => Self::default(),
        }
    }
}

type Refused = (&'static str, Vec<String>, bool);
type Lack = (String, i64, i64, i64);
type Scored = (&'static str, i32, i32, i32);
type Why = (String, Vec<Refused>, Vec<Lack>, Vec<Scored>, i32);

type Explanation = (
    String,
    Option<&'static str>,
    Vec<String>,
    Vec<(&'static str, i32, i32)>,
    i32,
);

/// What the core's own filters say of each node for one pod. See `_core.pyi`.
#[pyclass(module = "orlop.native", frozen, get_all)]
struct Filtered {
    refused_by: Py<PyBytes>,
    filters: Vec<&'static str>,
    layout: u64,
}

fn why(node: NodeExplanation) -> Why {
    let refusals = node.refusals.into_iter();
    let lacks = node.lacks.into_iter();
    let scores = node.scores.into_iter();
    (
        node.node,
        refusals
            .map(|of| (of.plugin, of.reasons, of.unresolvable))
            .collect(),
        lacks
            .map(|of| (of.resource, of.wanted, of.free, of.allocatable))
            .collect(),
        scores
            .map(|of| (of.plugin, of.raw, of.score, of.weight))
            .collect(),
        node.total,
    )
}

fn explanation(node: NodeExplanation) -> Explanation {
    let (plugin, reasons) = match node.refusals.into_iter().next() {
        Some(first) => (Some(first.plugin), first.reasons),
        None => (None, Vec::new()),
    };
    let scores = node.scores.into_iter();
    let scores = scores.map(|of| (of.plugin, of.score, of.weight)).collect();
    (node.node, plugin, reasons, scores, node.total)
}

/// The scheduler's table and its decisions. See `_core.pyi`.
#[pyclass(module = "orlop.native", frozen)]
struct SchedulerCore(Mutex<Core>);

impl SchedulerCore {
    /// The core; while another thread schedules, the GIL is not held for it.
    fn core(&self, py: Python<'_>) -> MutexGuard<'_, Core> {
        match self.0.try_lock() {
            Ok(core) => core,
            Err(_) => {
                // Waiting without the GIL first: the guard itself must not cross the border.
                detached(py, || drop(self.0.lock()));
                self.0.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }
    }

    fn explained(&self, py: Python<'_>, value: &[u8]) -> PyResult<Vec<NodeExplanation>> {
        let explained = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            core.explain(value)
        });
        explained.map_err(value_error)
    }
}

#[pymethods]
impl SchedulerCore {
    #[classattr]
    const NODE_ADDED: u32 = nodes::change::ADDED;
    #[classattr]
    const NODE_ALLOCATABLE: u32 = nodes::change::ALLOCATABLE;
    #[classattr]
    const NODE_LABELS: u32 = nodes::change::LABELS;
    #[classattr]
    const NODE_TAINTS: u32 = nodes::change::TAINTS;
    #[classattr]
    const NODE_UNSCHEDULABLE: u32 = nodes::change::UNSCHEDULABLE;
    #[classattr]
    const NODE_FEATURES: u32 = nodes::change::FEATURES;
    #[classattr]
    const NODE_IMAGES: u32 = nodes::change::IMAGES;
    #[classattr]
    const POD_ADDED: u32 = pod_change::ADDED;
    #[classattr]
    const POD_SPEC: u32 = pod_change::SPEC;
    #[classattr]
    const POD_ASSIGNED: u32 = pod_change::ASSIGNED;
    #[classattr]
    const POD_FREED: u32 = pod_change::FREED;
    #[classattr]
    const POD_LABELS: u32 = pod_change::LABELS;

    #[new]
    #[pyo3(signature = (seed, profiles = None, /))]
    fn new(seed: u64, profiles: Option<Vec<Vec<u8>>>) -> PyResult<Self> {
        let stated: Vec<&[u8]> = profiles.iter().flatten().map(Vec::as_slice).collect();
        let core = Core::with_profiles(seed, &stated).map_err(value_error)?;
        Ok(Self(Mutex::new(core)))
    }

    #[staticmethod]
    fn default_plugins() -> (Vec<&'static str>, Vec<(&'static str, i32)>) {
        let scores = score::LIST.iter();
        (
            filter::CHAIN.iter().map(filter::Step::name).collect(),
            scores
                .map(|(score, weight)| (score.name(), *weight))
                .collect(),
        )
    }

    #[pyo3(signature = (value, /))]
    fn upsert_node(&self, py: Python<'_>, value: &[u8]) -> PyResult<u32> {
        let mut core = self.core(py);
        core.table.upsert_node(value).map_err(value_error)
    }

    #[pyo3(signature = (name, /))]
    fn delete_node(&self, py: Python<'_>, name: &str) -> bool {
        self.core(py).table.delete_node(name)
    }

    #[pyo3(signature = (value, /))]
    fn upsert_namespace(&self, py: Python<'_>, value: &[u8]) -> PyResult<bool> {
        let mut core = self.core(py);
        core.table.upsert_namespace(value).map_err(value_error)
    }

    #[pyo3(signature = (name, /))]
    fn delete_namespace(&self, py: Python<'_>, name: &str) {
        self.core(py).table.delete_namespace(name);
    }

    #[pyo3(signature = (value, /))]
    fn upsert_budget(&self, py: Python<'_>, value: &[u8]) -> PyResult<()> {
        let mut core = self.core(py);
        core.table.budgets.upsert(value).map_err(value_error)
    }

    #[pyo3(signature = (namespace, name, /))]
    fn delete_budget(&self, py: Python<'_>, namespace: &str, name: &str) {
        self.core(py).table.budgets.delete(namespace, name);
    }

    #[pyo3(signature = (value, /))]
    fn upsert_pod(&self, py: Python<'_>, value: &[u8]) -> PyResult<PodFacts> {
        let mut core = self.core(py);
        core.table
            .upsert_pod(value)
            .map(PodFacts::from)
            .map_err(value_error)
    }

    #[pyo3(signature = (namespace, name, /))]
    fn delete_pod(&self, py: Python<'_>, namespace: &str, name: &str) -> Option<String> {
        self.core(py).table.delete_pod(namespace, name)
    }

    #[pyo3(signature = (namespace, name, uid, node, /))]
    fn assume(&self, py: Python<'_>, namespace: &str, name: &str, uid: &str, node: &str) -> bool {
        self.core(py).assume(namespace, name, uid, node)
    }

    #[pyo3(signature = (namespace, name, uid, /))]
    fn forget(&self, py: Python<'_>, namespace: &str, name: &str, uid: &str) -> Option<String> {
        self.core(py).table.forget(namespace, name, uid)
    }

    #[pyo3(signature = (pods, /))]
    fn schedule(&self, py: Python<'_>, pods: Vec<(String, String)>) -> Vec<Decision> {
        let decisions = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            core.schedule(&pods)
        });
        decisions.into_iter().map(Decision::from).collect()
    }

    #[pyo3(signature = (namespace, name, /))]
    fn filtered(&self, py: Python<'_>, namespace: &str, name: &str) -> Option<Filtered> {
        let found = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            core.filtered(namespace, name)
        })?;
        Some(Filtered {
            refused_by: PyBytes::new(py, &found.refused_by).unbind(),
            filters: found.filters,
            layout: found.layout,
        })
    }

    #[pyo3(signature = (namespace, name, layout, allowed, extra, /))]
    fn place(
        &self,
        py: Python<'_>,
        namespace: &str,
        name: &str,
        layout: u64,
        allowed: &[u8],
        extra: Vec<i32>,
    ) -> Option<Decision> {
        let decision = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let said = Say {
                allowed,
                extra: &extra,
            };
            core.place(namespace, name, said, layout)
        });
        decision.map(Decision::from)
    }

    #[pyo3(signature = (namespace, name, allowed, /))]
    fn candidates(
        &self,
        py: Python<'_>,
        namespace: &str,
        name: &str,
        allowed: &[u8],
    ) -> Vec<(String, Vec<PodName>, usize)> {
        let found = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let extra = &[];
            core.candidates(namespace, name, Say { allowed, extra })
        });
        let told =
            |(found, violations): (Preemption, usize)| (found.node, found.victims, violations);
        found.into_iter().map(told).collect()
    }

    #[pyo3(signature = (namespace, name, node, /))]
    fn nominate(&self, py: Python<'_>, namespace: &str, name: &str, node: Option<&str>) {
        self.core(py).nominate(namespace, name, node);
    }

    #[pyo3(signature = (pods, node, /))]
    fn kept_off(
        &self,
        py: Python<'_>,
        pods: Vec<(String, String)>,
        node: &str,
    ) -> Vec<Option<&'static str>> {
        let mut core = self.core(py);
        core.kept_off(&pods, node)
    }

    #[pyo3(signature = (pods, /))]
    fn may_concern(&self, py: Python<'_>, pods: Vec<(String, String)>) -> Vec<bool> {
        let mut core = self.core(py);
        core.may_concern(&pods)
    }

    fn columns(&self, py: Python<'_>) -> Columns {
        let core = self.core(py);
        let (table, nodes) = (&core.table, &core.table.nodes);
        let text = |slot: usize| match nodes.present[slot] {
            true => table.symbols.text(nodes.name[slot]).to_owned(),
            false => String::new(),
        };
        let mut amounts = Vec::new();
        for (name, column) in [
            ("cpu", &nodes.cpu),
            ("memory", &nodes.memory),
            ("ephemeral-storage", &nodes.ephemeral),
            ("pods", &nodes.pods),
        ] {
            amounts.push((name.to_owned(), column));
        }
        for (name, column) in &nodes.scalars {
            amounts.push((table.symbols.text(*name).to_owned(), column));
        }
        Columns {
            layout: nodes.layout,
            names: nodes.all().map(text).collect(),
            amounts: amounts
                .into_iter()
                .map(|(name, column)| {
                    let (allocatable, requested) =
                        (column.allocatable.clone(), column.requested.clone());
                    (name, allocatable, requested)
                })
                .collect(),
        }
    }

    #[pyo3(signature = (value, /))]
    fn explain(&self, py: Python<'_>, value: &[u8]) -> PyResult<Vec<Explanation>> {
        let explained = self.explained(py, value)?;
        Ok(explained.into_iter().map(explanation).collect())
    }

    #[pyo3(signature = (value, /))]
    fn why(&self, py: Python<'_>, value: &[u8]) -> PyResult<Vec<Why>> {
        let explained = self.explained(py, value)?;
        Ok(explained.into_iter().map(why).collect())
    }

    #[pyo3(signature = (value, /))]
    fn preview(&self, py: Python<'_>, value: &[u8]) -> PyResult<Decision> {
        let decision = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            core.preview(value)
        });
        decision.map(Decision::from).map_err(value_error)
    }

    fn stats(&self, py: Python<'_>) -> (usize, usize, usize) {
        let core = self.core(py);
        let table = &core.table;
        (table.nodes.len(), table.pods.len(), table.pods.specs())
    }
}
