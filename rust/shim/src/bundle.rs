//! What a container is made from: `config.json` (OCI runtime specification) and `shim.json` (ours) in its folder.

use oci_spec::runtime::Spec;
use serde::Deserialize;

/// `shim.json`: what the runtime specification has no word for.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// The log file, an absolute path; empty for no log.
    #[serde(default)]
    pub log: String,
    /// Bytes after which waiting connections are told that the log is to be rotated; 0 for never.
    #[serde(default)]
    pub log_max: u64,
    /// Whether stdin stays open for `attach`.
    #[serde(default)]
    pub stdin: bool,
    /// Whether stdin closes with the first attached client's.
    #[serde(default)]
    pub stdin_once: bool,
    /// Options of the overlay mounted at `rootfs`, relative to the folder; empty where `rootfs` is ready.
    #[serde(default)]
    pub overlay: String,
    /// The container's control group, from the root of the hierarchies; empty for none.
    #[serde(default)]
    pub cgroup: String,
    /// The file that keeps the compiled seccomp filter of the profile in config.json; empty to compile it each time.
    #[serde(default)]
    pub filter: String,
    /// Whether devices are guarded by a program of BPF where control groups are of version 2.
    #[serde(default)]
    pub guard_devices: bool,
    /// Mounts made by the container show up on the node: the folder's own mount alone is made private then.
    #[serde(default)]
    pub shared_mounts: bool,
    /// A plain process of the node instead of a container: what can be had without root.
    #[serde(default)]
    pub plain: bool,
}

/// Both files of the current directory.
pub fn load() -> Result<(Options, Spec), String> {
    let text = std::fs::read("shim.json").map_err(|e| format!("cannot read shim.json: {e}"))?;
    let options = serde_json::from_slice(&text).map_err(|e| format!("shim.json: {e}"))?;
    let spec = Spec::load("config.json")
        .map_err(|e| format!("config.json: {}", crate::report::chain(&e)))?;
    Ok((options, spec))
}
