//! The border of `hub`.

use crate::detach::detached;
use crate::error::hub_error;
use crate::event::Event;
use orlop_core::hub::{self, Change, Frame, Handle, Packs, State, Watch};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use std::sync::Arc;

/// Copies, batches and searches below these take a few microseconds: giving the GIL away would cost more.
const DETACH_BYTES: usize = 256 * 1024;
const DETACH_CHANGES: usize = 64;
const DETACH_OBJECTS: usize = 500;

/// The integer that stands for DELETED in a batch; 1 is ADDED and 2 is MODIFIED.
const DELETED: u8 = 3;

/// One change of a batch: resource, namespace, name, revision, type, value.
type Row<'py> = (String, String, String, u64, u8, Bound<'py, PyBytes>);

/// One `bytes` of all pieces, allocated once and filled without the GIL where it is long.
fn joined<'a, I>(py: Python<'_>, size: usize, pieces: I) -> PyResult<Bound<'_, PyBytes>>
where
    I: Iterator<Item = &'a [u8]> + Send,
{
    // SAFETY: a new bytes object of this size, not filled in; nobody else has it before it is returned. An object of
    // another size than asked for cannot come back: it is null, which becomes the error that is set.
    let (bytes, start) = unsafe {
        let object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size as ffi::Py_ssize_t);
        let bytes = Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked::<PyBytes>();
        (bytes, ffi::PyBytes_AsString(object) as usize)
    };
    let fill = move || {
        let mut at = 0;
        for piece in pieces {
            assert!(piece.len() <= size - at, "pieces are longer than was said");
            // SAFETY: checked to lie inside the object, which nobody reads yet and which does not overlap a piece.
            unsafe {
                std::ptr::copy_nonoverlapping(piece.as_ptr(), (start + at) as *mut u8, piece.len())
            };
            at += piece.len();
        }
        assert!(at == size, "pieces are shorter than was said");
    };
    if size < DETACH_BYTES {
        fill()
    } else {
        detached(py, fill)
    }
    Ok(bytes)
}

/// Current objects, events and watchers. See `_core.pyi`.
#[pyclass(frozen)]
struct Hub {
    hub: Arc<hub::Hub>,
    event: Arc<Event>,
    packs: Arc<Packs>,
}

#[pymethods]
impl Hub {
    #[new]
    #[pyo3(signature = (ring, /))]
    fn new(ring: usize) -> PyResult<Hub> {
        let event = Arc::new(Event::new()?);
        let wake = Arc::clone(&event);
        let hub = hub::Hub::new(ring, move || wake.set());
        Ok(Hub {
            hub: Arc::new(hub),
            event,
            packs: Arc::default(),
        })
    }

    #[pyo3(signature = (resource, selectable_fields, namespaced, api_version, kind, /))]
    fn declare(
        &self,
        py: Python<'_>,
        resource: &str,
        selectable_fields: Vec<(String, String)>,
        namespaced: bool,
        api_version: &str,
        kind: &str,
    ) {
        detached(py, || {
            self.hub
                .declare(resource, &selectable_fields, namespaced, api_version, kind)
        });
    }

