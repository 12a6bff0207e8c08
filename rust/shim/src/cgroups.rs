//! A container's control groups, version 1 (one tree per controller) or 2 (one tree).

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oci_spec::runtime::Spec;

const ROOT: &str = "/sys/fs/cgroup";

/// Rounds of killing: a process that forks while it is killed is caught by a later one.
const KILL_ROUNDS: u32 = 100;

/// Waits for killed processes to leave their groups: 200 × 5 ms.
const REMOVE_ROUNDS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// The directories of the group `path` that exist, one per hierarchy.
pub fn directories(path: &str) -> Vec<PathBuf> {
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return Vec::new();
    }
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return [root.join(path)]
            .into_iter()
            .filter(|d| d.is_dir())
            .collect();
    }
    let mut found: Vec<PathBuf> = fs::read_dir(root)
        .map(|entries| {
            entries
                .flatten()
                .map(|e| e.path())
                .filter(|p| !p.is_symlink())
                .collect()
        })
        .unwrap_or_default();
    for hierarchy in &mut found {
        hierarchy.push(path);
    }
    found.retain(|d| d.is_dir());
    found
}

/// The directory of the group `path` where control groups are of version 2.
pub fn unified(path: &str) -> Option<PathBuf> {
    let is_unified = Path::new(ROOT).join("cgroup.controllers").exists();
    directories(path).into_iter().next().filter(|_| is_unified)
}

/// A limit of memory is one of memory and swap. libcontainer would refuse it where the kernel does not count swap.
pub fn without_swap(path: &str, spec: &Spec) -> Result<(), String> {
    let limited = spec
        .linux()
        .as_ref()
        .and_then(|l| l.resources().as_ref())
        .and_then(|r| r.memory().as_ref())
        .is_some_and(|m| m.limit().is_some());
    let Some(file) = unified(path).map(|d| d.join("memory.swap.max")) else {
        return Ok(());
    };
    if limited && file.exists() {
        fs::write(&file, "0").map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    }
    Ok(())
}

/// How many processes the kernel has killed here for lack of memory.
pub fn oom_kills(path: &str) -> u64 {
    directories(path)
        .iter()
        .flat_map(|d| [d.join("memory.events"), d.join("memory.oom_control")])
        .filter_map(|file| fs::read_to_string(file).ok())
        .filter_map(|text| {
            text.lines()
                .find_map(|l| l.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        })
        .max()
        .unwrap_or(0)
}

/// Moves the calling process into the group.
pub fn join(path: &str) -> Result<(), String> {
    for directory in directories(path) {
        fs::write(directory.join("cgroup.procs"), "0").map_err(|e| {
            format!(
                "cannot enter the control group {}: {e}",
                directory.display()
            )
        })?;
    }
    Ok(())
}

/// Sends SIGKILL to every process of the group until none is left, or it is given up.
pub fn kill_all(path: &str) {
    for _ in 0..KILL_ROUNDS {
        let mut some = false;
        for directory in directories(path) {
            if fs::write(directory.join("cgroup.kill"), "1").is_ok() {
                return;
            }
            for pid in processes(&directory) {
                some |= kill(pid, Signal::SIGKILL).is_ok();
            }
        }
        if !some {
            return;
        }
        sleep(Duration::from_millis(1));
    }
}

/// Removes the group with all below it; false when something stayed.
pub fn remove(path: &str) -> bool {
    for round in 0..REMOVE_ROUNDS {
        let directories = directories(path);
        if directories.iter().filter(|d| !remove_tree(d)).count() == 0 {
            return true;
        }
        if round == 0 {
            kill_all(path);
        }
        sleep(PAUSE);
    }
    false
}

fn remove_tree(directory: &Path) -> bool {
    if fs::remove_dir(directory).is_ok() {
        return true;
    }
    if let Ok(entries) = fs::read_dir(directory) {
        for entry in entries
            .flatten()
            .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        {
            remove_tree(&entry.path());
        }
    }
    fs::remove_dir(directory).is_ok() || !directory.exists()
}

fn processes(directory: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of another namespace; to kill it would mean our own group.
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .map(Pid::from_raw)
        .collect()
}
