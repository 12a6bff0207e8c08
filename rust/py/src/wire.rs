//! The border of `wire`.

use crate::detach::detached;
use crate::error::wire_error;
use orlop_core::wire::{self, Media};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Bodies shorter than this are read in a few microseconds: giving the GIL away would cost more.
const DETACH_FROM: usize = 8 * 1024;

/// Canonical JSON, unknown fields, duplicate fields.
type Decoded<'py> = (Bound<'py, PyBytes>, Vec<String>, Vec<String>);

fn media(name: &str) -> PyResult<Media> {
    Media::named(name).ok_or_else(|| {
        PyValueError::new_err(format!("media is json, yaml or protobuf, not {name:?}"))
    })
}

/// Runs `work` without the GIL where the input is long.
fn maybe_detached<T: Send>(py: Python<'_>, size: usize, work: impl Send + FnOnce() -> T) -> T {
    if size < DETACH_FROM {
        work()
    } else {
        detached(py, work)
    }
}

#[pyfunction]
#[pyo3(signature = (type_key, media_name, body, /))]
fn wire_decode<'py>(
    py: Python<'py>,
    type_key: &str,
    media_name: &str,
    body: &[u8],
) -> PyResult<Decoded<'py>> {
    let media = media(media_name)?;
    let got = maybe_detached(py, body.len(), || wire::decode(type_key, media, body))
        .map_err(wire_error)?;
    Ok((PyBytes::new(py, &got.json), got.unknown, got.duplicate))
}

#[pyfunction]
#[pyo3(signature = (media_name, body, /))]
fn wire_peek(py: Python<'_>, media_name: &str, body: &[u8]) -> PyResult<(String, String)> {
    let media = media(media_name)?;
    maybe_detached(py, body.len(), || wire::peek(media, body)).map_err(wire_error)
}

#[pyfunction]
#[pyo3(signature = (type_key, json, /))]
fn wire_encode_protobuf<'py>(
    py: Python<'py>,
    type_key: &str,
    json: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let out = maybe_detached(py, json.len(), || wire::encode_protobuf(type_key, json))
        .map_err(wire_error)?;
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
#[pyo3(signature = (list_type_key, item_type_key, list_json, items, /))]
fn wire_encode_protobuf_list<'py>(
    py: Python<'py>,
    list_type_key: &str,
    item_type_key: &str,
    list_json: &[u8],
    items: Vec<Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let items: Vec<&[u8]> = items.iter().map(|item| item.as_bytes()).collect();
    let out = detached(py, || {
        wire::encode_protobuf_list(list_type_key, item_type_key, list_json, &items)
    })
    .map_err(wire_error)?;
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
#[pyo3(signature = (event_type, type_key, json, /))]
fn wire_watch_frame_protobuf<'py>(
    py: Python<'py>,
    event_type: &str,
    type_key: &str,
    json: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let out = maybe_detached(py, json.len(), || {
        wire::watch_frame_protobuf(event_type, type_key, json)
    })
    .map_err(wire_error)?;
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
#[pyo3(signature = (type_key, current, patch, /))]
fn wire_strategic_merge<'py>(
    py: Python<'py>,
    type_key: &str,
    current: &[u8],
    patch: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let out = maybe_detached(py, current.len(), || {
        wire::strategic_merge(type_key, current, patch)
    })
    .map_err(wire_error)?;
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
#[pyo3(signature = (current, patch, /))]
fn wire_json_merge<'py>(
    py: Python<'py>,
    current: &[u8],
    patch: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let out = maybe_detached(py, current.len(), || wire::json_merge(current, patch))
        .map_err(wire_error)?;
    Ok(PyBytes::new(py, &out))
}

#[pyfunction]
#[pyo3(signature = (type_key, strategic, current, patch, leave_spec, /))]
fn wire_patched<'py>(
    py: Python<'py>,
    type_key: &str,
    strategic: bool,
    current: &[u8],
    patch: &[u8],
    leave_spec: bool,
) -> Option<(Bound<'py, PyBytes>, bool)> {
    let merge = if strategic {
        wire::Merge::Strategic
    } else {
        wire::Merge::Json
    };
    let got = maybe_detached(py, current.len() + patch.len(), || {
        wire::patched(type_key, merge, current, patch, leave_spec)
    })?;
    Some((PyBytes::new(py, &got.json), got.without_spec))
}

/// A shape, and what stands in its holes.
type ShapeParts<'py> = (Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>);

#[pyfunction]
#[pyo3(signature = (body, /))]
fn wire_pod_shape<'py>(py: Python<'py>, body: &[u8]) -> Option<ShapeParts<'py>> {
    let (shape, values) = wire::pod_shape(body)?;
    let values = values.into_iter().map(|value| PyBytes::new(py, value));
    Some((PyBytes::new(py, &shape), values.collect()))
}

