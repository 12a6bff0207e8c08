//! Rust errors become Python exceptions here and nowhere else.

use std::fmt::Display;

use orlop_core::forward::ipvs;
use orlop_core::{front, hub, wire};
use pyo3::exceptions::{PyException, PyLookupError, PyOSError, PyRuntimeError, PyValueError};
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

pyo3::create_exception!(
    orlop._core,
    Expired,
    PyException,
    "The hub has forgotten the events after the revision asked for."
);

/// `hub`'s error as Python's.
pub fn hub_error(error: hub::Error) -> PyErr {
    match error {
        hub::Error::Unknown(resource) => {
            PyLookupError::new_err(format!("the hub knows no resource {resource:?}"))
        }
        hub::Error::Selector(message) => PyValueError::new_err(message),
        hub::Error::Expired { since, oldest } => {
            Expired::new_err(format!("too old resource version: {since} ({oldest})"))
        }
    }
}

/// `front`'s error as Python's.
pub fn front_error(error: front::Error) -> PyErr {
    match error {
        front::Error::Tls(text) => PyValueError::new_err(text),
        front::Error::Io(error) => PyOSError::new_err(error.to_string()),
    }
}

/// `ipvs`' error as Python's.
pub fn ipvs_error(error: ipvs::Error) -> PyErr {
    match error {
        ipvs::Error::Missing => PyLookupError::new_err(error.to_string()),
        ipvs::Error::Io(error) => error.into(),
        ipvs::Error::Refused(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

/// Adds the exception types to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("WireError", module.py().get_type::<WireError>())?;
    module.add("Expired", module.py().get_type::<Expired>())
}

/// Input that cannot be understood: a ValueError with the error's own words.
pub fn value_error(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}
