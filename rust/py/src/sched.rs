//! The border of `sched`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use orlop_core::sched::preempt::{Answer, PodName};
use orlop_core::sched::table::{self, pod_change};
use orlop_core::sched::{self, Core, filter, nodes, score};
use pyo3::prelude::*;

use crate::detach::detached;
use crate::error::value_error;

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PodFacts>()?;
    module.add_class::<Decision>()?;
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
}

impl From<table::PodFacts> for PodFacts {
    fn from(facts: table::PodFacts) -> Self {
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

type Explanation = (
    String,
    Option<&'static str>,
    Vec<String>,
    Vec<(&'static str, i32, i32)>,
    i32,
);

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
    fn delete_pod(&self, py: Python<'_>, namespace: &str, name: &str) -> bool {
        self.core(py).table.delete_pod(namespace, name)
    }

    #[pyo3(signature = (namespace, name, uid, node, /))]
    fn assume(&self, py: Python<'_>, namespace: &str, name: &str, uid: &str, node: &str) -> bool {
        self.core(py).assume(namespace, name, uid, node)
    }

    #[pyo3(signature = (namespace, name, uid, /))]
    fn forget(&self, py: Python<'_>, namespace: &str, name: &str, uid: &str) -> bool {
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

    #[pyo3(signature = (value, /))]
    fn explain(&self, py: Python<'_>, value: &[u8]) -> PyResult<Vec<Explanation>> {
        let explained = detached(py, || {
            let mut core = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            core.explain(value)
        });
        let tuples = explained.map_err(value_error)?.into_iter();
        Ok(tuples
            .map(|node| {
                (
                    node.node,
                    node.plugin,
                    node.reasons,
                    node.scores,
                    node.total,
                )
            })
            .collect())
    }

    fn stats(&self, py: Python<'_>) -> (usize, usize, usize) {
        let core = self.core(py);
        let table = &core.table;
        (table.nodes.len(), table.pods.len(), table.pods.specs())
    }
}
