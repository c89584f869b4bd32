//! The pool: one task that owns every container of this invoker and all work under way in them.
//!
//! **Responsible for** which activation runs in which container and when containers are made, frozen and removed; the
//! decisions about a single container are [`lifecycle`]'s, the numbers of stem cells `stem`'s.
//! **Leaves to others** carrying anything out (`worker`).
//!
//! **Invariants.** Work is held as futures of this task: the task that takes a delivery starts the run in the same turn, and
//! ending the task ends everything, so that what was not recorded goes back to the bus. Memory set aside never exceeds the
//! configured amount, and what becomes free goes to the activation that waits for it longest. There is a bound on how many may
//! wait; beyond it nothing more is taken from the bus. Whatever is iterated has the same order in every run.

mod conclude;
mod drain;
mod effects;
pub(crate) mod groups;
mod job;
pub mod lifecycle;
mod line;
mod outdated;
mod pace;
mod place;
mod prompt;
mod recall;
mod shared;
pub(crate) mod slab;
mod stem;
mod stems;
mod worker;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use wsk_bus::messages::{self, ActivationMessage};
use wsk_bus::{Delivery, Subscription};
use wsk_containers::Container;
use wsk_entities::FullName;
use wsk_service::telemetry::Transaction;

pub(crate) use drain::{Command, Draining};
use groups::{Groups, Shelf};
use job::Job;
use lifecycle::{Machine, Token};
use place::Claim;
pub(crate) use shared::Shared;
use slab::{Id, Slab};
pub(crate) use stem::Stem;
use worker::{Outbox, Report};

use crate::plan::Plan;
use crate::records::Ticket;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Deliveries taken before other tasks have their turn: a crowd of them must not keep others from being accepted.
const BURST: u32 = 16;

/// The state of the pool's task.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    work: FuturesUnordered<Work>,
    outbox: Outbox,
    slots: Slab<Slot>,
    groups: Groups,
    stems: Vec<Stem>,
    /// Activations to be placed in this turn: those that were on their way already.
    anew: VecDeque<Job>,
    /// Activations that wait for memory, those that began to first.
    buffer: VecDeque<Job>,
    /// Actions read lately, in the order of reading, by name and revision.
    plans: IndexMap<(FullName, Arc<str>), Arc<Plan>>,
    /// Groups with activations that wait for a container of theirs, those that began first before others.
    lines: Vec<Id>,
    /// How many wait so.
    lined: usize,
    /// Groups with such activations, in which something changed in this turn.
    freed: Vec<Id>,
    /// Whether memory or a turn at starting became free in this turn.
    room: bool,
    /// Containers for actions that are being made or initialised.
    arriving: usize,
    /// Activations whose action is being read.
    planning: IndexMap<FullName, Vec<Job>>,
    memory: Memory,
    alarms: BinaryHeap<Reverse<(Instant, u64, Alarm)>>,
    alarm_count: u64,
    sleep: Pin<Box<Sleep>>,
    /// Names containers.
    made: u64,
    /// Deliveries taken since other tasks had their turn.
    taken: u32,
    draining: Option<Draining>,
    jitter: rand::rngs::StdRng,
}

/// MB.
#[derive(Debug)]
struct Memory {
    total: u32,
    /// Set aside, for containers in any state.
    used: u32,
    /// The part of it that comes back soon.
    leaving: u32,
}

/// One container, or the place where it will be.
struct Slot {
    machine: Machine,
    memory_mb: u32,
    container: Option<Arc<dyn Container>>,
    /// What it may run, once that is settled.
    group: Option<Id>,
    /// The kind it was made for, as a stem cell.
    stem: Option<usize>,
    waiting: VecDeque<Job>,
    shelf: Shelf,
    idle_since: Instant,
    /// When it was decided on, for an action.
    bound_at: Instant,
    timer: Option<(Instant, Token)>,
    /// The earliest alarm set for it.
    armed: Option<Instant>,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    Slot(Id),
    /// Time to look whether those who wait in a group's line get on.
    Line(Id),
    /// Time to look at the stem cells.
    Stems,
    /// Time to try again after a stem cell could not be made.
    Stem(usize),
}

/// What the pool's task wakes for.
enum Turn {
    Report(Report),
    Alarm(Alarm),
    Command(Option<Command>),
    Delivery(Option<Delivery>),
    /// Everything taken is recorded, while draining.
    Recorded,
    /// The time for draining is over.
    Deadline,
}

