//! Reading activation records.

use std::sync::Arc;

use wsk_entities::{Activation, ActivationId, ActivationSummary, FullName, Namespace};
use wsk_store::{ActivationFilter, Page};

use super::{App, Caller, Error};

/// An activation that was accepted and has no record yet.
#[derive(Debug)]
pub struct UnderWay {
    pub action: FullName,
    pub state: State,
}

/// How far an activation without record is known to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was accepted, and nobody says that it runs.
    Pending,
    /// Its code is at work in a container; or it is a composition.
    Running,
}

impl State {
    pub fn text(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
        }
    }
}

impl UnderWay {
    pub(super) fn of(action: FullName, running: bool) -> UnderWay {
        let state = if running { State::Running } else { State::Pending };
        UnderWay { action, state }
    }
}

impl App {
    /// How far an activation of the caller's is that has no record yet; an opt-in of ours, which asks invokers. None when
    /// nobody knows of it.
    ///
    /// # Errors
    /// 429 when the namespace asks too many at a time.
    pub async fn under_way(self: &Arc<App>, caller: &Caller, id: ActivationId) -> Result<Option<UnderWay>, Error> {
        self.seen(caller.namespace(), id).await
    }

    /// The record of an activation of the caller's namespace.
    ///
    /// # Errors
    /// 403 for a foreign namespace, 404 where there is no record (yet).
    pub async fn activation(
        &self,
        caller: &Caller,
        namespace: &Namespace,
        id: ActivationId,
    ) -> Result<Activation, Error> {
        if !caller.owns(namespace) {
            return Err(Error::Forbidden(format!("{namespace}/{id}")));
        }
        self.activations.get(namespace, id).await?.ok_or(Error::Missing)
    }

    pub async fn activation_summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, Error> {
        Ok(self.activations.summaries(namespace, filter, page).await?)
    }

    pub async fn activation_records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, Error> {
        Ok(self.activations.records(namespace, filter, page).await?)
    }

    pub async fn activation_count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, Error> {
        Ok(self.activations.count(namespace, filter).await?)
    }
}
