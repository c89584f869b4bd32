//! What the bus has taken but not kept yet, while somebody waits for its answer; and what is done to its end whoever waits.
//!
//! A bus that is a log of its own may say only later that a message did not get there: it was too large for the brokers, or
//! they did not answer in time. Whoever waits is told at once. Invariant: what such an activation holds is given back,
//! also when nobody waits any more, and it does not count against the invoker that never saw it.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinError;
use wsk_bus::Receipt;
use wsk_entities::ActivationId;
use wsk_service::clock;
use wsk_service::telemetry::trace;

use super::invoke::{refused, unavailable};
use super::{App, Error};

/// A published activation whose message may yet be lost. Dropping this is hanging up.
pub(super) struct Underway<'a> {
    app: &'a Arc<App>,
    id: ActivationId,
    /// None once it does not matter any more.
    receipt: Option<Receipt>,
}

impl App {
    /// The message of an activation did not get there: what it held is free.
    pub(super) fn lost(&self, id: ActivationId, error: wsk_bus::Error) -> Error {
        tracing::warn!(activation_id = %id, %error, "an activation did not reach its invoker");
        self.work.flights.cancel(id);
        refused(error)
    }
}

impl<'a> Underway<'a> {
    pub fn new(app: &'a Arc<App>, id: ActivationId, receipt: Receipt) -> Underway<'a> {
        Underway {
            app,
            id,
            receipt: Some(receipt),
        }
    }

    /// Waits until the message turns out to be lost; for ever where it does not. Cancel-safe.
    pub async fn lost(&self) -> wsk_bus::Error {
        match &self.receipt {
            Some(receipt) => receipt.lost().await,
            None => std::future::pending().await,
        }
    }

    /// There was an answer, so the message had arrived.
    pub fn answered(mut self) {
        self.receipt = None;
    }

    /// The message is lost: what its activation held is free.
    pub fn end(mut self, error: wsk_bus::Error) -> Error {
        self.receipt = None;
        self.app.lost(self.id, error)
    }

    /// Makes the message outlive this process.
    ///
    /// # Errors
    /// As for a durable publish.
    pub async fn persist(self) -> Result<(), Error> {
        let Some(receipt) = &self.receipt else { return Ok(()) };
        if let Err(error) = receipt.arrived().await {
            return Err(self.end(error));
        }
        let persisted = receipt.persist().await.map_err(unavailable);
        self.answered();
        persisted
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let Some(receipt) = self.receipt.take().filter(Receipt::is_on_its_way) else {
            return;
        };
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (app, id) = (self.app.clone(), self.id);
        clock::spawn(async move {
            if let Err(error) = receipt.arrived().await {
                drop(Underway::new(&app, id, receipt).end(error));
            }
        });
    }
}

/// Does what must not be left half done, whether or not whoever waits for it goes away.
pub(super) async fn to_the_end<T: Send + 'static>(
    task: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (done, outcome) = oneshot::channel();
    let task = trace::inherit(task);
    let ended = clock::spawn(async move {
        // Whoever waited may be gone.
        let _ = done.send(task.await);
    });
    match ended.await.map_err(JoinError::try_into_panic) {
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Ok(()) | Err(Err(_)) => outcome
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable("the process ends".into()))),
    }
}
