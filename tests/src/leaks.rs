//! What a platform leaves behind when it ends, which must be nothing: no process, no control group, no folder of a sandbox.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Folder, LONG, Platform, get};
use crate::wait;

/// What a platform has in hand, in its own words.
const IN_HAND: [&str; 4] = [
    "loadbalancer_activationsInflight_counter",
    "controller_concurrent_counter",
    "containerPool_activeCount_counter",
    "containerPool_runBufferCount_counter",
];
const GROUPS: &str = "/sys/fs/cgroup";

/// A process; its start tells it apart from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    pid: i32,
    started: u64,
}

/// What `/proc` says about a process that is not dead.
struct Stat {
    parent: i32,
    started: u64,
}

/// What a platform has made so far.
pub struct Traces {
    platform: i32,
    /// What the names of its groups and folders begin with.
    tag: String,
    /// Every process that was ever seen below it. Once it is gone nobody can tell whose they were.
    family: HashSet<Process>,
}

/// Waits until nothing is in flight, stops the platform, and makes sure that nothing of it is left.
pub async fn clean(platform: Platform) -> Folder {
    idle(&platform).await;
    let traces = Traces::of(&platform);
    platform.signal(Signal::SIGTERM);
    traces.are_gone(platform).await
}

/// Waits until nothing is in flight.
pub async fn idle(platform: &Platform) {
    wait::until(LONG, async || {
        let answer = get(&platform.address, "/metrics").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let busy: Vec<_> = IN_HAND.iter().filter(|name| gauge(&text, name) != 0.0).collect();
        // Those of the controller appear with its first invocation.
        assert!(text.contains(IN_HAND[3]), "no {} among the metrics: {text}", IN_HAND[3]);
        if busy.is_empty() {
            Ok(())
        } else {
            Err(format!("not zero: {busy:?}"))
        }
    })
    .await;
}

/// The sum of a gauge's series; zero when it has none.
fn gauge(metrics: &str, name: &str) -> f64 {
    let series = metrics
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
    let values = series.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()));
    values.map(|value| value.expect("a number")).sum()
}

impl Traces {
    /// Of a running platform.
    pub fn of(platform: &Platform) -> Traces {
        let pid = platform.pid().as_raw();
        let namespace = std::fs::metadata(format!("/proc/{pid}/ns/pid"))
            .expect("its process namespace")
            .ino();
        let started = stat(pid).expect("the platform runs").started;
        let mut traces = Traces {
            platform: pid,
            tag: format!("{namespace:x}.{pid:x}.{started:x}."),
            family: HashSet::new(),
        };
        traces.look();
        // Where the names changed, finding nothing in the end would say nothing.
        let found = traces.tagged(&sandboxes(&platform.folder));
        assert!(!found.is_empty(), "no run folder of {} is found", traces.tag);
        traces
    }

    /// Watches the platform to its end, which somebody asked it for, and fails on whatever is left.
    pub async fn are_gone(mut self, platform: Platform) -> Folder {
        let mut ended = pin!(platform.ended());
        let (code, folder) = loop {
            tokio::select! {
                ended = &mut ended => break ended,
                () = tokio::time::sleep(Duration::from_millis(20)) => self.look(),
            }
        };
        assert_eq!(code, Some(0), "{}", folder.log());
        let mut left = names(&sandboxes(&folder));
        left.extend(self.tagged(Path::new(GROUPS)));
        let boxes = names(&std::env::temp_dir()).into_iter();
        left.extend(boxes.filter(|name| name.to_string_lossy().contains(&format!("ferrowhisk-box-{}", self.tag))));
        assert!(left.is_empty(), "left behind: {left:?}\n{}", folder.log());
        // Whoever was killed takes a moment to be gone.
        wait::until(LONG, async || {
            let alive: Vec<_> = self.family.iter().filter(|process| process.lives()).collect();
            if alive.is_empty() {
                return Ok(());
            }
            let told = alive
                .iter()
                .map(|process| format!("{process:?} {}", command(process.pid)));
            Err(format!("processes are left: {:?}", told.collect::<Vec<_>>()))
        })
        .await;
        folder
    }

    /// Notes who is there.
    fn look(&mut self) {
        let below = processes().filter(|pid| is_below(*pid, self.platform));
        let known = below.filter_map(|pid| {
            let started = stat(pid)?.started;
            Some(Process { pid, started })
        });
        self.family.extend(known);
    }

    /// Folders that bear the platform's tag, at any depth.
    fn tagged(&self, base: &Path) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![base.to_owned()]);
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            for entry in entries
                .flatten()
                .filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()))
            {
                let name = entry.file_name();
                if name.to_string_lossy().starts_with(&self.tag) {
                    found.push(entry.path());
                } else {
                    folders.push(entry.path());
                }
            }
        }
        found
    }
}

impl Process {
    fn lives(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started)
    }
}

/// How many processes named `name` there are below `root`.
pub fn descendants(root: i32, name: &str) -> usize {
    let named = |pid: &i32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        comm.trim() == name
    };
    processes().filter(named).filter(|pid| is_below(*pid, root)).count()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_below(pid: i32, root: i32) -> bool {
    let parent = |pid: &i32| stat(*pid).map(|stat| stat.parent).filter(|parent| *parent > 1);
    std::iter::successors(parent(&pid), parent).any(|ancestor| ancestor == root)
}

/// `None` when there is none, or only a zombie that nobody has asked about.
fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn command(pid: i32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Where sandboxes have their sockets.
fn sandboxes(folder: &Folder) -> PathBuf {
    folder.path().join("sandboxes")
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
