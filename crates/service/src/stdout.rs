//! What a program is asked to print.

use std::io::{self, Write as _};

/// Writes to standard output. A reader that has seen enough and goes away, as `head` does, is no failure.
pub fn show(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        shown => shown,
    }
}
