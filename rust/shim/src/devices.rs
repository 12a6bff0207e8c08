//! Which devices a container may use where control groups are of version 2: a program of BPF on its group, as that
//! version has no files for it. It decides what version 1 decides from the same rules of the runtime specification.

use std::fs::File;
use std::mem::size_of_val;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, Spec};

use crate::{cgroups, sys};

/// What every container may do, as other runtimes have it: make nodes of any device (not open them), the devices that
/// every container has, and terminals. (type, major, minor, access; None for any)
const ALWAYS: [(u32, Option<u32>, Option<u32>, u32); 10] = [
    (CHAR, None, None, MKNOD),
    (BLOCK, None, None, MKNOD),
    (CHAR, Some(1), Some(3), ANY), // /dev/null
    (CHAR, Some(1), Some(5), ANY), // /dev/zero
    (CHAR, Some(1), Some(7), ANY), // /dev/full
    (CHAR, Some(1), Some(8), ANY), // /dev/random
    (CHAR, Some(1), Some(9), ANY), // /dev/urandom
    (CHAR, Some(5), Some(0), ANY), // /dev/tty
    (CHAR, Some(5), Some(2), ANY), // /dev/ptmx
    (CHAR, Some(136), None, ANY),  // /dev/pts/*
];

// include/uapi/linux/bpf.h: BPF_DEVCG_DEV_* and BPF_DEVCG_ACC_*
const BLOCK: u32 = 1;
const CHAR: u32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ANY: u32 = MKNOD | READ | WRITE;

/// Instructions that the program may have: kernels before 5.2 take no more, and jumps are of 16 bits.
const MOST_INSTRUCTIONS: usize = 4096;

/// One rule. A later one goes before an earlier one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    allow: bool,
    /// BLOCK or CHAR; None for both.
    kind: Option<u32>,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

/// Guards the devices of the group `path` by the rules of `spec`. Where control groups are of version 1, libcontainer
/// has done so.
pub fn guard(path: &str, spec: &Spec) -> Result<(), String> {
    let Some(group) = cgroups::unified(path) else {
        return Ok(());
    };
    let rules = rules(spec);
    if rules.iter().all(|rule| rule.allow) && rules.iter().any(|rule| rule.kind.is_none()) {
        return Ok(()); // all of them
    }
    let program = load(&program(&rules)?)?;
    attach(&program, &group)
}

/// Whether this kernel takes such programs from this process.
pub fn check() -> Result<(), String> {
    load(&program(&[])?).map(drop)
}

fn rules(spec: &Spec) -> Vec<Rule> {
    let given = spec
        .linux()
        .as_ref()
        .and_then(|l| l.resources().as_ref())
        .and_then(|r| r.devices().as_ref());
    let always = ALWAYS.map(|(kind, major, minor, access)| Rule {
        allow: true,
        kind: Some(kind),
        major,
        minor,
        access,
    });
    given
        .into_iter()
        .flatten()
        .filter_map(rule)
        .chain(always)
        .collect()
}

/// None for what is no device to control groups.
fn rule(given: &LinuxDeviceCgroup) -> Option<Rule> {
    let kind = match given.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::A => None,
        LinuxDeviceType::B => Some(BLOCK),
        LinuxDeviceType::C | LinuxDeviceType::U => Some(CHAR),
        LinuxDeviceType::P => return None,
    };
    // A rule for all types is one for all devices, whatever else it says (cgroup-v1/devices.rst).
    let number = |n: Option<i64>| kind.and(n).and_then(|n| u32::try_from(n).ok());
    let letters = given.access().as_deref().unwrap_or("rwm");
    let access = letters.chars().fold(0, |all, letter| {
        all | match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            _ => 0,
        }
    });
    Some(Rule {
        allow: given.allow(),
        kind,
        major: number(given.major()),
        minor: number(given.minor()),
        access: if kind.is_none() { ANY } else { access },
    })
}

/// struct bpf_insn.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
struct Instruction {
    code: u8,
    /// Destination in the lower half, source in the upper.
    registers: u8,
    offset: i16,
    immediate: i32,
}

