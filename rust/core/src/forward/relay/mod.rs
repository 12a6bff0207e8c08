//! The userspace proxy: sockets that take connections and datagrams for service ports, and carry them to backends.
//!
//! It runs in a process of its own and is told what to serve over a Unix socket (`control`), so that whoever tells it can
//! be killed and updated while everything flows. A listener is one list of backends of one service port. A connection
//! whose backend refuses or does not answer goes to another one before its client notices (`tcp`), and a flow of
//! datagrams likewise (`udp`). What was begun goes on when its backend or its listener is taken away.

mod control;
mod pick;
mod pool;
mod splice;
mod tcp;
mod udp;

use std::io;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use control::VERSION;

/// Serves until it is told to stop, on a runtime of its own. `path` is where the Unix socket is made, by `ready` it says
/// that it is. Fails where the socket cannot be made.
pub fn run(path: &Path, ready: impl FnOnce()) -> io::Result<()> {
    // Two files for each connection.
    let files = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: files,
            maximum: files,
        },
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(control::serve(path, ready));
    runtime.shutdown_background();
    outcome
}
