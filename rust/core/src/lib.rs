//! The hot paths of orlop, in plain Rust: nothing here knows Python.
//!
//! Each module is a room with one job; the border to Python is `rust/py`.

pub mod cel;
mod ends;
pub mod es256;
pub mod forward;
pub mod front;
pub mod hub;
pub mod sched;
pub mod schema;
pub mod wire;
