//! Busy loops at the lowest priority, which keep the cores awake while latency is measured.

use std::process::{Child, Command};

use anyhow::Result;

/// The burners; they end when this is dropped.
pub struct Burners(Vec<Child>);

impl Burners {
    /// One burner for each core.
    pub fn light() -> Result<Burners> {
        let cores = std::thread::available_parallelism()?.get();
        let me = std::env::current_exe()?;
        let start = |_| Command::new("nice").args(["-n", "19"]).arg(&me).arg("burn").spawn();
        Ok(Burners((0..cores).map(start).collect::<Result<_, _>>()?))
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // A burner that is gone already burns no more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Burns until killed, or until the benchmark that started it is gone.
pub fn forever() -> Result<()> {
    let parent = nix::unistd::getppid();
    loop {
        for _ in 0..100_000_000u64 {
            std::hint::spin_loop();
        }
        if nix::unistd::getppid() != parent {
            return Ok(());
        }
    }
}
