//! Which topics were left by somebody who stays away, and which controller takes them over. Pure: the time is an argument.
//!
//! Who is there is what the bus says: a controller or an invoker that lives reads its topics. Every controller looks at the same
//! standings and gives each topic that nobody reads to one of the controllers that are there, by its owner's name; so nobody has
//! to be asked. Two that see the cluster differently for a moment may both try: the bus gives the messages to one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use wsk_bus::Standing;
use wsk_bus::messages::completed_topic;

/// The least and the longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// What one controller has noticed so far.
#[derive(Debug)]
pub struct Lookout {
    /// Whose it is.
    id: String,
    after: Duration,
    /// Since when nobody reads a topic.
    absent: BTreeMap<String, Instant>,
}

/// What waits on a topic. In the order in which it is taken over: a composition that was cancelled must not go on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Cancels,
    Promises,
    Activations,
}

/// A topic whose owner stays away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    pub what: What,
    pub topic: String,
    /// The group of its owner.
    pub group: String,
}

impl Left {
    /// A topic that is taken over when it is left; none for all others.
    fn of(topic: &str) -> Option<Left> {
        let numbered = topic.strip_prefix("invoker").filter(|number| is_number(number));
        let owed = topic.strip_prefix("owed").filter(|id| !id.is_empty());
        let (what, group) = match (numbered, owed) {
            (Some(_), _) => (What::Activations, topic.to_owned()),
            (None, Some(id)) => match id.strip_suffix("-cancels") {
                Some(id) => (What::Cancels, format!("controller{id}")),
                None => (What::Promises, format!("controller{id}")),
            },
            (None, None) => return None,
        };
        Some(Left {
            what,
            topic: topic.to_owned(),
            group,
        })
    }
}

impl Lookout {
    pub fn new(id: &str, after: Duration) -> Lookout {
        Lookout {
            id: id.to_owned(),
            after,
            absent: BTreeMap::new(),
        }
    }

    /// The time until the next look.
    pub fn pause(&self) -> Duration {
        (self.after / 4).clamp(SHORTEST, LONGEST)
    }

    /// The bus does not say who is there, so nobody can be said to have stayed away.
    pub fn lose_sight(&mut self) {
        self.absent.clear();
    }

    /// What this controller is to take over now.
    pub fn look(&mut self, standings: &[Standing], now: Instant) -> Vec<Left> {
        let controllers = self.controllers(standings);
        let own = format!("controller{}", self.id);
        let mut absent = BTreeMap::new();
        let mut due = BTreeSet::new();
        for standing in standings.iter().filter(|standing| standing.readers == 0) {
            let Some(left) = Left::of(&standing.topic).filter(|left| left.group != own) else {
                continue;
            };
            let since = self.absent.get(&left.topic).copied().unwrap_or(now);
            absent.insert(left.topic.clone(), since);
            if now - since >= self.after && heir(&left.group, &controllers) == self.id {
                due.insert(left);
            }
        }
        self.absent = absent;
        due.into_iter().collect()
    }

    /// The controllers that are there. This one is, whatever the bus says.
    fn controllers<'a>(&'a self, standings: &'a [Standing]) -> BTreeSet<&'a str> {
        let prefix = completed_topic("");
        let read = standings.iter().filter(|standing| standing.readers > 0);
        let others = read.filter_map(|standing| standing.topic.strip_prefix(prefix.as_str()));
        others.chain([self.id.as_str()]).collect()
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Who takes over from `owner`: the same one for everybody who sees the same controllers (FNV-1a of the name).
fn heir<'a>(owner: &str, controllers: &BTreeSet<&'a str>) -> &'a str {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let at = hash % controllers.len().max(1) as u64;
    let heir = controllers.iter().nth(usize::try_from(at).unwrap_or_default());
    heir.copied().expect("the controller that asks is among them")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(60);

