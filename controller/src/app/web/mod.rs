//! Web actions: an action that answers a browser, run as the owner of its namespace.
//!
//! Order of judgement as upstream's: the owner, the action and whether it is exported, the owner's throttles, the size of
//! the body, the preflight, the secret, then the body itself. Nothing here knows HTTP's types: `api::web` extracts and
//! shapes.

mod media;
mod reply;
mod request;
mod signature;

use std::sync::Arc;

use wsk_entities::{ActivationId, FullName, Json, TransactionId};

use super::{App, Caller, Error, ResolvedAction, Started, Wait};
pub use reply::{Answer, Entity, Extension, Unfit, answer};
pub use request::{Asked, Reading};
pub use signature::Signed;

/// An action that is exported to the web, with the identity it runs as.
#[derive(Debug)]
pub struct Exported {
    pub owner: Caller,
    pub target: Arc<ResolvedAction>,
}

/// How an exported action's run went.
#[derive(Debug)]
pub enum Ran {
    Answered(ActivationId, Result<Answer, Unfit>),
    /// It did not end within the wait.
    NotYet(ActivationId),
}

impl App {
    /// The exported action called `name`, paid for by its owner.
    ///
    /// # Errors
    /// [`Error::Missing`] for all that is not there or not exported, [`Error::Throttled`] for the owner's throttles.
    pub async fn exported(&self, name: &FullName, transid: &TransactionId) -> Result<Exported, Error> {
        let owner = self
            .identities
            .owner(name.namespace())
            .await
            .map_err(|e| Error::Unavailable(e.to_string()))?;
        let owner = Caller {
            identity: owner.ok_or(Error::Missing)?,
            transid: transid.clone(),
        };
        let target = match self.resolve_action(&owner, name).await {
            Err(Error::Forbidden(_)) => return Err(Error::Unauthorized),
            Err(Error::Conflict(_)) => return Err(Error::Missing),
            resolved => resolved?,
        };
        if !target.action.annotations.is_true("web-export") {
            return Err(Error::Missing);
        }
        self.charge_invocation(&owner)?;
        Ok(Exported { owner, target })
    }

    /// Runs an exported action and waits as long as a caller may.
    ///
    /// # Errors
    /// Those of reading the request and of an invocation.
    pub async fn run_exported(
        self: &Arc<App>,
        exported: &Exported,
        asked: Asked<'_>,
        extension: Extension,
    ) -> Result<Ran, Error> {
        let arguments = asked.arguments(exported.reading(), |name| exported.protects(name))?;
        let payload = Some(Json::from(&arguments));
        // What `final` protects was judged on what the client gave; the context is the platform's.
        match self
            .invoke_judged(&exported.owner, &exported.target, payload, Wait::LONGEST)
            .await?
        {
            Started::Accepted(id) => Ok(Ran::NotYet(id)),
            Started::Ended(record) => Ok(Ran::Answered(record.activation_id, answer(&record.response, extension))),
        }
    }
}

impl Exported {
    fn annotated(&self, key: &str) -> bool {
        self.target.action.annotations.is_true(key)
    }

    /// Whether the action answers `OPTIONS` itself and sets its own CORS headers.
    pub fn custom_options(&self) -> bool {
        self.annotated("web-custom-options")
    }

    fn reading(&self) -> Reading {
        if self.annotated("raw-http") {
            Reading::Raw
        } else {
            Reading::Parsed
        }
    }

    fn protects(&self, name: &str) -> bool {
        self.annotated("final") && self.target.parameters.bound().any(|bound| bound == name)
    }

    /// Whether a request was signed as the action demands of webhooks, if it does.
    pub fn trusts(&self, app: &App, signed: &Signed<'_>) -> bool {
        let Some(required) = self.target.action.annotations.get(signature::ANNOTATION) else {
            return true;
        };
        let parameters = app.opened(&self.target.parameters);
        parameters.is_some_and(|parameters| signed.satisfies(required, &parameters, super::now()))
    }

    /// Whether a request may run the action: `secret` is what it sent in `X-Require-Whisk-Auth`, `known` whether it came
    /// with a valid key.
    pub fn admits(&self, known: bool, secret: Option<&str>) -> bool {
        let Some(required) = self.target.action.annotations.get("require-whisk-auth") else {
            return true;
        };
        match required.as_str() {
            "false" => true,
            "true" => known,
            text if text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => secret == Some(text),
            _ => required
                .string()
                .is_some_and(|required| secret.is_some_and(|given| same(&required, given))),
        }
    }
}

/// Compares secrets in a time that does not tell how much of them agrees.
fn same(required: &str, given: &str) -> bool {
    let differing = required.bytes().zip(given.bytes()).fold(0, |acc, (a, b)| acc | (a ^ b));
    required.len() == given.len() && std::hint::black_box(differing) == 0
}
