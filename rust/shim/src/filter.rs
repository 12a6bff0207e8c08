//! Seccomp filters: compiled from a profile once, kept in a file, loaded from there.
//!
//! Compiling the usual profile for three architectures takes longer than all else that makes a container. libcontainer
//! does it anew for each first process, so profiles are kept from it, and the filter is loaded here.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use libseccomp::error::SeccompError;
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use nix::errno::Errno;
use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag, LinuxSeccompOperator, LinuxSyscall,
};

use crate::sys;

/// Bytes of one instruction, and the most instructions of a program (struct sock_filter, BPF_MAXINSNS in linux/filter.h).
const INSTRUCTION: usize = 8;
const MOST_INSTRUCTIONS: usize = 4096;

/// A filter that is ready to be loaded.
#[derive(Clone)]
pub struct Filter {
    program: Vec<u8>,
    flags: u32,
}

impl Filter {
    /// From now on for this process and its children. Needs CAP_SYS_ADMIN or no_new_privs.
    pub fn load(&self) -> Result<(), String> {
        sys::load_filter(&self.program, self.flags).map_err(|e| format!("seccomp: {}", e.desc()))
    }
}

/// The filter of `profile`: as it is in the file `kept`, else compiled and put there. An empty name keeps nothing.
pub fn ready(profile: Option<&LinuxSeccomp>, kept: &str) -> Result<Option<Filter>, String> {
    let Some(profile) = profile else {
        return Ok(None);
    };
    let flags = profile.flags().iter().flatten().map(flag).sum();
    let program = match fs::read(kept) {
        Ok(program) if is_whole(&program) => program,
        _ => compile(profile, kept)?,
    };
    Ok(Some(Filter { program, flags }))
}

fn is_whole(program: &[u8]) -> bool {
    let instructions = program.chunks_exact(INSTRUCTION);
    instructions.remainder().is_empty() && (1..=MOST_INSTRUCTIONS).contains(&instructions.len())
}

fn compile(profile: &LinuxSeccomp, kept: &str) -> Result<Vec<u8>, String> {
    let context = context(profile)?;
    let failed = |e: &dyn std::fmt::Display| format!("seccomp: {e}");
    // libseccomp writes to files only; one of its own, for several shims may compile the same profile at once.
    let kept = (!kept.is_empty()).then(|| Path::new(kept));
    let fresh = kept.map_or_else(
        || PathBuf::from("filter.new"),
        |path| path.with_extension(std::process::id().to_string()),
    );
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(|e| failed(&format!("{}: {e}", fresh.display())))
        .and_then(|file| context.export_bpf(file.as_fd()).map_err(|e| failed(&e)))
        .and_then(|()| fs::read(&fresh).map_err(|e| failed(&e)));
    match (&written, kept) {
        (Ok(_), Some(path)) if fs::rename(&fresh, path).is_ok() => {}
        _ => drop(fs::remove_file(&fresh)),
    }
    written.and_then(|program| {
        is_whole(&program)
            .then_some(program)
            .ok_or_else(|| "seccomp: the profile is too long for the kernel".to_owned())
    })
}

/// What runc and libcontainer make of a profile, but for notification, which needs somebody to notify.
fn context(profile: &LinuxSeccomp) -> Result<ScmpFilterContext, String> {
    let failed = |e: SeccompError| format!("seccomp: {e}");
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut context = ScmpFilterContext::new(default).map_err(failed)?;
    // A tree, not a list: the kernel tries the filter on each system call when it is loaded, and on many when they happen.
    context.set_ctl_optimize(2).map_err(failed)?;
    for &arch in profile.architectures().iter().flatten() {
        let name = serde_json::to_value(arch).unwrap_or_default();
        let name = name.as_str().unwrap_or_default();
        let arch: ScmpArch = name
            .parse()
            .map_err(|_| format!("seccomp: unknown architecture {name}"))?;
        context.add_arch(arch).map_err(failed)?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let wanted = action(rule.action(), rule.errno_ret())?;
        if wanted != default {
            add(&mut context, rule, wanted).map_err(failed)?;
        }
    }
    Ok(context)
}

fn add(
    context: &mut ScmpFilterContext,
    rule: &LinuxSyscall,
    wanted: ScmpAction,
) -> Result<(), SeccompError> {
    let conditions: Vec<ScmpArgCompare> = rule
        .args()
        .iter()
        .flatten()
        .map(|a| {
            let value_two = a.value_two().unwrap_or(0);
            ScmpArgCompare::new(a.index() as u32, operator(a.op(), value_two), a.value())
        })
        .collect();
    let mut indexes: Vec<usize> = rule.args().iter().flatten().map(|a| a.index()).collect();
    indexes.sort_unstable();
    // One rule compares an argument once: several comparisons of one are alternatives, as with runc.
    let alternatives = indexes.windows(2).any(|pair| pair[0] == pair[1]);
    for name in rule.names() {
        let Ok(syscall) = ScmpSyscall::from_name(name) else {
            continue; // of another kernel or architecture
        };
        if alternatives {
            for condition in conditions.chunks(1) {
                context.add_rule_conditional(wanted, syscall, condition)?;
            }
        } else {
            context.add_rule_conditional(wanted, syscall, &conditions)?;
        }
    }
    Ok(())
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction, String> {
    let errno = errno.map_or(Errno::EPERM as i32, |e| e as i32);
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => {
            ScmpAction::KillThread
        }
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(errno),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(
            u16::try_from(errno).map_err(|_| format!("seccomp: errnoRet {errno} is too large"))?,
        ),
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActNotify => {
            return Err("seccomp: SCMP_ACT_NOTIFY is not supported".to_owned());
        }
    })
}

fn operator(operator: LinuxSeccompOperator, value_two: u64) -> ScmpCompareOp {
    match operator {
        LinuxSeccompOperator::ScmpCmpNe => ScmpCompareOp::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => ScmpCompareOp::Less,
        LinuxSeccompOperator::ScmpCmpLe => ScmpCompareOp::LessOrEqual,
        LinuxSeccompOperator::ScmpCmpEq => ScmpCompareOp::Equal,
        LinuxSeccompOperator::ScmpCmpGe => ScmpCompareOp::GreaterEqual,
        LinuxSeccompOperator::ScmpCmpGt => ScmpCompareOp::Greater,
        LinuxSeccompOperator::ScmpCmpMaskedEq => ScmpCompareOp::MaskedEqual(value_two),
    }
}

/// The kernel's bit (linux/seccomp.h).
fn flag(flag: &LinuxSeccompFilterFlag) -> u32 {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 1,
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => 2,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => 4,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0, // is about notification
    }
}
