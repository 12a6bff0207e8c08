//! The border of `front`.

use crate::detach::detached;
use crate::error::front_error;
use crate::event::Event;
use crate::hub::{ListResult, Watcher};
use orlop_core::front::{
    self, Body, Certificate, Input, Limits, Opened, Outbox, Request, Source, Style, Tls, head_of,
    head_of_two, is_field,
};
use orlop_core::hub::Form;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::FromRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The integers that stand for what happened. See `_core.pyi`.
const OPEN: u8 = 0;
const DATA: u8 = 1;
const EOF: u8 = 2;
const LOST: u8 = 3;
const RESUME: u8 = 4;
const ENDED: u8 = 5;
const REQUEST: u8 = 6;

/// Copies from here on leave the GIL.
const DETACH_BYTES: usize = 256 * 1024;

/// A certificate chain, its key, the names it is shown for.
type Shown = (Vec<u8>, Vec<u8>, Vec<String>);
/// A client certificate: common name, organizations, end in seconds since 1970, SHA-256.
type Identity<'py> = (String, Vec<String>, u64, Bound<'py, PyBytes>);

fn tls(
    certificates: Vec<Shown>,
    client_ca: &[u8],
    only_tls13: bool,
    cipher_suites: Vec<String>,
    alpn: Vec<String>,
) -> Tls {
    let certificates = certificates.into_iter();
    Tls {
        certificates: certificates
            .map(|(chain, key, names)| Certificate { chain, key, names })
            .collect(),
        client_ca: client_ca.to_vec(),
        only_tls13,
        cipher_suites,
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
    #[classattr]
    const REQUEST: u8 = REQUEST;

    #[new]
    #[pyo3(signature = (certificates, client_ca, *, only_tls13, cipher_suites, alpn, threads, connections, streams, handshake_seconds, header_seconds, idle_seconds))]
    #[allow(clippy::too_many_arguments)] // a listener's settings, named
    fn new(
        certificates: Vec<Shown>,
        client_ca: &[u8],
        only_tls13: bool,
        cipher_suites: Vec<String>,
        alpn: Vec<String>,
        threads: usize,
        connections: usize,
        streams: u32,
        handshake_seconds: f64,
        header_seconds: f64,
        idle_seconds: f64,
    ) -> PyResult<Front> {
        let limits = Limits {
            threads,
            connections,
            handshake: seconds("handshake_seconds", handshake_seconds)?,
            header: seconds("header_seconds", header_seconds)?,
            idle: seconds("idle_seconds", idle_seconds)?,
            streams,
        };
        let tls = tls(certificates, client_ca, only_tls13, cipher_suites, alpn);
        let event = Arc::new(Event::new()?);
        let wake = Arc::clone(&event);
        let front = front::Front::new(&tls, limits, move || wake.set()).map_err(front_error)?;
        Ok(Front { front, event })
    }

    #[pyo3(signature = (certificates, client_ca, *, only_tls13, cipher_suites, alpn))]
    fn set_tls(
        &self,
        certificates: Vec<Shown>,
        client_ca: &[u8],
        only_tls13: bool,
        cipher_suites: Vec<String>,
        alpn: Vec<String>,
    ) -> PyResult<()> {
        let tls = tls(certificates, client_ca, only_tls13, cipher_suites, alpn);
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
                    Input::Request(request) => (request.outbox.id, REQUEST, told(py, *request)?),
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

    fn drain(&self) {
        self.front.drain();
    }

    fn close(&self, py: Python<'_>) {
        detached(py, || self.front.close());
    }
}

/// A request as Python gets it: its exchange, the connection's number, and what it says. See `_core.pyi`.
fn told(py: Python<'_>, request: Request) -> PyResult<Bound<'_, PyAny>> {
    let exchange = FrontExchange {
        outbox: request.outbox,
        style: request.style,
        chunked: AtomicBool::new(false),
    };
    let fields = request.headers.iter();
    let fields = fields.map(|(name, value)| (PyBytes::new(py, name), PyBytes::new(py, value)));
    let headers = PyList::new(py, fields.collect::<Vec<_>>())?;
    let query = request.target.iter().position(|byte| *byte == b'?');
    let (path, query) = match query {
        Some(at) => (&request.target[..at], &request.target[at + 1..]),
        None => (&request.target[..], &b""[..]),
    };
    (
        exchange,
        request.connection,
        request.method,
        PyBytes::new(py, path),
        PyBytes::new(py, query),
        headers,
        PyBytes::new(py, &request.body),
        request.more,
    )
        .into_bound_py_any(py)
}

/// Flags of what the app should do: flush, pause.
fn flags((flush, full): (bool, bool)) -> u8 {
    u8::from(flush) | u8::from(full) << 1
}

fn watch_source(watcher: &Watcher, form: &str, of: &str) -> PyResult<Source> {
    let form = match form {
        "json" => Form::Json,
        "protobuf" => Form::Protobuf(of.into()),
        "partial" | "partial-protobuf" => Form::Partial {
            version: of.into(),
            protobuf: form == "partial-protobuf",
        },
        other => return Err(PyValueError::new_err(format!("form: unknown: {other:?}"))),
    };
    Ok(Source::Watch(Arc::clone(&watcher.0), form))
}

fn list_source(list: &ListResult, before: &[u8], after: &[u8]) -> Source {
    Source::Body(Body::new(
        before.to_vec(),
        list.0.items.clone(),
        Arc::clone(&list.2),
        after.to_vec(),
    ))
}

/// The answer to a request that the front has read. See `_core.pyi`.
#[pyclass(frozen)]
struct FrontExchange {
    outbox: Arc<Outbox>,
    style: Style,
    chunked: AtomicBool,
}

impl FrontExchange {
    fn ended(&self, said: (bool, bool)) -> (bool, bool) {
        let done = self.outbox.done();
        (said.0 | done.0, said.1 | done.1)
    }
}

#[pymethods]
impl FrontExchange {
    #[pyo3(signature = (status, headers, body, end, /))]
    fn respond(
        &self,
        status: u16,
        headers: Vec<(Bound<'_, PyBytes>, Bound<'_, PyBytes>)>,
        body: &[u8],
        end: bool,
    ) -> PyResult<u8> {
        let fields = headers.iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        if let Some((name, _)) = fields.iter().find(|(name, value)| !is_field(name, value)) {
            let name = String::from_utf8_lossy(name);
            return Err(PyValueError::new_err(format!(
                "invalid header field {name:?}"
            )));
        }
        match self.style {
            Style::One { head } => {
                let whole = end.then_some(body.len());
                let (mut out, chunked) = head_of(status, &fields, whole, self.outbox.is_draining());
                self.chunked.store(chunked && !head, Ordering::Relaxed);
                if !head {
                    push(&mut out, body, chunked, end);
                }
                let said = self.outbox.write(out);
                Ok(flags(if end { self.ended(said) } else { said }))
            }
            Style::Two => {
                let head = head_of_two(status, &fields)
                    .map_err(|error| PyValueError::new_err(error.to_string()))?;
                let mut said = self.outbox.head(head);
                if !body.is_empty() {
                    let more = self.outbox.write(body.to_vec());
                    said = (said.0 | more.0, said.1 | more.1);
                }
                Ok(flags(if end { self.ended(said) } else { said }))
            }
        }
    }

    #[pyo3(signature = (body, end, /))]
    fn write(&self, py: Python<'_>, body: &[u8], end: bool) -> u8 {
        let (chunked, none) = match self.style {
            Style::One { head } => (self.chunked.load(Ordering::Relaxed), head),
            Style::Two => (false, false),
        };
        let make = || {
            let mut out = Vec::new();
            if !none {
                push(&mut out, body, chunked, end);
            }
            out
        };
        let out = if body.len() < DETACH_BYTES {
            make()
        } else {
            detached(py, make)
        };
        let said = if out.is_empty() {
            (false, false)
        } else {
            self.outbox.write(out)
        };
        flags(if end { self.ended(said) } else { said })
    }

    #[pyo3(signature = (watcher, form, of, /))]
    fn attach_watch(&self, watcher: &Watcher, form: &str, of: &str) -> PyResult<(u64, bool)> {
        let source = watch_source(watcher, form, of)?;
        Ok(self
            .outbox
            .attach(source, self.chunked.load(Ordering::Relaxed)))
    }

    #[pyo3(signature = (list, before, after, /))]
    fn attach_list(&self, list: &ListResult, before: &[u8], after: &[u8]) -> (u64, bool) {
        let source = list_source(list, before, after);
        self.outbox
            .attach(source, self.chunked.load(Ordering::Relaxed))
    }

    #[pyo3(signature = (token, /))]
    fn detach(&self, token: u64) {
        self.outbox.detach(token);
    }

    fn abort(&self) {
        self.outbox.abort();
    }

    #[pyo3(signature = (paused, /))]
    fn pause(&self, paused: bool) {
        self.outbox.set_paused(paused);
    }
}

/// A part of a body of HTTP/1.1, as a chunk if it is such.
fn push(out: &mut Vec<u8>, body: &[u8], chunked: bool, end: bool) {
    out.reserve(body.len() + 32);
    if chunked && !body.is_empty() {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{:x}\r\n", body.len());
    }
    out.extend_from_slice(body);
    if chunked && !body.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
    if chunked && end {
        out.extend_from_slice(b"0\r\n\r\n");
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
        flags(self.outbox.write(bytes))
    }

    #[pyo3(signature = (watcher, form, of, chunked, /))]
    fn attach_watch(
        &self,
        watcher: &Watcher,
        form: &str,
        of: &str,
        chunked: bool,
    ) -> PyResult<(u64, bool)> {
        let source = watch_source(watcher, form, of)?;
        Ok(self.outbox.attach(source, chunked))
    }

    #[pyo3(signature = (list, before, after, chunked, /))]
    fn attach_list(
        &self,
        list: &ListResult,
        before: &[u8],
        after: &[u8],
        chunked: bool,
    ) -> (u64, bool) {
        self.outbox
            .attach(list_source(list, before, after), chunked)
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
    module.add_class::<FrontConnection>()?;
    module.add_class::<FrontExchange>()
}
