//! The records a shim leaves in the container's folder, each written whole or not at all.

use std::fs;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::Pid;
use serde::Serialize;

/// `pid.json`: who runs, told from a later process of the same number by its start time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    /// The container's first process.
    pub pid: i32,
    /// Its start, in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start_time: u64,
    /// The shim's own process.
    pub shim: i32,
    /// Its start.
    pub shim_start_time: u64,
    /// Nanoseconds since 1970.
    pub started_at: u64,
}

/// `exit.json`: how it ended.
#[derive(Serialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// The exit code; 128 + n for signal n.
    pub code: i32,
    /// The signal that ended it, 0 for none.
    pub signal: i32,
    /// The kernel killed something in it for lack of memory.
    pub oom: bool,
    /// Nanoseconds since 1970.
    pub finished_at: u64,
    /// Why it did not start or how it was lost; empty otherwise.
    pub message: String,
}

/// Writes `value` as JSON to `name` in the current directory by rename.
pub fn write<T: Serialize>(name: &str, value: &T) -> Result<(), String> {
    let text = serde_json::to_vec(value).map_err(|e| e.to_string())?;
    let temporary = format!(".{name}.new");
    let attempt = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&text)?;
        fs::rename(&temporary, name)
    };
    attempt().map_err(|e| format!("cannot write {name}: {e}"))
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A process' start in clock ticks since boot; 0 when it is gone.
pub fn start_time(pid: Pid) -> u64 {
    const FIELD_AFTER_NAME: usize = 19; // starttime is field 22, and the name, field 2, may hold blanks
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            let (_, rest) = stat.rsplit_once(')')?;
            rest.split_whitespace().nth(FIELD_AFTER_NAME)?.parse().ok()
        })
        .unwrap_or(0)
}
