//! The border of `forward`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orlop_core::forward::{
    Backend, Changes, Cidr, Claim, Family, Frontend, Kind, PortName, Protocol, Scheduling, State,
    Table, relay,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::detach::detached;
use crate::error::value_error;

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyServicePort>()?;
    module.add_class::<PyForwardChanges>()?;
    module.add_class::<PyForwardTable>()?;
    module.add("RELAY_VERSION", relay::VERSION)?;
    module.add_function(wrap_pyfunction!(relay_serve, module)?)
}

#[pyfunction]
fn relay_serve(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    // Whoever started this process waits for the line.
    Ok(detached(py, || relay::run(&path, || println!("ready")))?)
}

type FrontendTuple = (&'static str, String, u16, bool);
type BackendTuple = (String, u16, u16);
pub type IdTuple = (String, String, String, &'static str, u8);

/// One service port in one IP family, as it is wanted or as a backend says it is programmed.
#[pyclass(
    name = "ServicePort",
    module = "orlop.native",
    frozen,
    eq,
    from_py_object
)]
#[derive(Clone, PartialEq)]
pub struct PyServicePort {
    pub name: PortName,
    pub state: State,
}

#[pymethods]
impl PyServicePort {
    #[new]
    #[pyo3(signature = (id, frontends, cluster, local, affinity_seconds, any_endpoint, on_node = Vec::new(), scheduler = None, source_ranges = Vec::new(), health_port = 0, local_going = false))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        id: (String, String, String, String, u8),
        frontends: Vec<(String, String, u16, bool)>,
        cluster: Vec<(String, u16, u16)>,
        local: Vec<(String, u16, u16)>,
        affinity_seconds: u32,
        any_endpoint: bool,
        on_node: Vec<String>,
        scheduler: Option<&str>,
        source_ranges: Vec<String>,
        health_port: u16,
        local_going: bool,
    ) -> PyResult<Self> {
        let name = read_id(id)?;
        let protocol = name.protocol;
        let mut claims = Vec::with_capacity(frontends.len());
        for (kind, address, port, local) in frontends {
            let kind = Kind::parse(&kind)
                .ok_or_else(|| PyValueError::new_err(format!("kind: unknown: {kind:?}")))?;
            let frontend = Frontend {
                address: read_address(&address)?,
                port,
                protocol,
            };
            claims.push(Claim {
                kind,
                frontend,
                local,
            });
        }
        claims.sort_unstable();
        let state = State {
            frontends: claims.into(),
            cluster: read_backends(cluster, &on_node)?,
            local: read_backends(local, &on_node)?,
            affinity_seconds,
            any_endpoint,
            scheduling: scheduler
                .map(Scheduling::parse)
                .transpose()
                .map_err(|wrong| PyValueError::new_err(format!("scheduler: {wrong}")))?,
            source_ranges: source_ranges
                .iter()
                .map(|text| {
                    Cidr::parse(text).ok_or_else(|| {
                        PyValueError::new_err(format!(
                            "source_ranges: {text:?}: must be a valid CIDR value"
                        ))
                    })
                })
                .collect::<PyResult<_>>()?,
            health_port,
            local_going,
        };
        Ok(Self { name, state })
    }

    #[getter]
    fn id(&self) -> IdTuple {
        id_tuple(&self.name)
    }

    #[getter]
    fn frontends(&self) -> Vec<FrontendTuple> {
        let claims = self.state.frontends.iter();
        claims
            .map(|c| {
                (
                    c.kind.name(),
                    c.frontend.address.to_string(),
                    c.frontend.port,
                    c.local,
                )
            })
            .collect()
    }

    #[getter]
    fn cluster(&self) -> Vec<BackendTuple> {
        backend_tuples(&self.state.cluster)
    }

    #[getter]
    fn local(&self) -> Vec<BackendTuple> {
        backend_tuples(&self.state.local)
    }

    #[getter]
    fn affinity_seconds(&self) -> u32 {
        self.state.affinity_seconds
    }

    #[getter]
    fn any_endpoint(&self) -> bool {
        self.state.any_endpoint
    }

    #[getter]
    fn scheduler(&self) -> Option<String> {
        self.state
            .scheduling
            .map(|scheduling| scheduling.to_string())
    }

    #[getter]
    fn source_ranges(&self) -> Vec<String> {
        let ranges = self.state.source_ranges.iter();
        ranges.map(ToString::to_string).collect()
    }

    #[getter]
    fn health_port(&self) -> u16 {
        self.state.health_port
    }

    #[getter]
    fn local_going(&self) -> bool {
        self.state.local_going
    }

    #[getter]
    fn on_node(&self) -> Vec<String> {
        let all = self.state.cluster.iter().chain(&self.state.local);
        let mut here: Vec<_> = all.filter(|b| b.here).map(|b| b.address).collect();
        here.sort_unstable();
        here.dedup();
        here.iter().map(IpAddr::to_string).collect()
    }

    fn __repr__(&self) -> String {
        format!(
            "ServicePort(id={:?}, frontends={:?}, cluster={:?}, local={:?}, affinity_seconds={}, any_endpoint={})",
            self.id(),
            self.frontends(),
            self.cluster(),
            self.local(),
            self.state.affinity_seconds,
            self.state.any_endpoint
        )
    }
}

/// What must be programmed: service ports to set in full, names of those to remove, and when the causes happened.
#[pyclass(name = "ForwardChanges", module = "orlop.native", frozen)]
struct PyForwardChanges {
    #[pyo3(get)]
    set: Py<PyList>,
    #[pyo3(get)]
    removed: Py<PyList>,
    #[pyo3(get)]
    triggered: Py<PyList>,
}