// Opcodes (Documentation/bpf/instruction-set.rst).
const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP: u8 = 0x05;
const IF_NOT_EQUAL: u8 = 0x55;
const IF_ANY_BIT: u8 = 0x45;
const EXIT: u8 = 0x95;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// What is asked for and not yet allowed.
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Goes through the rules, the last first. One that allows takes away what it allows of what is wanted; when nothing is
/// left it is allowed. One that denies any of what is left ends it, and so does the end.
fn program(rules: &[Rule]) -> Result<Vec<Instruction>, String> {
    let step = |code, registers, offset, immediate| Instruction {
        code,
        registers,
        offset,
        immediate,
    };
    let word = |value: u32| value.cast_signed();
    // struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor
    let mut made = vec![
        step(LOAD_WORD, KIND | CONTEXT << 4, 0, 0),
        step(COPY, WANTED | KIND << 4, 0, 0),
        step(AND, KIND, 0, 0xffff),
        step(SHIFT_RIGHT, WANTED, 0, 16),
        step(LOAD_WORD, MAJOR | CONTEXT << 4, 4, 0),
        step(LOAD_WORD, MINOR | CONTEXT << 4, 8, 0),
    ];
    let answer = |value| [step(SET, RESULT, 0, value), step(EXIT, 0, 0, 0)];
    for rule in rules.iter().rev() {
        let asked: Vec<(u8, u32)> = [(KIND, rule.kind), (MAJOR, rule.major), (MINOR, rule.minor)]
            .into_iter()
            .filter_map(|(register, value)| Some((register, value?)))
            .collect();
        let mut body = Vec::new();
        if rule.allow {
            body.push(step(AND, WANTED, 0, word(!rule.access & ANY)));
            body.push(step(IF_NOT_EQUAL, WANTED, 2, 0));
            body.extend(answer(1));
        } else {
            body.push(step(IF_ANY_BIT, WANTED, 1, word(rule.access)));
            body.push(step(JUMP, 0, 2, 0));
            body.extend(answer(0));
        }
        for (done, (register, value)) in asked.iter().enumerate() {
            let over = asked.len() - done - 1 + body.len();
            let over = i16::try_from(over).map_err(|e| e.to_string())?;
            made.push(step(IF_NOT_EQUAL, *register, over, word(*value)));
        }
        made.extend(body);
    }
    made.extend(answer(0));
    if made.len() > MOST_INSTRUCTIONS {
        return Err(format!(
            "too many rules of devices: {} instructions, the kernel takes {MOST_INSTRUCTIONS}",
            made.len()
        ));
    }
    Ok(made)
}

// include/uapi/linux/bpf.h
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// The groups above and below may have programs of their own; all must allow.
const ALLOW_MULTI: u32 = 2;

/// The members of union bpf_attr that PROG_LOAD needs.
#[repr(C)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// Those of PROG_ATTACH.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

fn load(program: &[Instruction]) -> Result<OwnedFd, String> {
    // Before 5.11 the kernel counted programs as locked memory. This process is the container's maker, not an ancestor.
    let _ = sys::set_limit(
        libc::RLIMIT_MEMLOCK,
        libc::RLIM_INFINITY,
        libc::RLIM_INFINITY,
    );
    let attributes = LoadAttributes {
        kind: TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).map_err(|e| e.to_string())?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the structure, the instructions and the license live through the call, which makes a new descriptor.
    unsafe { bpf(PROG_LOAD, &attributes) }
        .map(|fd| sys::own(fd as RawFd))
        .map_err(|e| format!("cannot guard devices: the kernel does not take a program for control groups (BPF_PROG_LOAD): {}", e.desc()))
}

