//! Rust errors become Python exceptions here and nowhere else.

use orlop_core::wire;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pyo3::create_exception!(
    orlop._core,
    WireError,
    PyValueError,
    "A body cannot be read as the type it should be. The message is worded as Kubernetes' own decoders word it."
);

/// `wire`'s error as Python's.
pub fn wire_error(error: wire::WireError) -> PyErr {
    WireError::new_err(error.0)
}

/// Adds the exception types to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("WireError", module.py().get_type::<WireError>())
}