impl PyForwardChanges {
    fn from_core(py: Python<'_>, changes: Changes) -> PyResult<Self> {
        let ports = changes
            .set
            .into_iter()
            .map(|(name, state)| PyServicePort { name, state });
        let ports = ports
            .map(|port| Py::new(py, port))
            .collect::<PyResult<Vec<_>>>()?;
        Ok(Self {
            set: PyList::new(py, ports)?.unbind(),
            removed: PyList::new(py, changes.removed.iter().map(id_tuple))?.unbind(),
            triggered: PyList::new(py, changes.triggered.iter().map(|t| &**t))?.unbind(),
        })
    }
}

#[pymethods]
impl PyForwardChanges {
    fn __bool__(&self, py: Python<'_>) -> bool {
        !self.set.bind(py).is_empty() || !self.removed.bind(py).is_empty()
    }
}

/// The wanted table of one node.
#[pyclass(name = "ForwardTable", module = "orlop.native", frozen)]
struct PyForwardTable {
    table: Mutex<Table>,
}

impl PyForwardTable {
    fn locked(&self) -> MutexGuard<'_, Table> {
        // The table has no state that a panic could leave half made and that the next full difference would not show.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyForwardTable {
    #[new]
    #[pyo3(signature = (node_name, zone = ""))]
    fn new(node_name: &str, zone: &str) -> Self {
        Self {
            table: Mutex::new(Table::new(node_name, zone)),
        }
    }

    fn apply_service(&self, py: Python<'_>, data: &[u8]) -> PyResult<Vec<String>> {
        detached(py, || self.locked().apply_service(data)).map_err(value_error)
    }

    fn apply_slice(&self, py: Python<'_>, data: &[u8]) -> PyResult<Vec<String>> {
        detached(py, || self.locked().apply_slice(data)).map_err(value_error)
    }

    fn delete_service(&self, py: Python<'_>, namespace: &str, name: &str) {
        detached(py, || self.locked().delete_service(namespace, name));
    }

    fn delete_slice(&self, py: Python<'_>, namespace: &str, name: &str) {
        detached(py, || self.locked().delete_slice(namespace, name));
    }

    fn has_changes(&self) -> bool {
        self.locked().has_changes()
    }

    fn drain_changes(&self, py: Python<'_>) -> PyResult<PyForwardChanges> {
        let changes = detached(py, || self.locked().drain_changes());
        PyForwardChanges::from_core(py, changes)
    }

    fn difference(
        &self,
        py: Python<'_>,
        programmed: Vec<PyServicePort>,
    ) -> PyResult<PyForwardChanges> {
        let programmed = programmed
            .into_iter()
            .map(|port| (port.name, port.state))
            .collect();
        let changes = detached(py, || self.locked().difference(programmed));
        PyForwardChanges::from_core(py, changes)
    }

    #[allow(clippy::type_complexity)]
    fn lookup(
        &self,
        protocol: &str,
        address: &str,
        port: u16,
    ) -> PyResult<Option<(Vec<BackendTuple>, Vec<BackendTuple>, bool)>> {
        let frontend = Frontend {
            address: read_address(address)?,
            port,
            protocol: read_protocol(protocol)?,
        };
        let table = self.locked();
        Ok(table.lookup(&frontend).map(|(cluster, local, is_local)| {
            (backend_tuples(cluster), backend_tuples(local), is_local)
        }))
    }

    fn __len__(&self) -> usize {
        self.locked().len()
    }
}

fn id_tuple(name: &PortName) -> IdTuple {
    let (namespace, service) = name.service.split_once('/').unwrap_or(("", &name.service));
    let family = name.family as u8;
    (
        namespace.into(),
        service.into(),
        name.port.to_string(),
        name.protocol.name(),
        family,
    )
}

fn backend_tuples(backends: &[Backend]) -> Vec<BackendTuple> {
    backends
        .iter()
        .map(|b| (b.address.to_string(), b.port, b.weight))
        .collect()
}

/// The id of a service port as the border has it.
pub fn read_id(id: (String, String, String, String, u8)) -> PyResult<PortName> {
    let (namespace, service, port, protocol, family) = id;
    let family = match family {
        4 => Family::V4,
        6 => Family::V6,
        other => {
            return Err(PyValueError::new_err(format!(
                "family: {other}: must be 4 or 6"
            )));
        }
    };
    Ok(PortName {
        service: format!("{namespace}/{service}").into(),
        port: port.into(),
        protocol: read_protocol(&protocol)?,
        family,
    })
}

/// An address in text.
pub fn read_address(text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("{text:?}: must be a valid IP address")))
}

/// A protocol under the API's name.
pub fn read_protocol(name: &str) -> PyResult<Protocol> {
    Protocol::parse(Some(name))
        .ok_or_else(|| PyValueError::new_err(format!("protocol: unknown: {name:?}")))
}

fn read_backends(
    backends: Vec<(String, u16, u16)>,
    on_node: &[String],
) -> PyResult<Box<[Backend]>> {
    let mut read = backends
        .into_iter()
        .map(|(address, port, weight)| {
            Ok(Backend {
                address: read_address(&address)?,
                port,
                weight,
                here: on_node.contains(&address),
            })
        })
        .collect::<PyResult<Vec<_>>>()?;
    read.sort_unstable();
    Ok(read.into())
}