fn attach(program: &OwnedFd, group: &Path) -> Result<(), String> {
    let failed = |e: &str| format!("cannot guard devices: {}: {e}", group.display());
    let directory = File::open(group).map_err(|e| failed(&e.to_string()))?;
    let attributes = AttachAttributes {
        target: directory.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the structure and both descriptors live through the call.
    unsafe { bpf(PROG_ATTACH, &attributes) }
        .map(drop)
        .map_err(|e| failed(e.desc()))
}

/// bpf(2).
///
/// # Safety
/// The attributes are those of the command, and all that they point to lives through the call.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> Result<libc::c_long, Errno> {
    // SAFETY: by this function's own condition.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of_val(attributes),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program answers, by running it.
    fn answer(program: &[Instruction], kind: u32, major: u32, minor: u32, access: u32) -> i64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0i64; 11];
        let mut at = 0;
        loop {
            let step = program[at];
            let to = usize::from(step.registers & 15);
            let from = usize::from(step.registers >> 4);
            let value = i64::from(step.immediate);
            at += 1;
            let jump = match step.code {
                LOAD_WORD => {
                    registers[to] = i64::from(context[step.offset as usize / 4]);
                    false
                }
                COPY => {
                    registers[to] = registers[from];
                    false
                }
                SET => {
                    registers[to] = value;
                    false
                }
                AND => {
                    registers[to] &= value;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= value;
                    false
                }
                JUMP => true,
                IF_NOT_EQUAL => registers[to] != value,
                IF_ANY_BIT => registers[to] & value != 0,
                EXIT => return registers[usize::from(RESULT)],
                code => panic!("opcode {code:#x}"),
            };
            if jump {
                at = at
                    .checked_add_signed(isize::from(step.offset))
                    .expect("a jump forward");
            }
        }
    }

    /// What version 1 does with the same rules: each bit as the last rule that names it says.
    fn wanted(rules: &[Rule], kind: u32, major: u32, minor: u32, access: u32) -> i64 {
        let is = |given: Option<u32>, value| given.is_none_or(|given| given == value);
        let allowed = [MKNOD, READ, WRITE]
            .into_iter()
            .filter(|bit| access & bit != 0)
            .all(|bit| {
                rules
                    .iter()
                    .rev()
                    .find(|r| {
                        r.access & bit != 0
                            && is(r.kind, kind)
                            && is(r.major, major)
                            && is(r.minor, minor)
                    })
                    .is_some_and(|r| r.allow)
            });
        i64::from(allowed)
    }

    fn spec(devices: &str) -> Spec {
        let text = format!(
            r#"{{"ociVersion": "1.0.2", "linux": {{"resources": {{"devices": {devices}}}}}}}"#
        );
        serde_json::from_str(&text).expect("a valid specification")
    }

    #[test]
    fn it_decides_as_version_1() {
        let denied = r#"{"allow": false, "access": "rwm"}"#;
        for devices in [
            format!("[{denied}]"),
            format!(
                r#"[{denied}, {{"allow": true, "type": "b", "major": 7, "minor": 1, "access": "r"}}]"#
            ),
            format!(
                r#"[{denied}, {{"allow": true, "type": "c", "major": 1, "access": "rw"}},
                    {{"allow": false, "type": "c", "major": 1, "minor": 2, "access": "w"}},
                    {{"allow": true, "type": "c", "minor": 2, "access": "m"}}]"#
            ),
            r#"[{"allow": true}, {"allow": false, "type": "c", "major": 7, "access": "rwm"}]"#
                .to_owned(),
        ] {
            let rules = rules(&spec(&devices));
            let program = program(&rules).expect("a program");
            for (kind, major, minor, access) in [BLOCK, CHAR].into_iter().flat_map(|kind| {
                [0, 1, 5, 7, 136].into_iter().flat_map(move |major| {
                    (0..10).flat_map(move |minor| {
                        (1..=ANY).map(move |access| (kind, major, minor, access))
                    })
                })
            }) {
                assert_eq!(
                    answer(&program, kind, major, minor, access),
                    wanted(&rules, kind, major, minor, access),
                    "{devices}: {kind} {major}:{minor} {access}"
                );
            }
        }
    }

    #[test]
    fn it_is_not_longer_than_kernels_take() {
        let rule = Rule {
            allow: true,
            kind: Some(CHAR),
            major: Some(1),
            minor: Some(3),
            access: READ,
        };
        assert!(program(&vec![rule; 500]).is_ok());
        assert!(program(&vec![rule; 1000]).is_err());
    }
}
