//! The event loop of a process that does everything on one thread.

use std::io;
use std::pin::Pin;

/// Threads for calls that block, at most.
const BLOCKING: usize = 16;

/// Runs a future, and what it spawns, on this thread. The loop is compiled for this one type, and where it is optimised.
///
/// # Errors
/// When the system has no descriptors for it.
pub fn on_this_thread(life: Pin<Box<dyn Future<Output = ()> + '_>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()?;
    runtime.block_on(life);
    Ok(())
}
