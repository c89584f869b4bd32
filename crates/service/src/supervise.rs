//! Background tasks with a name, a stage, and a declared meaning of failure; signals; drain.
//!
//! **Invariants.** A task belongs to exactly one stage. Cancellation goes stage by stage, so that what accepts work ends before
//! what does the work, and that before what keeps its results. No task outlives [`Supervisor::run`], which never takes longer
//! than the drain deadline (and a moment to abort).

use crate::Boxed;
use crate::phase::{Phase, Phases};
use std::fmt::Display;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Tells a task that its stage is over. Clones share the news.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

/// Sets off a [`Cancel`]; also does so when dropped.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// When a task is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Takes work in: listeners, event sources. Ends first.
    Edge,
    /// Does work: pools, consumers, schedulers.
    Work,
    /// Keeps results: writers of records, metrics, the bus. Ends last.
    Storage,
}

/// What cancellation means to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// It watches its [`Cancel`] and ends by itself; the drain waits for it.
    Finish,
    /// It holds nothing worth waiting for and is dropped at its next await.
    Abort,
}

/// What the end of a task with an error, or a panic, means to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The process cannot do without it: drain and exit with the error.
    Stop,
    /// It is started again after a pause.
    Restart {
        /// The pause.
        after: Duration,
    },
    /// It is logged.
    Report,
}

/// A background task's declaration.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Name in logs.
    pub name: &'static str,
    /// When it is cancelled.
    pub stage: Stage,
    /// What cancellation means.
    pub on_cancel: OnCancel,
    /// What failure means.
    pub on_failure: OnFailure,
}

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task it cannot do without ended.
    #[error("task `{task}` failed: {reason}")]
    Failed {
        /// Its name.
        task: &'static str,
        /// Its error or panic.
        reason: String,
    },
    /// Signals cannot be caught.
    #[error("cannot watch for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// Not everything ended in time.
    #[error("the drain deadline passed while these were still running: {}", tasks.join(", "))]
    Deadline {
        /// Names of the tasks that had to be aborted.
        tasks: Vec<&'static str>,
    },
}

/// Owns the background tasks of the process.
#[derive(Debug)]
pub struct Supervisor {
    phases: Phases,
    linger: Duration,
    stages: [Canceller; 3],
    tasks: Vec<Running>,
    fatal: mpsc::Sender<Error>,
    failures: mpsc::Receiver<Error>,
}

#[derive(Debug)]
struct Running {
    task: Task,
    handle: JoinHandle<()>,
}

type BoxedTask = Boxed<'static, Result<(), String>>;
/// Makes a task, for the first time or again.
type Make = Box<dyn FnMut() -> BoxedTask + Send>;

impl Cancel {
    /// A pair.
    pub fn new() -> (Canceller, Self) {
        let (sender, receiver) = watch::channel(false);
        (Canceller(sender), Self(receiver))
    }

    /// Resolves once cancelled, at once if that was earlier.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        // An error means that the canceller is gone, which cancels too.
        let _gone = receiver.wait_for(|cancelled| *cancelled).await;
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Canceller {
    /// Cancels.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Another handle to what this cancels.
    pub fn token(&self) -> Cancel {
        Cancel(self.0.subscribe())
    }
}

impl Stage {
    const ALL: [Self; 3] = [Self::Edge, Self::Work, Self::Storage];

    fn index(self) -> usize {
        match self {
            Self::Edge => 0,
            Self::Work => 1,
            Self::Storage => 2,
        }
    }
}

impl Supervisor {
    /// A supervisor without tasks, for the process whose phases these are.
    pub fn new(phases: Phases) -> Self {
        // One failure ends the process; further ones need no place.
        let (fatal, failures) = mpsc::channel(1);
        let stages = [(); 3].map(|()| Cancel::new().0);
        Self {
            phases,
            linger: Duration::ZERO,
            stages,
            tasks: Vec::new(),
            fatal,
            failures,
        }
    }

    /// How long everything goes on after `/ready` has said that the process drains, so that who balances over it can notice
    /// before connections are refused.
    pub fn linger(&mut self, time: Duration) {
        self.linger = time;
    }

    /// What tasks of `stage` watch.
    pub fn cancel_token(&self, stage: Stage) -> Cancel {
        self.stages[stage.index()].token()
    }

    /// Starts a task. `start` is called again for each restart.
    pub fn spawn<F, E>(&mut self, task: Task, mut start: impl FnMut(Cancel) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let token = self.cancel_token(task.stage);
        self.start(
            task,
            Box::new(move || {
                let run = start(token.clone());
                Box::pin(async move { run.await.map_err(|error| error.to_string()) })
            }),
        );
    }

