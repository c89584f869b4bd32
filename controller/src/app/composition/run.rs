//! One composition under way: published, waited for and moved on, one activation at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use wsk_bus::{Durability, Receipt};
use wsk_entities::{Activation, ActivationId, FullName, Json, Timestamp};
use wsk_planted::{Bug, planted};

use super::machine::{Next, Outcome};
use super::progress::{Pending, Terms};
use super::step::{Published, Step};
use super::{Composition, Progress, is_composed};
use crate::app::acks::Answer;
use crate::app::cancel::{Watch, is_cancelled};
use crate::app::invoke::{GRACE, Launch, Started, arguments, refused};
use crate::app::owed::Owed;
use crate::app::{App, Error, ResolvedAction, now};

/// Pause before an accepted composition tries again what the platform refused.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A composition that runs in this process.
pub struct Run {
    progress: Progress,
    /// Whether each step goes to disk.
    durable: bool,
    /// Of the component under way, when it was published in memory only.
    receipt: Option<Arc<Receipt>>,
    /// The last step, when nobody knows whether the bus has it.
    doubt: Option<Step>,
    /// The machine before its last step, while the run is a promise: a step that cannot be taken now is taken later.
    before: Option<Composition>,
    /// The record of a nested composition that was left, until it is stored.
    left: Option<Arc<Activation>>,
    ended: bool,
}

/// What a run does after it was moved on.
pub(super) enum Moved {
    Waiting {
        id: ActivationId,
        answer: oneshot::Receiver<Answer>,
        patience: Duration,
    },
    Pausing(Duration),
    Again,
    /// Out of a nested composition, whose record is kept before anything follows.
    Left(Arc<Activation>),
    Ended(Arc<Activation>),
}

/// Moves a run on until it has ended.
pub(super) async fn finish(app: &Arc<App>, run: &Mutex<Run>) -> Arc<Activation> {
    let watch = app.watch(&run.lock().await.progress);
    loop {
        let asked = watch.is_asked();
        if asked {
            run.lock().await.progress.machine.cancel();
        }
        let moved = run.lock().await.move_on(app, asked).await;
        match moved {
            Moved::Ended(record) => return record,
            Moved::Again => {}
            Moved::Left(record) => {
                // However long the store takes, whoever waits for the run can stop waiting.
                app.keep(record).await;
                run.lock().await.left = None;
            }
            Moved::Pausing(pause) => {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(pause) => {}
                    () = watch.asked() => {}
                }
            }
            Moved::Waiting { id, answer, patience } => {
                await_component(app, run, &watch, id, answer, patience).await;
            }
        }
    }
}

/// Waits for the component under way, and takes in what became of it.
async fn await_component(
    app: &Arc<App>,
    run: &Mutex<Run>,
    watch: &Watch,
    id: ActivationId,
    answer: oneshot::Receiver<Answer>,
    patience: Duration,
) {
    let (namespace, receipt) = {
        let run = run.lock().await;
        (run.progress.namespace().clone(), run.receipt.clone())
    };
    let record = tokio::select! {
        biased;
        record = app.await_answer(&namespace, id, answer, patience) => record,
        error = lost(receipt.as_deref()) => {
            app.lost(id, error);
            return run.lock().await.lose();
        }
        () = watch.end_component(id) => None,
    };
    app.work.flights.unexpect(id);
    run.lock().await.take_in(id, record.as_deref(), watch.is_asked());
}

/// Waits until the message of a component turns out to be lost; for ever where it does not.
async fn lost(receipt: Option<&Receipt>) -> wsk_bus::Error {
    match receipt {
        Some(receipt) => receipt.lost().await,
        None => std::future::pending().await,
    }
}

impl Run {
    /// Goes on with a composition that was accepted.
    pub fn accepted(progress: Progress) -> Run {
        Run {
            durable: true,
            ..Run::awaited(progress)
        }
    }

    /// Begins one that somebody waits for.
    pub(super) fn awaited(progress: Progress) -> Run {
        Run {
            progress,
            durable: false,
            receipt: None,
            doubt: None,
            before: None,
            left: None,
            ended: false,
        }
    }

    pub(super) fn terms(&self) -> Terms {
        self.progress.terms()
    }

    /// Whether its steps are on the ledger.
    pub(super) fn is_promise(&self) -> bool {
        self.durable
    }

    /// Which was the last of its states.
    pub(super) fn step(&self) -> u32 {
        self.progress.step
    }

    /// Its record, and which was the last of its states.
    pub async fn finish(self, app: &Arc<App>) -> (Arc<Activation>, u32) {
        let run = Mutex::new(self);
        let record = finish(app, &run).await;
        (record, run.into_inner().step())
    }

