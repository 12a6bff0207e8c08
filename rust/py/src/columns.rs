//! The scheduler's nodes as columns of numbers, which plug-ins in Python read without a copy.

use std::ffi::{CStr, c_int};
use std::ptr::null_mut;

use orlop_core::sched::numbers::Numbers;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Adds this room's classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Columns>()?;
    module.add_class::<Column>()
}

/// The nodes as columns. See `_core.pyi`.
#[pyclass(module = "orlop.native", frozen)]
pub struct Columns {
    /// Which nodes are in which slots.
    pub layout: u64,
    /// The nodes by slot; "" where there is none.
    pub names: Vec<String>,
    /// Resources: what may be used of each, and what is requested.
    pub amounts: Vec<(String, Numbers, Numbers)>,
}

#[pymethods]
impl Columns {
    #[getter]
    fn layout(&self) -> u64 {
        self.layout
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    #[getter]
    fn resources(&self) -> Vec<String> {
        self.amounts
            .iter()
            .map(|(name, _, _)| name.clone())
            .collect()
    }

    #[pyo3(signature = (resource, /))]
    fn allocatable(&self, resource: &str) -> Option<Column> {
        let found = self.amounts.iter().find(|(name, _, _)| name == resource);
        found.map(|(_, numbers, _)| Column::of(numbers))
    }

    #[pyo3(signature = (resource, /))]
    fn requested(&self, resource: &str) -> Option<Column> {
        let found = self.amounts.iter().find(|(name, _, _)| name == resource);
        found.map(|(_, _, numbers)| Column::of(numbers))
    }
}

/// One number a slot, read by the buffer protocol without a copy. See `_core.pyi`.
#[pyclass(module = "orlop.native", frozen)]
struct Column {
    numbers: Numbers,
    /// What a buffer points to beside the numbers: its only dimension's length and stride.
    shape: [ffi::Py_ssize_t; 1],
    strides: [ffi::Py_ssize_t; 1],
}

impl Column {
    fn of(numbers: &Numbers) -> Self {
        Self {
            numbers: numbers.clone(),
            shape: [numbers.len() as ffi::Py_ssize_t],
            strides: [size_of::<i64>() as ffi::Py_ssize_t],
        }
    }
}

/// The struct module's code for a signed 64-bit integer in the machine's own order.
const FORMAT: &CStr = c"q";

#[pymethods]
impl Column {
    fn __len__(&self) -> usize {
        self.numbers.len()
    }

    /// # Safety
    /// Called by Python with a `view` to be filled in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill in"));
        }
        if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
            return Err(PyBufferError::new_err("a column is read-only"));
        }
        let column = slf.get();
        let bytes = size_of_val::<[i64]>(&column.numbers);
        // SAFETY: `view` is Python's to fill in. The numbers do not move or change while this object holds them, for
        // whoever wants to change them copies them first (see `Numbers`); shape and strides lie in the object itself;
        // and the view holds the object until it is released.
        unsafe {
            (*view).buf = column.numbers.as_ptr().cast_mut().cast();
            (*view).len = bytes as ffi::Py_ssize_t;
            (*view).readonly = 1;
            (*view).itemsize = size_of::<i64>() as ffi::Py_ssize_t;
            (*view).format = if flags & ffi::PyBUF_FORMAT == ffi::PyBUF_FORMAT {
                FORMAT.as_ptr().cast_mut()
            } else {
                null_mut()
            };
            (*view).ndim = 1;
            (*view).shape = if flags & ffi::PyBUF_ND == ffi::PyBUF_ND {
                column.shape.as_ptr().cast_mut()
            } else {
                null_mut()
            };
            (*view).strides = if flags & ffi::PyBUF_STRIDES == ffi::PyBUF_STRIDES {
                column.strides.as_ptr().cast_mut()
            } else {
                null_mut()
            };
            (*view).suboffsets = null_mut();
            (*view).internal = null_mut();
            (*view).obj = slf.into_any().into_ptr();
        }
        Ok(())
    }
}
