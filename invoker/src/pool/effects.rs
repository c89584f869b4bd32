//! What the pool hears, and what follows for the container.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;
use wsk_bus::messages::Needs;
use wsk_service::clock;

use super::groups::Shelf;
use super::job::Job;
use super::lifecycle::{After, Effect, Event, Machine, Span, State, Token};
use super::slab::Id;
use super::worker::{self, Place, Report};
use super::{Alarm, Pool, Slot};
use crate::outcome::Fault;

impl Slot {
    pub(super) fn new(machine: Machine, memory_mb: u32, stem: Option<usize>) -> Slot {
        Slot {
            machine,
            memory_mb,
            container: None,
            group: None,
            stem,
            waiting: VecDeque::new(),
            shelf: Shelf::None,
            idle_since: Instant::now(),
            bound_at: Instant::now(),
            timer: None,
            armed: None,
        }
    }

    /// Where it belongs now.
    fn place(&self) -> Shelf {
        match self.machine.state() {
            State::Idle { .. } => Shelf::Idle,
            State::Paused { .. } | State::Pausing { waiting: 0 } => Shelf::Paused,
            State::Starting { .. }
            | State::Initialising { .. }
            | State::Running { .. }
            | State::Pausing { .. }
            | State::Resuming { .. } => {
                if self.machine.has_room() {
                    Shelf::Room
                } else {
                    Shelf::None
                }
            }
            State::Cold
            | State::Unwanted
            | State::Prewarmed
            | State::Draining { .. }
            | State::Removing
            | State::Removed => Shelf::None,
        }
    }
}

impl Pool {
    pub(super) fn heard(&mut self, report: Report) {
        match report {
            Report::RunEnded {
                slot,
                after,
                again,
                took,
            } => {
                if let Some(job) = again {
                    self.move_on(job);
                }
                self.ran(slot, took);
                self.step(slot, Event::Finished(after));
            }
            Report::Planned { name, result } => self.planned(&name, &result),
            Report::LookedUp(job) => self.again(job),
            Report::Created { slot, result } => self.created(slot, result),
            Report::Initialised { slot, job } => {
                if let Some(place) = self.slots.get_mut(slot) {
                    place.waiting.push_front(job);
                    if let Some(group) = place.group {
                        let group = self.groups.get_mut(group);
                        group.pace.started(Instant::now(), place.bound_at.elapsed(), group.crew);
                    }
                    self.step(slot, Event::Initialised);
                }
            }
            Report::InitFailed { slot, again } => {
                if let Some(job) = again {
                    self.move_on(job);
                }
                self.step(slot, Event::InitFailed);
            }
            Report::Superseded { slot, mut job } => {
                if let Some(plan) = self.plan_of(slot) {
                    self.forget(&plan);
                }
                self.shared.metrics.rescheduled.inc();
                job.moved += 1;
                self.read(job);
                self.step(slot, Event::InitFailed);
            }
            Report::Abandoned { slot } => self.step(slot, Event::Abandoned),
            Report::AbandonedEnded { slot } => self.step(slot, Event::AbandonedEnded),
            Report::Condemned { slot } => self.step(slot, Event::Condemn),
            Report::Paused { slot, done } => self.step(slot, if done { Event::PauseDone } else { Event::PauseFailed }),
            Report::Resumed { slot, done } => {
                self.step(slot, if done { Event::ResumeDone } else { Event::ResumeFailed })
            }
            Report::Destroyed { slot } => self.step(slot, Event::Destroyed),
        }
    }

    /// Another container for an activation whose own would not have it.
    fn move_on(&mut self, mut job: Job) {
        self.shared.metrics.rescheduled.inc();
        job.moved += 1;
        job.init = None;
        if job.moved > self.shared.config.reschedules {
            let plan = job.plan.clone();
            self.fail(plan, job, Fault::Unavailable);
        } else {
            self.again(job);
        }
    }

    fn planned(&mut self, name: &wsk_entities::FullName, result: &Result<Arc<crate::plan::Plan>, Fault>) {
        let waiting = self.planning.swap_remove(name).unwrap_or_default();
        if let Ok(plan) = result {
            self.remember(plan);
        }
        for mut job in waiting.into_iter().rev() {
            match result {
                Ok(plan) => {
                    job.plan = Some(plan.clone());
                    self.again(job);
                }
                Err(fault) => self.fail(None, job, fault.clone()),
            }
        }
    }

