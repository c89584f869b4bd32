//! CouchDB 3, in the databases, documents, design documents and views of OpenWhisk: a database of the original can be used
//! as it is, and the original's tools read ours.
//!
//! [`client`] speaks HTTP, [`answer`] is what comes back, [`exact`] keeps what a JSON database would round, [`views`] are the
//! design documents; [`gather`] makes one request of what many callers ask, [`bulk`] says which; the other modules are one seam
//! each. HTTP and HTTPS without a driver: `couch_rs` takes no authority of an
//! operator's for the latter, and its typed documents know neither attachments nor numbers beyond 64 bits, nor the answers of
//! a bulk write one by one.
//!
//! **Differences that an operator may see.** Code is always an attachment named `couch:...`, written with its document in one
//! request; `mem:...` of the original is read, and attachments of its early days, whose names do not say where they are. A
//! document that a JSON database would not give back to the digit carries its text as `ferrowhiskExact` as well. API routes have
//! a database of their own, `<prefix>apis`.

mod answer;
mod apis;
mod bulk;
mod client;
mod connection;
mod entities;
mod exact;
mod gather;
mod query;
mod records;
mod subjects;
mod views;

use std::sync::Arc;

use crate::{ApiStore, Error, Stores, metrics};
use client::{Client, Database};

/// The store on CouchDB.
#[derive(Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct Config {
    /// Address of the server, `http://host:5984` or `https://host:6984`.
    #[serde(serialize_with = "show_url")]
    pub url: String,
    /// The authorities that may have signed the certificate of a server at `https://...`, PEM; without it those of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<std::path::PathBuf>,
    /// User that may create databases and design documents, unless they are there.
    pub username: String,
    /// That user's password.
    #[serde(serialize_with = "hide")]
    pub password: String,
    /// What the names of the databases begin with; upstream's installations have names such as `whisk_local_`.
    pub prefix: String,
    /// Longest wait for one answer, in seconds.
    pub timeout_s: u64,
    /// Most records in one bulk write.
    pub batch: usize,
    /// Records older than this many milliseconds go; 0 keeps them.
    pub retain_ms: u64,
    /// Most records kept; 0 keeps all.
    pub retain_count: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            url: "http://127.0.0.1:5984".to_owned(),
            ca_file: None,
            username: String::new(),
            password: String::new(),
            prefix: "whisk_".to_owned(),
            timeout_s: 30,
            batch: 500,
            retain_ms: 7 * 24 * 60 * 60 * 1000,
            retain_count: 0,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("url", &without_password(&self.url))
            .field("username", &self.username)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn hide<S: serde::Serializer>(password: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if password.is_empty() { "" } else { "(secret)" })
}

fn show_url<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&without_password(url))
}

/// An address as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://(secret){}", &rest[at..]),
        None => url.to_owned(),
    }
}

/// Opens the databases, making those and the design documents that are not there.
pub(crate) async fn open(config: &Config) -> Result<(Stores, Arc<dyn ApiStore>), Error> {
    metrics::show();
    let client = Arc::new(Client::new(config)?);
    client.greet().await?;
    let database = |name: &str| Database::new(client.clone(), &format!("{}{name}", config.prefix));
    let whisks = database("whisks");
    let activations = database("activations");
    let subjects = database("subjects");
    let apis = database("apis");
    for (database, designs) in [
        (&whisks, views::WHISKS),
        (&activations, views::ACTIVATIONS),
        (&subjects, views::SUBJECTS),
        (&apis, &[]),
    ] {
        database.ensure().await?;
        database.ensure_format().await?;
        for design in designs {
            database.ensure_design(design).await?;
        }
    }
    client.taken();
    let stores = Stores {
        entities: Arc::new(entities::Entities::new(whisks)),
        subjects: Arc::new(subjects::Subjects::new(subjects)),
        activations: Arc::new(records::Records::new(activations, config)),
    };
    Ok((stores, Arc::new(apis::Apis::new(apis))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let config = Config {
            url: "https://whisk:hush@couch:6984/".to_owned(),
            password: "hush".to_owned(),
            ..Config::default()
        };
        let printed = serde_json::to_string(&config).unwrap();
        assert!(printed.contains("https://(secret)@couch:6984/"), "{printed}");
        assert!(
            !printed.contains("hush") && !format!("{config:?}").contains("hush"),
            "{printed}"
        );
    }
}
