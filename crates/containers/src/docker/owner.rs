//! Who made a container: a process of some machine, named so that a later one can tell whether it still lives.

use std::fs;

/// One process of one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    boot: String,
    pid: u32,
    /// Ticks from boot to its start, which tell it from a later process of the same number.
    started: String,
    /// The namespace that its number is of.
    namespace: String,
    /// The container it runs in itself, where the engine knows that one.
    house: Option<String>,
}

/// What can be told of a container's maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Lives,
    Over,
    /// It is of another machine, of an earlier boot, or of another namespace of processes.
    Unknown,
}

/// What else helps to tell whether what a maker left is left for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hints {
    /// The container has ended.
    pub(super) ended: bool,
    /// Its maker had our name, of which there is one at a time.
    pub(super) namesake: bool,
    /// Whether the container that its maker ran in still runs; none where it ran in none, or in ours.
    pub(super) house_runs: Option<bool>,
}

impl Owner {
    /// This process.
    pub(super) fn own(house: Option<String>) -> Self {
        let pid = std::process::id();
        Owner {
            boot: boot_id(),
            pid,
            started: start_time(pid).unwrap_or_default(),
            namespace: pid_namespace(),
            house,
        }
    }

    /// Reads what [`label`](Owner::label) wrote, now or in an older version, which had the first three parts.
    pub(super) fn parse(label: &str) -> Option<Self> {
        let mut parts = label.split('/');
        let (boot, pid, started) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Owner {
            boot: boot.to_owned(),
            pid: pid.parse().ok()?,
            started: started.to_owned(),
            namespace: parts.next().map_or_else(pid_namespace, str::to_owned),
            house: parts.next().filter(|house| !house.is_empty()).map(str::to_owned),
        })
    }

    /// As it stands on a container.
    pub(super) fn label(&self) -> String {
        let house = self.house.as_deref().unwrap_or_default();
        format!("{}/{}/{}/{}/{house}", self.boot, self.pid, self.started, self.namespace)
    }

    pub(super) fn house(&self) -> Option<&str> {
        self.house.as_deref()
    }

    pub(super) fn life(&self) -> Life {
        if self.boot != boot_id() || self.namespace != pid_namespace() {
            return Life::Unknown;
        }
        match start_time(self.pid).is_some_and(|started| started == self.started) {
            true => Life::Lives,
            false => Life::Over,
        }
    }
}

/// Whether a container is nobody's any more. Where that cannot be told it is somebody's.
pub(super) fn is_orphan(life: Life, hints: Hints) -> bool {
    match (life, hints.house_runs) {
        (Life::Lives, _) => false,
        (Life::Over, _) => true,
        (Life::Unknown, Some(runs)) => !runs,
        (Life::Unknown, None) => hints.ended || hints.namesake,
    }
}

/// The container this process seems to run in, which need not be one of the engine it uses.
pub(super) fn house() -> Option<String> {
    house_of(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Engines give a container its files from a folder with its id.
fn house_of(mounts: &str) -> Option<String> {
    const ID: usize = 64;
    let ids = mounts.split("/containers/").skip(1).filter_map(|rest| rest.get(..ID));
    ids.filter(|id| id.chars().all(|c| c.is_ascii_hexdigit()))
        .map(str::to_owned)
        .next()
}

fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

/// `None` when there is no such process, or only what is left of one.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18).map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_later_one_of_its_number_is_another() {
        let own = Owner::own(Some("abc".to_owned()));
        assert!(!own.started.is_empty());
        let read = Owner::parse(&own.label()).unwrap();
        assert_eq!(read, own);
        assert_eq!(read.life(), Life::Lives);
        let started = Owner {
            started: "1".to_owned(),
            ..own.clone()
        };
        let pid = Owner {
            pid: u32::MAX,
            ..own.clone()
        };
        assert_eq!((started.life(), pid.life()), (Life::Over, Life::Over));
        let boot = Owner {
            boot: "another".to_owned(),
            ..own.clone()
        };
        let namespace = Owner {
            namespace: "1".to_owned(),
            ..own.clone()
        };
        assert_eq!((boot.life(), namespace.life()), (Life::Unknown, Life::Unknown));
        assert_eq!(Owner::parse("nonsense"), None);
        let older = Owner::parse(&format!("{}/{}/{}", own.boot, own.pid, own.started));
        assert_eq!(older.unwrap().life(), Life::Lives);
    }

    #[test]
    fn what_may_be_somebodys_is_left_alone() {
        let none = Hints {
            ended: false,
            namesake: false,
            house_runs: None,
        };
        let [ended, namesake] = [Hints { ended: true, ..none }, Hints { namesake: true, ..none }];
        let house = |runs| Hints {
            house_runs: Some(runs),
            ..namesake
        };
        for (life, hints, orphan) in [
            (Life::Lives, ended, false),
            (Life::Lives, namesake, false),
            (Life::Over, none, true),
            (Life::Unknown, none, false),
            (Life::Unknown, ended, true),
            (Life::Unknown, namesake, true),
            (Life::Unknown, house(true), false),
            (Life::Unknown, house(false), true),
        ] {
            assert_eq!(is_orphan(life, hints), orphan, "{life:?} {hints:?}");
        }
    }

    #[test]
    fn a_container_knows_its_own_id() {
        let id = "0123456789abcdef".repeat(4);
        let mounts = format!("1 2 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw");
        assert_eq!(house_of(&mounts), Some(id));
        assert_eq!(
            house_of("1 2 8:1 /var/lib/containers/storage /x rw - ext4 /dev/sda1 rw"),
            None
        );
    }
}