impl Pool {
    pub fn new(shared: Arc<Shared>, stems: Vec<Stem>) -> Pool {
        let seed = shared.config.seed ^ u64::from(shared.config.id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Pool {
            memory: Memory {
                total: shared.config.memory_mb,
                used: 0,
                leaving: 0,
            },
            jitter: rand::SeedableRng::seed_from_u64(seed),
            shared,
            work: FuturesUnordered::new(),
            outbox: Outbox::default(),
            slots: Slab::new(),
            groups: Groups::new(),
            stems,
            anew: VecDeque::new(),
            buffer: VecDeque::new(),
            lines: Vec::new(),
            lined: 0,
            freed: Vec::new(),
            room: false,
            arriving: 0,
            plans: IndexMap::new(),
            planning: IndexMap::new(),
            alarms: BinaryHeap::new(),
            alarm_count: 0,
            sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
            made: 0,
            taken: 0,
            draining: None,
        }
    }

    /// Serves until drained. Dropping the future hands back everything that was not recorded.
    pub async fn run(mut self, mut deliveries: Box<dyn Subscription>, mut commands: mpsc::Receiver<Command>) {
        self.start_stems();
        let mut listens = true;
        let mut consumes = true;
        loop {
            let takes = consumes && self.draining.is_none() && self.waiting() < self.shared.config.run_buffer.max(1);
            let turn = poll_fn(|cx| {
                let commands = listens.then_some(&mut commands);
                self.poll_turn(cx, commands, takes.then_some(&mut *deliveries))
            });
            match turn.await {
                Turn::Report(report) => self.heard(report),
                Turn::Alarm(alarm) => self.rang(alarm),
                Turn::Command(Some(Command::Control(control))) => self.ordered(&control),
                Turn::Command(Some(Command::Changed(name))) => self.outdated(&name),
                Turn::Command(Some(Command::Drain { deadline, done })) => self.drain(deadline, done),
                Turn::Command(None) => listens = false,
                Turn::Delivery(Some(delivery)) => self.accept(delivery),
                Turn::Delivery(None) => consumes = false,
                Turn::Recorded => self.recorded(),
                Turn::Deadline => break,
            }
            self.retry();
            self.serve_lines();
            self.shared.metrics.buffer_count.set(self.waiting() as i64);
            if self.draining.as_ref().is_some_and(Draining::is_recorded) && self.slots.is_empty() {
                break;
            }
        }
        self.end();
    }

    /// The next thing to attend to: work first, so that what it frees is there for what comes.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        commands: Option<&mut mpsc::Receiver<Command>>,
        deliveries: Option<&mut (dyn Subscription + 'static)>,
    ) -> Poll<Turn> {
        while let Poll::Ready(Some(())) = self.work.poll_next_unpin(cx) {}
        if let Some(report) = self.outbox.take() {
            return Poll::Ready(Turn::Report(report));
        }
        if let Poll::Ready(alarm) = self.poll_alarm(cx) {
            return Poll::Ready(Turn::Alarm(alarm));
        }
        if let Some(commands) = commands
            && let Poll::Ready(command) = commands.poll_recv(cx)
        {
            return Poll::Ready(Turn::Command(command));
        }
        if let Some(draining) = &mut self.draining
            && let Poll::Ready(turn) = draining.poll(cx)
        {
            return Poll::Ready(turn);
        }
        let Some(deliveries) = deliveries else {
            return Poll::Pending;
        };
        if self.taken >= BURST {
            self.taken = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = deliveries.poll_next(cx).map(Turn::Delivery);
        self.taken = if next.is_ready() { self.taken + 1 } else { 0 };
        next
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        let Some(Reverse((at, _, alarm))) = self.alarms.peek() else {
            return Poll::Pending;
        };
        let (at, alarm) = (*at, *alarm);
        if self.sleep.deadline() != at {
            self.sleep.as_mut().reset(at);
        }
        std::task::ready!(self.sleep.as_mut().poll(cx));
        self.alarms.pop();
        Poll::Ready(alarm)
    }

    fn set_alarm(&mut self, at: Instant, alarm: Alarm) {
        self.alarm_count += 1;
        self.alarms.push(Reverse((at, self.alarm_count, alarm)));
    }

    fn rang(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::Slot(id) => self.slot_rang(id),
            Alarm::Line(id) => self.line_rang(id),
            Alarm::Stems => self.look_at_stems(),
            Alarm::Stem(stem) => self.fill_stem(stem),
        }
    }

    /// Takes a delivery in. What cannot be read will not become readable, so it is not kept.
    fn accept(&mut self, delivery: Delivery) {
        match messages::read::<ActivationMessage>(&delivery) {
            Ok(message) => {
                self.shared.metrics.activations.inc();
                let ticket = Ticket::new(delivery, self.shared.open.clone());
                self.place_or_keep(Job::new(message, ticket));
            }
            Err(error) => {
                tracing::error!(key = %delivery.key(), %error, "message dropped");
                delivery.commit();
            }
        }
    }

    /// Has an activation that was on its way already placed before this turn is over.
    fn again(&mut self, job: Job) {
        self.anew.push_back(job);
    }

    /// Activations that wait, for memory or for another one's end.
    fn waiting(&self) -> usize {
        self.buffer.len() + self.anew.len() + self.lined
    }

    fn retry(&mut self) {
        while let Some(job) = self.anew.pop_front() {
            self.place_or_keep(job);
        }
        while let Some(job) = self.buffer.pop_front() {
            if let Err(job) = self.place(job, Claim::First) {
                self.buffer.push_front(job);
                break;
            }
        }
    }

    fn place_or_keep(&mut self, job: Job) {
        let claim = if self.buffer.is_empty() {
            Claim::First
        } else {
            Claim::Later
        };
        if let Err(job) = self.place(job, claim) {
            self.buffer.push_back(job);
        }
    }

    /// Begins work on an activation: what is logged meanwhile carries its id and that of the request that caused it.
    fn starts_on(
        &mut self,
        message: &ActivationMessage,
        work: impl Future<Output = ()> + Send + 'static,
        broken: impl FnOnce() -> Option<Report> + Send + 'static,
    ) {
        let transaction = Transaction::of(message.transid.id.clone(), message.transid.extra_logging);
        transaction.record("activation_id", message.activation_id.to_string());
        self.starts(transaction.run(work), broken);
    }

    /// Begins work. Should it panic, `broken` says what the pool hears instead of its report: a fault of ours costs the
    /// container and hands the activation back, never the invoker.
    fn starts(
        &mut self,
        work: impl Future<Output = ()> + Send + 'static,
        broken: impl FnOnce() -> Option<Report> + Send + 'static,
    ) {
        let outbox = self.outbox.clone();
        self.work
            .push(Box::pin(AssertUnwindSafe(work).catch_unwind().map(move |end| {
                if end.is_err() {
                    tracing::error!("work in a container panicked");
                    broken().into_iter().for_each(|report| outbox.put(report));
                }
            })));
    }
}
