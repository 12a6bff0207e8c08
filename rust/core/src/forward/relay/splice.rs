//! Bytes from one TCP socket to another without a copy through this process, by a pipe in the kernel.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes that the pipe holds: what one system call moves at most.
const PIPE: usize = 512 * 1024;

/// A pipe with nothing in it.
pub struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
}

impl Pipe {
    /// Fails where this process may open no more files.
    pub fn new() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // What a user may have in pipes is limited: a small one works too.
        let _ = fcntl_setpipe_size(&into, PIPE);
        Ok(Self { out, into })
    }

    /// Moves everything until `from` has no more to come.
    pub async fn pump(
        &self,
        from: &TcpStream,
        to: &TcpStream,
        moved: &AtomicU64,
    ) -> io::Result<()> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        loop {
            let mut inside = on(from, Interest::READABLE, || {
                splice(from, None, &self.into, None, PIPE, flags)
            })
            .await?;
            if inside == 0 {
                return Ok(());
            }
            while inside > 0 {
                let gone = on(to, Interest::WRITABLE, || {
                    splice(&self.out, None, to, None, inside, flags)
                })
                .await?;
                inside -= gone;
                moved.fetch_add(gone as u64, Ordering::Relaxed);
            }
        }
    }
}

async fn on(
    stream: &TcpStream,
    interest: Interest,
    work: impl Fn() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    stream
        .async_io(interest, || work().map_err(io::Error::from))
        .await
}
