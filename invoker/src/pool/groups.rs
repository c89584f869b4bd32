//! Containers by what they may run: one group per revision of an action and invoking namespace.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use tokio::time::Instant;
use wsk_bus::messages::ActivationMessage;
use wsk_entities::{EntityName, EntityPath};

use super::job::Job;
use super::pace::{Crew, Pace};
use super::prompt::Promptness;
use super::slab::{Id, Slab};
use crate::metrics::Series;
use crate::plan::Plan;

/// What containers of a group have in common.
#[derive(Debug)]
pub(crate) struct Bound {
    pub plan: Arc<Plan>,
    pub series: Option<Arc<Series>>,
    pub logs: Promptness,
}

/// Where in its group a container is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Nowhere: it takes no work.
    None,
    /// Without work, ready at once.
    Idle,
    /// At work or on its way to be, with room for more.
    Room,
    /// Frozen.
    Paused,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub bound: Arc<Bound>,
    key: Key,
    members: u32,
    idle: Vec<Id>,
    room: Vec<Id>,
    paused: Vec<Id>,
    /// Its members that take activations.
    pub crew: Crew,
    pub pace: Pace,
    /// Activations that wait for one of them.
    pub line: VecDeque<Job>,
    /// Whether an alarm is set for those who wait.
    pub watched: bool,
}

#[derive(Debug)]
pub(crate) struct Groups {
    index: IndexMap<Key, Id>,
    list: Slab<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    namespace: Arc<str>,
    path: EntityPath,
    name: EntityName,
    revision: Arc<str>,
}

/// A [`Key`] to look for, without owning anything.
struct Wanted<'a> {
    namespace: &'a str,
    path: &'a EntityPath,
    name: &'a EntityName,
    revision: &'a str,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Wanted {
            namespace: &self.namespace,
            path: &self.path,
            name: &self.name,
            revision: &self.revision,
        }
        .hash(state);
    }
}

impl Hash for Wanted<'_> {
    /// The path is left out: where names and revisions are equal it hardly ever differs.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.namespace.as_bytes());
        state.write(self.name.as_str().as_bytes());
        state.write(self.revision.as_bytes());
    }
}

impl Equivalent<Key> for Wanted<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.revision == &*key.revision
            && self.namespace == &*key.namespace
            && self.name == &key.name
            && self.path == &key.path
    }
}

impl Groups {
    pub fn new() -> Groups {
        Groups {
            index: IndexMap::new(),
            list: Slab::new(),
        }
    }

    /// The group that may run this message as that revision.
    pub fn find(&self, message: &ActivationMessage, revision: &str) -> Option<Id> {
        let wanted = Wanted {
            namespace: &message.user.namespace.uuid,
            path: &message.action.path,
            name: &message.action.name,
            revision,
        };
        self.index.get(&wanted).copied()
    }

    /// The group, made if need be.
    pub fn enter(&mut self, message: &ActivationMessage, bound: impl FnOnce() -> Bound, revision: &Arc<str>) -> Id {
        if let Some(id) = self.find(message, revision) {
            return id;
        }
        let key = Key {
            namespace: message.user.namespace.uuid.clone(),
            path: message.action.path.clone(),
            name: message.action.name.clone(),
            revision: revision.clone(),
        };
        let group = Group {
            bound: Arc::new(bound()),
            key: key.clone(),
            members: 0,
            idle: Vec::new(),
            room: Vec::new(),
            paused: Vec::new(),
            crew: Crew::default(),
            pace: Pace::new(Instant::now()),
            line: VecDeque::new(),
            watched: false,
        };
        let id = self.list.insert(group);
        self.index.insert(key, id);
        id
    }

    pub fn get(&self, id: Id) -> &Group {
        self.list.get(id).expect("a group lives as long as its members")
    }

    /// The group, unless it has gone.
    pub fn look(&self, id: Id) -> Option<&Group> {
        self.list.get(id)
    }

    pub fn look_mut(&mut self, id: Id) -> Option<&mut Group> {
        self.list.get_mut(id)
    }

    pub fn get_mut(&mut self, id: Id) -> &mut Group {
        self.list.get_mut(id).expect("a group lives as long as its members")
    }

    pub fn join(&mut self, id: Id) {
        self.get_mut(id).members += 1;
    }

    /// One member less, which is on no shelf any more. An empty group goes.
    pub fn leave(&mut self, id: Id) {
        let group = self.get_mut(id);
        group.members -= 1;
        if group.members == 0 {
            let group = self.list.remove(id).expect("it was just there");
            self.index.swap_remove(&group.key);
        }
    }

    /// Moves a container between shelves.
    pub fn shelve(&mut self, id: Id, container: Id, from: Shelf, to: Shelf) {
        let group = self.get_mut(id);
        if let Some(shelf) = group.shelf(from)
            && let Some(at) = shelf.iter().rposition(|other| *other == container)
        {
            shelf.swap_remove(at);
        }
        if let Some(shelf) = group.shelf(to) {
            shelf.push(container);
        }
    }
}

impl Group {
    /// Whether the group goes with the next that leaves it.
    pub fn is_last(&self) -> bool {
        self.members == 1
    }

    /// The container for an activation that has just come; none while others wait or enough work.
    pub fn next(&self) -> Option<(Id, Shelf)> {
        if self.line.is_empty() && self.admits() {
            self.pick()
        } else {
            None
        }
    }

    /// Whether one more of its containers may go to work. One that takes several activations at a time shares its processor
    /// by itself.
    pub fn admits(&self) -> bool {
        if self.bound.plan.limits.concurrency > 1 {
            return true;
        }
        let there = (self.crew.able - self.crew.arriving) as usize;
        self.pace
            .admits(there - (self.idle.len() + self.paused.len()).min(there))
    }

    /// The container for the next activation: the one that worked last, whose caches are warm.
    pub fn pick(&self) -> Option<(Id, Shelf)> {
        let last = |shelf: &Vec<Id>, name| shelf.last().map(|id| (*id, name));
        last(&self.idle, Shelf::Idle)
            .or_else(|| last(&self.room, Shelf::Room))
            .or_else(|| last(&self.paused, Shelf::Paused))
    }

    fn shelf(&mut self, shelf: Shelf) -> Option<&mut Vec<Id>> {
        match shelf {
            Shelf::None => None,
            Shelf::Idle => Some(&mut self.idle),
            Shelf::Room => Some(&mut self.room),
            Shelf::Paused => Some(&mut self.paused),
        }
    }
}
