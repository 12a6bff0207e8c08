//! Long calls leave the GIL here, so that no room invents its own way.

use pyo3::marker::Ungil;
use pyo3::prelude::*;

/// Runs `work` without the GIL. For anything that may take longer than a few microseconds.
#[allow(dead_code)]
pub fn detached<T, F>(py: Python<'_>, work: F) -> T
where
    F: Ungil + FnOnce() -> T,
    T: Ungil,
{
    py.detach(work)
}
