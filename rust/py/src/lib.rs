//! `orlop._core`: the border to Python. This file is the export table; each room has one file.

mod cel;
mod columns;
mod detach;
mod error;
mod es256;
mod event;
mod forward;
mod front;
mod hub;
mod ipvs;
mod sched;
mod schema;
mod wire;

use pyo3::prelude::*;

/// Everything Python can see of the Rust side, room by room.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    error::register(module)?;
    es256::register(module)?;
    wire::register(module)?;
    hub::register(module)?;
    sched::register(module)?;
    columns::register(module)?;
    cel::register(module)?;
    schema::register(module)?;
    forward::register(module)?;
    ipvs::register(module)?;
    front::register(module)?;
    Ok(())
}
