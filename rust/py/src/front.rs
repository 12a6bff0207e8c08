//! The border of `front`.

use crate::detach::detached;
use crate::error::front_error;
use crate::event::Event;
use crate::hub::{ListResult, Watcher};
use orlop_core::front::{self, Body, Certificate, Input, Limits, Opened, Outbox, Source, Tls};
use orlop_core::hub::Form;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::net::TcpListener;
use std::os::fd::FromRawFd;
use std::sync::Arc;
use std::time::Duration;

/// The integers that stand for what happened. See `_core.pyi`.
const OPEN: u8 = 0;
const DATA: u8 = 1;
const EOF: u8 = 2;
const LOST: u8 = 3;
const RESUME: u8 = 4;
const ENDED: u8 = 5;

/// Copies from here on leave the GIL.
const DETACH_BYTES: usize = 256 * 1024;

/// A certificate chain, its key, the names it is shown for.
type Shown = (Vec<u8>, Vec<u8>, Vec<String>);
/// A client certificate: common name, organizations, end in seconds since 1970, SHA-256.
type Identity<'py> = (String, Vec<String>, u64, Bound<'py, PyBytes>);

fn tls(certificates: Vec<Shown>, client_ca: &[u8], only_tls13: bool, alpn: Vec<String>) -> Tls {
    let certificates = certificates.into_iter();
    Tls {
        certificates: certificates
            .map(|(chain, key, names)| Certificate { chain, key, names })
            .collect(),
        client_ca: client_ca.to_vec(),
        only_tls13,
        alpn: alpn.into_iter().map(String::into_bytes).collect(),
    }
}

/// The listener. See `_core.pyi`.
#[pyclass(frozen)]
struct Front {
    front: front::Front,
    event: Arc<Event>,
}

#[pymethods]
impl Front {
    #[classattr]
    const OPEN: u8 = OPEN;
    #[classattr]
    const DATA: u8 = DATA;
    #[classattr]
    const EOF: u8 = EOF;
    #[classattr]
    const LOST: u8 = LOST;
    #[classattr]
    const RESUME: u8 = RESUME;
    #[classattr]
    const ENDED: u8 = ENDED;

    #[new]
    #[pyo3(signature = (certificates, client_ca, *, only_tls13, alpn, threads, connections, handshake_seconds, header_seconds))]
    #[allow(clippy::too_many_arguments)] // a listener's settings, named
    fn new(
        certificates: Vec<Shown>,
        client_ca: &[u8],
        only_tls13: bool,
        alpn: Vec<String>,
        threads: usize,
        connections: usize,
        handshake_seconds: f64,
        header_seconds: f64,
    ) -> PyResult<Front> {
        let limits = Limits {
            threads,
            connections,
            handshake: seconds("handshake_seconds", handshake_seconds)?,
            header: seconds("header_seconds", header_seconds)?,
        };
        let tls = tls(certificates, client_ca, only_tls13, alpn);
        let event = Arc::new(Event::new()?);
        let wake = Arc::clone(&event);
        let front = front::Front::new(&tls, limits, move || wake.set()).map_err(front_error)?;
        Ok(Front { front, event })
    }

    #[pyo3(signature = (certificates, client_ca, *, only_tls13, alpn))]
    fn set_tls(
        &self,
        certificates: Vec<Shown>,
        client_ca: &[u8],
        only_tls13: bool,
        alpn: Vec<String>,
    ) -> PyResult<()> {
        let tls = tls(certificates, client_ca, only_tls13, alpn);
        self.front.set_tls(&tls).map_err(front_error)
    }

    #[pyo3(signature = (fd, /))]
    fn listen(&self, fd: i32) -> PyResult<()> {
        if fd < 0 {
            return Err(PyValueError::new_err(format!("fd: {fd}: is no descriptor")));
        }
        // SAFETY: the caller gives the descriptor of a socket away, as the contract in `_core.pyi` says.
        let listener = unsafe { TcpListener::from_raw_fd(fd) };
        self.front.listen(listener).map_err(front_error)
    }

