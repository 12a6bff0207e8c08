//! System calls that have no safe wrapper, each in one place with its reason.

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::{ForkResult, Pid};

/// fork(2).
pub fn fork() -> Result<Option<Pid>, String> {
    // SAFETY: this process has one thread, so the child may go on with ordinary Rust.
    match unsafe { nix::unistd::fork() } {
        Ok(ForkResult::Child) => Ok(None),
        Ok(ForkResult::Parent { child }) => Ok(Some(child)),
        Err(error) => Err(format!("cannot start a process: {}", error.desc())),
    }
}

/// fork(2) whose child is a child of the caller's parent. None within the child.
pub fn fork_sibling() -> Result<Option<Pid>, String> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack this is fork(2); this process has one thread.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0, 0, 0, 0) };
    match result {
        -1 => Err(format!("cannot start a process: {}", Errno::last().desc())),
        0 => Ok(None),
        pid => Ok(Some(Pid::from_raw(pid as i32))),
    }
}

/// Ends this process without running anything that is the parent's.
pub fn leave(code: i32) -> ! {
    // SAFETY: _exit(2) has no conditions.
    unsafe { libc::_exit(code) }
}

/// Takes over a descriptor that this process was given.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass descriptors that the kernel has just made for them, and pass each once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Uses a descriptor that stays somebody else's.
pub fn lend<T>(fd: RawFd, work: impl FnOnce(&OwnedFd) -> T) -> T {
    work(&std::mem::ManuallyDrop::new(own(fd)))
}

/// prctl(2) with one argument.
pub fn prctl(option: i32, argument: libc::c_ulong) -> Result<(), Errno> {
    // SAFETY: the options used here (dumpable, subreaper, keepcaps, no_new_privs) take integers.
    Errno::result(unsafe { libc::prctl(option, argument, 0, 0, 0) }).map(drop)
}

/// pidfd_open(2).
pub fn pidfd(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: takes integers and returns a new descriptor.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    Ok(own(fd as RawFd))
}

/// Marks all descriptors from `first` on to be closed by execve(2).
pub fn close_on_exec_from(first: u32) {
    // SAFETY: takes integers; it changes flags only.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// setrlimit(2).
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` lives through the call.
    Errno::result(unsafe { libc::setrlimit(resource, &limit) }).map(drop)
}

/// Sets real, effective and saved ids, the group's first.
pub fn set_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: take integers; the process has one thread, so the raw calls are enough.
    unsafe {
        Errno::result(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        Errno::result(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

/// execve(2); returns only on failure.
pub fn execute(path: &CString, arguments: &[CString], environment: &[CString]) -> Errno {
    match nix::unistd::execve(path, arguments, environment) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

/// seccomp(2): loads a program of instructions as struct sock_filter has them.
pub fn load_filter(program: &[u8], flags: u32) -> Result<(), Errno> {
    const SET_MODE_FILTER: libc::c_long = 1; // SECCOMP_SET_MODE_FILTER in linux/seccomp.h
    let whole = libc::sock_fprog {
        len: (program.len() / size_of::<libc::sock_filter>()) as u16,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel only reads `whole` and the bytes it points to, both alive through the call, of any alignment.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SET_MODE_FILTER,
            flags as libc::c_ulong,
            &whole,
        )
    })
    .map(drop)
}

/// Gives a descriptor's pipe room for `size` bytes, where the kernel allows it.
pub fn widen_pipe(fd: &OwnedFd, size: i32) {
    // SAFETY: takes integers.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, size) };
}
