//! A store of records that fails as a test tells it to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use wsk_entities::{Activation, ActivationId, ActivationSummary, Namespace, Timestamp};

use crate::{ActivationFilter, ActivationStore, Error, Page};

/// Records behind a store that can be away, and that can refuse some of them for good.
pub struct Faulty {
    inner: Arc<dyn ActivationStore>,
    away: AtomicBool,
    refused: Mutex<Option<String>>,
}

impl Faulty {
    pub fn around(inner: Arc<dyn ActivationStore>) -> Faulty {
        Faulty {
            inner,
            away: AtomicBool::new(false),
            refused: Mutex::new(None),
        }
    }

    /// Whether it cannot be reached from now on.
    pub fn go_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// From now on refuses records whose result has this text in it, or whose action is called so; those that come with them are stored.
    pub fn refuse(&self, text: &str) {
        *self.refused.lock().expect("no panic under this lock") = Some(text.to_owned());
    }

    fn there(&self) -> Result<&dyn ActivationStore, Error> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::Unavailable("the test says so".to_owned())),
            false => Ok(&*self.inner),
        }
    }

    fn refuses(&self, record: &Activation) -> bool {
        let refused = self.refused.lock().expect("no panic under this lock");
        let result = record.response.result.as_str();
        refused
            .as_ref()
            .is_some_and(|text| result.contains(text) || record.name.as_str() == text)
    }
}

#[async_trait]
impl ActivationStore for Faulty {
    async fn store(&self, records: Vec<Arc<Activation>>) -> Result<(), Error> {
        let (refused, taken): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| self.refuses(record));
        self.there()?.store(taken).await?;
        match refused.first() {
            Some(record) => Err(Error::Unusable(format!(
                "{} is refused by a test",
                record.activation_id
            ))),
            None => Ok(()),
        }
    }

    async fn get(&self, namespace: &Namespace, id: ActivationId) -> Result<Option<Activation>, Error> {
        self.there()?.get(namespace, id).await
    }

    async fn summaries(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<ActivationSummary>, Error> {
        self.there()?.summaries(namespace, filter, page).await
    }

    async fn records(
        &self,
        namespace: &Namespace,
        filter: &ActivationFilter,
        page: Page,
    ) -> Result<Vec<Activation>, Error> {
        self.there()?.records(namespace, filter, page).await
    }

    async fn count(&self, namespace: &Namespace, filter: &ActivationFilter) -> Result<u64, Error> {
        self.there()?.count(namespace, filter).await
    }

    async fn exists(&self, namespace: &Namespace, id: ActivationId) -> Result<bool, Error> {
        self.there()?.exists(namespace, id).await
    }

    async fn retain(&self, now: Timestamp) -> Result<u64, Error> {
        self.there()?.retain(now).await
    }
}