    /// Makes the run a promise, because its caller stops waiting; not one that has ended.
    pub(super) async fn accept(&mut self, app: &Arc<App>) -> Result<Option<Started>, Error> {
        if self.ended {
            return Ok(None);
        }
        let id = self.progress.machine.id();
        if let Some(receipt) = &self.receipt {
            receipt.persist().await.map_err(refused)?;
        }
        app.work.ledger.hold(&self.progress);
        // Before it is known, which a caller who hangs up meanwhile would prevent: the state may be on the ledger from now on.
        self.durable = true;
        self.progress.step += 1;
        // What was left is no part of the state any more.
        let left = self.left.iter().map(|record| Owed::Record(record.clone()));
        let state = Owed::Composition(Box::new(self.progress.clone()));
        let promises = left.chain([state]);
        let batch = promises.map(|owed| (app.work.ledger.topic().clone(), owed.message()));
        let published = app.bus.publish_all(batch.collect()).await;
        published.map(|()| Some(Started::Accepted(id))).map_err(refused)
    }

    /// Publishes the next activation, or ends. When it is `asked` to end, what may be under way is ended like what is.
    async fn move_on(&mut self, app: &Arc<App>, asked: bool) -> Moved {
        if let Some(mut step) = self.doubt.take() {
            if let Some(record) = step.record() {
                self.take_in(step.id, Some(&record), asked);
                return Moved::Again;
            }
            if asked {
                return step.wait();
            }
            // A newer state than the one that may be on the ledger, so that one which is read late is known to be older.
            self.progress.step += 1;
            return self.take_step(app, step).await;
        }
        let pending = self.progress.pending.clone();
        if let Some(pending) = pending.filter(|_| !planted(Bug::ForgetsComponent)) {
            return self.rejoin(app, &pending).await;
        }
        self.before = self.durable.then(|| self.progress.machine.clone());
        match self.progress.machine.next() {
            Next::Over => self.leave(app),
            Next::Pause(pause) => Moved::Pausing(Duration::from_millis(pause)),
            Next::Conductor { name, input, cause } => match app.resolve_action(&self.progress.caller(), &name).await {
                Ok(target) => self.launch(app, &target, input, cause).await,
                Err(error) => self.absorb(Outcome::Unpublished, &error),
            },
            Next::Component { name, input, cause } => match app.resolve_action(&self.progress.caller(), &name).await {
                Ok(target) if is_composed(&target.action) => {
                    self.progress.enter(app.chance.activation_id(), name, &target, input);
                    Moved::Again
                }
                Ok(target) => self.launch(app, &target, input, cause).await,
                Err(error) => {
                    let outcome = app.unresolved(&name, &error).await;
                    self.absorb(outcome, &error)
                }
            },
        }
    }

    /// Takes in that the next activation could not be started. What was accepted waits out a platform that is overloaded
    /// or not all there yet.
    fn absorb(&mut self, outcome: Outcome, error: &Error) -> Moved {
        tracing::debug!(transid = %self.progress.transid, %error, ?outcome, "a component cannot run");
        if let (Error::Unavailable(_), Some(before)) = (error, self.before.take()) {
            self.progress.machine = before;
            return Moved::Pausing(TRY_AGAIN);
        }
        let namespace = self.progress.identity.namespace.name.clone();
        self.progress.machine.absorb(outcome, &namespace);
        Moved::Again
    }

    /// Takes in how the component under way ended, or that no answer came; `asked` is whether the run shall end.
    fn take_in(&mut self, id: ActivationId, record: Option<&Activation>, asked: bool) {
        self.progress.pending = None;
        self.receipt = None;
        let cancelled = record.map(is_cancelled);
        let (machine, namespace) = (&mut self.progress.machine, &self.progress.identity.namespace.name);
        if asked && cancelled != Some(false) {
            machine.cancel();
        }
        machine.absorb(record.map_or(Outcome::Unanswered(id), Outcome::of), namespace);
        if cancelled == Some(true) {
            machine.forgo_retry();
        }
    }

    /// Takes in that the component under way never reached an invoker. Only what was published in memory is lost so.
    fn lose(&mut self) {
        self.progress.pending = None;
        self.receipt = None;
        let namespace = self.progress.namespace().clone();
        self.progress.machine.absorb(Outcome::Unpublished, &namespace);
    }

