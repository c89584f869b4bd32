//! A regular look at the memory of a sandbox that no control group limits, which an ordinary user seldom has: what holds more
//! than it may is killed. Less than a limit, as much can be taken between two looks, but nobody fills the machine for long.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::tree;

/// Of one sandbox.
#[derive(Debug)]
pub(super) struct Watch {
    pid: libc::pid_t,
    memory_mb: u32,
    looked: Mutex<Instant>,
    /// What the last look found, which the call that it was begun for may not have waited for.
    over: Arc<AtomicBool>,
}

/// Least time between two looks, in one call or several.
const EVERY: Duration = Duration::from_millis(150);

impl Watch {
    pub(super) fn new(pid: libc::pid_t, memory_mb: u32) -> Watch {
        Watch {
            pid,
            memory_mb,
            looked: Mutex::new(Instant::now()),
            over: Arc::default(),
        }
    }

    /// Ends when its processes hold more than they may.
    pub(super) async fn exceeded(&self) {
        while !self.over.load(Ordering::Acquire) {
            let next = *self.looked.lock().expect("no panic under this lock") + EVERY;
            tokio::time::sleep_until(next).await;
            *self.looked.lock().expect("no panic under this lock") = Instant::now();
            let (root, most, over) = (self.pid, u64::from(self.memory_mb) << 20, self.over.clone());
            let look = move || {
                let all: u64 = tree::family(root).into_iter().map(held).sum();
                over.fetch_or(all > most, Ordering::AcqRel);
            };
            // Where it cannot be begun, the runtime is ending.
            let _ = tokio::task::spawn_blocking(look).await;
        }
    }
}

/// Bytes that a process holds, its share of what it has in common with others; 0 when it is gone.
fn held(pid: libc::pid_t) -> u64 {
    let share = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let share = share.ok().as_deref().and_then(share_of);
    let resident = || {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        // SAFETY: asks for a number.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * page)
    };
    share.or_else(resident).unwrap_or(0)
}

/// The line `Pss:` of a `smaps_rollup`, in bytes.
fn share_of(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_in_bytes() {
        let rollup = "5581 7ffd [rollup]\nRss:   2200 kB\nPss:     124 kB\nPss_Anon:  96 kB\n";
        assert_eq!(share_of(rollup), Some(124 << 10));
        assert_eq!(share_of("Rss: 1 kB\n"), None);
    }

    #[test]
    fn what_this_process_takes_shows() {
        let own = std::process::id() as libc::pid_t;
        let before = held(own);
        let taken = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(held(own) >= before + (60 << 20), "{before} before");
        drop(taken);
    }
}
