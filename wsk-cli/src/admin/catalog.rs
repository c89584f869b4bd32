//! `wskadmin catalog`: the packages of `/whisk.system`, on a cluster. The platform in one process installs them by itself.

use clap::{Args, Subcommand};
use serde_json::Value;
use wsk_catalog::{Answer, Api, NAMESPACE, Report};
use wsk_client::{Client, Config, Credentials};
use wsk_entities::{Namespace, SubjectDocument, SubjectNamespace};
use wsk_store::SubjectStore;

use super::keys::Key;
use super::{Refusal, Store};
use crate::output::Output;

#[derive(Debug, Args)]
pub struct Catalog {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the system packages or bring them up to date; what somebody changed is left alone
    Install(Install),
}

#[derive(Debug, Args)]
struct Install {
    /// Address of a gateway
    #[arg(long, value_name = "URL")]
    apihost: String,
    /// Key of the namespace whisk.system; without it the store is asked, and the namespace made where there is none
    #[arg(short = 'u', long, value_name = "UUID:KEY")]
    auth: Option<String>,
    /// Accept any server certificate
    #[arg(short, long)]
    insecure: bool,
}

/// The public API over HTTP.
struct Remote(Client);

impl Catalog {
    pub async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        let Command::Install(install) = self.command;
        install.run(store, out).await
    }
}

impl Install {
    async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        let key = match self.auth {
            Some(key) => key,
            None => system_key(&*store.open(Some(out)).await?.subjects).await?,
        };
        let config = Config {
            host: self.apihost,
            credentials: Some(Credentials::new(key)),
            insecure: self.insecure,
            ..Config::default()
        };
        let failed = |error: &dyn std::fmt::Display| Refusal::failed("install the system catalog", error);
        let client = Client::new(config).map_err(|error| failed(&error))?;
        let report = wsk_catalog::install(&Remote(client), &wsk_catalog::catalog()).await;
        Ok(told(&report.map_err(|error| failed(&error))?))
    }
}

/// The key of the catalog's namespace, whose owner is made where there is none.
async fn system_key(subjects: &dyn SubjectStore) -> Result<String, Refusal> {
    let failed = |error: wsk_store::Error| Refusal::failed("find the owner of whisk.system", error);
    let name = Namespace::new(NAMESPACE).map_err(|error| Refusal::new(error.to_string()))?;
    if let Some(owner) = subjects.by_namespace(&name).await.map_err(failed)? {
        return Ok(owner.authkey.api_key.to_string());
    }
    let key = Key::random();
    let document = SubjectDocument {
        subject: NAMESPACE.to_owned(),
        namespaces: vec![SubjectNamespace {
            name,
            uuid: key.uuid.clone(),
            key: key.key.clone(),
        }],
        blocked: false,
    };
    subjects.put_subject(&document).await.map_err(failed)?;
    Ok(key.to_string())
}

/// What was done, a line for each kind of it.
fn told(report: &Report) -> String {
    let list = |what: &str, names: &[String]| match names {
        [] => None,
        names => Some(format!("{what}: {}", names.join(", "))),
    };
    let lines: Vec<String> = [
        list("installed", &report.installed),
        list("updated", &report.updated),
        list("left alone, because somebody changed them", &report.kept),
        list(
            "not installed, because the platform offers no kind that runs them",
            &report.unsupported,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    match lines.is_empty() {
        true => "The system catalog is current.".to_owned(),
        false => lines.join("\n"),
    }
}

impl Api for Remote {
    async fn call(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let answer = self.0.ask(method, path, body).await;
        let (status, body) = answer.map_err(|error| error.to_string())?;
        Ok(Answer { status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told() {
        assert_eq!(told(&Report::default()), "The system catalog is current.");
        let report = Report {
            installed: vec!["utils".to_owned(), "utils/echo".to_owned()],
            kept: vec!["slack/post".to_owned()],
            ..Report::default()
        };
        assert_eq!(
            told(&report),
            "installed: utils, utils/echo\nleft alone, because somebody changed them: slack/post"
        );
    }

    #[tokio::test]
    async fn the_owner_of_the_namespace_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = wsk_store::EmbeddedConfig::in_folder(folder.path());
        let stores = wsk_store::open(&wsk_store::Config::Embedded(config)).await.unwrap();
        let first = system_key(&*stores.subjects).await.unwrap();
        assert_eq!(system_key(&*stores.subjects).await.unwrap(), first);
        assert!(first.contains(':'), "{first}");
    }
}
