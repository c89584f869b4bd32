//! Activation records.

use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::collection::into_items;
use crate::transport::parse;
use crate::{Client, Page, Result};

/// Which records a list is about.
#[derive(Clone, Debug)]
pub struct ActivationQuery {
    pub page: Page,
    /// `action` or `package/action`; empty means all.
    pub name: String,
    /// Only records that started at or after this time, in ms since the epoch; 0 means no bound.
    pub since: i64,
    /// Only records that started at or before this time, in ms since the epoch; 0 means no bound.
    pub upto: i64,
    /// Whole records instead of summaries.
    pub docs: bool,
}

/// What a cancellation came to.
#[derive(Clone, Debug)]
pub enum Cancelled {
    /// The activation has ended; its record.
    Ended(Value),
    /// It is going to end.
    Accepted,
}

impl ActivationQuery {
    /// Query members that are set, in alphabetical order.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.docs {
            pairs.push(("docs", "true".to_owned()));
        }
        pairs.push(("limit", self.page.limit.to_string()));
        if !self.name.is_empty() {
            pairs.push(("name", self.name.clone()));
        }
        if self.since != 0 {
            pairs.push(("since", self.since.to_string()));
        }
        pairs.push(("skip", self.page.skip.to_string()));
        if self.upto != 0 {
            pairs.push(("upto", self.upto.to_string()));
        }
        pairs
    }
}

impl Client {
    /// Records of a namespace, newest first.
    pub async fn activations(&self, namespace: &str, query: &ActivationQuery) -> Result<Vec<Value>> {
        let call = self.call(Method::GET, namespace, "activations", &query.pairs());
        self.document(call).await.map(into_items)
    }

    /// One whole record.
    pub async fn activation(&self, namespace: &str, id: &str) -> Result<Value> {
        self.document(self.call(Method::GET, namespace, &format!("activations/{id}"), &[]))
            .await
    }

    /// Ends an activation that is pending or running.
    pub async fn cancel_activation(&self, namespace: &str, id: &str) -> Result<Cancelled> {
        let call = self.call(Method::DELETE, namespace, &format!("activations/{id}"), &[]);
        let answer = self.succeed(call).await?;
        match answer.status {
            StatusCode::ACCEPTED => Ok(Cancelled::Accepted),
            _ => parse(&answer.body).map(Cancelled::Ended),
        }
    }

    /// The log lines of one record.
    pub async fn activation_logs(&self, namespace: &str, id: &str) -> Result<Vec<String>> {
        let document = self
            .document(self.call(Method::GET, namespace, &format!("activations/{id}/logs"), &[]))
            .await?;
        let lines = document
            .get("logs")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        Ok(lines
            .into_iter()
            .map(|line| line.as_str().map_or_else(|| line.to_string(), str::to_owned))
            .collect())
    }

    /// The response of one record: `result`, `status`, `success`.
    pub async fn activation_result(&self, namespace: &str, id: &str) -> Result<Value> {
        self.document(self.call(Method::GET, namespace, &format!("activations/{id}/result"), &[]))
            .await
    }
}
