//! Which fault is done to which part, and in which order.

use std::fmt;
use std::str::FromStr;

use rand::RngExt as _;
use rand::rngs::StdRng;

/// What is done to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL, and a start right after, as a supervisor would.
    Kill,
    /// SIGSTOP for a while: to the others it is silent.
    Freeze,
    /// Nothing passes between it and Kafka for a while.
    CutKafka,
    /// Nothing passes between it and CouchDB for a while.
    CutCouch,
}

/// Kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Gateway,
    Controller,
    Invoker,
    Kafka,
    CouchDb,
}

/// A fault and the place of its part.
pub type Step = (usize, Fault);

impl Fault {
    pub const ALL: [Fault; 4] = [Fault::Kill, Fault::Freeze, Fault::CutKafka, Fault::CutCouch];
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Gateway,
        Role::Controller,
        Role::Invoker,
        Role::Kafka,
        Role::CouchDb,
    ];

    /// What can be done to such a part.
    pub fn faults(self) -> &'static [Fault] {
        match self {
            Role::Gateway => &[Fault::Kill, Fault::CutCouch, Fault::Freeze],
            Role::Controller | Role::Invoker => &[Fault::Kill, Fault::CutKafka, Fault::CutCouch, Fault::Freeze],
            Role::Kafka | Role::CouchDb => &[Fault::Kill, Fault::Freeze],
        }
    }
}

/// So many faults: each part in turn, with another fault each time until it has had all of them, then any.
pub fn draw(parts: &[(usize, Role)], faults: usize, rng: &mut StdRng) -> Vec<Step> {
    let mut steps = Vec::new();
    let most = Role::ALL.map(|role| role.faults().len()).into_iter().max().unwrap_or(0);
    for round in 0..most {
        for (nth, (place, role)) in parts.iter().enumerate() {
            let faults = role.faults();
            if round < faults.len() {
                steps.push((*place, faults[(round + nth) % faults.len()]));
            }
        }
    }
    while steps.len() < faults {
        let (place, role) = parts[rng.random_range(0..parts.len())];
        let faults = role.faults();
        steps.push((place, faults[rng.random_range(0..faults.len())]));
    }
    steps.truncate(faults);
    steps
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "kill",
            Fault::Freeze => "freeze",
            Fault::CutKafka => "cut-kafka",
            Fault::CutCouch => "cut-couchdb",
        })
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Fault> {
        let found = Fault::ALL.into_iter().find(|fault| fault.to_string() == text);
        found.ok_or_else(|| anyhow::anyhow!("`{text}` is no fault; say kill, freeze, cut-kafka or cut-couchdb"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Gateway => "gateway",
            Role::Controller => "controller",
            Role::Invoker => "invoker",
            Role::Kafka => "kafka",
            Role::CouchDb => "couchdb",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng as _;

    use super::*;

    fn parts() -> Vec<(usize, Role)> {
        use Role::*;
        let roles = [
            Gateway, Gateway, Controller, Controller, Invoker, Invoker, Invoker, Kafka, CouchDb,
        ];
        roles.into_iter().enumerate().collect()
    }

    #[test]
    fn every_part_has_its_turn_first() {
        let steps = draw(&parts(), 9, &mut StdRng::seed_from_u64(1));
        let harmed: Vec<_> = steps.iter().map(|(place, _)| *place).collect();
        assert_eq!(harmed, (0..9).collect::<Vec<_>>());
        let kinds: HashSet<_> = steps.iter().map(|(_, fault)| *fault).collect();
        assert_eq!(kinds.len(), 4, "{steps:?}");
    }

    #[test]
    fn every_part_has_all_its_faults_before_chance_decides() {
        let all: usize = parts().iter().map(|(_, role)| role.faults().len()).sum();
        let steps = draw(&parts(), all, &mut StdRng::seed_from_u64(1));
        let different: HashSet<_> = steps.iter().collect();
        assert_eq!((steps.len(), different.len()), (all, all));
        let more = draw(&parts(), 100, &mut StdRng::seed_from_u64(1));
        assert_eq!((&more[..all], more.len()), (&steps[..], 100));
        assert_ne!(more, draw(&parts(), 100, &mut StdRng::seed_from_u64(2)));
    }

    #[test]
    fn only_possible_faults_are_drawn() {
        let parts = parts();
        for (place, fault) in draw(&parts, 200, &mut StdRng::seed_from_u64(3)) {
            assert!(parts[place].1.faults().contains(&fault), "{fault} {place}");
        }
    }

    #[test]
    fn names_of_faults_are_read_as_written() {
        for fault in Fault::ALL {
            assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
        }
        assert!("burn".parse::<Fault>().is_err());
    }
}
