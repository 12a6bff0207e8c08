//! How Rust's threads call the event loop: a descriptor that the loop reads when it is set.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::fs::File;
use std::io::{Error, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// An eventfd.
pub struct Event(File);

impl Event {
    /// One that is not set.
    pub fn new() -> PyResult<Event> {
        // SAFETY: a plain system call; the descriptor, if it is one, has no other owner.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(PyOSError::new_err(format!(
                    "eventfd: {}",
                    Error::last_os_error()
                )));
            }
            Ok(Event(File::from_raw_fd(fd)))
        }
    }

    /// Makes it readable. Any thread may.
    pub fn set(&self) {
        // It fails only when 2^64 - 2 wake-ups are unread: then it is readable anyway.
        let _ = (&self.0).write_all(&1_u64.to_ne_bytes());
    }

    /// To be called before one looks: a wake-up that comes in between is then not lost.
    pub fn clear(&self) {
        // Failing means that it was not set.
        let _ = (&self.0).read(&mut [0; 8]);
    }

    /// For the event loop.
    pub fn fileno(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
