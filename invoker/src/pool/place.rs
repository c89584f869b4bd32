//! Finding a container for an activation: warm, else prewarmed, else cold, else after others were evicted, else later.

use std::sync::Arc;

use tokio::time::Instant;
use wsk_containers::Spec;
use wsk_planted::{Bug, planted};
use wsk_service::clock;

use super::groups::{Bound, Shelf};
use super::job::Job;
use super::lifecycle::{Event, Machine, State};
use super::prompt::Promptness;
use super::slab::Id;
use super::worker::Report;
use super::{Pool, Slot, conclude, worker};
use crate::metrics::{Labels, Series, Start};
use crate::outcome::Fault;
use crate::plan::Plan;

/// Deliveries of one activation before it is given up for good: something about it kills invokers.
const MAX_DELIVERIES: u32 = 20;

/// Whose memory is that is free, or becomes free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// This activation's.
    First,
    /// That of others, who wait for it already.
    Later,
}

impl Pool {
    /// Finds a place for an activation, or ends it. Gives it back when it has to wait for memory.
    pub(super) fn place(&mut self, job: Job, claim: Claim) -> Result<(), Job> {
        let cancelled = self.shared.orders.cancelled(&job.message);
        if let Some(fault) = cancelled.then_some(Fault::Cancelled).or_else(|| refusal(&job)) {
            self.fail(None, job, fault);
            return Ok(());
        }
        if job.may_have_run() && !job.looked_up && !planted(Bug::RunsAgain) {
            let message = job.message.clone();
            let work = worker::look_up(self.shared.clone(), self.outbox.clone(), job);
            self.starts_on(&message, work, || None);
            return Ok(());
        }
        if let Some(text) = job.message.detour.as_ref().and_then(|detour| detour.why.clone()) {
            self.fail(None, job, Fault::Architecture { text, managed: true });
            return Ok(());
        }
        let group = self.groups.find(&job.message, job.revision());
        let plan = match group {
            Some(group) => Some(self.groups.get(group).bound.plan.clone()),
            None => job.plan.clone().or_else(|| self.known(&job)),
        };
        let Some(plan) = plan else {
            self.read(job);
            return Ok(());
        };
        if let Some(fault) = plan
            .exhausted(job.ticket.attempt())
            .filter(|_| !planted(Bug::ForgetsAttempts))
        {
            self.fail(Some(plan), job, fault);
            return Ok(());
        }
        let next = group.and_then(|group| self.groups.get(group).next());
        if let Some((slot, shelf)) =
            next.filter(|(slot, shelf)| claim == Claim::First || !self.winds_down(*slot, *shelf))
        {
            self.shared.metrics.started(self.warmth(slot, shelf));
            self.assign(slot, job);
            return Ok(());
        }
        if let Some(group) = group.filter(|group| self.groups.get(*group).crew.able > 0) {
            self.line_up(group, job);
            return Ok(());
        }
        self.place_cold(plan, job, claim)
    }

    pub(super) fn place_cold(&mut self, plan: Arc<Plan>, job: Job, claim: Claim) -> Result<(), Job> {
        if let Some(why) = self.shared.machine.why_not(&plan.names, clock::now()) {
            let message = job.message.clone();
            self.starts_on(&message, conclude::refuse(self.shared.clone(), plan, job, why), || None);
            return Ok(());
        }
        if let Some(fault) = plan.outside(&self.shared.config.limits, &job.message.user.limits) {
            self.fail(Some(plan), job, fault);
            return Ok(());
        }
        if let Some((stem, slot)) = self.stem_cell(&plan) {
            self.shared.metrics.started(Start::Prewarmed);
            self.count_stem_cells();
            self.bind(slot, &plan, &job);
            self.assign(slot, job);
            self.fill_stem(stem);
            return Ok(());
        }
        if plan.limits.memory > self.memory.total {
            tracing::error!(action = %plan.name, memory_mb = plan.limits.memory, "action is larger than this invoker");
            self.fail(Some(plan), job, Fault::Provision);
            return Ok(());
        }
        if claim == Claim::Later {
            return Err(job);
        }
        if !self.make_room(plan.limits.memory) {
            return Err(Job { evicted: true, ..job });
        }
        self.shared
            .metrics
            .started(if job.evicted { Start::Recreated } else { Start::Cold });
        let slot = self.add_slot(plan.limits.memory, plan.limits.concurrency, None);
        self.bind(slot, &plan, &job);
        self.assign(slot, job);
        Ok(())
    }