    /// Waits for a component that was published before, by this process or a former one.
    async fn rejoin(&mut self, app: &Arc<App>, pending: &Pending) -> Moved {
        let (id, patience) = (pending.id, Duration::from_millis(pending.patience));
        let force_at: Timestamp = now() + pending.patience;
        // Entered first, so that an end between the two looks is not missed.
        let namespace = self.progress.identity.namespace.name.clone();
        let action = pending.action.clone();
        let answer = app.work.flights.expect(id, action, namespace.clone(), force_at);
        match app.activations.get(&namespace, id).await {
            Ok(Some(record)) => {
                app.work.flights.unexpect(id);
                self.progress.pending = None;
                self.progress.machine.absorb(Outcome::of(&record), &namespace);
                Moved::Again
            }
            Ok(None) => Moved::Waiting { id, answer, patience },
            Err(error) => {
                tracing::warn!(activation_id = %id, %error, "cannot look for the record of a component; waiting for its answer");
                Moved::Waiting { id, answer, patience }
            }
        }
    }

    async fn launch(
        &mut self,
        app: &Arc<App>,
        target: &ResolvedAction,
        input: Option<Json>,
        cause: ActivationId,
    ) -> Moved {
        let launch = Launch {
            caller: &self.progress.caller(),
            target,
            arguments: arguments(target, input),
            sealed: &self.progress.sealed,
            cause: Some(cause),
            blocking: true,
        };
        let ready = match app.check_runnable(target).and_then(|()| app.prepare(&launch)) {
            Ok(ready) => ready,
            Err(error) => return self.absorb(Outcome::Unpublished, &error),
        };
        let patience = Duration::from_millis(target.action.limits.timeout.into()) + GRACE;
        self.progress.step += 1;
        self.progress.pending = Some(Pending {
            id: ready.id,
            action: target.full_name(),
            patience: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        });
        let step = Step::new(ready, patience);
        match self.durable {
            true => self.take_step(app, step).await,
            false => self.send_step(app, step).await,
        }
    }

    /// Publishes a component in memory only.
    async fn send_step(&mut self, app: &Arc<App>, step: Step) -> Moved {
        let message = step.message.clone();
        match app.publish(step.id, &step.topic, message, Durability::Volatile).await {
            Ok(receipt) => {
                self.receipt = Some(Arc::new(receipt));
                step.wait()
            }
            Err(error) => self.lose_step(&error),
        }
    }

    /// Publishes a component of an accepted composition together with the state that waits for it.
    async fn take_step(&mut self, app: &Arc<App>, step: Step) -> Moved {
        let state = Owed::Composition(Box::new(self.progress.clone())).message();
        let ledger = app.work.ledger.topic().clone();
        let batch = vec![(step.topic.clone(), step.message.clone()), (ledger, state)];
        match step.judge(app.bus.publish_all(batch).await) {
            Published::Taken => {
                crate::metrics::ACTIVATIONS.inc();
                app.work.flights.depart(step.id);
                step.wait()
            }
            Published::InDoubt(error) => {
                tracing::warn!(activation_id = %step.id, %error, "a component may be under way; publishing it again");
                self.doubt = Some(step.again());
                Moved::Pausing(TRY_AGAIN)
            }
            Published::Refused(error) => {
                app.work.flights.cancel(step.id);
                self.lose_step(&error)
            }
        }
    }

    fn lose_step(&mut self, error: &Error) -> Moved {
        self.progress.pending = None;
        self.absorb(Outcome::Unpublished, error)
    }

    fn leave(&mut self, app: &App) -> Moved {
        let record = Arc::new(self.progress.machine.leave(&self.progress.identity, now()));
        app.work.events.ended(&self.progress.identity, &record);
        if self.progress.machine.is_over() {
            self.ended = true;
            return Moved::Ended(record);
        }
        if self.progress.terms().keep(&app.config, &record) {
            self.left = Some(record.clone());
            return Moved::Left(record);
        }
        Moved::Again
    }
}

impl App {
    /// Why a component cannot run, as its composition is told.
    async fn unresolved(&self, name: &FullName, error: &Error) -> Outcome {
        match error {
            Error::Forbidden(_) => Outcome::NotEntitled,
            // A package that is not there refuses before the action is looked for.
            Error::Missing => match name.package_name() {
                Some(package) if matches!(self.find(&package).await, Ok(None)) => Outcome::NotEntitled,
                Some(_) | None => Outcome::Missing,
            },
            Error::Conflict(_) => Outcome::Missing,
            _ => Outcome::Unpublished,
        }
    }

    /// Publishes prepared activations and what is owed with them in one group write, or none of it.
    pub(in crate::app) async fn publish_batch(
        &self,
        ids: &[ActivationId],
        batch: Vec<(Arc<str>, wsk_bus::Message)>,
    ) -> Result<(), Error> {
        crate::metrics::ACTIVATIONS.inc_by(ids.len() as u64);
        let published = self.bus.publish_all(batch).await;
        ids.iter().for_each(|id| match &published {
            Ok(()) => self.work.flights.depart(*id),
            Err(_) => self.work.flights.cancel(*id),
        });
        published.map_err(refused)
    }
}
