//! Marks that tell valgrind's callgrind what to count: its client requests, which do nothing anywhere else.
//!
//! The numbers and the sequence are those of valgrind.h and callgrind.h (valgrind 3.19). Only on x86_64; elsewhere
//! nothing can be counted.

use std::ffi::{CStr, CString, c_char};

const RUNNING_ON_VALGRIND: usize = 0x1001;
/// "CT", callgrind's own.
const CALLGRIND: usize = (b'C' as usize) << 24 | (b'T' as usize) << 16;
const ZERO_STATS: usize = CALLGRIND + 1;
const DUMP_STATS_AT: usize = CALLGRIND + 3;
const START_INSTRUMENTATION: usize = CALLGRIND + 4;
const STOP_INSTRUMENTATION: usize = CALLGRIND + 5;

#[cfg(target_arch = "x86_64")]
fn request(number: usize, argument: usize) -> usize {
    let arguments = [number, argument, 0, 0, 0, 0];
    let mut answer = 0usize;
    // SAFETY: rotations of a register by 128 bits in all, and an exchange of a register with itself: no effect. Valgrind
    // knows the sequence, reads the arguments at rax and answers in rdx.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_: usize, _: usize) -> usize {
    0
}

/// Whether valgrind runs this process.
pub fn is_possible() -> bool {
    request(RUNNING_ON_VALGRIND, 0) > 0
}

fn start() {
    request(START_INSTRUMENTATION, 0);
    request(ZERO_STATS, 0);
}

fn stop(name: &CStr) {
    request(DUMP_STATS_AT, name.as_ptr() as usize);
    request(STOP_INSTRUMENTATION, 0);
}

/// Runs `work`; callgrind writes down under this name how many instructions it took.
pub fn counted<R>(name: &str, work: impl FnOnce() -> R) -> R {
    let name = CString::new(name).unwrap_or_default();
    start();
    let made = work();
    stop(&name);
    made
}

/// For benchmarks in Python, by ctypes: whether valgrind runs this process.
#[unsafe(no_mangle)]
pub extern "C" fn orlop_count_is_possible() -> bool {
    is_possible()
}

/// For benchmarks in Python: counts from here on.
#[unsafe(no_mangle)]
pub extern "C" fn orlop_count_start() {
    start();
}

/// For benchmarks in Python: writes down what was counted since the start.
///
/// # Safety
/// `name` is a text that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orlop_count_stop(name: *const c_char) {
    // SAFETY: the caller's promise.
    stop(unsafe { CStr::from_ptr(name) });
}
