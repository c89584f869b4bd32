//! Actions, triggers, rules and packages: what all four collections share.

use hyper::Method;
use serde_json::{Value, json};

use crate::{Client, Result};

/// One collection of one namespace.
#[derive(Clone, Copy)]
pub struct Collection<'c> {
    client: &'c Client,
    namespace: &'c str,
    segment: &'static str,
}

/// A window into a list. `limit` 0 asks for as many as the platform gives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub limit: i64,
    pub skip: i64,
}

/// Whether a put may replace what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    Yes,
    No,
}

/// Whether an action is fetched with its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    With,
    Without,
}

/// The two states of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    Active,
    Inactive,
}

impl Page {
    /// As many as the platform gives at once.
    pub const ALL: Self = Self { limit: 0, skip: 0 };

    fn query(self) -> [(&'static str, String); 2] {
        [("limit", self.limit.to_string()), ("skip", self.skip.to_string())]
    }
}

impl Client {
    /// The actions of a namespace; names may be `package/action`.
    pub fn actions<'c>(&'c self, namespace: &'c str) -> Collection<'c> {
        Collection {
            client: self,
            namespace,
            segment: "actions",
        }
    }

    /// The triggers of a namespace.
    pub fn triggers<'c>(&'c self, namespace: &'c str) -> Collection<'c> {
        Collection {
            client: self,
            namespace,
            segment: "triggers",
        }
    }

    /// The rules of a namespace.
    pub fn rules<'c>(&'c self, namespace: &'c str) -> Collection<'c> {
        Collection {
            client: self,
            namespace,
            segment: "rules",
        }
    }

    /// The packages of a namespace.
    pub fn packages<'c>(&'c self, namespace: &'c str) -> Collection<'c> {
        Collection {
            client: self,
            namespace,
            segment: "packages",
        }
    }

    /// An action, with or without its code.
    pub async fn action(&self, namespace: &str, name: &str, code: Code) -> Result<Value> {
        let query = [("code", (code == Code::With).to_string())];
        self.document(self.call(Method::GET, namespace, &format!("actions/{name}"), &query))
            .await
    }

    /// The actions of one package.
    pub async fn actions_in(&self, namespace: &str, package: &str, page: Page) -> Result<Vec<Value>> {
        let call = self.call(Method::GET, namespace, &format!("actions/{package}/"), &page.query());
        self.document(call).await.map(into_items)
    }

    /// Switches a rule on or off.
    pub async fn set_rule_state(&self, namespace: &str, rule: &str, state: RuleState) -> Result<()> {
        let status = match state {
            RuleState::Active => "active",
            RuleState::Inactive => "inactive",
        };
        let body = json!({ "status": status, "trigger": null, "action": null });
        self.succeed(
            self.call(Method::POST, namespace, &format!("rules/{rule}"), &[])
                .json(&body),
        )
        .await?;
        Ok(())
    }

    /// Asks the platform to bring bindings up to date: the names `added`, `updated` and `deleted`.
    pub async fn refresh_packages(&self, namespace: &str) -> Result<Value> {
        self.document(self.call(Method::POST, namespace, "packages/refresh", &[]))
            .await
    }
}

impl Collection<'_> {
    /// A page of the list, as summaries.
    pub async fn list(&self, page: Page) -> Result<Vec<Value>> {
        let call = self
            .client
            .call(Method::GET, self.namespace, self.segment, &page.query());
        self.client.document(call).await.map(into_items)
    }

    /// The whole document.
    pub async fn get(&self, name: &str) -> Result<Value> {
        self.client
            .document(self.client.call(Method::GET, self.namespace, &self.path(name), &[]))
            .await
    }

    /// Creates, or replaces when `overwrite` allows; gives the stored document.
    pub async fn put(&self, name: &str, overwrite: Overwrite, body: &Value) -> Result<Value> {
        let query = [("overwrite", (overwrite == Overwrite::Yes).to_string())];
        self.client
            .document(
                self.client
                    .call(Method::PUT, self.namespace, &self.path(name), &query)
                    .json(body),
            )
            .await
    }

    /// Deletes.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.client
            .succeed(self.client.call(Method::DELETE, self.namespace, &self.path(name), &[]))
            .await?;
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.segment)
    }
}

pub(crate) fn into_items(document: Value) -> Vec<Value> {
    match document {
        Value::Array(items) => items,
        other => vec![other],
    }
}
