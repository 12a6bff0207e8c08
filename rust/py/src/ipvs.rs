//! The border of `forward::ipvs`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use orlop_core::forward::ipvs::{Choice, Counters, Error, Ipvs, Shown};
use orlop_core::forward::{Frontend, Scheduling};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::detach::detached;
use crate::error::ipvs_error;
use crate::forward::{PyServicePort, read_address, read_id, read_protocol};

/// Adds this room's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyIpvs>()?;
    module.add_class::<PyIpvsServer>()?;
    module.add_function(wrap_pyfunction!(ipvs_scheduler_error, module)?)
}

#[pyfunction]
fn ipvs_scheduler_error(text: &str) -> String {
    Scheduling::parse(text).err().unwrap_or_default()
}

type FrontendTuple = (String, String, u16);
type CounterTuple = (u64, u64, u64, u64, u64);

#[pyclass(name = "Ipvs", module = "orlop.native", frozen)]
struct PyIpvs {
    ipvs: Mutex<Ipvs>,
}

impl PyIpvs {
    fn locked(&self) -> MutexGuard<'_, Ipvs> {
        // A panic leaves nothing that the next `adopt` would not read anew.
        self.ipvs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Ipvs) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        detached(py, || work(&mut self.locked())).map_err(ipvs_error)
    }
}

#[pymethods]
impl PyIpvs {
    #[new]
    #[pyo3(signature = (device, scheduler = "rr", namespace = None))]
    fn new(
        py: Python<'_>,
        device: &str,
        scheduler: &str,
        namespace: Option<&str>,
    ) -> PyResult<Self> {
        let scheduling = Scheduling::parse(scheduler).map_err(PyValueError::new_err)?;
        let choice = Choice { scheduling };
        let ipvs = detached(py, || Ipvs::open(namespace.map(Path::new), device, choice));
        Ok(Self {
            ipvs: Mutex::new(ipvs.map_err(ipvs_error)?),
        })
    }

    #[staticmethod]
    #[pyo3(signature = (namespace = None))]
    fn watch(py: Python<'_>, namespace: Option<&str>) -> PyResult<i32> {
        let fd = detached(py, || Ipvs::watch(namespace.map(Path::new)))?;
        Ok(fd.into_raw_fd())
    }

    fn ensure_device(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |ipvs| Ok(ipvs.ensure_device()?))
    }

    fn node_addresses(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let found = self.with(py, Ipvs::node_addresses)?;
        Ok(found.iter().map(IpAddr::to_string).collect())
    }

    fn set_node_addresses(
        &self,
        py: Python<'_>,
        node_ports: Vec<String>,
        own: Vec<String>,
    ) -> PyResult<()> {
        let read = |texts: &[String]| texts.iter().map(|t| read_address(t)).collect();
        let node_ports: PyResult<Vec<_>> = read(&node_ports);
        let (node_ports, own) = (node_ports?, own.iter().map(|t| read_address(t)));
        let own = own.collect::<PyResult<HashSet<_>>>()?;
        self.with(py, |ipvs| {
            ipvs.set_node_addresses(node_ports, own);
            Ok(())
        })
    }

    fn adopt(&self, py: Python<'_>, known: Vec<FrontendTuple>) -> PyResult<()> {
        let known = read_frontends(&known)?;
        self.with(py, |ipvs| ipvs.adopt(&known))
    }

    fn forget(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |ipvs| {
            ipvs.forget();
            Ok(())
        })
    }

    fn want(
        &self,
        py: Python<'_>,
        set: Vec<Py<PyServicePort>>,
        removed: Vec<(String, String, String, String, u8)>,
    ) -> PyResult<()> {
        let removed = removed
            .into_iter()
            .map(read_id)
            .collect::<PyResult<Vec<_>>>()?;
        self.with(py, |ipvs| {
            let ports = set.iter().map(|port| port.get());
            ipvs.want(ports.map(|port| (&port.name, &port.state)), &removed);
            Ok(())
        })
    }

    fn retire(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, Ipvs::retire)
    }

    fn program(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, Ipvs::program)
    }

    fn drain(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, Ipvs::drain)
    }

    fn draining(&self) -> usize {
        self.locked().draining()
    }

    fn sent(&self) -> u64 {
        self.locked().sent()
    }

    fn cleanup(&self, py: Python<'_>, known: Vec<FrontendTuple>) -> PyResult<()> {
        let known = read_frontends(&known)?;
        self.with(py, |ipvs| ipvs.cleanup(&known))
    }

    fn dump(&self, py: Python<'_>) -> PyResult<Vec<PyIpvsServer>> {
        let all = self.with(py, Ipvs::dump)?;
        Ok(all.into_iter().map(PyIpvsServer).collect())
    }
}

#[pyclass(name = "IpvsServer", module = "orlop.native", frozen)]
struct PyIpvsServer(Shown);

#[pymethods]
impl PyIpvsServer {
    #[getter]
    fn frontend(&self) -> (&'static str, String, u16) {
        let Frontend {
            address,
            port,
            protocol,
        } = self.0.frontend;
        (protocol.name(), address.to_string(), port)
    }

    #[getter]
    fn scheduler(&self) -> &'static str {
        self.0.options.scheduler.name()
    }

    #[getter]
    fn flags(&self) -> u32 {
        self.0.options.flags
    }

    #[getter]
    fn timeout(&self) -> u32 {
        self.0.options.timeout
    }

    #[getter]
    fn counters(&self) -> CounterTuple {
        counters(&self.0.counters)
    }

    #[getter]
    fn destinations(&self) -> Vec<(String, u16, u32, u32, u32, CounterTuple)> {
        let all = self.0.destinations.iter();
        all.map(|d| {
            let (address, port) = d.target;
            let counted = counters(&d.counters);
            (
                address.to_string(),
                port,
                d.weight,
                d.active,
                d.inactive,
                counted,
            )
        })
        .collect()
    }
}

fn counters(counters: &Counters) -> CounterTuple {
    let Counters {
        connections,
        packets,
        bytes,
    } = counters;
    (*connections, packets.0, packets.1, bytes.0, bytes.1)
}

fn read_frontends(all: &[FrontendTuple]) -> PyResult<HashSet<Frontend>> {
    all.iter()
        .map(|(protocol, address, port)| {
            Ok(Frontend {
                address: read_address(address)?,
                port: *port,
                protocol: read_protocol(protocol)?,
            })
        })
        .collect()
}
