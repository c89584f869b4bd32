//! The container's own stdout and stderr.
//!
//! A pipe or socket whose reader is slow must not stop the proxy from answering: it is written without blocking. Anything
//! else (a file, a terminal) is written as it is.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Where one stream of the log ends up.
#[derive(Debug)]
pub enum Sink {
    Waiting(AsyncFd<Standard>),
    Blocking(RawFd),
    /// The reader has gone.
    Closed,
}

/// One of the descriptors 1 and 2, which are never closed.
#[derive(Debug)]
pub struct Standard(RawFd);

impl AsRawFd for Standard {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Sink {
    /// For descriptor 1 or 2 of this process.
    pub fn standard(fd: RawFd) -> Self {
        match waiting(fd) {
            Some(waiting) => Sink::Waiting(waiting),
            None => Sink::Blocking(fd),
        }
    }

    /// Writes everything, waiting for the reader where need be. A reader that has gone is no error: the text is lost.
    pub async fn write(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let result = match self {
                Sink::Closed => return,
                Sink::Blocking(fd) => write_once(*fd, text),
                Sink::Waiting(fd) => match write_once(fd.as_raw_fd(), text) {
                    Err(Errno::EAGAIN) => write_when_possible(fd, text).await,
                    other => other,
                },
            };
            match result {
                Ok(written) => text = &text[written..],
                Err(Errno::EINTR) => {}
                Err(_) => *self = Sink::Closed,
            }
        }
    }
}

fn write_once(fd: RawFd, text: &[u8]) -> Result<usize, Errno> {
    // SAFETY: descriptors 1 and 2 stay open for the life of the process.
    nix::unistd::write(unsafe { BorrowedFd::borrow_raw(fd) }, text)
}

async fn write_when_possible(fd: &AsyncFd<Standard>, text: &[u8]) -> Result<usize, Errno> {
    loop {
        let mut ready = fd.writable().await.map_err(|_| Errno::EIO)?;
        match write_once(fd.as_raw_fd(), text) {
            Err(Errno::EAGAIN) => ready.clear_ready(),
            other => return other,
        }
    }
}

/// Puts a pipe or socket into non-blocking mode and registers it with the reactor.
fn waiting(fd: RawFd) -> Option<AsyncFd<Standard>> {
    // SAFETY: as in `write_once`.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let kind = SFlag::from_bits_truncate(fstat(borrowed).ok()?.st_mode) & SFlag::S_IFMT;
    if kind != SFlag::S_IFIFO && kind != SFlag::S_IFSOCK {
        return None;
    }
    let flags = OFlag::from_bits_truncate(fcntl(borrowed, FcntlArg::F_GETFL).ok()?);
    fcntl(borrowed, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).ok()?;
    // SAFETY: descriptors 1 and 2 are never closed, and `Standard` always gives the same one.
    unsafe { AsyncFd::register_with_interest(Standard(fd), Interest::WRITABLE) }.ok()
}
