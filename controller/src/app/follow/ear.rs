//! Hearing what is told about one activation.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use wsk_bus::messages::Printed;
use wsk_entities::{ActivationId, Namespace};

use super::WAITING;
use crate::app::App;

/// Hears what comes on this controller's topic about one activation, until it is dropped.
pub(super) struct Ear {
    app: Arc<App>,
    namespace: Namespace,
    id: ActivationId,
    /// None while it is dropped.
    feed: Option<broadcast::Receiver<Arc<Printed>>>,
}

impl Ear {
    pub fn new(app: &Arc<App>, namespace: &Namespace, id: ActivationId) -> Ear {
        let table = &app.work.feeds.table;
        let feed = table
            .entry(id)
            .or_insert_with(|| broadcast::Sender::new(WAITING))
            .subscribe();
        Ear {
            app: app.clone(),
            namespace: namespace.clone(),
            id,
            feed: Some(feed),
        }
    }

    /// What comes next. Errors: something was missed.
    pub async fn hear(&mut self) -> Result<Arc<Printed>, RecvError> {
        let feed = self.feed.as_mut().expect("it is there until the end");
        loop {
            let printed = feed.recv().await?;
            // Whoever knows an id learns nothing of what others hear about it.
            if printed.namespace.as_ref().is_none_or(|whose| *whose == self.namespace) {
                return Ok(printed);
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.feed = None;
        let table = &self.app.work.feeds.table;
        table.remove_if(&self.id, |_, sender| sender.receiver_count() == 0);
    }
}
