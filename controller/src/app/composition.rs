//! Running sequences and compositions: carries out what [`machine`] says, one activation at a time.
//!
//! A composition that nobody waits for is a promise from the start (see [`super::owed`]). One that somebody waits for runs
//! in memory, in a task of its own so that a caller who hangs up stops nothing; when the wait ends first, its state and
//! the message of the component under way are put on disk before the caller is told that it was accepted.

mod frame;
mod machine;
mod plot;
mod progress;
mod run;
mod step;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use wsk_bus::Durability;
use wsk_entities::{Action, Activation, Exec, Identity, Json, Parameters, StatusCode, StorePolicy, TransactionId};

use super::invoke::{Started, refused};
use super::owed::Owed;
use super::retry::Policy;
use super::wait::Wait;
use super::{App, Caller, Error, ResolvedAction};
pub use machine::Composition;
pub use progress::Progress;
pub use run::Run;

/// Longest wait until the record of a composition that has ended is safe, beyond its caller's own.
const SAFE: Duration = Duration::from_secs(30);

/// Whether an action is run by the controller, as a sequence or a composition.
pub fn is_composed(action: &Action) -> bool {
    is_sequence(action) || is_conductor(action)
}

/// Whether a record is kept: as the deployment says, unless the namespace's limits forbid it; always when the request
/// insists.
pub fn is_kept(identity: &Identity, transid: &TransactionId, policy: StorePolicy, status: StatusCode) -> bool {
    transid.extra_logging || identity.limits.store_activations != Some(false) && policy.keeps(status)
}

fn is_sequence(action: &Action) -> bool {
    matches!(action.exec, Exec::Sequence { .. })
}

fn is_conductor(action: &Action) -> bool {
    !is_sequence(action) && action.annotations.is_truthy("conductor", false)
}

impl App {
    /// Starts a sequence or composition, or an action that is run again when it fails.
    pub(super) async fn compose(
        self: &Arc<App>,
        caller: &Caller,
        target: &ResolvedAction,
        payload: Option<Json>,
        policy: Option<Policy>,
        wait: Wait,
    ) -> Result<Started, Error> {
        let mut progress = self.begin(caller, target, payload, policy).await?;
        progress.blocking = wait != Wait::No;
        let id = progress.machine.id();
        let Wait::UpTo(limit) = wait else {
            let message = Owed::Composition(Box::new(progress)).message();
            self.bus
                .publish(self.work.ledger.topic(), message, Durability::Durable)
                .await
                .map_err(refused)?;
            return Ok(Started::Accepted(id));
        };
        let run = Arc::new(Mutex::new(Run::awaited(progress)));
        let (sender, receiver) = oneshot::channel();
        self.work.spawn(self.clone().see_through(run.clone(), sender));
        self.await_end(&run, receiver, limit).await
    }

    /// Waits for a run, so long; then it is a promise. One that has ended by then needs a moment until its record is safe.
    async fn await_end(
        self: &Arc<App>,
        run: &Mutex<Run>,
        mut safe: oneshot::Receiver<Arc<Activation>>,
        limit: Duration,
    ) -> Result<Started, Error> {
        if let Ok(Ok(record)) = tokio::time::timeout(limit, &mut safe).await {
            return Ok(Started::Ended(record));
        }
        if let Some(accepted) = run.lock().await.accept(self).await? {
            return Ok(accepted);
        }
        match tokio::time::timeout(SAFE, safe).await {
            Ok(Ok(record)) => Ok(Started::Ended(record)),
            Ok(Err(_)) | Err(_) => Err(Error::Unavailable(
                "it has ended, and its record cannot be kept at the moment".into(),
            )),
        }
    }

    /// The first state of a composition.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        target: &ResolvedAction,
        payload: Option<Json>,
        policy: Option<Policy>,
    ) -> Result<Progress, Error> {
        if let Exec::Sequence { components } = &target.action.exec {
            self.may_use_actions(caller, components).await?;
        }
        let mut progress = Progress {
            identity: caller.identity.clone(),
            transid: caller.transid.clone(),
            machine: Composition::new(self.config.sequence_length),
            step: 0,
            pending: None,
            blocking: false,
            sealed: Parameters::new(),
        };
        // The name it was called by: through a binding when there was one.
        let called = match &target.binding {
            Some(binding) => binding.with(target.action.name.clone()),
            None => target.full_name(),
        };
        let id = self.chance.activation_id();
        match policy {
            Some(policy) => progress.enter_retry(id, called, target, payload, policy),
            None => progress.enter(id, called, target, payload),
        }
        Ok(progress)
    }

    async fn see_through(self: Arc<App>, run: Arc<Mutex<Run>>, waiter: oneshot::Sender<Arc<Activation>>) {
        let record = run::finish(&self, &run).await;
        let (id, terms, promise, last) = {
            let run = run.lock().await;
            (record.activation_id, run.terms(), run.is_promise(), run.step())
        };
        if terms.keep(&self.config, &record) {
            // What is on the ledger may still be read from there, and is known to have ended by its stored record alone. Of any
            // other, on a bus that is a log of its own, the record is safe before anybody has the answer, though nobody waits
            // for a disk.
            if promise || !self.promise(&record).await {
                self.keep(record.clone()).await;
            }
        }
        // Whoever waited may have gone away, or have been told that it runs on.
        let _ = waiter.send(record);
        self.work.ledger.close(id, last);
    }
}
