//! Reading activation records.

use wsk_entities::{Activation, ActivationId, ActivationSummary, Namespace};
use wsk_store::{ActivationFilter, Page};

use super::{App, Caller, Error};

impl App {
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
