//! Activations that wait for a container of their action to be done with another one. When that is the better thing is
//! [`super::pace`]'s to say.
//!
//! **Invariants.** Who waits here has a container that will take it; should the last one go, those who waited wait for
//! memory. While others do so, no line gets more containers, and each container serves its line for a tenure only: then it
//! goes for them. So starts take a bounded part of what there is, however many actions take turns, and nobody waits for ever.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::groups::{Group, Shelf};
use super::job::Job;
use super::lifecycle::State;
use super::pace::Urge;
use super::place::Claim;
use super::slab::Id;
use super::{Alarm, Pool, Slot};

impl Pool {
    /// Lets an activation wait for a container of its group.
    pub(super) fn line_up(&mut self, id: Id, job: Job) {
        let now = Instant::now();
        self.stand(id, job, now);
        self.staff(id, now);
    }

    /// Has those who wait for memory wait for a container of this group instead, as far as it is theirs.
    pub(super) fn gather(&mut self, id: Id) {
        let now = Instant::now();
        let groups = &self.groups;
        let theirs = |job: &Job| groups.find(&job.message, job.revision()) == Some(id);
        if !self.buffer.iter().any(theirs) {
            return;
        }
        let (theirs, others) = self.buffer.drain(..).partition::<VecDeque<_>, _>(theirs);
        self.buffer = others;
        for job in theirs {
            self.stand(id, job, now);
        }
    }

    fn stand(&mut self, id: Id, job: Job, now: Instant) {
        let group = self.groups.get_mut(id);
        group.pace.joins(now, group.line.len());
        if !std::mem::replace(&mut group.watched, true) {
            let at = now + group.pace.patience();
            self.set_alarm(at, Alarm::Line(id));
        }
        self.append(id, job);
    }

    fn append(&mut self, id: Id, job: Job) {
        let group = self.groups.get_mut(id);
        if group.line.is_empty() {
            self.lines.push(id);
        }
        group.line.push_back(job);
        self.lined += 1;
    }

    /// Whether an idle container is about to serve its line, and has not done so for its tenure.
    pub(super) fn serves_on(&self, slot: &Slot, now: Instant) -> bool {
        let group = slot.group.map(|id| self.groups.get(id));
        group.is_some_and(|group| !group.line.is_empty() && group.admits() && in_tenure(slot, group, now))
    }

    /// Whether a container that runs several activations at a time takes no more of them while others wait for memory: it would
    /// never be idle.
    pub(super) fn winds_down(&self, slot: Id, shelf: Shelf) -> bool {
        shelf == Shelf::Room
            && !self.buffer.is_empty()
            && self.slots.get(slot).is_some_and(|slot| {
                let group = slot.group.map(|id| self.groups.get(id));
                group.is_some_and(|group| !in_tenure(slot, group, Instant::now()))
            })
    }

    /// Gives those who wait in lines what has become free, and was not taken for those who wait for memory.
    pub(super) fn serve_lines(&mut self) {
        while let Some(id) = self.freed.pop() {
            self.serve(id);
        }
        if std::mem::take(&mut self.room) && self.lined > 0 {
            let now = Instant::now();
            for id in self.lines.clone() {
                self.staff(id, now);
            }
        }
    }

    fn serve(&mut self, id: Id) {
        let now = Instant::now();
        loop {
            let Some(group) = self.groups.look(id).filter(|group| !group.line.is_empty()) else {
                return;
            };
            if !group.admits() {
                break;
            }
            let Some((slot, shelf)) = group.pick().filter(|(slot, shelf)| !self.winds_down(*slot, *shelf)) else {
                break;
            };
            let Some(job) = self.take_from_line(id, VecDeque::pop_front) else {
                return;
            };
            self.shared.metrics.started(self.warmth(slot, shelf));
            self.assign(slot, job);
        }
        self.staff(id, now);
    }

