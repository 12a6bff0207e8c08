//! The border of `es256`.

use orlop_core::es256;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// A key that signs and verifies; a signature takes some 30 µs, a check 80.
#[pyclass(frozen, module = "orlop._core")]
struct Es256Key(es256::Key);

#[pymethods]
impl Es256Key {
    #[new]
    fn new(pem: &[u8]) -> PyResult<Self> {
        es256::Key::from_pem(pem)
            .map(Self)
            .ok_or_else(|| PyValueError::new_err("no P-256 private key (PKCS #8, PEM)"))
    }

    #[getter]
    fn public(&self) -> &[u8] {
        self.0.public()
    }

    fn sign(&self, py: Python<'_>, message: &[u8]) -> PyResult<Vec<u8>> {
        py.detach(|| self.0.sign(message))
            .ok_or_else(|| PyOSError::new_err("the system gives no random numbers"))
    }

    fn verify(&self, py: Python<'_>, message: &[u8], signature: &[u8]) -> bool {
        py.detach(|| self.0.verify(message, signature))
    }
}

/// Adds the room to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Es256Key>()
}
