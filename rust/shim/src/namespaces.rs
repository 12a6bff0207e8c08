//! `orlop-shim sandbox DIR`: a pod's namespaces, kept by files instead of a process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chdir, sethostname};
use serde::Deserialize;

/// `namespaces.json` in the folder.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    network: bool,
    #[serde(default)]
    ipc: bool,
    #[serde(default)]
    uts: bool,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    sysctls: BTreeMap<String, String>,
}

/// Options of /dev/shm, which goes with the IPC namespace; its size as other runtimes have it.
const SHM: &str = "mode=1777,size=64m";

const KINDS: [(&str, CloneFlags); 3] = [
    ("net", CloneFlags::CLONE_NEWNET),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
];

/// Makes the namespaces that `namespaces.json` in `dir` asks for and binds them to the files `net`, `ipc` and `uts`
/// there, and a file system for /dev/shm to `shm`. They live until the files are unmounted and their last process has ended.
pub fn sandbox(dir: &str) -> Result<(), String> {
    chdir(dir).map_err(|e| format!("cannot enter {dir}: {}", e.desc()))?;
    let text =
        fs::read("namespaces.json").map_err(|e| format!("cannot read namespaces.json: {e}"))?;
    let wanted: Wanted =
        serde_json::from_slice(&text).map_err(|e| format!("namespaces.json: {e}"))?;
    let kinds: Vec<_> = KINDS
        .into_iter()
        .zip([wanted.network, wanted.ipc, wanted.uts])
        .filter_map(|(kind, is_wanted)| is_wanted.then_some(kind))
        .collect();
    let flags = kinds
        .iter()
        .fold(CloneFlags::empty(), |all, (_, flag)| all | *flag);
    unshare(flags).map_err(|e| format!("cannot make namespaces: {}", e.desc()))?;
    if wanted.network {
        loopback_up()?;
    }
    if wanted.uts && !wanted.hostname.is_empty() {
        sethostname(&wanted.hostname).map_err(|e| {
            format!(
                "cannot set the host name {:?}: {}",
                wanted.hostname,
                e.desc()
            )
        })?;
    }
    for (name, value) in &wanted.sysctls {
        if !(if name.starts_with("net.") {
            wanted.network
        } else {
            wanted.ipc
        }) {
            return Err(format!(
                "sysctl {name} would be the node's own: the pod has no such namespace"
            ));
        }
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::write(&path, value)
            .map_err(|e| format!("cannot set sysctl {name} to {value:?}: {e}"))?;
    }
    for (name, _) in &kinds {
        File::create(name).map_err(|e| format!("cannot make {dir}/{name}: {e}"))?;
        let source = format!("/proc/self/ns/{name}");
        mount(
            Some(source.as_str()),
            *name,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .map_err(|e| format!("cannot keep the namespace at {dir}/{name}: {}", e.desc()))?;
    }
    if wanted.ipc {
        fs::create_dir("shm").map_err(|e| format!("cannot make {dir}/shm: {e}"))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("shm"), "shm", Some("tmpfs"), flags, Some(SHM))
            .map_err(|e| format!("cannot mount {dir}/shm: {}", e.desc()))?;
    }
    Ok(())
}

/// Enters those of the sandbox's namespaces that the current directory has files for.
pub fn enter() -> Result<(), String> {
    for (name, flag) in KINDS {
        if let Ok(file) = File::open(name) {
            setns(&file, flag)
                .map_err(|e| format!("cannot enter the namespace {name}: {}", e.desc()))?;
        }
    }
    Ok(())
}

fn loopback_up() -> Result<(), String> {
    let socket =
        std::net::UdpSocket::bind("0.0.0.0:0").map_err(|e| format!("cannot bring up lo: {e}"))?;
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: `request` is an ifreq with a terminated name that lives through the call.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) })
        .map(drop)
        .map_err(|e| format!("cannot bring up lo: {}", e.desc()))
}
