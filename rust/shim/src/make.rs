//! Makes the container: its root file system, then all that libcontainer does.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use oci_spec::runtime::{Process, Spec};

use crate::bundle::Options;
use crate::credentials::{self, CANNOT_EXECUTE};
use crate::filter::{self, Filter};
use crate::launch::{CONSOLE, Message, send_message};
use crate::report::chain;
use crate::{cgroups, devices, exec, sys, trace};

/// libcontainer's own state, below the container's folder.
const STATE: &str = "oci";

/// Within a forked child of the shim: makes and starts the container, and ends. The container's first process becomes
/// a child of the shim.
pub fn container(
    options: &Options,
    spec: &Spec,
    streams: Option<[OwnedFd; 3]>,
    channel: OwnedFd,
) -> ! {
    exec::default_signals();
    let channel = exec::keep(channel); // the container's first process tells by it why its program does not start
    let theirs = sys::own(channel);
    trace::to(channel);
    if let Err(text) = build(options, spec, streams, channel, &theirs) {
        send_message(&theirs, &Message::Refused(CANNOT_EXECUTE, text), None);
        sys::leave(1);
    }
    sys::leave(0);
}

fn build(
    options: &Options,
    spec: &Spec,
    streams: Option<[OwnedFd; 3]>,
    channel: i32,
    theirs: &OwnedFd,
) -> Result<(), String> {
    if !options.overlay.is_empty() {
        mount_root(options)?;
    }
    let process = spec.process().clone().ok_or("config.json has no process")?;
    let profile = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    let filter = filter::ready(profile, &options.filter)?;
    std::fs::create_dir_all(STATE).map_err(|e| format!("cannot make {STATE}: {e}"))?;
    write_bundle(spec)?;
    let describe = |e: libcontainer::error::LibcontainerError| chain(&e);
    let mut builder = ContainerBuilder::new(options.id.clone(), SyscallType::default())
        .with_root_path(STATE)
        .map_err(describe)?
        .with_executor(Program {
            channel,
            process,
            filter,
        });
    builder = match streams {
        Some([stdin, stdout, stderr]) => builder
            .with_stdin(stdin)
            .with_stdout(stdout)
            .with_stderr(stderr),
        None => builder.with_console_socket(Some(Path::new("../..").join(CONSOLE))),
    };
    let mut container = builder
        .as_init(STATE)
        .with_systemd(false)
        .with_detach(true)
        .as_sibling(true)
        .build()
        .map_err(describe)?;
    if let Some(pid) = container.pid() {
        send_message(theirs, &Message::Process(pid.as_raw()), None);
    }
    // Its first process waits in its groups. What libcontainer leaves undone in version 2 is done before it goes on.
    cgroups::without_swap(&options.cgroup, spec)?;
    if options.guard_devices {
        devices::guard(&options.cgroup, spec)?;
    }
    container.start().map_err(describe)
}

/// What libcontainer is told: everything but the last step, which `Program` takes.
fn write_bundle(spec: &Spec) -> Result<(), String> {
    let mut spec = spec.clone();
    if let Some(process) = spec.process_mut() {
        process.set_capabilities(None);
    }
    if let Some(linux) = spec.linux_mut() {
        linux.set_seccomp(None);
    }
    if let Some(root) = spec.root_mut() {
        let path = Path::new("..").join(root.path());
        root.set_path(path);
    }
    let text = serde_json::to_vec(&spec).map_err(|e| e.to_string())?;
    let path = Path::new(STATE).join("config.json");
    std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Mounts the overlay where only the container will see it, so that it goes away with the container's last process,
/// whatever happens to anybody else.
fn mount_root(options: &Options) -> Result<(), String> {
    let failed =
        |what: &str, e: Errno| format!("cannot mount the root file system: {what}: {}", e.desc());
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| failed("unshare", e))?;
    let none = None::<&str>;
    if options.shared_mounts {
        let at = own_mount().unwrap_or_else(|| "/".to_owned());
        mount(none, at.as_str(), none, MsFlags::MS_PRIVATE, none).map_err(|e| failed(&at, e))?;
    } else {
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
            .map_err(|e| failed("/", e))?;
    }
    mount(
        Some("overlay"),
        "rootfs",
        Some("overlay"),
        MsFlags::empty(),
        Some(options.overlay.as_str()),
    )
    .map_err(|e| failed("overlay", e))
}

/// The mount point that holds the current directory.
fn own_mount() -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| here.starts_with(point))
        .max_by_key(|point| point.len())
        .map(str::to_owned)
}

/// The last step of the container's first process.
#[derive(Clone)]
struct Program {
    channel: i32,
    process: Process,
    filter: Option<Filter>,
}

impl Executor for Program {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let arguments = spec
            .process()
            .as_ref()
            .and_then(|p| p.args().clone())
            .unwrap_or_default();
        let environment: Vec<String> = std::env::vars()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (code, text) = match credentials::confine(&self.process, self.filter.as_ref()) {
            Ok(()) => credentials::execute(&arguments, &environment),
            Err(text) => (CANNOT_EXECUTE, text),
        };
        send_message(&sys::own(self.channel), &Message::Refused(code, text), None);
        sys::leave(code);
    }

    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        Ok(()) // exec says better what is wrong
    }

    fn setup_envs(&self, values: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // SAFETY: this process has one thread.
        unsafe {
            for (name, _) in std::env::vars_os() {
                std::env::remove_var(name);
            }
            for (name, value) in values {
                std::env::set_var(name, value);
            }
        }
        Ok(())
    }
}
