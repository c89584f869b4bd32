//! System calls as the child of a sandbox needs them: raw, without allocation, without touching state that belongs to
//! other threads (the child shares our memory until it executes its program).

use std::{ffi::CStr, io, os::fd::RawFd, ptr};

use libc::{c_int, c_long, c_ulong, c_void};

/// A step that failed, with its error number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    pub(super) step: &'static str,
    pub(super) errno: i32,
}

pub(super) type Step<T = ()> = Result<T, Failure>;

impl Failure {
    pub(super) fn source(self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// Turns `-1` into the error of this step.
pub(super) fn check(step: &'static str, result: c_long) -> Step<c_long> {
    match result {
        -1 => Err(Failure { step, errno: errno() }),
        result => Ok(result),
    }
}

pub(super) fn errno() -> i32 {
    // SAFETY: the location of the calling thread's error number is always valid.
    unsafe { *libc::__errno_location() }
}

/// `mount(2)`; `None` where the call takes a null pointer.
pub(super) fn mount(
    step: &'static str,
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: c_ulong,
    data: Option<&CStr>,
) -> Step {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a terminated string that outlives the call.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(data).cast::<c_void>(),
        )
    };
    check(step, result.into()).map(drop)
}

/// `umount2(target, MNT_DETACH)`.
pub(super) fn detach(step: &'static str, target: &CStr) -> Step {
    // SAFETY: a terminated string that outlives the call.
    check(step, unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

/// Sets these `MOUNT_ATTR_*` on a mount and everything below it. `ENOSYS` before Linux 5.12.
pub(super) fn set_mount_attributes(step: &'static str, target: &CStr, attributes: u64) -> Step {
    let attr = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the structure outlives the call and its size is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            AT_RECURSIVE,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(step, result).map(drop)
}

const AT_RECURSIVE: c_int = 0x8000;

/// Makes a folder; one that exists is fine.
pub(super) fn mkdir(step: &'static str, path: &CStr, mode: libc::mode_t) -> Step {
    // SAFETY: a terminated string that outlives the call.
    match check(step, unsafe { libc::mkdir(path.as_ptr(), mode) }.into()) {
        Err(failure) if failure.errno != libc::EEXIST => Err(failure),
        _ => Ok(()),
    }
}

pub(super) fn symlink(step: &'static str, target: &CStr, path: &CStr) -> Step {
    // SAFETY: terminated strings that outlive the call.
    check(step, unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) }.into()).map(drop)
}

pub(super) fn chdir(step: &'static str, path: &CStr) -> Step {
    // SAFETY: a terminated string that outlives the call.
    check(step, unsafe { libc::chdir(path.as_ptr()) }.into()).map(drop)
}

/// Opens a file and closes it on exec.
pub(super) fn open(step: &'static str, path: &CStr, flags: c_int, mode: libc::mode_t) -> Step<RawFd> {
    // SAFETY: a terminated string that outlives the call.
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, libc::c_uint::from(mode as u16)) };
    check(step, fd.into()).map(|fd| fd as RawFd)
}

/// Writes everything in one call, as kernel files want it.
pub(super) fn write(step: &'static str, fd: RawFd, bytes: &[u8]) -> Step {
    // SAFETY: the buffer is valid for its length.
    let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    match check(step, written as c_long)? {
        all if all as usize == bytes.len() => Ok(()),
        _ => Err(Failure { step, errno: libc::EIO }),
    }
}

pub(super) fn close(fd: RawFd) {
    // SAFETY: closing a number cannot touch memory; callers own what they close.
    unsafe { libc::close(fd) };
}

/// Writes a (new) file.
pub(super) fn write_file(step: &'static str, path: &CStr, flags: c_int, bytes: &[u8]) -> Step {
    let fd = open(step, path, flags | libc::O_WRONLY, 0o644)?;
    let result = if bytes.is_empty() {
        Ok(())
    } else {
        write(step, fd, bytes)
    };
    close(fd);
    result
}

pub(super) fn prctl(step: &'static str, option: c_int, argument: c_ulong) -> Step {
    // SAFETY: only options whose argument is a number are used.
    check(step, unsafe { libc::prctl(option, argument, 0, 0, 0) }.into()).map(drop)
}

pub(super) fn set_limit(step: &'static str, resource: c_int, value: u64) -> Step {
    let limit = libc::rlimit64 {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the structure outlives the call.
    let result = unsafe { libc::prlimit64(0, resource as _, &raw const limit, ptr::null_mut()) };
    check(step, result.into()).map(drop)
}

/// A millisecond of rest.
pub(super) fn nap() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    // SAFETY: reads one structure.
    unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
}

/// Lets what this thread makes be readable, whatever the platform was started with. Only for a thread that shares its mask with
/// nobody.
pub(super) fn plain_mask() {
    // SAFETY: a number.
    unsafe { libc::umask(0o022) };
}
