//! Signals to a process and all its descendants, for sandboxes without a freezer or without a process namespace of their
//! own. Found through `/proc`; repeated until a look finds nothing new, since processes may be born meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// Looks at most this often: a fork bomb could outrun any number, and then its limits hold it.
const LOOKS: usize = 20;

/// Sends a signal once to every process of the tree.
pub(super) fn signal(root: libc::pid_t, signal: libc::c_int) {
    let mut reached = BTreeSet::new();
    for _ in 0..LOOKS {
        let new: Vec<libc::pid_t> = descendants(root)
            .into_iter()
            .filter(|pid| reached.insert(*pid))
            .collect();
        if new.is_empty() {
            return;
        }
        for pid in new {
            // SAFETY: a signal; that the number was reused since the look would take a full turn of all numbers.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

/// Whether every thread of the tree stands still: a stop signal takes a moment to reach a running one.
pub(super) fn is_stopped(root: libc::pid_t) -> bool {
    let threads = |pid: libc::pid_t| {
        fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
    };
    descendants(root).into_iter().flat_map(threads).all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().next());
        // One that is gone is still enough.
        state.is_none_or(|state| matches!(state, "T" | "t" | "Z" | "X"))
    })
}

/// The process and everything below it, by the kernel's own lists where it keeps them: without a look at all processes.
pub(super) fn family(root: libc::pid_t) -> Vec<libc::pid_t> {
    if fs::metadata(format!("/proc/{root}/task/{root}/children")).is_err() {
        return descendants(root);
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<libc::pid_t> = lists
            .flat_map(|list| {
                list.split_whitespace()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// The process and everything below it.
fn descendants(root: libc::pid_t) -> Vec<libc::pid_t> {
    let mut children: BTreeMap<libc::pid_t, Vec<libc::pid_t>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let parent = fs::read_to_string(entry.path().join("stat"))
            .ok()
            .as_deref()
            .and_then(parent);
        if let (Some(pid), Some(parent)) = (pid, parent) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).into_iter().flatten());
        next += 1;
    }
    found
}

/// The fourth field of a `stat` line; the second, in brackets, may hold anything.
fn parent(stat: &str) -> Option<libc::pid_t> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_mislead() {
        assert_eq!(parent("12 (a) R (b) c) S 7 12 12 0"), Some(7));
    }

    #[test]
    fn the_own_process_is_below_its_parent() {
        let own = std::process::id() as libc::pid_t;
        let parent = std::os::unix::process::parent_id() as libc::pid_t;
        assert!(descendants(parent).contains(&own));
        assert!(family(parent).contains(&own));
    }
}
