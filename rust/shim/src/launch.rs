//! `orlop-shim run DIR`: from the kubelet's call to a running container.

use std::io::{IoSlice, IoSliceMut, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    UnixAddr, accept4, bind, listen, recvmsg, sendmsg, socket, socketpair,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, Uid, chdir, close, dup2, fchown, pipe2, setsid};
use oci_spec::runtime::Spec;

use crate::bundle::{self, Options};
use crate::credentials::CANNOT_EXECUTE;
use crate::log::{Kind, Log};
use crate::output::{Output, PIPE_SIZE};
use crate::supervise::{Shim, Stdin};
use crate::{cgroups, connection, make, output, plain, sys};

/// Where libcontainer hands over a container's terminal.
pub const CONSOLE: &str = "console.sock";

/// The shim must not be what is killed when memory is short; containers set their own score.
const OOM_SCORE: &str = "-998";

/// Longest text of a refusal.
const LONGEST_MESSAGE: usize = 8 << 10;

/// What a process on its way tells the shim.
pub enum Message {
    /// Its number.
    Process(i32),
    /// The terminal's master comes along.
    Terminal,
    /// What went wrong beneath, told before it is refused.
    Cause(String),
    /// It did not start: exit code and reason.
    Refused(i32, String),
}

/// A pair of sockets for messages; all ends of the second closed means that the program has started.
pub fn channel() -> Result<(OwnedFd, OwnedFd), String> {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(|e| format!("socketpair: {}", e.desc()))
}

/// Tells `message` on a channel.
pub fn send_message(channel: &OwnedFd, message: &Message, descriptor: Option<&OwnedFd>) {
    let mut text = match message {
        Message::Process(pid) => format!("P{pid}"),
        Message::Terminal => "T".to_owned(),
        Message::Cause(text) => format!("C{text}"),
        Message::Refused(code, text) => format!("E{code} {text}"),
    }
    .into_bytes();
    text.truncate(LONGEST_MESSAGE);
    let raw: Vec<RawFd> = descriptor.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() {
        &rights[..0]
    } else {
        &rights[..]
    };
    let _ = sendmsg::<()>(
        channel.as_raw_fd(),
        &[IoSlice::new(&text)],
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
}

/// The next message with its descriptor; None at the end.
pub fn receive_message(channel: &OwnedFd) -> Option<(Message, Option<OwnedFd>)> {
    let mut buffer = [0u8; LONGEST_MESSAGE];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    loop {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = match recvmsg::<()>(channel.as_raw_fd(), &mut parts, Some(&mut space), flags)
        {
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
            Ok(received) => received,
        };
        let mut descriptor = None;
        for control in received.cmsgs().ok()? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                descriptor = fds.into_iter().map(sys::own).next();
            }
        }
        let count = received.bytes;
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let message = match text.split_at_checked(1)? {
            ("P", pid) => Message::Process(pid.parse().ok()?),
            ("T", _) => Message::Terminal,
            ("C", text) => Message::Cause(text.to_owned()),
            (_, rest) => {
                let (code, reason) = rest.split_once(' ')?;
                Message::Refused(code.parse().ok()?, reason.to_owned())
            }
        };
        return Some((message, descriptor));
    }
}

/// Runs the container of the folder `dir`. The caller's process ends at once; what became of the container is told on
/// standard output, a connection like those to the shim's socket: that its program has started or why it could not be,
/// and later its end.
pub fn run(dir: &str) -> Result<(), String> {
    chdir(dir).map_err(|e| format!("cannot enter {dir}: {}", e.desc()))?;
    let (options, spec) = bundle::load()?;
    sys::close_on_exec_from(3);
    if sys::fork()?.is_some() {
        sys::leave(0); // whoever called has no child to wait for, and the shim no parent to lose
    }
    let _ = setsid();
    umask(Mode::from_bits_truncate(0o022));
    let _ = sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        signals.add(signal);
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&signals), None);
    match start(&options, spec) {
        Ok(mut shim) => {
            let caller = fcntl(1, FcntlArg::F_DUPFD_CLOEXEC(3)).map(sys::own);
            let_go();
            shim.welcome(caller.ok());
            shim.run();
            Ok(())
        }
        Err((code, message)) => {
            let answer = serde_json::json!({ "error": message, "code": code });
            std::io::stdout()
                .write_all(format!("{answer}\n").as_bytes())
                .map_err(|e| e.to_string())
        }
    }
}

/// Lets go of the caller's streams.
fn let_go() {
    if let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
        for number in 0..=2 {
            let _ = dup2(null, number);
        }
        let _ = close(null);
    }
}

