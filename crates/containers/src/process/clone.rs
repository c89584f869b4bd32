//! `clone3(2)` in the manner of `vfork`: the child runs in our memory while the calling thread waits, until the child
//! executes a program or exits. So the cost does not grow with our size, and what was prepared need not be copied.
//!
//! The child enters through a function that never returns, called from the very assembly that made it; thus nothing on
//! the shared stack above that call is touched while the parent waits. Where there is no assembly for the machine, or no
//! `clone3`, the C library's `clone` with a stack of its own does the same without joining a control group. Where that
//! gives no descriptor of the child either, as under an emulator of another processor, one is opened afterwards.

use std::{
    ffi::c_void,
    os::fd::{FromRawFd, OwnedFd, RawFd},
};

use super::sys::{self, Failure, check};

/// What the child runs. It must not return, panic or allocate.
pub(super) type Entry = extern "C" fn(*mut c_void) -> !;

/// A child that executed its program, or exited.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: libc::pid_t,
    /// Becomes readable when the child has died.
    pub(super) pidfd: OwnedFd,
}

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The step that fails with `ENOSYS` or `EINVAL` when the kernel cannot let a child be born in a group.
pub(super) const CLONE: &str = "clone";

const ALWAYS: u64 = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;

/// Makes a child with these `CLONE_NEW*` flags and, when given, in this version 2 control group.
///
/// # Safety
/// `entry` must be fit to run on this thread's stack and memory while this thread stands still, and `argument` valid for
/// it. All signals must be blocked.
pub(super) unsafe fn vfork(
    namespaces: u64,
    cgroup: Option<RawFd>,
    entry: Entry,
    argument: *mut c_void,
) -> Result<Child, Failure> {
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: ALWAYS | namespaces,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup as u64;
    }
    // SAFETY: the caller's promise.
    let mut result = unsafe { clone3(&args, entry, argument) };
    if result == -i64::from(libc::ENOSYS) && cgroup.is_none() {
        // SAFETY: the caller's promise.
        result = unsafe { clone_with_stack(ALWAYS | namespaces, &raw mut pidfd, entry, argument) }?;
    }
    if result < 0 {
        return Err(Failure {
            step: CLONE,
            errno: (-result) as i32,
        });
    }
    // SAFETY: the kernel has just put a new descriptor there.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child {
        pid: result as libc::pid_t,
        pidfd,
    })
}

/// The system call, with a negative error number as the kernel returns it.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *mut c_void) -> i64 {
    let mut result: i64 = libc::SYS_clone3;
    // SAFETY: the parent side is an ordinary system call; the child side calls below everything this stack holds (the
    // 256 bytes pass over any red zone) and does not come back.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "sub rsp, 256",
            "and rsp, -16",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") result,
            in("rdi") std::ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            in("r12") argument,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The system call, with a negative error number as the kernel returns it.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, entry: Entry, argument: *mut c_void) -> i64 {
    let result: i64;
    // SAFETY: as on the other machine; there is no red zone to pass over, the distance does no harm.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "sub sp, sp, #256",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") std::ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x20") argument,
            in("x21") entry,
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(_: &CloneArgs, _: Entry, _: *mut c_void) -> i64 {
    -i64::from(libc::ENOSYS)
}

unsafe fn clone_with_stack(
    flags: u64,
    pidfd: *mut libc::c_int,
    entry: Entry,
    argument: *mut c_void,
) -> Result<i64, Failure> {
    let mut stack = vec![0_u8; 128 * 1024];
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top as usize % 16).cast::<c_void>();
    // SAFETY: a function that never returns may stand for one that returns an int.
    let entry = unsafe { std::mem::transmute::<Entry, extern "C" fn(*mut c_void) -> libc::c_int>(entry) };
    let flags = flags as libc::c_int | libc::SIGCHLD;
    // SAFETY: the stack lives until the child has left our memory, as this thread waits for that.
    let pid = unsafe { libc::clone(entry, top, flags, argument, pidfd) };
    if pid >= 0 || sys::errno() != libc::EINVAL {
        check(CLONE, pid.into())?;
        return Ok(i64::from(pid));
    }
    // SAFETY: as before.
    let pid = unsafe { libc::clone(entry, top, flags & !libc::CLONE_PIDFD, argument) };
    check(CLONE, pid.into())?;
    // SAFETY: numbers only; the child keeps its number until this process has waited for it.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: the caller's variable.
    unsafe { *pidfd = check("descriptor of the child", opened)? as libc::c_int };
    Ok(i64::from(pid))
}

/// Whether children can be born into these namespaces: an emulator of another processor may know only how to change them.
/// For a process with one thread that ends soon.
pub(super) fn can_enter(namespaces: u64) -> bool {
    extern "C" fn leave(_: *mut c_void) -> ! {
        // SAFETY: ends this process without running anything of the platform's.
        unsafe { libc::_exit(0) }
    }
    // SAFETY: the child only ends; nothing else runs in this process.
    unsafe { vfork(namespaces, None, leave, std::ptr::null_mut()) }.is_ok()
}
