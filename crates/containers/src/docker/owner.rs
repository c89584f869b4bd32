//! Who made a container: a process of this machine, named so that a later one can tell whether it still lives.

use std::fs;

/// One process of one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    boot: String,
    pid: u32,
    /// Ticks from boot to its start, which tell it from a later process of the same number.
    started: String,
}

impl Owner {
    /// This process.
    pub(super) fn own() -> Self {
        let pid = std::process::id();
        Owner {
            boot: boot_id(),
            pid,
            started: start_time(pid).unwrap_or_default(),
        }
    }

    /// Reads what [`label`](Owner::label) wrote.
    pub(super) fn parse(label: &str) -> Option<Self> {
        let mut parts = label.split('/');
        let (boot, pid, started) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Owner {
            boot: boot.to_owned(),
            pid: pid.parse().ok()?,
            started: started.to_owned(),
        })
    }

    /// As it stands on a container.
    pub(super) fn label(&self) -> String {
        format!("{}/{}/{}", self.boot, self.pid, self.started)
    }

    /// Whether it is a process of this machine that still runs. One of another machine, or of an earlier boot, counts as
    /// dead: the identity is what keeps machines apart.
    pub(super) fn is_alive(&self) -> bool {
        self.boot == boot_id() && start_time(self.pid).is_some_and(|started| started == self.started)
    }
}

fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
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
        let own = Owner::own();
        assert!(!own.started.is_empty());
        let read = Owner::parse(&own.label()).unwrap();
        assert_eq!(read, own);
        assert!(read.is_alive());
        for dead in [
            Owner {
                started: "1".to_owned(),
                ..own.clone()
            },
            Owner {
                boot: "another".to_owned(),
                ..own.clone()
            },
            Owner {
                pid: u32::MAX,
                ..own.clone()
            },
        ] {
            assert!(!dead.is_alive(), "{dead:?}");
        }
        assert_eq!(Owner::parse("nonsense"), None);
    }
}