fn start(options: &Options, spec: Spec) -> Result<Shim, (i32, String)> {
    let plain_error = |text: String| (CANNOT_EXECUTE, text);
    let log = Log::open(&options.log).map_err(plain_error)?;
    let tty = spec
        .process()
        .as_ref()
        .and_then(|p| p.terminal())
        .unwrap_or(false);
    let owner = spec.process().as_ref().map_or(0, |p| p.user().uid());
    let listener = connection::listener().map_err(plain_error)?;
    let (ours, theirs) = channel().map_err(plain_error)?;
    let mut stdin = Stdin::None;
    let mut outputs = Vec::new();
    let mut console = None;
    let mut streams = None;
    if tty && !options.plain {
        console = Some(console_listener().map_err(plain_error)?);
    } else if !tty {
        let (made, kept_stdin, kept_outputs) = pipes(options, owner).map_err(plain_error)?;
        streams = Some(made);
        stdin = kept_stdin;
        outputs = kept_outputs;
    }
    if sys::fork().map_err(plain_error)?.is_none() {
        drop(ours);
        if options.plain {
            let arguments = spec
                .process()
                .as_ref()
                .and_then(|p| p.args().clone())
                .unwrap_or_default();
            let streams = streams.map(Vec::from).unwrap_or_default();
            if let Err((code, text)) = plain::command(&arguments, tty, &streams, &spec, &theirs) {
                send_message(&theirs, &Message::Refused(code, text), None);
            }
            sys::leave(0);
        }
        make::container(options, &spec, streams, theirs);
    }
    drop((theirs, streams));
    let mut init = None;
    let mut refusal = None;
    let mut cause = None;
    while let Some((message, descriptor)) = receive_message(&ours) {
        match message {
            Message::Process(pid) => init = Some(pid),
            Message::Terminal => stdin = Stdin::terminal(descriptor),
            Message::Cause(text) => cause = cause.or(Some(text)), // the first is the deepest
            Message::Refused(code, text) => refusal = refusal.or(Some((code, text))),
        }
    }
    if let Some(console) = console
        && refusal.is_none()
    {
        stdin = Stdin::terminal(receive_console(&console));
        let _ = nix::unistd::unlink(CONSOLE);
    }
    let abandon = |init: Option<i32>| {
        if let Some(pid) = init {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        cgroups::remove(&options.cgroup); // kills what is left in it
    };
    if let Some((code, text)) = refusal {
        abandon(init);
        return Err((
            code,
            cause.map_or(text.clone(), |cause| format!("{text}: {cause}")),
        ));
    }
    let Some(init) = init else {
        abandon(None);
        return Err(plain_error(
            "the container's first process ended before its program started".to_owned(),
        ));
    };
    if let Stdin::Terminal(master) = &stdin {
        outputs.push(Output::new(
            Kind::Stdout,
            master.try_clone().map_err(|e| plain_error(e.to_string()))?,
        ));
    }
    Shim::new(options.clone(), spec, init, log, listener, stdin, outputs).map_err(|text| {
        abandon(Some(init));
        plain_error(text)
    })
}

type Pipes = ([OwnedFd; 3], Stdin, Vec<Output>);

/// The container's ends of its three streams, and ours. Its ends belong to its user, who may open them by name.
fn pipes(options: &Options, owner: u32) -> Result<Pipes, String> {
    let describe = |e: Errno| format!("pipe: {}", e.desc());
    let owner = Some(Uid::from_raw(owner));
    let (in_theirs, stdin) = if options.stdin {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(describe)?;
        (read, Stdin::Pipe(write))
    } else {
        (
            sys::own(
                open(
                    "/dev/null",
                    OFlag::O_RDONLY | OFlag::O_CLOEXEC,
                    Mode::empty(),
                )
                .map_err(describe)?,
            ),
            Stdin::None,
        )
    };
    let mut outputs = Vec::new();
    let mut end = |kind| -> Result<OwnedFd, String> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).map_err(describe)?;
        let _ = fchown(write.as_raw_fd(), owner, None);
        sys::widen_pipe(&write, PIPE_SIZE);
        outputs.push(Output::new(kind, read));
        Ok(write)
    };
    let streams = [in_theirs, end(Kind::Stdout)?, end(Kind::Stderr)?];
    if options.stdin {
        let _ = fchown(streams[0].as_raw_fd(), owner, None);
    }
    Ok((streams, stdin, outputs))
}

fn console_listener() -> Result<OwnedFd, String> {
    let describe = |e: Errno| format!("cannot listen on {CONSOLE}: {}", e.desc());
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map_err(describe)?;
    let _ = nix::unistd::unlink(CONSOLE);
    UnixAddr::new(CONSOLE)
        .and_then(|address| bind(fd.as_raw_fd(), &address))
        .map_err(describe)?;
    listen(&fd, Backlog::new(1).unwrap_or(Backlog::MAXCONN)).map_err(describe)?;
    Ok(fd)
}

fn receive_console(listener: &OwnedFd) -> Option<OwnedFd> {
    output::nonblocking(listener); // libcontainer has connected and sent by now, or never will
    let fd = sys::own(accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC).ok()?);
    let mut buffer = [0u8; 4096];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let received = recvmsg::<()>(
        fd.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .ok()?;
    for control in received.cmsgs().ok()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            return fds.into_iter().map(sys::own).next();
        }
    }
    None
}
