//! The life of a running container: one loop over its output, its clients and its end.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use crate::bundle::Options;
use crate::connection::{Connection, Request};
use crate::exec::{self, Command};
use crate::files::{self, Exit, Running};
use crate::launch::{Message, receive_message};
use crate::log::{Kind, Log};
use crate::output::{Output, Sink};
use crate::{cgroups, plain};

/// How long the last output may take to be read once everything in the container has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// How long attached clients may take to read the last output.
const FLUSH: Duration = Duration::from_secs(5);

/// Chunks read of one output before others get their turn.
const TURNS: u32 = 16;

/// Where the container's input comes from.
pub enum Stdin {
    /// /dev/null.
    None,
    /// Our end of a pipe.
    Pipe(OwnedFd),
    /// The terminal's master, which is input and output.
    Terminal(OwnedFd),
}

impl Stdin {
    /// A terminal's master, where there is one.
    pub fn terminal(master: Option<OwnedFd>) -> Self {
        master.map_or(Self::None, Self::Terminal)
    }
}

/// One container's parent.
pub struct Shim {
    options: Options,
    spec: Spec,
    init: Pid,
    log: Log,
    listener: OwnedFd,
    stdin: Stdin,
    outputs: Vec<Output>,
    signals: SignalFd,
    connections: Vec<Connection>,
    next_connection: u64,
    sinks: Vec<Sink>,
    commands: Vec<Command>,
    ended: Option<(WaitStatus, u64)>,
    buffer: Vec<u8>,
}

enum Source {
    Signals,
    Listener,
    Output(usize),
    Sink(usize),
    Connection(usize),
    Command(usize),
}

