//! Groups that wait to be used again. Making and removing one in each hierarchy takes the kernel about as long as all
//! namespaces of a sandbox together, so an emptied one goes to the next sandbox with the same limits.

use std::{
    ffi::CString,
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Cgroups, Group, Limits};

/// The groups of one life.
#[derive(Debug)]
pub(in crate::process) struct Pool {
    cgroups: Arc<Cgroups>,
    tag: String,
    next: AtomicU64,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    groups: Vec<Group>,
    closed: bool,
}

/// Most groups kept waiting.
const MOST_IDLE: usize = 32;

impl Pool {
    /// `tag` begins the name of every group, so that the next life knows whose it was.
    pub(in crate::process) fn new(cgroups: Arc<Cgroups>, tag: &str) -> Self {
        Pool {
            cgroups,
            tag: tag.to_owned(),
            next: AtomicU64::new(1),
            idle: Mutex::default(),
        }
    }

    /// An empty group with these limits; `None` where there are no control groups.
    pub(in crate::process) fn take(&self, limits: Limits) -> io::Result<Option<Group>> {
        if self.cgroups.trees.iter().all(|tree| tree.resources.is_empty()) {
            return Ok(None);
        }
        while let Some(mut group) = self.waiting(limits) {
            group.kills_before = group.count_memory_kills().unwrap_or(0);
            // What the last one left in caches counts; with much of it a new one is the better start.
            if group
                .memory_in_use()
                .is_some_and(|bytes| bytes <= u64::from(limits.memory_mb) << 17)
            {
                return Ok(Some(group));
            }
            let _ = group.remove();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = CString::new(format!("{}-{number}", self.tag)).expect("a tag holds no zero byte");
        Group::create(self.cgroups.clone(), name, limits).map(Some)
    }

    /// Takes a group back whose processes are all gone.
    pub(in crate::process) fn give_back(&self, group: Group) -> io::Result<()> {
        let mut idle = self.lock();
        if idle.closed {
            return group.remove();
        }
        // The oldest goes: its limits are the least likely to be asked for.
        let surplus = if idle.groups.len() >= MOST_IDLE {
            Some(idle.groups.remove(0))
        } else {
            None
        };
        idle.groups.push(group);
        drop(idle);
        surplus.map_or(Ok(()), |group| group.remove())
    }

    /// Removes what is waiting, and from now on what comes back.
    pub(in crate::process) fn close(&self) {
        let mut idle = self.lock();
        idle.closed = true;
        for group in idle.groups.drain(..) {
            let _ = group.remove();
        }
    }

    fn waiting(&self, limits: Limits) -> Option<Group> {
        let mut idle = self.lock();
        let at = idle.groups.iter().rposition(|group| group.limits == limits)?;
        Some(idle.groups.remove(at))
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().expect("no panic while locked")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}
