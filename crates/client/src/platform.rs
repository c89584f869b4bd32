//! What the platform says about itself.

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::call::Call;
use crate::{Client, Result};

/// Identity of the platform's build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    pub build: String,
    pub number: String,
}

impl Client {
    /// Namespaces the key opens.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let path = format!("/api/{}/namespaces", self.config().version());
        let document = self.document(Call::absolute(Method::GET, path, &[])).await?;
        let names = document.as_array().cloned().unwrap_or_default();
        Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Build of the API, without a key.
    pub async fn build_info(&self) -> Result<BuildInfo> {
        let path = format!("/api/{}", self.config().version());
        let document = self
            .document(Call::absolute(Method::GET, path, &[]).anonymous())
            .await?;
        let text = |name: &str| match document.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        Ok(BuildInfo {
            build: text("build"),
            number: text("buildno"),
        })
    }

    /// The information document at `/`: limits and runtimes.
    pub async fn information(&self) -> Result<Value> {
        self.document(Call::absolute(Method::GET, "/".to_owned(), &[]).anonymous())
            .await
    }

    /// Any request, for a caller with a protocol of its own on top: the status, whatever it is, and the body, `null` where that
    /// is no JSON. `path` is below the host, and escaped.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let method = method.parse().unwrap_or(Method::GET);
        let call = Call::absolute(method, path.to_owned(), &[]);
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        let answer = self.send(call).await?;
        Ok((
            answer.status.as_u16(),
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        ))
    }

    /// A file the platform hands out below its root.
    pub async fn download(&self, file: &str) -> Result<Bytes> {
        let answer = self
            .succeed(Call::absolute(Method::GET, format!("/{file}"), &[]).anonymous())
            .await?;
        Ok(answer.body)
    }
}