/// Pieces, and the number of the hole behind each.
type CutParts<'py> = Vec<(Bound<'py, PyBytes>, Option<usize>)>;

#[pyfunction]
#[pyo3(signature = (body, stored, /))]
fn wire_pod_cut<'py>(py: Python<'py>, body: &[u8], stored: &[u8]) -> Option<CutParts<'py>> {
    let pieces = wire::pod_cut(body, stored)?.into_iter();
    Some(
        pieces
            .map(|(piece, hole)| (PyBytes::new(py, piece), hole))
            .collect(),
    )
}

#[pyfunction]
#[pyo3(signature = (type_key, /))]
fn wire_describe<'py>(py: Python<'py>, type_key: &str) -> Option<Bound<'py, PyBytes>> {
    wire::describe(type_key).map(|json| PyBytes::new(py, &json))
}

#[pyfunction]
#[pyo3(signature = (media_name, body, /))]
fn wire_to_json<'py>(
    py: Python<'py>,
    media_name: &str,
    body: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let media = media(media_name)?;
    let out = maybe_detached(py, body.len(), || wire::to_json(media, body)).map_err(wire_error)?;
    Ok(PyBytes::new(py, &out))
}

/// Who writes: manager, apiVersion, subresource, time, fields that it cannot own.
type WriterArgs = (String, String, String, String, Vec<String>);

fn field_writer<'w>(args: &'w WriterArgs, ignored: &'w [&'w str]) -> wire::apply::Writer<'w> {
    wire::apply::Writer {
        manager: &args.0,
        version: &args.1,
        subresource: &args.2,
        time: &args.3,
        ignored,
    }
}

#[pyfunction]
#[pyo3(signature = (type_key, live, new, writer, /))]
#[allow(clippy::needless_pass_by_value)] // What a call hands over is the call's.
fn wire_managed<'py>(
    py: Python<'py>,
    type_key: &str,
    live: Option<&[u8]>,
    new: &[u8],
    writer: WriterArgs,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let ignored: Vec<&str> = writer.4.iter().map(String::as_str).collect();
    let writer = field_writer(&writer, &ignored);
    let out = maybe_detached(py, new.len(), || {
        wire::apply::update(type_key, live, new, &writer)
    })
    .map_err(wire_error)?;
    Ok(out.map(|json| PyBytes::new(py, &json)))
}

/// The object and its managedFields, or nothing; the conflicts as (owner, path).
type AppliedParts<'py> = (
    Option<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>,
    Vec<(String, String)>,
);

#[pyfunction]
#[pyo3(signature = (type_key, live, config, writer, force, /))]
#[allow(clippy::needless_pass_by_value)] // What a call hands over is the call's.
fn wire_apply<'py>(
    py: Python<'py>,
    type_key: &str,
    live: Option<&[u8]>,
    config: &[u8],
    writer: WriterArgs,
    force: bool,
) -> PyResult<AppliedParts<'py>> {
    let ignored: Vec<&str> = writer.4.iter().map(String::as_str).collect();
    let writer = field_writer(&writer, &ignored);
    let size = live.map_or(0, <[u8]>::len) + config.len();
    let out = maybe_detached(py, size, || {
        wire::apply::apply(type_key, live, config, &writer, force)
    })
    .map_err(wire_error)?;
    Ok(match out {
        wire::apply::Applied::Done { object, managed } => (
            Some((PyBytes::new(py, &object), PyBytes::new(py, &managed))),
            Vec::new(),
        ),
        wire::apply::Applied::Conflicts(conflicts) => (
            None,
            conflicts.into_iter().map(|c| (c.owner, c.path)).collect(),
        ),
    })
}

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(wire_decode, module)?)?;
    module.add_function(wrap_pyfunction!(wire_peek, module)?)?;
    module.add_function(wrap_pyfunction!(wire_encode_protobuf, module)?)?;
    module.add_function(wrap_pyfunction!(wire_encode_protobuf_list, module)?)?;
    module.add_function(wrap_pyfunction!(wire_watch_frame_protobuf, module)?)?;
    module.add_function(wrap_pyfunction!(wire_strategic_merge, module)?)?;
    module.add_function(wrap_pyfunction!(wire_json_merge, module)?)?;
    module.add_function(wrap_pyfunction!(wire_patched, module)?)?;
    module.add_function(wrap_pyfunction!(wire_pod_shape, module)?)?;
    module.add_function(wrap_pyfunction!(wire_pod_cut, module)?)?;
    module.add_function(wrap_pyfunction!(wire_describe, module)?)?;
    module.add_function(wrap_pyfunction!(wire_to_json, module)?)?;
    module.add_function(wrap_pyfunction!(wire_managed, module)?)?;
    module.add_function(wrap_pyfunction!(wire_apply, module)?)?;
    Ok(())
}
