//! Pseudo terminals.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::sys;

/// A new terminal of this mount namespace's devpts: master and slave.
pub fn open_pair() -> Result<(OwnedFd, OwnedFd), String> {
    let describe =
        |what: &str, error: Errno| format!("cannot open a terminal: {what}: {}", error.desc());
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master =
        sys::own(open("/dev/ptmx", flags, Mode::empty()).map_err(|e| describe("/dev/ptmx", e))?);
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &unlocked) })
        .map_err(|e| describe("unlock", e))?;
    // SAFETY: TIOCGPTPEER takes open flags and returns a new descriptor.
    let slave =
        Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags.bits()) })
            .map_err(|e| describe("peer", e))?;
    Ok((master, sys::own(slave)))
}

/// Makes `slave` the controlling terminal of this session leader.
pub fn control(slave: &OwnedFd) -> Result<(), String> {
    // SAFETY: TIOCSCTTY takes an integer.
    Errno::result(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) })
        .map(drop)
        .map_err(|e| format!("cannot take the terminal: {}", e.desc()))
}
