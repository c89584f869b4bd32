//! Running an action and firing a trigger.

use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::transport::parse;
use crate::{Client, Error, Result};

/// How long an invocation waits and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all; only the activation id comes back.
    No,
    /// Until the end, for the whole record.
    ForRecord,
    /// Until the end, for the bare result.
    ForResult,
}

/// How an invocation ended, as far as the caller waited.
#[derive(Debug)]
pub enum Invocation {
    /// Accepted; nobody waited.
    Accepted { id: String },
    /// The wait was over before the action was; it runs on.
    Unfinished { id: String },
    /// Success: the record or, if asked for, the bare result.
    Done(Value),
    /// The action failed: its record or its bare result, with the status that said so.
    Failed { status: u16, body: Value },
}

impl Client {
    /// Invokes an action with a JSON object of parameters.
    pub async fn invoke(&self, namespace: &str, name: &str, parameters: &Value, wait: Wait) -> Result<Invocation> {
        let query = [
            ("blocking", (wait != Wait::No).to_string()),
            ("result", (wait == Wait::ForResult).to_string()),
        ];
        let call = self
            .call(Method::POST, namespace, &format!("actions/{name}"), &query)
            .json(parameters);
        let answer = match self.succeed(call).await {
            Ok(answer) => answer,
            Err(Error::Application { status, body }) => return Ok(Invocation::Failed { status, body }),
            Err(error) => return Err(error),
        };
        let body = parse(&answer.body)?;
        match (wait, answer.status) {
            (Wait::No, _) => Ok(Invocation::Accepted {
                id: activation_id(&body),
            }),
            (_, StatusCode::ACCEPTED) => Ok(Invocation::Unfinished {
                id: activation_id(&body),
            }),
            // OpenWhisk's clients take a record that says "failed" under a 200 for a broken connection.
            (Wait::ForRecord, status) if body.pointer("/response/success") == Some(&Value::Bool(false)) => {
                Err(Error::Unexplained {
                    status: status.as_u16(),
                })
            }
            (Wait::ForRecord | Wait::ForResult, _) => Ok(Invocation::Done(body)),
        }
    }

    /// Fires a trigger; gives the activation id, or nothing when no active rule was there to run.
    pub async fn fire(&self, namespace: &str, trigger: &str, payload: &Value) -> Result<Option<String>> {
        let call = self
            .call(Method::POST, namespace, &format!("triggers/{trigger}"), &[])
            .json(payload);
        let answer = self.succeed(call).await?;
        if answer.body.is_empty() {
            return Ok(None);
        }
        Ok(Some(activation_id(&parse(&answer.body)?)))
    }
}

fn activation_id(body: &Value) -> String {
    body.get("activationId")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
