//! How many files, connections among them, the process may have open.
//!
//! Systems give a process 1,024 unless it asks for more, for the sake of programs that use `select`; ours do not, and each
//! request that waits for an answer is a connection or two.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the bound to the highest that the process may set itself; a system that refuses that is a line in the log. What the
/// process starts inherits the bound, unless it is told another.
pub fn raise() {
    if let Err(error) = try_raise() {
        tracing::warn!(%error, "the number of open files stays as it was given");
    }
}

fn try_raise() -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    match soft < hard {
        true => setrlimit(Resource::RLIMIT_NOFILE, hard, hard),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_had_is_taken() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard.min(512), hard).unwrap();
        try_raise().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