    fn start(&mut self, task: Task, make: Make) {
        let cancel = self.cancel_token(task.stage);
        let handle = tokio::spawn(supervise(task, cancel, self.fatal.clone(), make));
        self.tasks.push(Running { task, handle });
    }

    /// Marks the process ready and lives until SIGTERM, SIGINT or a fatal failure, then drains within `deadline`. A second
    /// signal cuts the drain short.
    ///
    /// # Errors
    /// [`Error::Failed`] when a task ended the process, [`Error::Deadline`] when tasks had to be aborted.
    pub fn run(self, deadline: Duration) -> Boxed<'static, Result<(), Error>> {
        Box::pin(async move {
            let mut signals = Signals::new().map_err(Error::Signals)?;
            self.run_until(deadline, &mut signals).await
        })
    }

    async fn run_until(mut self, deadline: Duration, signals: &mut impl Interrupts) -> Result<(), Error> {
        self.phases.advance(Phase::Ready);
        let failed = tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, "shutting down");
                None
            }
            error = self.failures.recv() => error,
        };
        if let Some(error) = &failed {
            tracing::error!(%error, "shutting down");
        }
        self.phases.advance(Phase::Draining);
        if failed.is_none() && !self.linger.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.linger) => {}
                name = signals.next() => tracing::warn!(signal = name, "a second signal: not waiting for balancers to notice"),
            }
        }
        let drained = tokio::select! {
            drained = self.drain(deadline) => drained,
            name = signals.next() => {
                tracing::warn!(signal = name, "drain cut short by a second signal");
                Err(Error::Deadline { tasks: self.alive().collect() })
            }
        };
        self.abort();
        failed.map_or(drained, Err)
    }

    /// Cancels stage by stage; each waits for the one before.
    async fn drain(&mut self, deadline: Duration) -> Result<(), Error> {
        let until = Instant::now() + deadline;
        for stage in Stage::ALL {
            self.stages[stage.index()].cancel();
            for Running { task, handle } in self.tasks.iter_mut().filter(|running| running.task.stage == stage) {
                match task.on_cancel {
                    OnCancel::Abort => handle.abort(),
                    // Whoever is late shows below.
                    OnCancel::Finish => drop(timeout_at(until, handle).await),
                }
            }
        }
        let tasks: Vec<_> = self.alive().collect();
        if tasks.is_empty() {
            Ok(())
        } else {
            Err(Error::Deadline { tasks })
        }
    }

    fn alive(&self) -> impl Iterator<Item = &'static str> {
        let finishing = self
            .tasks
            .iter()
            .filter(|running| running.task.on_cancel == OnCancel::Finish);
        finishing
            .filter(|running| !running.handle.is_finished())
            .map(|running| running.task.name)
    }

    fn abort(&self) {
        self.tasks.iter().for_each(|running| running.handle.abort());
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.abort();
    }
}

/// Runs a task until its stage is over, as its declaration says.
async fn supervise(task: Task, cancel: Cancel, fatal: mpsc::Sender<Error>, mut make: Make) {
    loop {
        let result = contained(make()).await;
        if cancel.is_cancelled() {
            if let Err(error) = result {
                tracing::warn!(task = task.name, %error, "task failed while it was ending");
            }
            return;
        }
        match (task.on_failure, result) {
            (OnFailure::Report, Ok(())) => return,
            (OnFailure::Report, Err(error)) => {
                tracing::error!(task = task.name, %error, "task failed");
                return;
            }
            (OnFailure::Stop, result) => {
                let reason = result.err().unwrap_or_else(|| UNASKED.to_owned());
                // A full channel means that the process is ending for another reason.
                let _late = fatal.try_send(Error::Failed {
                    task: task.name,
                    reason,
                });
                return;
            }
            (OnFailure::Restart { after }, result) => {
                let error = result.err().unwrap_or_else(|| UNASKED.to_owned());
                tracing::error!(task = task.name, %error, "task failed; it will be restarted");
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(after) => {}
                }
            }
        }
    }
}

const UNASKED: &str = "it ended without being asked to";

/// Turns a panic of the task into its error.
async fn contained(mut task: BoxedTask) -> Result<(), String> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "panic".to_owned());
            Poll::Ready(Err(format!("panic: {text}")))
        }
    })
    .await
}

/// What asks a process to end; something else than signals in the tests of this module.
pub(crate) trait Interrupts {
    /// The name of the next signal.
    async fn next(&mut self) -> &'static str;
}