    fn fileno(&self) -> i32 {
        self.event.fileno()
    }

    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, u8, Bound<'py, PyAny>)>> {
        self.event.clear();
        let inputs = self.front.poll().into_iter();
        let none = || py.None().into_bound(py);
        inputs
            .map(|input| {
                Ok(match input {
                    Input::Open(outbox, opened) => {
                        let connection = FrontConnection {
                            outbox: Arc::clone(&outbox),
                            opened: Some(opened),
                        };
                        (outbox.id, OPEN, connection.into_bound_py_any(py)?)
                    }
                    Input::Data(outbox, data) => {
                        (outbox.id, DATA, PyBytes::new(py, &data).into_any())
                    }
                    Input::Eof(id) => (id, EOF, none()),
                    Input::Lost(id) => (id, LOST, none()),
                    Input::Resume(id) => (id, RESUME, none()),
                    Input::Ended(id, token) => (id, ENDED, token.into_bound_py_any(py)?),
                })
            })
            .collect()
    }

    fn flush(&self) {
        self.front.flush();
    }

    fn stop_accepting(&self) {
        self.front.stop_accepting();
    }

    fn close(&self, py: Python<'_>) {
        detached(py, || self.front.close());
    }
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| PyValueError::new_err(format!("{name}: {value}: {error}")))
}

/// One connection's way out, and who is at its other end. See `_core.pyi`.
#[pyclass(frozen)]
struct FrontConnection {
    outbox: Arc<Outbox>,
    opened: Option<Box<Opened>>,
}

impl FrontConnection {
    fn attach(&self, source: Source, chunked: bool) -> (u64, bool) {
        self.outbox.attach(source, chunked)
    }
}

#[pymethods]
impl FrontConnection {
    #[getter]
    fn peer(&self) -> Option<(String, u16)> {
        let opened = self.opened.as_deref()?;
        Some((
            opened.peer.ip().to_canonical().to_string(),
            opened.peer.port(),
        ))
    }

    #[getter]
    fn local(&self) -> Option<(String, u16)> {
        let opened = self.opened.as_deref()?;
        Some((
            opened.local.ip().to_canonical().to_string(),
            opened.local.port(),
        ))
    }

    #[getter]
    fn identity<'py>(&self, py: Python<'py>) -> Option<Identity<'py>> {
        let identity = self.opened.as_deref()?.identity.as_ref()?;
        Some((
            identity.common_name.clone(),
            identity.organizations.clone(),
            identity.not_after,
            PyBytes::new(py, &identity.fingerprint),
        ))
    }

    #[getter]
    fn server_name(&self) -> Option<&str> {
        self.opened.as_deref()?.server_name.as_deref()
    }

    #[getter]
    fn size(&self) -> usize {
        self.outbox.size()
    }

    #[pyo3(signature = (data, /))]
    fn write(&self, py: Python<'_>, data: &[u8]) -> u8 {
        let bytes = if data.len() < DETACH_BYTES {
            data.to_vec()
        } else {
            detached(py, || data.to_vec())
        };
        let (flush, full) = self.outbox.write(bytes);
        u8::from(flush) | u8::from(full) << 1
    }

    #[pyo3(signature = (watcher, form, of, chunked, /))]
    fn attach_watch(
        &self,
        watcher: &Watcher,
        form: &str,
        of: &str,
        chunked: bool,
    ) -> PyResult<(u64, bool)> {
        let form = match form {
            "json" => Form::Json,
            "protobuf" => Form::Protobuf(of.into()),
            "partial" | "partial-protobuf" => Form::Partial {
                version: of.into(),
                protobuf: form == "partial-protobuf",
            },
            other => return Err(PyValueError::new_err(format!("form: unknown: {other:?}"))),
        };
        Ok(self.attach(Source::Watch(Arc::clone(&watcher.0), form), chunked))
    }

    #[pyo3(signature = (list, before, after, chunked, /))]
    fn attach_list(
        &self,
        list: &ListResult,
        before: &[u8],
        after: &[u8],
        chunked: bool,
    ) -> (u64, bool) {
        let items = list.0.items.clone();
        let body = Body::new(before.to_vec(), items, after.to_vec());
        self.attach(Source::Body(body), chunked)
    }

    #[pyo3(signature = (token, /))]
    fn detach(&self, token: u64) {
        self.outbox.detach(token);
    }

    fn write_eof(&self) -> bool {
        self.outbox.write_eof()
    }

    fn close(&self) -> bool {
        self.outbox.close()
    }

    fn abort(&self) {
        self.outbox.abort();
    }

    #[pyo3(signature = (paused, /))]
    fn pause(&self, paused: bool) {
        self.outbox.set_paused(paused);
    }
}

/// Adds this room's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Front>()?;
    module.add_class::<FrontConnection>()
}
