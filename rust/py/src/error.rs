//! Rust errors become Python exceptions here and nowhere else.

use pyo3::prelude::*;

/// Adds the exception types to the module.
pub fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
