//! The border of `schema`.

use crate::detach::detached;
use crate::error::wire_error;
use orlop_core::schema::{self, Compiled, Problem};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::Arc;

/// Objects shorter than this are dealt with in a few microseconds: giving the GIL away would cost more.
const DETACH_FROM: usize = 8 * 1024;

/// StatusCause reason, path, value as JSON (empty: none), detail.
type Told<'py> = (&'static str, String, Bound<'py, PyBytes>, String);

fn told<'py>(py: Python<'py>, problems: Vec<Problem>) -> Vec<Told<'py>> {
    problems
        .into_iter()
        .map(|p| (p.cause.name(), p.path, PyBytes::new(py, &p.value), p.detail))
        .collect()
}

/// A version of a custom resource, known to the wire by its key for as long as this is held.
#[pyclass(frozen, module = "orlop._core")]
struct CustomSchema {
    compiled: Arc<Compiled>,
}

#[pymethods]
impl CustomSchema {
    #[new]
    #[pyo3(signature = (key, api_version, kind, schema, /))]
    fn new(key: &str, api_version: &str, kind: &str, schema: &[u8]) -> PyResult<Self> {
        let compiled = Compiled::new(key, api_version, kind, schema).map_err(wire_error)?;
        Ok(CustomSchema { compiled })
    }

    #[pyo3(signature = (stored, /))]
    fn normalize<'py>(
        &self,
        py: Python<'py>,
        stored: &[u8],
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let made = self.compiled.normalize(stored).map_err(wire_error)?;
        Ok(made.map(|json| PyBytes::new(py, &json)))
    }

    #[pyo3(signature = (json, stored, /))]
    fn untyped(&self, json: &[u8], stored: bool) -> PyResult<Option<String>> {
        self.compiled.untyped(json, stored).map_err(wire_error)
    }

    #[pyo3(signature = (new, old, status, /))]
    fn validate<'py>(
        &self,
        py: Python<'py>,
        new: &[u8],
        old: Option<&[u8]>,
        status: bool,
    ) -> PyResult<Vec<Told<'py>>> {
        let work = || self.compiled.validate(new, old, status);
        let problems = if new.len() < DETACH_FROM {
            work()
        } else {
            detached(py, work)
        };
        Ok(told(py, problems.map_err(wire_error)?))
    }
}

/// What is wrong with a definition's schema, and what its author is warned of.
#[pyfunction]
#[pyo3(signature = (schema, path, /))]
fn schema_check<'py>(
    py: Python<'py>,
    schema: &[u8],
    path: &str,
) -> PyResult<(Vec<Told<'py>>, Vec<String>)> {
    let (problems, warnings) = detached(py, || schema::check(schema, path)).map_err(wire_error)?;
    Ok((told(py, problems), warnings))
}

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CustomSchema>()?;
    module.add_function(wrap_pyfunction!(schema_check, module)?)?;
    Ok(())
}
