//! Busy loops that keep the cores awake while latency is measured, and give way to everything else.
//!
//! A low priority is not enough for that. It counts only inside the group that the scheduler keeps a process in: between
//! groups (a session with `autogroup`, a control group) the groups' weights decide, and a container of the platform is a
//! group of its own. A burner at `nice 19` in the session of the benchmark took whole slices from the containers, and
//! none from the baselines beside it. Therefore each burner has the idle policy, a session of its own with the lowest
//! weight, and, where that is allowed, a control group that is idle as a whole.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use anyhow::Result;

use crate::groups::Group;

/// The burners; they end when this is dropped.
pub struct Burners {
    processes: Vec<Child>,
    _group: Option<Group>,
}

impl Burners {
    /// One burner for each core.
    pub fn light() -> Result<Burners> {
        let cores = std::thread::available_parallelism()?.get();
        let me = std::env::current_exe()?;
        let start = |_| {
            let mut command = Command::new(&me);
            command.arg("burn");
            // SAFETY: one system call, which is allowed between fork and exec.
            unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
            command.spawn()
        };
        let processes: Vec<Child> = (0..cores).map(start).collect::<Result<_, _>>()?;
        let group = Group::idle();
        if let Some(group) = &group {
            processes.iter().for_each(|process| group.take(process.id()));
        }
        Ok(Burners {
            processes,
            _group: group,
        })
    }
}

impl Drop for Burners {
    fn drop(&mut self) {
        for child in &mut self.processes {
            // A burner that is gone already burns no more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Burns until killed, or until the benchmark that started it is gone.
pub fn forever() -> Result<()> {
    let parent = nix::unistd::getppid();
    // Without autogroup there is no such file, and nothing to lower.
    let _ = fs::write("/proc/self/autogroup", "19");
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameters are read during the call; it concerns this process alone.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    loop {
        for _ in 0..100_000_000u64 {
            std::hint::spin_loop();
        }
        if nix::unistd::getppid() != parent {
            return Ok(());
        }
    }
}
