//! Who may use which image that is on the node.
//!
//! An engine has one store of images for everybody. What was pulled with one namespace's credentials is there for all to
//! name, so a present image is given only to those for whom its registry has confirmed, in this life, that they may
//! have it: everybody, where it was pulled without credentials, else whoever shows the same ones.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard},
};

use crate::Login;

/// As whom an image is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum As {
    Anybody,
    /// Somebody with these credentials, of which only a hash under a key of this process is kept.
    Known(u64),
}

/// What registries have confirmed.
#[derive(Default)]
pub(super) struct Grants {
    hasher: RandomState,
    confirmed: Mutex<HashMap<String, HashSet<As>>>,
}

/// Most images remembered; what is forgotten is asked for again.
const MOST: usize = 10_000;

impl Grants {
    /// As whom one asks with this login, or without.
    pub(super) fn asking(&self, login: Option<&Login>) -> As {
        login.map_or(As::Anybody, |login| As::Known(self.hasher.hash_one(login)))
    }

    /// The registry has given this image, by its full name, to somebody who asked so.
    pub(super) fn confirm(&self, image: &str, who: As) {
        let mut confirmed = self.lock();
        if confirmed.len() >= MOST && !confirmed.contains_key(image) {
            confirmed.clear();
        }
        confirmed.entry(image.to_owned()).or_default().insert(who);
    }

    /// The registry has refused this image to somebody who asked so.
    pub(super) fn revoke(&self, image: &str, who: As) {
        if let Some(known) = self.lock().get_mut(image) {
            known.remove(&who);
        }
    }

    pub(super) fn holds(&self, image: &str, who: As) -> bool {
        let confirmed = self.lock();
        let known = confirmed.get(image);
        known.is_some_and(|known| known.contains(&who) || known.contains(&As::Anybody))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashSet<As>>> {
        self.confirmed.lock().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(username: &str, password: &str) -> Login {
        Login {
            username: username.to_owned(),
            password: password.into(),
        }
    }

    #[test]
    fn what_one_was_given_is_not_anothers() {
        let grants = Grants::default();
        let [ada, new_ada, bob] = [("ada", "1"), ("ada", "2"), ("bob", "1")]
            .map(|(username, password)| grants.asking(Some(&login(username, password))));
        grants.confirm("host/a:1", ada);
        assert!(grants.holds("host/a:1", ada));
        assert!(!grants.holds("host/a:1", new_ada), "a password that nobody confirmed");
        assert!(!grants.holds("host/a:1", bob));
        assert!(!grants.holds("host/a:1", As::Anybody));
        assert!(!grants.holds("host/a:2", ada));
        grants.revoke("host/a:1", ada);
        assert!(!grants.holds("host/a:1", ada));
    }

    #[test]
    fn what_anybody_was_given_is_everybodys() {
        let grants = Grants::default();
        grants.confirm("host/a:1", As::Anybody);
        assert!(grants.holds("host/a:1", grants.asking(Some(&login("ada", "1")))));
        assert!(grants.holds("host/a:1", As::Anybody));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let grants = Grants::default();
        for number in 0..=MOST {
            grants.confirm(&number.to_string(), As::Anybody);
        }
        assert!(grants.lock().len() <= MOST);
        assert!(grants.holds(&MOST.to_string(), As::Anybody));
    }
}