    fn created(&mut self, slot: Id, result: Result<Arc<dyn wsk_containers::Container>, wsk_containers::Error>) {
        let now = Instant::now();
        let Some(place) = self.slots.get_mut(slot) else { return };
        let stem = place.stem.filter(|_| place.group.is_none());
        match result {
            Ok(container) => {
                place.container = Some(container);
                let wanted = place.machine.state() != State::Unwanted;
                if let Some(stem) = stem {
                    self.stems[stem].starting -= 1;
                    if wanted {
                        self.stems[stem].add(slot, now);
                        self.count_stem_cells();
                    }
                }
                self.step(slot, Event::Created);
            }
            Err(error) => {
                self.shared.metrics.start_errors.inc();
                tracing::error!(error = &error as &dyn std::error::Error, "container could not be made");
                match stem {
                    Some(stem) => {
                        if let wsk_containers::Error::NoVariant { .. } = error {
                            let key = Needs::Kind(self.stems[stem].kind.as_str().into()).key();
                            self.shared.machine.learn(&key, &error.to_string(), clock::now());
                        }
                        self.stem_failed(stem);
                    }
                    None => self.create_failed(slot, &error),
                }
                self.step(slot, Event::CreateFailed);
            }
        }
    }

    /// The activation that a container was for ends with it; others that would have shared it try again.
    fn create_failed(&mut self, slot: Id, error: &wsk_containers::Error) {
        let plan = self.plan_of(slot);
        if let (Some(plan), wsk_containers::Error::NoVariant { .. }) = (&plan, error) {
            // All of them try again, and are refused with what is known now.
            self.shared
                .machine
                .learn(&plan.names[0], &error.to_string(), clock::now());
            return;
        }
        let job = self.slots.get_mut(slot).and_then(|place| place.waiting.pop_front());
        if let (Some(plan), Some(job)) = (plan, job) {
            let fault = Fault::of_create(error, &plan.program.image, plan.program.managed);
            self.fail(Some(plan), job, fault);
        }
    }

    fn plan_of(&self, slot: Id) -> Option<Arc<crate::plan::Plan>> {
        let group = self.slots.get(slot)?.group?;
        Some(self.groups.get(group).bound.plan.clone())
    }