    /// Starts containers for those who wait, as far as that is better.
    fn staff(&mut self, id: Id, now: Instant) {
        while let Some(group) = self.groups.look(id) {
            let urge = group
                .pace
                .urge(now, group.line.len(), group.crew, group.bound.plan.limits.concurrency);
            let config = &self.shared.config;
            let most = match urge {
                Urge::None => return,
                Urge::Some => config.processors,
                Urge::Now => config.parallel_starts.max(config.processors),
            };
            let alone = group.crew.able == 0;
            if !self.buffer.is_empty() {
                if alone {
                    self.dissolve(id);
                }
                return;
            }
            if self.arriving >= most && !alone {
                return;
            }
            // The one that would wait longest anyway.
            let plan = group.bound.plan.clone();
            let Some(job) = self.take_from_line(id, VecDeque::pop_back) else {
                return;
            };
            if let Err(job) = self.place_cold(plan, job, Claim::First) {
                self.append(id, job);
                if alone {
                    self.dissolve(id);
                }
                return;
            }
            if let Some(group) = self.groups.look_mut(id) {
                group.pace.staffed();
            }
        }
    }

    pub(super) fn take_from_line(
        &mut self,
        id: Id,
        take: impl FnOnce(&mut VecDeque<Job>) -> Option<Job>,
    ) -> Option<Job> {
        let group = self.groups.look_mut(id)?;
        let job = take(&mut group.line)?;
        self.lined -= 1;
        if group.line.is_empty() {
            self.lines.retain(|other| *other != id);
        }
        Some(job)
    }

    /// Has those who wait for a container of this group wait for memory instead, behind those who do so already: it was theirs
    /// for a tenure.
    pub(super) fn dissolve(&mut self, id: Id) {
        let line = std::mem::take(&mut self.groups.get_mut(id).line);
        self.lined -= line.len();
        self.lines.retain(|other| *other != id);
        self.buffer.extend(line);
    }

    /// Keeps count of those who take activations, and notes where some wait for what has changed.
    pub(super) fn recount(&mut self, id: Id, before: State, after: State) {
        let ((was_able, was_arriving), (able, arriving)) = (ability(before), ability(after));
        let group = self.groups.get_mut(id);
        let change = |count: &mut u32, was: bool, is: bool| *count = *count + u32::from(is) - u32::from(was);
        change(&mut group.crew.able, was_able, able);
        change(&mut group.crew.arriving, was_arriving, arriving);
        if !group.line.is_empty() {
            self.freed.push(id);
        }
        self.arriving = self.arriving + usize::from(arriving) - usize::from(was_arriving);
        self.room |= was_arriving && !arriving;
    }

    /// Takes note of how long an activation ran.
    pub(super) fn ran(&mut self, slot: Id, took: Option<Duration>) {
        let group = self.slots.get(slot).and_then(|place| place.group);
        if let (Some(id), Some(took)) = (group, took) {
            let group = self.groups.get_mut(id);
            group.pace.ended(Instant::now(), took, group.line.len(), group.crew);
        }
    }

    /// Looks whether things go on for those who wait.
    pub(super) fn line_rang(&mut self, id: Id) {
        let now = Instant::now();
        let Some(group) = self.groups.look_mut(id) else { return };
        group.watched = !group.line.is_empty();
        if group.watched {
            let at = now + group.pace.patience();
            group.pace.look(now, group.crew);
            self.set_alarm(at, Alarm::Line(id));
            self.serve(id);
        }
    }
}

/// Whether a container has not yet had its memory for as long as it may keep it while others wait.
fn in_tenure(slot: &Slot, group: &Group, now: Instant) -> bool {
    now - slot.bound_at < group.pace.tenure()
}

/// Whether a container in this state will take activations of its group's line, and whether only after it has started.
fn ability(state: State) -> (bool, bool) {
    match state {
        State::Starting { .. } | State::Initialising { .. } => (true, true),
        State::Idle { .. }
        | State::Running { .. }
        | State::Pausing { .. }
        | State::Paused { .. }
        | State::Resuming { .. } => (true, false),
        State::Cold
        | State::Unwanted
        | State::Prewarmed
        | State::Draining { .. }
        | State::Removing
        | State::Removed => (false, false),
    }
}
