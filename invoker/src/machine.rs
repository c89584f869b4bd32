//! What this invoker's machine can run, and what it found out that it cannot.
//!
//! What was found out is remembered, so that it is found out once; it is announced with every heartbeat, so that controllers
//! place such activations where they can run; and it is forgotten after a while, since images are built anew. Invariant:
//! bounded in number; the oldest goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use wsk_bus::messages::Node;
use wsk_entities::{Architecture, Manifest, Timestamp};

use crate::Error;
use crate::config::Config;

/// Most that is remembered at a time.
const REMEMBERED: usize = 64;
/// How long something is remembered, in milliseconds.
const FOR: u64 = 10 * 60 * 1000;

/// The machine of one invoker.
#[derive(Debug)]
pub(crate) struct Machine {
    pub architecture: Architecture,
    kinds: Arc<[String]>,
    images: bool,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    list: VecDeque<Unfit>,
    /// Their keys, as announced.
    keys: Arc<[String]>,
}

#[derive(Debug)]
struct Unfit {
    key: String,
    why: Arc<str>,
    until: Timestamp,
}

impl Machine {
    pub fn new(config: &Config, manifest: &Manifest) -> Machine {
        Machine {
            architecture: config.architecture.clone().unwrap_or_else(Architecture::own),
            kinds: manifest.kinds().map(|kind| kind.kind.clone()).collect(),
            images: config.images,
            found: Mutex::default(),
        }
    }

    /// Compares what is announced with what the containers' engine runs; none where they are processes of this machine, for
    /// which a kernel may emulate unasked. Of two architectures without a name of ours it is not known whether they differ.
    ///
    /// # Errors
    /// [`Error::Architecture`]: activations would come here that cannot run here.
    pub fn check(&self, engine: Option<&str>) -> Result<(), Error> {
        let said = &self.architecture;
        let Some(engine) = engine.map(Architecture::new) else {
            if *said != Architecture::own() {
                tracing::warn!(
                    architecture = said.as_str(),
                    own = Architecture::own().as_str(),
                    "`invoker.architecture` is not what this program was compiled for; actions are processes of this machine, which must emulate it, or the key is to be left out"
                );
            }
            return Ok(());
        };
        let unnamed = |architecture: &Architecture| matches!(architecture, Architecture::Other(_));
        if *said == engine || unnamed(said) && unnamed(&engine) {
            return Ok(());
        }
        Err(Error::Architecture {
            said: said.clone(),
            engine,
        })
    }

    /// As it is announced.
    pub fn node(&self, now: Timestamp) -> Node {
        let mut found = self.found.lock().expect("no panic under this lock");
        found.forget(now);
        Node {
            architecture: self.architecture.clone(),
            kinds: self.kinds.clone(),
            images: self.images,
            unfit: found.keys.clone(),
        }
    }

    /// Remembers that something cannot be run here, and why.
    pub fn learn(&self, key: &str, why: &str, now: Timestamp) {
        tracing::warn!(
            what = key,
            why,
            "this machine cannot run something; others are asked to"
        );
        let mut found = self.found.lock().expect("no panic under this lock");
        found.list.retain(|unfit| unfit.key != key && unfit.until > now);
        if found.list.len() == REMEMBERED {
            found.list.pop_front();
        }
        found.list.push_back(Unfit {
            key: key.to_owned(),
            why: why.into(),
            until: now + FOR,
        });
        found.announce();
    }

    /// Why something with one of these names cannot be run here, if that was found out.
    pub fn why_not(&self, keys: &[String], now: Timestamp) -> Option<Arc<str>> {
        let mut found = self.found.lock().expect("no panic under this lock");
        found.forget(now);
        let known = found.list.iter().find(|unfit| keys.contains(&unfit.key));
        known.map(|unfit| unfit.why.clone())
    }
}

impl Found {
    fn forget(&mut self, now: Timestamp) {
        let before = self.list.len();
        self.list.retain(|unfit| unfit.until > now);
        if self.list.len() != before {
            self.announce();
        }
    }

    fn announce(&mut self) {
        self.keys = self.list.iter().map(|unfit| unfit.key.clone()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine::new(&Config::default(), &Manifest::bundled())
    }

    fn knows(machine: &Machine, key: &str, now: Timestamp) -> bool {
        machine.why_not(&["other".to_owned(), key.to_owned()], now).is_some()
    }

    #[test]
    fn what_is_found_out_is_announced_and_forgotten() {
        let machine = machine();
        machine.learn("image a", "no variant", 1000);
        assert_eq!(
            machine.why_not(&["image a".to_owned()], 1001).as_deref(),
            Some("no variant")
        );
        assert_eq!(machine.node(1001).unfit[..], ["image a".to_owned()]);
        assert!(!knows(&machine, "image b", 1001));
        assert!(knows(&machine, "image a", 999 + FOR));
        machine.learn("image a", "still none", 2000);
        assert_eq!(machine.node(2001).unfit.len(), 1);
        assert!(!knows(&machine, "image a", 2000 + FOR));
        assert!(machine.node(2000 + FOR).unfit.is_empty());
    }

    #[test]
    fn the_oldest_goes_when_there_is_too_much() {
        let machine = machine();
        (0..REMEMBERED + 2).for_each(|n| machine.learn(&format!("image {n}"), "none", 1000));
        assert_eq!(machine.node(1000).unfit.len(), REMEMBERED);
        assert!(!knows(&machine, "image 1", 1000) && knows(&machine, "image 2", 1000));
    }

    #[test]
    fn what_is_announced_is_what_the_engine_runs() {
        let of = |architecture| {
            let config = Config {
                architecture: Some(architecture),
                ..Config::default()
            };
            Machine::new(&config, &Manifest::bundled())
        };
        let arm = of(Architecture::Arm64);
        for engine in [Some("arm64"), Some("aarch64"), None] {
            arm.check(engine).unwrap();
        }
        assert_eq!(
            arm.check(Some("amd64")).unwrap_err().to_string(),
            "`invoker.architecture` is arm64, and the containers' engine runs amd64: set it to \"amd64\", or, where the \
             engine emulates, `containers.docker.platform` to \"linux/arm64\""
        );
        of(Architecture::ArmV7).check(Some("arm")).unwrap();
        assert!(of(Architecture::new("s390x")).check(Some("amd64")).is_err());
        let unnamed = of(Architecture::new("powerpc64"));
        assert!(unnamed.check(Some("ppc64le")).is_ok() && unnamed.check(Some("arm64")).is_err());
    }

    #[test]
    fn a_machine_is_of_the_configured_architecture_and_offers_its_kinds() {
        let config = Config {
            architecture: Some(Architecture::ArmV7),
            ..Config::default()
        };
        let node = Machine::new(&config, &Manifest::bundled()).node(0);
        assert_eq!(node.architecture, Architecture::ArmV7);
        assert!(node.kinds.contains(&"nodejs:20".to_owned()));
        assert_eq!(machine().node(0).architecture, Architecture::own());
    }
}