/// Those that tell a process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

impl Interrupts for Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    struct Scripted(mpsc::Receiver<&'static str>);

    impl Interrupts for Scripted {
        async fn next(&mut self) -> &'static str {
            match self.0.recv().await {
                Some(name) => name,
                None => std::future::pending().await,
            }
        }
    }

    fn task(name: &'static str, stage: Stage, on_failure: OnFailure) -> Task {
        Task {
            name,
            stage,
            on_cancel: OnCancel::Finish,
            on_failure,
        }
    }

    fn signals(names: &[&'static str]) -> Scripted {
        let (sender, receiver) = mpsc::channel(2);
        names.iter().for_each(|name| sender.try_send(*name).unwrap());
        Scripted(receiver)
    }

    #[tokio::test(start_paused = true)]
    async fn stages_end_in_order() {
        let phases = Phases::starting();
        let mut supervisor = Supervisor::new(phases.clone());
        let order = Arc::new(Mutex::new(Vec::new()));
        for (name, stage) in [
            ("store", Stage::Storage),
            ("pool", Stage::Work),
            ("listener", Stage::Edge),
        ] {
            let order = order.clone();
            supervisor.spawn(task(name, stage, OnFailure::Stop), move |cancel| {
                let order = order.clone();
                async move {
                    cancel.cancelled().await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    order.lock().unwrap().push(name);
                    Ok::<_, String>(())
                }
            });
        }
        supervisor
            .run_until(Duration::from_secs(5), &mut signals(&["SIGTERM"]))
            .await
            .unwrap();
        assert_eq!(*order.lock().unwrap(), ["listener", "pool", "store"]);
        assert_eq!(phases.current(), Phase::Draining);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_vital_task_ends_the_process_with_its_text() {
        let mut supervisor = Supervisor::new(Phases::starting());
        supervisor.spawn(task("pool", Stage::Work, OnFailure::Stop), |_| async {
            if true {
                panic!("a container");
            }
            Ok::<_, String>(())
        });
        let error = supervisor
            .run_until(Duration::from_secs(5), &mut signals(&[]))
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "task `pool` failed: panic: a container");
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarting_task_is_restarted_until_its_stage_ends() {
        let mut supervisor = Supervisor::new(Phases::starting());
        let starts = Arc::new(AtomicUsize::new(0));
        let counter = starts.clone();
        let (sender, receiver) = mpsc::channel(1);
        let again = OnFailure::Restart {
            after: Duration::from_secs(1),
        };
        supervisor.spawn(task("feed", Stage::Edge, again), move |_| {
            if counter.fetch_add(1, Ordering::Relaxed) == 2 {
                sender.try_send("SIGTERM").unwrap();
            }
            async { Err("broken") }
        });
        supervisor
            .run_until(Duration::from_secs(5), &mut Scripted(receiver))
            .await
            .unwrap();
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_end_is_named_at_the_deadline() {
        let mut supervisor = Supervisor::new(Phases::starting());
        supervisor.spawn(task("stuck", Stage::Work, OnFailure::Report), |_| {
            std::future::pending::<Result<(), String>>()
        });
        let error = supervisor
            .run_until(Duration::from_secs(5), &mut signals(&["SIGINT"]))
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the drain deadline passed while these were still running: stuck"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_while_balancers_notice() {
        let phases = Phases::starting();
        let mut supervisor = Supervisor::new(phases.clone());
        supervisor.linger(Duration::from_secs(3));
        supervisor.spawn(task("listener", Stage::Edge, OnFailure::Stop), |cancel| async move {
            cancel.cancelled().await;
            Ok::<_, String>(())
        });
        let edge = supervisor.cancel_token(Stage::Edge);
        let seen = tokio::spawn(async move {
            let began = Instant::now();
            phases.reached(Phase::Draining).await;
            edge.cancelled().await;
            began.elapsed()
        });
        supervisor
            .run_until(Duration::from_secs(5), &mut signals(&["SIGTERM"]))
            .await
            .unwrap();
        assert_eq!(seen.await.unwrap(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_cuts_the_drain_short() {
        let mut supervisor = Supervisor::new(Phases::starting());
        supervisor.spawn(task("slow", Stage::Work, OnFailure::Report), |_| {
            std::future::pending::<Result<(), String>>()
        });
        let before = Instant::now();
        let error = supervisor
            .run_until(Duration::from_secs(500), &mut signals(&["SIGINT", "SIGINT"]))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }));
        assert!(before.elapsed() < Duration::from_secs(500));
    }
}
