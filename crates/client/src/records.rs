//! Activation records.

use hyper::Method;
use serde_json::Value;

use crate::collection::into_items;
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
