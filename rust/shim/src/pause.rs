//! `orlop-shim pause DIR`: the first process of a process namespace that a pod's containers share.

use std::fs;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{chdir, pivot_root, setgroups, setsid};
use serde::Serialize;

use crate::{files, namespaces, sys};

/// As upstream's pause program: nobody.
const USER: u32 = 65_535;

/// As upstream: losing it would take the whole pod.
const OOM_SCORE: &str = "-998";

/// `pause.json`: the process, told from a later one of the same number.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    pid: i32,
    start_time: u64,
}

/// Starts it in the namespaces kept in `dir`, writes `pause.json` there, and returns. It reaps whatever ends in its
/// process namespace until it is killed, and sees nothing of the node's files.
pub fn run(dir: &str) -> Result<(), String> {
    chdir(dir).map_err(|e| format!("cannot enter {dir}: {}", e.desc()))?;
    sys::close_on_exec_from(3);
    namespaces::enter()?;
    let flags = CloneFlags::CLONE_NEWPID;
    unshare(flags).map_err(|e| format!("cannot make a process namespace: {}", e.desc()))?;
    let (ours, theirs) = crate::launch::channel()?;
    let Some(pid) = sys::fork()? else {
        drop(ours);
        if let Err(text) = confine() {
            let refused = crate::launch::Message::Refused(1, text);
            crate::launch::send_message(&theirs, &refused, None);
            sys::leave(1);
        }
        drop(theirs);
        reap();
    };
    drop(theirs);
    if let Some((crate::launch::Message::Refused(_, text), _)) =
        crate::launch::receive_message(&ours)
    {
        return Err(text);
    }
    files::write(
        "pause.json",
        &Paused {
            pid: pid.as_raw(),
            start_time: files::start_time(pid),
        },
    )
}

/// Takes everything away that it does not need: files, user, privileges.
fn confine() -> Result<(), String> {
    let failed = |what: &str, e: Errno| format!("pause: {what}: {}", e.desc());
    let none = None::<&str>;
    let _ = setsid();
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    // SAFETY: PR_SET_NAME reads a terminated string.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"pause".as_ptr()) };
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| failed("unshare", e))?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|e| failed("private mounts", e))?;
    fs::create_dir_all("empty").map_err(|e| format!("pause: cannot make a root: {e}"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("tmpfs"),
        "empty",
        Some("tmpfs"),
        flags,
        Some("size=4k"),
    )
    .map_err(|e| failed("tmpfs", e))?;
    chdir("empty").map_err(|e| failed("chdir", e))?;
    pivot_root(".", ".").map_err(|e| failed("pivot_root", e))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|e| failed("umount", e))?;
    chdir("/").map_err(|e| failed("chdir", e))?;
    for number in 0..=2 {
        let _ = nix::unistd::close(number);
    }
    setgroups(&[]).map_err(|e| failed("setgroups", e))?;
    sys::set_ids(USER, USER).map_err(|e| failed("setuid", e))?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(|e| failed("no_new_privs", e))
}

fn reap() -> ! {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        signals.add(signal);
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&signals), None);
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                while !matches!(
                    waitpid(None, Some(WaitPidFlag::WNOHANG)),
                    Ok(WaitStatus::StillAlive) | Err(_)
                ) {}
            }
            Ok(_) => sys::leave(0),
            Err(_) => {}
        }
    }
}