    #[pyo3(signature = (resource, items, /))]
    fn load(
        &self,
        py: Python<'_>,
        resource: &str,
        items: Vec<(String, String, u64, Bound<'_, PyBytes>)>,
    ) {
        let items: Vec<_> = items
            .into_iter()
            .map(|(namespace, name, revision, value)| {
                (namespace, name, revision, value.as_bytes().into())
            })
            .collect();
        detached(py, || self.hub.load(resource, items));
    }

    #[pyo3(signature = (revision, /))]
    fn start(&self, revision: u64) {
        self.hub.start(revision);
    }

    #[pyo3(signature = (changes, /))]
    fn apply(&self, py: Python<'_>, changes: Vec<Row<'_>>) -> PyResult<()> {
        let mut batch: Vec<Change> = Vec::with_capacity(changes.len());
        for (resource, namespace, name, revision, kind, value) in changes {
            if !(1..=DELETED).contains(&kind) {
                return Err(PyValueError::new_err(format!(
                    "type is 1, 2 or 3, not {kind}"
                )));
            }
            let resource = match batch.last() {
                Some(last) if *last.resource == *resource => Arc::clone(&last.resource),
                _ => resource.into(),
            };
            let deleted = kind == DELETED;
            batch.push(Change {
                resource,
                namespace,
                name,
                revision,
                deleted,
                value: value.as_bytes().into(),
            });
        }
        if batch.len() < DETACH_CHANGES {
            self.hub.apply(batch);
        } else {
            detached(py, || self.hub.apply(batch));
        }
        Ok(())
    }

    #[getter]
    fn revision(&self) -> u64 {
        self.hub.revision()
    }

    #[pyo3(signature = (resource, /))]
    fn newest(&self, resource: &str) -> u64 {
        self.hub.newest(resource)
    }

    #[pyo3(signature = (resources, /))]
    fn newest_of(&self, resources: &Bound<'_, PyTuple>) -> PyResult<u64> {
        let mut newest = 0;
        for resource in resources {
            let resource = resource.cast::<PyString>()?;
            newest = newest.max(self.hub.newest(resource.to_str()?));
        }
        Ok(newest)
    }

    #[pyo3(signature = (resource, namespace, name, /))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, u64)>> {
        let found = self.hub.get(resource, namespace, name).map_err(hub_error)?;
        Ok(found.map(|object| (PyBytes::new(py, &object.value), object.revision)))
    }

    #[pyo3(signature = (resource, namespace, label_selector="", field_selector="", limit=0, after=None, head=None, /))]
    #[allow(clippy::too_many_arguments)] // what a list is asked by
    fn list(
        &self,
        py: Python<'_>,
        resource: &str,
        namespace: Option<&str>,
        label_selector: &str,
        field_selector: &str,
        limit: usize,
        after: Option<(String, String)>,
        head: Option<&[u8]>,
    ) -> PyResult<ListResult> {
        let after = after
            .as_ref()
            .map(|(namespace, name)| (namespace.as_str(), name.as_str()));
        let find = || {
            self.hub.list(
                resource,
                namespace,
                label_selector,
                field_selector,
                limit,
                after,
            )
        };
        let list = if self.hub.count(resource) < DETACH_OBJECTS {
            find()
        } else {
            detached(py, find)
        };
        Ok(ListResult(
            list.map_err(hub_error)?,
            Arc::clone(&self.packs),
            head.unwrap_or_default().into(),
        ))
    }

    #[pyo3(signature = (resource, namespace, label_selector="", field_selector="", since=None, initial=false, bookmarks=false, initial_end=true, /))]
    #[allow(clippy::too_many_arguments)] // what a watch is asked by
    fn watch(
        &self,
        resource: &str,
        namespace: Option<&str>,
        label_selector: &str,
        field_selector: &str,
        since: Option<u64>,
        initial: bool,
        bookmarks: bool,
        initial_end: bool,
    ) -> PyResult<Watcher> {
        let asked = Watch {
            namespace,
            labels: label_selector,
            fields: field_selector,
            since,
            initial,
            bookmarks,
            initial_end,
        };
        let handle = self.hub.watch(resource, asked).map_err(hub_error)?;
        Ok(Watcher(Arc::new(handle)))
    }

    fn bookmark(&self) {
        self.hub.bookmark();
    }

    fn fileno(&self) -> i32 {
        self.event.fileno()
    }

    fn ready(&self) -> Vec<u64> {
        self.event.clear();
        self.hub.ready()
    }

    fn stats(&self) -> Vec<(String, usize, usize)> {
        self.hub.stats()
    }
}

/// A page of objects. See `_core.pyi`.
#[pyclass(frozen)]
pub struct ListResult(pub hub::List, Arc<Packs>, pub Arc<[u8]>);