impl Shim {
    /// Takes charge of the container whose first process is `init`, and records it.
    pub fn new(
        options: Options,
        spec: Spec,
        init: i32,
        log: Log,
        listener: OwnedFd,
        stdin: Stdin,
        outputs: Vec<Output>,
    ) -> Result<Self, String> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
            .map_err(|e| format!("signalfd: {}", e.desc()))?;
        let init = Pid::from_raw(init);
        let own = Pid::this();
        files::write(
            "pid.json",
            &Running {
                pid: init.as_raw(),
                start_time: files::start_time(init),
                shim: own.as_raw(),
                shim_start_time: files::start_time(own),
                started_at: files::now(),
            },
        )?;
        Ok(Self {
            options,
            spec,
            init,
            log,
            listener,
            stdin,
            outputs,
            signals,
            connections: Vec::new(),
            next_connection: 0,
            sinks: Vec::new(),
            commands: Vec::new(),
            ended: None,
            buffer: Vec::new(),
        })
    }

    /// Takes over the connection of whoever has started the container, and tells that it runs.
    pub fn welcome(&mut self, caller: Option<OwnedFd>) {
        if let Some(fd) = caller {
            let mut connection = Connection::new(fd, self.next_connection);
            connection.waits = true;
            connection.send(&json!({ "pid": self.init.as_raw() }), None);
            self.next_connection += 1;
            self.connections.push(connection);
        }
    }

    /// Until the container has ended and everybody knows.
    pub fn run(mut self) {
        self.reap(); // what ended before the signal descriptor was there
        while self.ended.is_none() {
            self.turn(PollTimeout::NONE);
        }
        self.finish();
    }

    fn turn(&mut self, timeout: PollTimeout) {
        let mut sources = vec![Source::Signals, Source::Listener];
        let mut polled = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        for (index, output) in self.outputs.iter().enumerate() {
            if let Some(fd) = output.fd()
                && !output.waits(&self.sinks)
            {
                sources.push(Source::Output(index));
                polled.push(PollFd::new(fd.as_fd(), PollFlags::POLLIN));
            }
        }
        for (index, sink) in self.sinks.iter().enumerate() {
            let wanted = if sink.is_pending() {
                PollFlags::POLLOUT
            } else {
                PollFlags::empty()
            };
            sources.push(Source::Sink(index));
            polled.push(PollFd::new(sink.fd.as_fd(), wanted));
        }
        for (index, connection) in self.connections.iter().enumerate() {
            sources.push(Source::Connection(index));
            polled.push(PollFd::new(connection.fd.as_fd(), PollFlags::POLLIN));
        }
        for (index, command) in self.commands.iter().enumerate() {
            if let Some(channel) = &command.channel {
                sources.push(Source::Command(index));
                polled.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN));
            }
        }
        if poll(&mut polled, timeout).is_err() {
            return; // interrupted
        }
        let ready: Vec<Source> = polled
            .iter()
            .zip(sources)
            .filter_map(|(fd, source)| fd.any().unwrap_or(false).then_some(source))
            .collect();
        let mut gone = Vec::new();
        for source in ready {
            match source {
                Source::Signals => self.reap(),
                Source::Listener => self.accept(),
                Source::Output(index) => self.pump(index),
                Source::Sink(index) => self.sinks[index].woken(),
                Source::Connection(index) => {
                    if !self.serve(index) {
                        gone.push(self.connections[index].id);
                    }
                }
                Source::Command(index) => self.progress(index),
            }
        }
        self.sinks
            .retain_mut(|sink| sink.is_open() && !gone.contains(&sink.connection));
        self.connections
            .retain(|connection| !gone.contains(&connection.id));
        self.report_commands();
        self.report_full_log();
    }

    fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.read_signal() {}
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Err(_) => continue,
                Ok(status) => status,
            };
            let Some(pid) = status.pid() else { continue };
            if pid == self.init {
                self.ended = Some((status, files::now()));
            } else if let Some(command) = self.commands.iter_mut().find(|c| c.pid == Some(pid)) {
                command.code = Some(code(status).0);
            } else {
                // A command may end before its number is known; the few of these are kept until then.
                for command in self.commands.iter_mut().filter(|c| c.pid.is_none()) {
                    command.early.push((pid, code(status).0));
                }
            }
        }
    }

    fn accept(&mut self) {
        if let Some(connection) = Connection::accept(&self.listener, self.next_connection) {
            self.next_connection += 1;
            self.connections.push(connection);
        }
    }

    fn pump(&mut self, index: usize) {
        let output = &mut self.outputs[index];
        for _ in 0..TURNS {
            if output.waits(&self.sinks)
                || !output.pump(&mut self.log, &mut self.sinks, &mut self.buffer)
            {
                break;
            }
        }
    }

    /// Answers what a client asks. False when it is gone.
    fn serve(&mut self, index: usize) -> bool {
        let Some(requests) = self.connections[index].receive() else {
            return false;
        };
        for request in requests {
            let answered = match request {
                Ok(request) => self.answer(index, request),
                Err(text) => Err(text),
            };
            match answered {
                Ok(None) => {}
                Ok(Some(answer)) => self.connections[index].send(&answer, None),
                Err(text) => self.connections[index].send(&json!({ "error": text }), None),
            }
        }
        true
    }

    fn answer(&mut self, index: usize, request: Request) -> Result<Option<Value>, String> {
        let id = self.connections[index].id;
        let descriptors = self.connections[index].take_descriptors();
        match request {
            Request::State => Ok(Some(json!({ "pid": self.init.as_raw() }))),
            Request::Kill { signal, all } => {
                self.kill(signal, all)?;
                Ok(Some(json!({ "ok": true })))
            }
            Request::Wait => {
                self.connections[index].waits = true;
                Ok(None)
            }
            Request::Exec { args, tty } => {
                let command = exec::start(
                    id,
                    &args,
                    tty,
                    descriptors,
                    &self.options,
                    &self.spec,
                    self.init,
                )?;
                self.commands.push(command);
                Ok(None) // told when the program has started
            }
            Request::Signal { signal } => {
                for command in self.commands.iter().filter(|c| c.connection == id) {
                    command.signal(signal);
                }
                Ok(Some(json!({ "ok": true })))
            }
            Request::Attach { stdin } => self.attach(index, stdin, descriptors),
            Request::CloseStdin => {
                if self.options.stdin_once && matches!(self.stdin, Stdin::Pipe(_)) {
                    self.stdin = Stdin::None;
                }
                Ok(Some(json!({ "ok": true })))
            }
            Request::ReopenLog => {
                self.log.reopen()?;
                for connection in &mut self.connections {
                    connection.told_full = false;
                }
                Ok(Some(json!({ "ok": true })))
            }
        }
    }

    fn kill(&self, number: i32, all: bool) -> Result<(), String> {
        if self.ended.is_some() {
            return Ok(());
        }
        let signal = Signal::try_from(number).map_err(|_| format!("no such signal: {number}"))?;
        if all && self.options.plain {
            for pid in plain::descendants() {
                let _ = kill(pid, signal);
            }
        } else if all {
            // The first process takes its process namespace with it; without one of its own the group finds the rest.
            let _ = kill(self.init, signal);
            if !self.has_process_namespace() {
                cgroups::kill_all(&self.options.cgroup);
            }
        } else {
            let _ = kill(self.init, signal);
        }
        Ok(())
    }

    fn has_process_namespace(&self) -> bool {
        self.spec
            .linux()
            .as_ref()
            .and_then(|l| l.namespaces().as_ref())
            .is_some_and(|all| {
                all.iter().any(|n| {
                    n.typ() == oci_spec::runtime::LinuxNamespaceType::Pid && n.path().is_none()
                })
            })
    }

    fn attach(
        &mut self,
        index: usize,
        stdin: bool,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Value>, String> {
        let connection = &mut self.connections[index];
        let tty = matches!(self.stdin, Stdin::Terminal(_));
        let input = match &self.stdin {
            Stdin::Terminal(master) => Some(master),
            Stdin::Pipe(write) if stdin => Some(write),
            _ => None,
        };
        connection.send(&json!({ "ok": true, "tty": tty }), input);
        let kinds = [Kind::Stdout, Kind::Stderr];
        for (kind, fd) in kinds.into_iter().zip(descriptors) {
            self.sinks.push(Sink::new(connection.id, kind, fd));
        }
        connection.waits = true;
        Ok(None)
    }

    /// What a command on its way has told.
    fn progress(&mut self, index: usize) {
        let command = &mut self.commands[index];
        let Some(channel) = &command.channel else {
            return;
        };
        match receive_message(channel) {
            Some((Message::Process(pid), _)) => command.known(Pid::from_raw(pid)),
            Some((Message::Terminal, master)) => command.terminal = master,
            Some((Message::Cause(_), _)) => {}
            Some((Message::Refused(code, text), _)) => command.refusal = Some((code, text)),
            None => command.channel = None,
        }
    }

    fn report_commands(&mut self) {
        let connections = &self.connections;
        self.commands.retain_mut(|command| {
            if command.channel.is_some() {
                return true;
            }
            let connection = connections.iter().find(|c| c.id == command.connection);
            let tell = |message: &Value, descriptor: Option<&OwnedFd>| {
                if let Some(connection) = connection {
                    connection.send(message, descriptor);
                }
            };
            if let Some((code, text)) = &command.refusal {
                tell(&json!({ "error": text, "code": code }), None);
                return false;
            }
            let Some(pid) = command.pid else {
                tell(&json!({ "error": "the command ended before its program started", "code": 126 }), None);
                return false;
            };
            if !command.started {
                command.started = true;
                tell(&json!({ "pid": pid.as_raw() }), command.terminal.take().as_ref());
            }
            match command.code {
                Some(code) => tell(&json!({ "exit": { "code": code } }), None),
                None => return true,
            }
            false
        });
    }

    fn report_full_log(&mut self) {
        if self.options.log_max == 0 || self.log.size() < self.options.log_max {
            return;
        }
        for connection in self
            .connections
            .iter_mut()
            .filter(|c| c.waits && !c.told_full)
        {
            connection.told_full = true;
            connection.send(&json!({ "logFull": true }), None);
        }
    }

    /// Ends what the container left behind, keeps its last words and its exit code, and tells who waits.
    fn finish(mut self) {
        let Some((status, finished_at)) = self.ended else {
            return;
        };
        if self.options.plain {
            for pid in plain::descendants() {
                let _ = kill(pid, Signal::SIGKILL);
            }
        } else if !self.has_process_namespace() {
            cgroups::kill_all(&self.options.cgroup);
        }
        self.until(DRAIN, |shim| {
            shim.outputs.iter().all(|o| o.fd().is_none()) && shim.commands.is_empty()
        });
        for output in &mut self.outputs {
            output.end(&mut self.log);
        }
        self.until(FLUSH, |shim| !shim.sinks.iter().any(Sink::is_pending));
        let (code, signal) = code(status);
        let oom = !self.options.plain && cgroups::oom_kills(&self.options.cgroup) > 0;
        let exit = Exit {
            code,
            signal,
            oom,
            finished_at,
            message: String::new(),
        };
        if let Err(text) = files::write("exit.json", &exit) {
            eprintln!("{text}");
        }
        for connection in self.connections.iter().filter(|c| c.waits) {
            connection.send(&json!({ "exit": exit }), None);
        }
        let _ = nix::unistd::unlink(crate::connection::SOCKET);
        cgroups::remove(&self.options.cgroup);
    }

    fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + limit;
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.turn(PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
        }
    }
}

/// Exit code and signal, the code as a shell has it.
fn code(status: WaitStatus) -> (i32, i32) {
    match status {
        WaitStatus::Exited(_, code) => (code, 0),
        WaitStatus::Signaled(_, signal, _) => (128 + signal as i32, signal as i32),
        _ => (255, 0),
    }
}