    pub(super) fn warmth(&self, slot: Id, shelf: Shelf) -> Start {
        match shelf {
            Shelf::Idle | Shelf::Paused | Shelf::None => Start::Warm,
            Shelf::Room => match self.slots.get(slot).map(|slot| slot.machine.state()) {
                Some(State::Starting { .. } | State::Initialising { .. }) => Start::Warming,
                Some(_) | None => Start::Warm,
            },
        }
    }

    /// An action read lately, at the revision the controller saw.
    fn known(&self, job: &Job) -> Option<Arc<Plan>> {
        let key = (job.message.action.full_name(), job.message.revision.clone());
        self.plans.get(&key).cloned()
    }

    /// Reads the action; activations of the same action share the read.
    pub(super) fn read(&mut self, job: Job) {
        let name = job.message.action.full_name();
        let waiting = self.planning.entry(name.clone()).or_default();
        waiting.push(job);
        if waiting.len() == 1 {
            let broken = Report::Planned {
                name: name.clone(),
                result: Err(Fault::Fetch),
            };
            self.starts(worker::plan(self.shared.clone(), self.outbox.clone(), name), || {
                Some(broken)
            });
        }
    }

    /// Keeps an action that was read, letting go of the one read longest ago beyond the bound.
    pub(super) fn remember(&mut self, plan: &Arc<Plan>) {
        if self.plans.len() >= self.shared.config.action_cache.max(1) {
            self.plans.shift_remove_index(0);
        }
        self.plans
            .insert((plan.name.clone(), plan.revision.clone()), plan.clone());
    }

    pub(super) fn forget(&mut self, plan: &Plan) {
        self.plans.shift_remove(&(plan.name.clone(), plan.revision.clone()));
    }

    /// A stem cell for an action, if one is ready. A start that could have used one is counted.
    fn stem_cell(&mut self, plan: &Plan) -> Option<(usize, Id)> {
        if !plan.program.managed || plan.limits.concurrency > 1 {
            return None;
        }
        let at = self
            .stems
            .iter()
            .position(|stem| stem.serves(&plan.kind, plan.limits.memory))?;
        let stem = &mut self.stems[at];
        match stem.take() {
            Some(slot) => Some((at, slot)),
            None => {
                stem.cold_starts += 1;
                None
            }
        }
    }

    /// Whether that much memory is free now. If not, the longest idle have to go, as far as needed and not on their way yet,
    /// unless they are needed where they are.
    fn make_room(&mut self, memory_mb: u32) -> bool {
        let free = self.memory.total.saturating_sub(self.memory.used);
        if free >= memory_mb || planted(Bug::CountsLeavingMemory) && free + self.memory.leaving >= memory_mb {
            return true;
        }
        let now = Instant::now();
        while free + self.memory.leaving < memory_mb {
            let goes = |slot: &Slot| slot.machine.evictable() && !self.serves_on(slot, now);
            let idle = self.slots.iter().filter(|(_, slot)| goes(slot));
            let Some((longest, _)) = idle.min_by_key(|(_, slot)| slot.idle_since) else {
                break;
            };
            self.step(longest, Event::Evict);
        }
        if self.memory.leaving == 0 && !self.works() {
            // Stem cells hold all the memory there is: without one going, this would wait for ever.
            let cell = self
                .slots
                .iter()
                .find(|(_, slot)| slot.machine.state() == State::Prewarmed)
                .map(|(id, _)| id);
            if let Some(cell) = cell {
                self.drop_stem_cell(cell);
            }
        }
        false
    }

    /// Whether any container does something that ends by itself.
    fn works(&self) -> bool {
        self.slots.iter().any(|(_, slot)| match slot.machine.state() {
            State::Prewarmed | State::Idle { .. } | State::Paused { .. } | State::Removed => false,
            State::Cold
            | State::Starting { .. }
            | State::Unwanted
            | State::Initialising { .. }
            | State::Running { .. }
            | State::Draining { .. }
            | State::Pausing { .. }
            | State::Resuming { .. }
            | State::Removing => true,
        })
    }