    /// Lets the lifecycle of a container go on, and carries out what it asks for.
    pub(super) fn step(&mut self, slot: Id, event: Event) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let (before, group) = (place.machine.state(), place.group);
        let effects = place.machine.step(event);
        let state = place.machine.state();
        match (works(before), works(state)) {
            (false, true) => self.shared.metrics.active_count.inc(),
            (true, false) => self.shared.metrics.active_count.dec(),
            (true, true) | (false, false) => {}
        }
        if let Some(group) = group {
            self.recount(group, before, state);
        }
        for effect in effects {
            self.carry_out(slot, effect);
        }
        self.reshelve(slot);
    }

    fn reshelve(&mut self, slot: Id) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Some(group) = place.group else { return };
        let (from, to) = (place.shelf, place.place());
        if from != to {
            place.shelf = to;
            self.groups.shelve(group, slot, from, to);
            let gauge = &self.shared.metrics.idle_count;
            match (idles(from), idles(to)) {
                (false, true) => gauge.inc(),
                (true, false) => gauge.dec(),
                (true, true) | (false, false) => {}
            }
        }
    }

    fn carry_out(&mut self, slot: Id, effect: Effect) {
        match effect {
            Effect::Run(count) => (0..count).for_each(|_| self.run_next(slot)),
            Effect::Timer(token, span) => self.set_timer(slot, token, span),
            Effect::Create => {
                let (spec, plan) = self.spec(slot);
                let broken = move || {
                    let reason = "making it panicked".to_owned();
                    let result = Err(wsk_containers::Error::Backend {
                        backend: "invoker",
                        reason,
                    });
                    Some(Report::Created { slot, result })
                };
                self.starts(worker::create(self.at(slot), spec, plan), broken);
            }
            Effect::Init => self.init_next(slot),
            Effect::Pause => self.with_container(slot, worker::pause, Report::Paused { slot, done: false }),
            Effect::Resume => self.with_container(slot, worker::resume, Report::Resumed { slot, done: false }),
            Effect::Destroy => {
                self.memory.leaving += self.slots.get(slot).map_or(0, |place| place.memory_mb);
                self.with_container(slot, worker::destroy, Report::Destroyed { slot });
            }
            Effect::Refuse => {
                let job = self.slots.get_mut(slot).and_then(|place| place.waiting.pop_back());
                job.into_iter().for_each(|job| self.again(job));
            }
            Effect::GiveBack => {
                let jobs = self.slots.get_mut(slot).map(|place| std::mem::take(&mut place.waiting));
                jobs.into_iter().flatten().rev().for_each(|job| self.again(job));
            }
            Effect::Release => self.release(slot),
        }
    }

    fn at(&self, slot: Id) -> Place {
        Place {
            shared: self.shared.clone(),
            outbox: self.outbox.clone(),
            slot,
        }
    }

    fn run_next(&mut self, slot: Id) {
        let place = self.slots.get_mut(slot).expect("it runs");
        let job = place.waiting.pop_front().expect("the lifecycle counts what waits");
        let container = place.container.clone().expect("it was made");
        let bound = self.groups.get(place.group.expect("it is initialised")).bound.clone();
        let after = After::Destroy;
        let broken = move || {
            Some(Report::RunEnded {
                slot,
                after,
                again: None,
                took: None,
            })
        };
        let message = job.message.clone();
        self.starts_on(&message, worker::run(self.at(slot), container, bound, job), broken);
    }

    fn init_next(&mut self, slot: Id) {
        let place = self.slots.get_mut(slot).expect("it was made");
        let job = place.waiting.pop_front().expect("the lifecycle counts what waits");
        let container = place.container.clone().expect("it was made");
        let bound = self.groups.get(place.group.expect("it was bound before")).bound.clone();
        let broken = move || Some(Report::InitFailed { slot, again: None });
        let message = job.message.clone();
        self.starts_on(&message, worker::init(self.at(slot), container, bound, job), broken);
    }

    fn with_container<F>(&mut self, slot: Id, work: fn(Place, Arc<dyn wsk_containers::Container>) -> F, broken: Report)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let container = self
            .slots
            .get(slot)
            .and_then(|place| place.container.clone())
            .expect("it was made");
        self.starts(work(self.at(slot), container), || Some(broken));
    }

    fn release(&mut self, slot: Id) {
        self.reshelve(slot);
        let Some(place) = self.slots.remove(slot) else { return };
        if place.container.is_some() {
            self.memory.leaving -= place.memory_mb;
        }
        self.memory.used -= place.memory_mb;
        self.shared.metrics.memory.sub(place.memory_mb.into());
        self.room = true;
        if let Some(group) = place.group {
            if self.groups.get(group).is_last() {
                self.dissolve(group);
            }
            self.groups.leave(group);
        }
    }

    fn set_timer(&mut self, slot: Id, token: Token, span: Span) {
        let now = Instant::now();
        let config = &self.shared.config;
        let after = match span {
            Span::Grace => config.pause_grace().unwrap_or_default(),
            Span::Idle => config.idle(),
        };
        let place = self.slots.get_mut(slot).expect("it has a timer");
        let froze = span == Span::Idle && config.pause_grace_ms.is_some();
        if !froze {
            place.idle_since = now;
        }
        let at = now + after;
        place.timer = Some((at, token));
        // An alarm that is set already is moved when it rings: a busy container sets none at all.
        if place.armed.is_none_or(|armed| at < armed) {
            place.armed = Some(at);
            self.set_alarm(at, Alarm::Slot(slot));
        }
    }

    pub(super) fn slot_rang(&mut self, slot: Id) {
        let now = Instant::now();
        let Some(place) = self.slots.get_mut(slot) else { return };
        place.armed = None;
        match place.timer {
            Some((at, token)) if at <= now => {
                place.timer = None;
                self.step(slot, Event::Timer(token));
            }
            Some((at, _)) => {
                place.armed = Some(at);
                self.set_alarm(at, Alarm::Slot(slot));
            }
            None => {}
        }
    }
}

fn idles(shelf: Shelf) -> bool {
    match shelf {
        Shelf::Idle | Shelf::Paused => true,
        Shelf::Room | Shelf::None => false,
    }
}

/// Whether an activation runs in it.
fn works(state: State) -> bool {
    match state {
        State::Running { .. } | State::Draining { .. } => true,
        State::Cold
        | State::Starting { .. }
        | State::Unwanted
        | State::Prewarmed
        | State::Initialising { .. }
        | State::Idle { .. }
        | State::Pausing { .. }
        | State::Paused { .. }
        | State::Resuming { .. }
        | State::Removing
        | State::Removed => false,
    }
}
