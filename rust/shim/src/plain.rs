//! Without root: a process of the node, with the container's command, environment, directory and streams.

use std::os::fd::OwnedFd;

use nix::unistd::{Pid, chdir};
use oci_spec::runtime::Spec;

use crate::credentials::{self, CANNOT_EXECUTE, Refusal};
use crate::exec::{begin, default_signals};
use crate::launch::{Message, send_message};
use crate::sys;

/// Within a forked child: goes on as a process of the shim and tells its number.
pub fn command(
    arguments: &[String],
    tty: bool,
    streams: &[OwnedFd],
    spec: &Spec,
    channel: &OwnedFd,
) -> Result<(), Refusal> {
    match sys::fork_sibling().map_err(|text| (CANNOT_EXECUTE, text))? {
        Some(pid) => {
            send_message(channel, &Message::Process(pid.as_raw()), None);
            Ok(())
        }
        None => {
            let (code, text) = finish(arguments, tty, streams, spec, channel);
            send_message(channel, &Message::Refused(code, text), None);
            sys::leave(code);
        }
    }
}

fn finish(
    arguments: &[String],
    tty: bool,
    streams: &[OwnedFd],
    spec: &Spec,
    channel: &OwnedFd,
) -> Refusal {
    let Some(process) = spec.process() else {
        return (CANNOT_EXECUTE, "config.json has no process".to_owned());
    };
    if let Err(text) = begin(process, tty, streams, channel) {
        return (CANNOT_EXECUTE, text);
    }
    if let Err(error) = chdir(process.cwd()) {
        let cwd = process.cwd().display();
        return (
            CANNOT_EXECUTE,
            format!("cannot enter the working directory {cwd}: {}", error.desc()),
        );
    }
    sys::close_on_exec_from(3);
    default_signals();
    credentials::execute(arguments, &credentials::environment(process))
}

/// All processes below this one: the shim is their subreaper, so none gets away.
pub fn descendants() -> Vec<Pid> {
    let mut found = Vec::new();
    let mut open = vec![std::process::id() as i32];
    while let Some(parent) = open.pop() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        for child in std::fs::read_to_string(path)
            .unwrap_or_default()
            .split_whitespace()
        {
            if let Ok(pid) = child.parse() {
                found.push(Pid::from_raw(pid));
                open.push(pid);
            }
        }
    }
    found
}
