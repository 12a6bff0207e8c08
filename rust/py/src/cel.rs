//! The border of `cel`.

use orlop_core::cel::{
    self, Answer, Device, Document, Done, Outcome, Selector, Vocabulary, Wanted,
};
use orlop_core::schema::Schema;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::HashMap;

/// What expressions speak of, read once.
#[pyclass(frozen, module = "orlop._core")]
struct CelDocument {
    inner: Document,
}

#[pymethods]
impl CelDocument {
    #[new]
    #[pyo3(signature = (json, /))]
    fn new(json: &[u8]) -> PyResult<Self> {
        let inner = Document::read(json).map_err(PyValueError::new_err)?;
        Ok(CelDocument { inner })
    }
}

/// Expressions of a policy.
#[pyclass(frozen, module = "orlop._core")]
struct CelExpressions {
    inner: cel::Expressions,
}

/// `value` with JSON, `error` or `spent` with words.
type Told<'py> = (&'static str, Bound<'py, PyBytes>);

#[pymethods]
impl CelExpressions {
    #[new]
    #[pyo3(signature = (variables, expressions, /))]
    fn new(variables: Vec<(String, String)>, expressions: Vec<String>) -> Self {
        CelExpressions {
            inner: cel::Expressions::new(variables, &expressions),
        }
    }

    #[pyo3(signature = (which, documents, answers, budget, /))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        which: Vec<usize>,
        documents: Vec<(String, Option<PyRef<'py, CelDocument>>)>,
        answers: HashMap<String, Answer>,
        budget: u64,
    ) -> (Vec<Told<'py>>, u64, Option<String>) {
        let borrowed: Vec<(String, Option<&Document>)> = documents
            .iter()
            .map(|(name, document)| (name.clone(), document.as_ref().map(|d| &d.inner)))
            .collect();
        let done = self.inner.evaluate(&which, &borrowed, &answers, budget);
        match done {
            Done::Asks(question) => (Vec::new(), budget, Some(question)),
            Done::All(outcomes, left) => {
                let told = outcomes.into_iter().map(|outcome| match outcome {
                    Outcome::Value(json) => ("value", PyBytes::new(py, &json)),
                    Outcome::Error(why) => ("error", PyBytes::new(py, why.as_bytes())),
                    Outcome::Spent(why) => ("spent", PyBytes::new(py, why.as_bytes())),
                });
                (told.collect(), left, None)
            }
        }
    }
}

/// A device as expressions see it, read once.
#[pyclass(frozen, module = "orlop._core")]
struct CelDevice {
    inner: Device,
}

#[pymethods]
impl CelDevice {
    #[new]
    #[pyo3(signature = (driver, json, /))]
    fn new(driver: &str, json: &[u8]) -> PyResult<Self> {
        let inner = Device::read(driver, json).map_err(PyValueError::new_err)?;
        Ok(CelDevice { inner })
    }
}

/// An expression that chooses devices.
#[pyclass(frozen, module = "orlop._core")]
struct CelSelector {
    inner: Selector,
}

#[pymethods]
impl CelSelector {
    #[new]
    #[pyo3(signature = (text, /))]
    fn new(text: &str) -> Self {
        CelSelector {
            inner: Selector::new(text),
        }
    }

    #[pyo3(signature = (device, /))]
    fn matches(&self, device: PyRef<'_, CelDevice>) -> PyResult<bool> {
        self.inner
            .matches(&device.inner)
            .map_err(PyValueError::new_err)
    }
}

/// What is wrong with an expression; None if it is right.
#[pyfunction]
#[pyo3(signature = (expression, wanted, documents, authorizer, variables, /))]
fn cel_wrong(
    expression: &str,
    wanted: &str,
    documents: Vec<(String, Option<Vec<u8>>)>,
    authorizer: bool,
    variables: Option<Vec<(String, String)>>,
) -> PyResult<Option<String>> {
    let wanted = match wanted {
        "bool" => Wanted::Bool,
        "string" => Wanted::Text,
        "message" => Wanted::Message,
        "object" => Wanted::Object,
        "patches" => Wanted::Patches,
        "any" => Wanted::Any,
        other => return Err(PyValueError::new_err(format!("unknown type {other:?}"))),
    };
    let mut known = Vec::with_capacity(documents.len());
    for (name, schema) in documents {
        let schema = schema
            .map(|text| Schema::of_json(&text))
            .transpose()
            .map_err(PyValueError::new_err)?;
        known.push((name, schema));
    }
    let vocabulary = Vocabulary {
        documents: known,
        authorizer,
        variables,
    };
    Ok(cel::wrong(expression, wanted, &vocabulary))
}

/// What is wrong with each expression of a policy whose objects are of this type; None where it is right.
#[pyfunction]
#[pyo3(signature = (expressions, object, params, variables, /))]
#[allow(clippy::needless_pass_by_value)] // what Python gives is copied
fn cel_issues(
    expressions: Vec<String>,
    object: &[u8],
    params: Option<&[u8]>,
    variables: Vec<(String, String)>,
) -> PyResult<Vec<Option<String>>> {
    let read = |text: &[u8]| Schema::of_json(text).map_err(PyValueError::new_err);
    let object = read(object)?;
    // An empty text: parameters of which nothing is known.
    let params = match params {
        None => None,
        Some(b"") => Some(None),
        Some(text) => Some(Some(read(text)?)),
    };
    let params = params.as_ref().map(Option::as_ref);
    Ok(cel::issues(&expressions, &object, params, &variables))
}

/// Adds this room's classes and functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CelDocument>()?;
    module.add_class::<CelExpressions>()?;
    module.add_class::<CelDevice>()?;
    module.add_class::<CelSelector>()?;
    module.add_function(wrap_pyfunction!(cel_wrong, module)?)?;
    module.add_function(wrap_pyfunction!(cel_issues, module)?)?;
    Ok(())
}