    /// Sets memory aside for a container.
    pub(super) fn add_slot(&mut self, memory_mb: u32, concurrency: u32, stem: Option<usize>) -> Id {
        self.memory.used += memory_mb;
        self.shared.metrics.memory.add(memory_mb.into());
        self.slots.insert(Slot::new(
            Machine::new(concurrency, self.shared.config.pause_grace_ms.is_some()),
            memory_mb,
            stem,
        ))
    }

    /// Settles what a container may run.
    fn bind(&mut self, slot: Id, plan: &Arc<Plan>, job: &Job) {
        let bound = || Bound {
            plan: plan.clone(),
            series: series(plan, job, self.shared.config.user_metrics),
            logs: Promptness::default(),
        };
        let group = self.groups.enter(&job.message, bound, &plan.revision);
        self.groups.join(group);
        let place = self.slots.get_mut(slot).expect("it was just chosen");
        place.group = Some(group);
        place.bound_at = Instant::now();
        self.gather(group);
    }

    pub(super) fn assign(&mut self, slot: Id, job: Job) {
        self.slots
            .get_mut(slot)
            .expect("it was just chosen")
            .waiting
            .push_back(job);
        self.step(slot, Event::Assign);
    }

    pub(super) fn fail(&mut self, plan: Option<Arc<Plan>>, job: Job, fault: Fault) {
        let message = job.message.clone();
        self.starts_on(&message, conclude::fail(self.shared.clone(), plan, job, fault), || None);
    }

    /// What a container for this slot is made from.
    pub(super) fn spec(&mut self, slot: Id) -> (Spec, Option<Arc<Plan>>) {
        self.made += 1;
        let slot = self.slots.get(slot).expect("it is to be made");
        let plan = slot.group.map(|group| self.groups.get(group).bound.plan.clone());
        let (program, prefix, suffix) = match (&plan, slot.stem) {
            (Some(plan), _) => (
                &plan.program,
                plan.name.namespace().to_string(),
                plan.name.name.to_string(),
            ),
            (None, Some(stem)) => {
                let stem = &self.stems[stem];
                (
                    &stem.program,
                    "prewarm".to_owned(),
                    stem.kind.replace(|c: char| !c.is_ascii_alphanumeric(), ""),
                )
            }
            (None, None) => unreachable!("a container is made for an action or as a stem cell"),
        };
        let (config, concurrency) = (
            &self.shared.config,
            plan.as_ref().map_or(1, |plan| plan.limits.concurrency.max(1)),
        );
        let mut env = vec![("__OW_API_HOST".to_owned(), config.api_host.clone())];
        if concurrency > 1 {
            env.push(("__OW_ALLOW_CONCURRENT".to_owned(), "true".to_owned()));
        }
        env.extend(config.env.iter().cloned());
        let spec = Spec {
            name: format!("wsk{}{}_{}_{prefix}_{suffix}", config.name, config.id, self.made),
            image: program.image.clone(),
            program: program.command.clone(),
            folder: program.folder.clone(),
            memory_mb: slot.memory_mb,
            concurrency,
            env,
            managed: program.managed,
            tenant: match (&plan, program.managed) {
                // Its own access is added when the container is made.
                (Some(plan), false) => Some(Arc::new(wsk_containers::Tenant::new(plan.name.namespace().as_str()))),
                (Some(_) | None, _) => None,
            },
        };
        (spec, plan)
    }
}

/// Why an activation must not run, whatever its action is.
fn refusal(job: &Job) -> Option<Fault> {
    let limits = &job.message.user.limits;
    if limits.invocations_per_minute == Some(0) || limits.concurrent_invocations == Some(0) {
        return Some(Fault::Blocked);
    }
    let attempts = job.ticket.attempt();
    (attempts > MAX_DELIVERIES).then_some(Fault::GivenUp { attempts })
}

fn series(plan: &Plan, job: &Job, bound: usize) -> Option<Arc<Series>> {
    let action = match plan.name.package() {
        Some(package) => format!("{package}/{}", plan.name.name),
        None => plan.name.name.to_string(),
    };
    let labels = Labels {
        namespace: plan.name.namespace().as_str(),
        initiator: job.message.user.namespace.name.as_str(),
        action: &action,
        kind: &plan.kind,
        memory_mb: plan.limits.memory,
    };
    Series::of(labels, bound)
}
