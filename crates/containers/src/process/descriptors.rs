//! Descriptors and signals of the threads that make sandboxes.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use super::{
    child::LISTENER,
    sys::{Failure, check},
};

/// A pipe with a non-blocking reading end and a writing end with a high number.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are new and ours.
    let (read, write) = unsafe {
        check("pipe", libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC).into()).map_err(Failure::source)?;
        check("pipe", libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK).into()).map_err(Failure::source)?;
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    Ok((read, high(write)?))
}

/// The same descriptor with a number out of the way of those that the child takes.
pub(super) fn high(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > LISTENER {
        return Ok(fd);
    }
    // SAFETY: duplicates a descriptor of ours.
    unsafe {
        let fd = libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 16);
        check("descriptor", fd.into()).map_err(Failure::source)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// For good: a child must not run a handler of the platform's in the platform's memory.
pub(super) fn block_signals() {
    // SAFETY: fills a set and gives it to this thread only.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut());
    }
}
