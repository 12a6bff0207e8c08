//! A command in a running container.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{Pid, dup2, setsid};
use oci_spec::runtime::{Process, Spec};

use crate::bundle::Options;
use crate::credentials::{self, CANNOT_EXECUTE, Refusal};
use crate::filter::{self, Filter};
use crate::launch::{Message, channel, send_message};
use crate::{cgroups, plain, sys, terminal};

/// A command on its way: the end of the channel says that its program has started.
pub struct Command {
    /// Whose it is.
    pub connection: u64,
    /// Its process, once known.
    pub pid: Option<Pid>,
    /// Told, and so not pending any more.
    pub started: bool,
    /// The channel, until it has ended.
    pub channel: Option<OwnedFd>,
    /// Its terminal's master, until it is handed over.
    pub terminal: Option<OwnedFd>,
    /// Why it could not be started.
    pub refusal: Option<Refusal>,
    /// How it ended.
    pub code: Option<i32>,
    /// Children that ended before its number was known, one of which it may be.
    pub early: Vec<(Pid, i32)>,
}

/// Starts `arguments` in the container whose first process is `init`, with `streams` or a terminal of its own.
pub fn start(
    connection: u64,
    arguments: &[String],
    tty: bool,
    streams: Vec<OwnedFd>,
    options: &Options,
    spec: &Spec,
    init: Pid,
) -> Result<Command, String> {
    if !tty && streams.len() != 3 {
        return Err(format!(
            "a command without a terminal needs three descriptors, got {}",
            streams.len()
        ));
    }
    let (ours, theirs) = channel()?;
    if sys::fork()?.is_none() {
        drop(ours);
        let result = if options.plain {
            plain::command(arguments, tty, &streams, spec, &theirs)
        } else {
            enter(arguments, tty, &streams, options, spec, init, &theirs)
        };
        if let Err((code, text)) = result {
            send_message(&theirs, &Message::Refused(code, text), None);
        }
        sys::leave(0);
    }
    Ok(Command {
        connection,
        pid: None,
        started: false,
        channel: Some(ours),
        terminal: None,
        refusal: None,
        code: None,
        early: Vec::new(),
    })
}

impl Command {
    /// Its process' number has come.
    pub fn known(&mut self, pid: Pid) {
        self.pid = Some(pid);
        self.code = self.code.or(self
            .early
            .iter()
            .find(|(early, _)| *early == pid)
            .map(|(_, code)| *code));
        self.early.clear();
    }

    /// Sends a signal to the command and to what it has started in its session.
    pub fn signal(&self, number: i32) {
        if let (Some(pid), None, Ok(signal)) = (self.pid, self.code, Signal::try_from(number)) {
            let _ = kill(Pid::from_raw(-pid.as_raw()), signal);
            let _ = kill(pid, signal);
        }
    }
}

/// Within the child: into the container's control groups and namespaces, then on as a sibling in its process namespace.
fn enter(
    arguments: &[String],
    tty: bool,
    streams: &[OwnedFd],
    options: &Options,
    spec: &Spec,
    init: Pid,
    channel: &OwnedFd,
) -> Result<(), Refusal> {
    let refused = |text: String| (CANNOT_EXECUTE, text);
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| refused("config.json has no process".to_owned()))?;
    // Processes of the container must not look into this one while it is on its way (CVE-2016-9962).
    let _ = sys::prctl(libc::PR_SET_DUMPABLE, 0);
    let profile = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    let filter = filter::ready(profile, &options.filter).map_err(refused)?;
    let target = sys::pidfd(init)
        .map_err(|e| refused(format!("the container is not running: {}", e.desc())))?;
    cgroups::join(&options.cgroup).map_err(refused)?;
    if let Some(score) = process.oom_score_adj() {
        let _ = fs::write("/proc/self/oom_score_adj", score.to_string());
    }
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    setns(target.as_fd(), namespaces).map_err(|e| {
        refused(format!(
            "cannot enter the container's namespaces: {}",
            e.desc()
        ))
    })?;
    match sys::fork_sibling().map_err(refused)? {
        Some(pid) => {
            send_message(channel, &Message::Process(pid.as_raw()), None);
            Ok(())
        }
        None => {
            let (code, text) = match begin(process, tty, streams, channel) {
                Ok(()) => finish(arguments, process, filter.as_ref()),
                Err(text) => (CANNOT_EXECUTE, text),
            };
            send_message(channel, &Message::Refused(code, text), None);
            sys::leave(code);
        }
    }
}

/// Session, terminal and standard streams.
pub fn begin(
    process: &Process,
    tty: bool,
    streams: &[OwnedFd],
    channel: &OwnedFd,
) -> Result<(), String> {
    let owner = Some(nix::unistd::Uid::from_raw(process.user().uid()));
    setsid().map_err(|e| format!("setsid: {}", e.desc()))?;
    let slave;
    let streams: Vec<&OwnedFd> = if tty {
        let (master, peer) = terminal::open_pair()?;
        terminal::control(&peer)?;
        send_message(channel, &Message::Terminal, Some(&master));
        slave = peer;
        vec![&slave; 3]
    } else {
        streams.iter().collect()
    };
    for (number, stream) in (0..).zip(streams) {
        // So that a program that is not root may open /dev/stdout by name.
        let _ = nix::unistd::fchown(stream.as_raw_fd(), owner, None);
        dup2(stream.as_raw_fd(), number).map_err(|e| format!("dup2: {}", e.desc()))?;
    }
    Ok(())
}

fn finish(arguments: &[String], process: &Process, filter: Option<&Filter>) -> Refusal {
    let environment = credentials::environment(process);
    sys::close_on_exec_from(3);
    default_signals();
    if let Err(text) =
        credentials::become_user(process).and_then(|()| credentials::confine(process, filter))
    {
        return (CANNOT_EXECUTE, text);
    }
    credentials::execute(arguments, &environment)
}

/// A new program starts without blocked or ignored signals, whatever the kubelet and who started it ignore.
pub fn default_signals() {
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: restores the default action; no handler is installed. The two that cannot be changed are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Leaves a descriptor open for good.
pub fn keep(fd: OwnedFd) -> i32 {
    fd.into_raw_fd()
}
