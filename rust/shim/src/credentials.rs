//! The last steps of a process on its way into a container: limits, groups, ids, capabilities, seccomp, program.
//!
//! For a container's first process libcontainer takes them up to the ids. For `exec` it leaves the seccomp filter out, so
//! all are taken here, in the same order and from the same `config.json`.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libcontainer::capabilities;
use libcontainer::syscall::syscall::create_syscall;
use nix::errno::Errno;
use nix::unistd::AccessFlags;
use nix::unistd::{Gid, access, chdir, setgroups};
use oci_spec::runtime::{PosixRlimitType, Process};

use crate::filter::Filter;
use crate::report::chain;
use crate::sys;

/// Exit codes of a shell for a program that cannot be executed, and for one that is not there.
pub const CANNOT_EXECUTE: i32 = 126;
pub const NOT_FOUND: i32 = 127;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that did not start: the exit code that stands for it, and why.
pub type Refusal = (i32, String);

/// Takes on limits, groups and ids of `process`. Capabilities are kept: `confine` comes next.
pub fn become_user(process: &Process) -> Result<(), String> {
    for limit in process.rlimits().iter().flatten() {
        sys::set_limit(resource(limit.typ()), limit.soft(), limit.hard())
            .map_err(|e| format!("cannot set {:?}: {}", limit.typ(), e.desc()))?;
    }
    let user = process.user();
    let entered = chdir(process.cwd());
    let groups: Vec<Gid> = user
        .additional_gids()
        .iter()
        .flatten()
        .copied()
        .map(Gid::from_raw)
        .collect();
    setgroups(&groups).map_err(|e| format!("cannot set supplementary groups: {}", e.desc()))?;
    let ids = |e: Errno| {
        format!(
            "cannot become user {} of group {}: {}",
            user.uid(),
            user.gid(),
            e.desc()
        )
    };
    sys::prctl(libc::PR_SET_KEEPCAPS, 1).map_err(ids)?;
    sys::set_ids(user.uid(), user.gid()).map_err(ids)?;
    sys::prctl(libc::PR_SET_KEEPCAPS, 0).map_err(ids)?;
    if entered.is_err() {
        let cwd = process.cwd().display();
        chdir(process.cwd())
            .map_err(|e| format!("cannot enter the working directory {cwd}: {}", e.desc()))?;
    }
    Ok(())
}

/// The last step before the program: drops capabilities and loads the seccomp filter. Without no_new_privs that needs
/// CAP_SYS_ADMIN, so it comes before capabilities are dropped; with it as late as possible.
pub fn confine(process: &Process, filter: Option<&Filter>) -> Result<(), String> {
    let confined = process.no_new_privileges().unwrap_or(false);
    let load = || filter.map_or(Ok(()), Filter::load);
    let syscall = create_syscall();
    capabilities::reset_effective(syscall.as_ref())
        .map_err(|e| format!("capabilities: {}", chain(&e)))?;
    if !confined {
        load()?;
    }
    if let Some(wanted) = process.capabilities() {
        capabilities::drop_privileges(wanted, syscall.as_ref())
            .map_err(|e| format!("capabilities: {}", chain(&e)))?;
    }
    if confined {
        sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
            .map_err(|e| format!("no_new_privs: {}", e.desc()))?;
        load()?;
    }
    Ok(())
}

/// The environment as NAME=VALUE, with HOME from /etc/passwd where it is not set.
pub fn environment(process: &Process) -> Vec<String> {
    let mut values = process.env().clone().unwrap_or_default();
    if !values.iter().any(|v| v.starts_with("HOME=")) {
        values.push(format!("HOME={}", home(process.user().uid())));
    }
    values
}

fn home(uid: u32) -> String {
    let uid = uid.to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|f| f.len() > 5 && f[2] == uid);
    entry.map_or_else(|| "/".to_owned(), |f| f[5].to_owned())
}

/// Becomes the program; comes back only with the reason why not.
pub fn execute(arguments: &[String], environment: &[String]) -> Refusal {
    let Some(name) = arguments.first() else {
        return (CANNOT_EXECUTE, "no command specified".to_owned());
    };
    let search = environment
        .iter()
        .find_map(|v| v.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let path = match find(name, search) {
        Ok(path) => path,
        Err(refusal) => return refusal,
    };
    let strings = |all: &[String]| {
        all.iter()
            .map(|s| CString::new(s.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
    };
    let (Ok(arguments), Ok(environment)) = (strings(arguments), strings(environment)) else {
        return (
            CANNOT_EXECUTE,
            format!("exec: {name:?}: an argument or variable contains a zero byte"),
        );
    };
    let error = sys::execute(&path, &arguments, &environment);
    let code = if error == Errno::ENOENT {
        NOT_FOUND
    } else {
        CANNOT_EXECUTE
    };
    (
        code,
        format!(
            "exec {}: {}",
            path.to_string_lossy(),
            error.desc().to_lowercase()
        ),
    )
}

fn find(name: &str, search: &str) -> Result<CString, Refusal> {
    let refused = |code, what: &str| (code, format!("exec: {name:?}: {what}"));
    if name.contains('/') {
        return match access(name, AccessFlags::F_OK) {
            Ok(()) if Path::new(name).is_dir() => Err(refused(CANNOT_EXECUTE, "is a directory")),
            Ok(()) => {
                CString::new(name).map_err(|_| refused(CANNOT_EXECUTE, "contains a zero byte"))
            }
            Err(error) => Err((
                NOT_FOUND,
                format!(
                    "exec: {name:?}: stat {name}: {}",
                    error.desc().to_lowercase()
                ),
            )),
        };
    }
    let mut forbidden = false;
    for directory in search.split(':') {
        let path = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        if path.is_file() {
            if access(&path, AccessFlags::X_OK).is_ok() {
                return CString::new(path.as_os_str().as_bytes())
                    .map_err(|_| refused(CANNOT_EXECUTE, "contains a zero byte"));
            }
            forbidden = true;
        }
    }
    Err(if forbidden {
        refused(CANNOT_EXECUTE, "permission denied")
    } else {
        refused(NOT_FOUND, "executable file not found in $PATH")
    })
}

/// The kernel's number of a limit (include/uapi/asm-generic/resource.h).
fn resource(kind: PosixRlimitType) -> u32 {
    match kind {
        PosixRlimitType::RlimitCpu => libc::RLIMIT_CPU,
        PosixRlimitType::RlimitFsize => libc::RLIMIT_FSIZE,
        PosixRlimitType::RlimitData => libc::RLIMIT_DATA,
        PosixRlimitType::RlimitStack => libc::RLIMIT_STACK,
        PosixRlimitType::RlimitCore => libc::RLIMIT_CORE,
        PosixRlimitType::RlimitRss => libc::RLIMIT_RSS,
        PosixRlimitType::RlimitNproc => libc::RLIMIT_NPROC,
        PosixRlimitType::RlimitNofile => libc::RLIMIT_NOFILE,
        PosixRlimitType::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        PosixRlimitType::RlimitAs => libc::RLIMIT_AS,
        PosixRlimitType::RlimitLocks => libc::RLIMIT_LOCKS,
        PosixRlimitType::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        PosixRlimitType::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        PosixRlimitType::RlimitNice => libc::RLIMIT_NICE,
        PosixRlimitType::RlimitRtprio => libc::RLIMIT_RTPRIO,
        PosixRlimitType::RlimitRttime => libc::RLIMIT_RTTIME,
    }
}