impl ListResult {
    /// The items' bytes as they stand in the list.
    fn pieces(&self) -> impl Iterator<Item = [&[u8]; 2]> + Send {
        let items = self.0.items.iter().enumerate();
        items.map(|(index, object)| {
            let (open, rest) = hub::shown(index == 0, &object.value, &self.2);
            [open, rest]
        })
    }

    fn length(&self) -> usize {
        self.pieces().flatten().map(<[u8]>::len).sum()
    }
}

#[pymethods]
impl ListResult {
    fn __len__(&self) -> usize {
        self.0.items.len()
    }

    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0
            .items
            .iter()
            .map(|object| PyBytes::new(py, &object.value))
            .collect()
    }

    #[getter]
    fn keys(&self) -> Vec<(&str, &str)> {
        self.0
            .items
            .iter()
            .map(|object| (&*object.namespace, &*object.name))
            .collect()
    }

    #[pyo3(signature = (prefix, suffix, /))]
    fn join<'py>(
        &self,
        py: Python<'py>,
        prefix: &[u8],
        suffix: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        joined(
            py,
            prefix.len() + self.length() + suffix.len(),
            std::iter::once(prefix)
                .chain(self.pieces().flatten())
                .chain(std::iter::once(suffix)),
        )
    }

    #[getter]
    fn size(&self) -> usize {
        let items = &self.0.items;
        let values: usize = items.iter().map(|object| object.value.len()).sum();
        // Objects are not looked into: that would cost more than the sum.
        let heads = items.len() * self.2.len().saturating_sub(1);
        (values + items.len().saturating_sub(1)).saturating_sub(heads)
    }

    #[pyo3(signature = (prefix, suffix, /))]
    fn gzip<'py>(&self, py: Python<'py>, prefix: &[u8], suffix: &[u8]) -> Bound<'py, PyBytes> {
        let packed = detached(py, || self.1.gzip(prefix, &self.0.items, &self.2, suffix));
        PyBytes::new(py, &packed)
    }

    #[getter]
    fn revision(&self) -> u64 {
        self.0.revision
    }

    #[getter]
    fn more(&self) -> bool {
        self.0.more
    }

    #[getter]
    fn remaining(&self) -> Option<usize> {
        self.0.remaining
    }

    #[getter]
    fn last(&self) -> Option<(&str, &str)> {
        self.0
            .items
            .last()
            .map(|object| (&*object.namespace, &*object.name))
    }
}

/// One watch. See `_core.pyi`.
#[pyclass(frozen)]
pub struct Watcher(pub Arc<Handle>);

#[pymethods]
impl Watcher {
    #[getter]
    fn id(&self) -> u64 {
        self.0.id()
    }

    #[getter]
    fn state(&self) -> &'static str {
        match self.0.state() {
            State::Live => "live",
            State::Expired => "expired",
            State::Closed => "closed",
        }
    }

    #[pyo3(signature = (max_bytes, /))]
    fn take<'py>(&self, py: Python<'py>, max_bytes: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut size = 0;
        let frames = self.0.take(|frame| {
            size += frame.len();
            size < max_bytes
        });
        joined(py, size, frames.iter().flat_map(Frame::pieces))
    }

    #[pyo3(signature = (max_events, /))]
    fn events<'py>(
        &self,
        py: Python<'py>,
        max_events: usize,
    ) -> Vec<(&'static str, u64, Bound<'py, PyBytes>)> {
        let mut count = 0;
        let frames = self.0.take(|_| {
            count += 1;
            count < max_events
        });
        frames
            .iter()
            .map(|frame| {
                (
                    frame.kind.name(),
                    frame.revision,
                    PyBytes::new(py, &frame.value),
                )
            })
            .collect()
    }

    fn bookmark(&self) {
        self.0.bookmark();
    }

    fn close(&self) {
        self.0.close();
    }
}

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Hub>()?;
    module.add_class::<ListResult>()?;
    module.add_class::<Watcher>()
}