    fn standings(list: &[(&str, usize)]) -> Vec<Standing> {
        let standing = |(topic, readers): &(&str, usize)| Standing {
            topic: (*topic).to_owned(),
            readers: *readers,
        };
        list.iter().map(standing).collect()
    }

    fn topics(due: &[Left]) -> Vec<&str> {
        due.iter().map(|left| left.topic.as_str()).collect()
    }

    #[test]
    fn what_nobody_reads_for_long_enough_is_taken_over() {
        let mut lookout = Lookout::new("0", AFTER);
        let start = Instant::now();
        let left = standings(&[("invoker1", 0), ("invoker2", 1), ("health", 0), ("elsewhere", 0)]);
        assert_eq!(topics(&lookout.look(&left, start)), [""; 0]);
        assert_eq!(
            topics(&lookout.look(&left, start + AFTER - Duration::from_millis(1))),
            [""; 0]
        );
        assert_eq!(topics(&lookout.look(&left, start + AFTER)), ["invoker1"]);
    }

    #[test]
    fn an_owner_that_came_back_is_away_anew() {
        let mut lookout = Lookout::new("0", AFTER);
        let start = Instant::now();
        lookout.look(&standings(&[("invoker1", 0)]), start);
        lookout.look(&standings(&[("invoker1", 1)]), start + AFTER / 2);
        let gone = standings(&[("invoker1", 0)]);
        assert_eq!(topics(&lookout.look(&gone, start + AFTER)), [""; 0]);
        assert_eq!(topics(&lookout.look(&gone, start + AFTER * 2)), ["invoker1"]);
    }

    #[test]
    fn silence_of_the_bus_is_nobodys_absence() {
        let mut lookout = Lookout::new("0", AFTER);
        let start = Instant::now();
        let left = standings(&[("invoker1", 0)]);
        lookout.look(&left, start);
        lookout.lose_sight();
        assert_eq!(topics(&lookout.look(&left, start + AFTER)), [""; 0]);
    }

    #[test]
    fn cancellations_come_before_what_they_cancel_and_ones_own_is_left_alone() {
        let mut lookout = Lookout::new("0", Duration::ZERO);
        let left = standings(&[
            ("owed1", 0),
            ("owed1-cancels", 0),
            ("owed0", 0),
            ("owed0-cancels", 0),
            ("invoker7", 0),
        ]);
        let due = lookout.look(&left, Instant::now());
        assert_eq!(topics(&due), ["owed1-cancels", "owed1", "invoker7"]);
        assert_eq!(
            (due[0].group.as_str(), due[2].group.as_str()),
            ("controller1", "invoker7")
        );
    }

    /// Each topic has one heir, all of an owner's the same, and every controller agrees.
    #[test]
    fn controllers_agree_on_who_takes_what() {
        let ids = ["0", "1", "2", "blue"];
        let mut list: Vec<(String, usize)> = (0..40).map(|number| (format!("invoker{number}"), 0)).collect();
        list.extend(["owed9", "owed9-cancels"].map(|topic| (topic.to_owned(), 0)));
        let mut shares = BTreeMap::new();
        for id in ids {
            // Of itself a controller sees nothing, as on Kafka.
            let others = ids.into_iter().filter(|other| *other != id);
            let all = list
                .iter()
                .cloned()
                .chain(others.map(|other| (completed_topic(other), 1)));
            let seen: Vec<Standing> = all.map(|(topic, readers)| Standing { topic, readers }).collect();
            let due = Lookout::new(id, Duration::ZERO).look(&seen, Instant::now());
            assert!(due.len() < list.len(), "{id} takes all");
            let owed = due.iter().filter(|left| left.group == "controller9").count();
            assert!(owed == 0 || owed == 2, "{id} takes a part of what one controller left");
            for left in due {
                assert_eq!(shares.insert(left.topic, id), None);
            }
        }
        assert_eq!(shares.len(), list.len());
    }
}
