//! The records as CouchDB has them: all of them can be asked for at once, whatever the API shows.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// The database of activations.
pub struct Database {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Records, or ids, asked for at a time.
const TOGETHER: usize = 500;
const PAGE: usize = 5000;
const NAMESPACE: &str = "guest";

/// How often a document was written: a revision is `N-DIGEST`, and each write counts on.
fn writes(row: &Value) -> Option<u32> {
    let (count, _) = row.pointer("/value/rev")?.as_str()?.split_once('-')?;
    count.parse().ok()
}

impl Database {
    pub fn new(couchdb: &str, prefix: &str) -> Database {
        Database {
            url: format!("{}/{prefix}activations", couchdb.trim_end_matches('/')),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The records of these ids, none where there is none.
    pub async fn records(&self, ids: &[String]) -> Result<Vec<(String, Option<Value>)>> {
        let mut found = Vec::with_capacity(ids.len());
        for group in ids.chunks(TOGETHER) {
            let keys: Vec<String> = group.iter().map(|id| format!("{NAMESPACE}/{id}")).collect();
            let body = json!({ "keys": keys }).to_string();
            let rows = self.rows(Method::POST, "include_docs=true", body).await?;
            if rows.len() != group.len() {
                bail!("{} rows for {} keys", rows.len(), group.len());
            }
            for (id, mut row) in group.iter().zip(rows) {
                let record = row.get_mut("doc").map(Value::take).filter(|doc| !doc.is_null());
                found.push((id.clone(), record));
            }
        }
        Ok(found)
    }

    /// The ids of all records, in the order of the names of the documents, with how often each was written.
    pub async fn ids(&self) -> Result<Vec<(String, u32)>> {
        let (mut found, mut start) = (Vec::new(), format!("{NAMESPACE}/"));
        loop {
            let query = format!("limit={PAGE}&startkey=%22{}%22", start.replace('/', "%2F"));
            let rows = self.rows(Method::GET, &query, String::new()).await?;
            let named: Vec<(&str, &Value)> = rows
                .iter()
                .filter_map(|row| Some((row.get("id")?.as_str()?, row)))
                .collect();
            // Each page begins with what the one before it ended with.
            let news = named.iter().filter(|(name, _)| *name != start);
            for (name, row) in news.clone() {
                if let Some(id) = name.strip_prefix(NAMESPACE).and_then(|rest| rest.strip_prefix('/')) {
                    found.push((
                        id.to_owned(),
                        writes(row).with_context(|| format!("the revision of {name}"))?,
                    ));
                }
            }
            match named.last() {
                Some((last, _)) if news.count() > 0 => start = (*last).to_owned(),
                Some(_) | None => return Ok(found),
            }
        }
    }

    async fn rows(&self, method: Method, query: &str, body: String) -> Result<Vec<Value>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/_all_docs?{query}", self.url))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let mut body: Value = serde_json::from_slice(&body).context("an answer of CouchDB")?;
        match body.get_mut("rows").map(Value::take) {
            Some(Value::Array(rows)) if status.is_success() => Ok(rows),
            _ => bail!("CouchDB answered {status}: {body}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_counts_the_writes() {
        assert_eq!(
            writes(&json!({ "id": "guest/a", "value": { "rev": "12-abc" } })),
            Some(12)
        );
        assert_eq!(writes(&json!({ "id": "guest/a" })), None);
    }
}
