//! Letting go of containers that nothing will use again.

use wsk_entities::FullName;

use super::Pool;
use super::lifecycle::Event;
use super::slab::Id;

impl Pool {
    /// Removes the idle containers of an action that was changed or deleted: its next run has another revision, or never
    /// comes. What is at work there ends as it would have.
    pub(super) fn outdated(&mut self, name: &FullName) {
        let runs = |group: Option<Id>| group.is_some_and(|group| self.groups.get(group).bound.plan.name == *name);
        let idle = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.machine.evictable() && runs(slot.group));
        let idle: Vec<Id> = idle.map(|(id, _)| id).collect();
        for slot in idle {
            self.step(slot, Event::Evict);
        }
    }
}
