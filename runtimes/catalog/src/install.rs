//! Installs what is missing and brings up to date what nobody else changed.
//!
//! A package is written before its actions when it is new, with the record of all of them, and after them when it is not:
//! whatever is interrupted in between is found missing, or outdated, the next time.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::definition::items;
use crate::{Answer, Api, Definition, NAMESPACE, PackageDefinition, RECORD};

/// Pause between two looks for an invoker.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks before it is said that there is none.
const LOOKS: u32 = 1500;
/// Pause after a failure.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// The family of kinds that the catalog is written in.
const FAMILY: &str = "nodejs";

/// What an installation did. Names are those of packages, and `package/action`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub installed: Vec<String>,
    pub updated: Vec<String>,
    /// Outdated, but changed by somebody: left alone.
    pub kept: Vec<String>,
    /// Not installed, because the platform offers no kind that runs them.
    pub unsupported: Vec<String>,
}

/// Why the catalog is not installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Unreachable(String),
    #[error("{method} {path} was answered with status {status}: {text}")]
    Refused {
        method: &'static str,
        path: String,
        status: u16,
        text: String,
    },
}

/// One package at work.
struct Visit<'a, A> {
    api: &'a A,
    definition: &'a PackageDefinition,
    path: String,
    report: &'a mut Report,
}

/// What the annotation of a package says.
#[derive(Debug, Clone, Default, PartialEq)]
struct Record {
    package: Option<String>,
    actions: Map<String, Value>,
}

/// Waits for an invoker and installs the catalog, again after each failure until it is there. Ends then.
pub async fn keep(api: &impl Api, catalog: Vec<PackageDefinition>) {
    wait_for_an_invoker(api).await;
    loop {
        match install(api, &catalog).await {
            Ok(report) => return report.tell(),
            Err(error) => tracing::warn!(%error, "the system catalog is not installed yet; it will be tried again"),
        }
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

async fn wait_for_an_invoker(api: &impl Api) {
    for look in 1.. {
        match api.call("GET", "/invokers/healthy/count", None).await {
            Ok(Answer { status: 200, body }) if body.as_u64().is_some_and(|healthy| healthy > 0) => return,
            Ok(_) | Err(_) => {}
        }
        if look == LOOKS {
            tracing::warn!("no invoker is healthy yet: the system catalog waits for one");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Compares the catalog with what is there, and writes what differs. Nothing is written when all is current.
///
/// # Errors
/// The first refusal or failure; what was written until then stays, and another call goes on from there.
pub async fn install(api: &impl Api, catalog: &[PackageDefinition]) -> Result<Report, Error> {
    let mut report = Report::default();
    let kind = offered_kind(api).await?;
    for definition in catalog {
        let visit = Visit {
            api,
            definition,
            path: format!("/api/v1/namespaces/{NAMESPACE}/packages/{}", definition.name),
            report: &mut report,
        };
        visit.run(kind.as_deref()).await?;
    }
    Ok(report)
}

/// The default kind of our family; none when the platform does not offer the family.
async fn offered_kind(api: &impl Api) -> Result<Option<String>, Error> {
    let platform = get(api, "/").await?.unwrap_or_default();
    let kinds = items(&platform["runtimes"], FAMILY);
    let kind = kinds.iter().find(|kind| kind["default"] == true).or(kinds.first());
    Ok(kind.and_then(|kind| kind["kind"].as_str()).map(ToOwned::to_owned))
}

impl<A: Api> Visit<'_, A> {
    async fn run(mut self, kind: Option<&str>) -> Result<(), Error> {
        let stored = get(self.api, &self.path).await?;
        let (stored, mut record) = match stored {
            Some(stored) => {
                let record = Record::of(&stored);
                (stored, record)
            }
            None => self.create(kind).await?,
        };
        let before = record.clone();
        for action in &self.definition.actions {
            let present = ["actions", "feeds"]
                .iter()
                .any(|list| items(&stored, list).iter().any(|found| found["name"] == action.name));
            self.action(action, kind, present, &mut record).await?;
        }
        self.settle(&stored, &before, record).await
    }

    /// A new package; what is to be in it is on its record already.
    async fn create(&mut self, kind: Option<&str>) -> Result<(Value, Record), Error> {
        let digests = kind.map(|kind| {
            let actions = self.definition.actions.iter();
            actions
                .map(|action| (action.name.to_owned(), action.digest(kind).into()))
                .collect()
        });
        let record = Record {
            package: Some(self.definition.digest()),
            actions: digests.unwrap_or_default(),
        };
        let body = self.definition.body(record.annotation());
        let made = put(self.api, &self.path, Overwrite::No, &body).await?;
        self.report.installed.push(self.definition.name.to_owned());
        Ok((made, record))
    }

    async fn action(
        &mut self,
        action: &Definition,
        kind: Option<&str>,
        present: bool,
        record: &mut Record,
    ) -> Result<(), Error> {
        let shown = format!("{}/{}", self.definition.name, action.name);
        let Some(kind) = kind else {
            if !present {
                self.report.unsupported.push(shown);
            }
            return Ok(());
        };
        let (wanted, recorded) = (action.digest(kind), record.actions.get(action.name).cloned());
        if present && recorded.as_ref().is_some_and(|recorded| *recorded == wanted) {
            return Ok(());
        }
        let path = format!("/api/v1/namespaces/{NAMESPACE}/actions/{shown}");
        let stored = match present {
            true => get(self.api, &format!("{path}?code=true")).await?,
            false => None,
        };
        match &stored {
            None => {
                put(self.api, &path, Overwrite::No, &action.body(kind, None)).await?;
                self.report.installed.push(shown);
            }
            Some(found) => {
                let is = Value::from(Definition::digest_of(found));
                if is != wanted {
                    if recorded != Some(is) {
                        self.report.kept.push(shown);
                        return Ok(());
                    }
                    put(self.api, &path, Overwrite::Yes, &action.body(kind, stored.as_ref())).await?;
                    self.report.updated.push(shown);
                }
            }
        }
        record.actions.insert(action.name.to_owned(), wanted.into());
        Ok(())
    }

    /// Brings the package itself up to date, and its record.
    async fn settle(self, stored: &Value, before: &Record, mut record: Record) -> Result<(), Error> {
        let wanted = self.definition.digest();
        let mut outdated = false;
        if record.package.as_ref() != Some(&wanted) {
            let is = PackageDefinition::digest_of(stored, RECORD);
            if is == wanted || record.package == Some(is.clone()) {
                outdated = is != wanted;
                record.package = Some(wanted);
            } else {
                self.report.kept.push(self.definition.name.to_owned());
            }
        }
        if record == *before {
            return Ok(());
        }
        let body = match outdated {
            true => self.definition.body(record.annotation()),
            false => {
                let annotations = items(stored, "annotations").iter().filter(|a| a["key"] != RECORD);
                let annotations: Vec<Value> = annotations.cloned().chain([record.annotation()]).collect();
                json!({ "annotations": annotations })
            }
        };
        put(self.api, &self.path, Overwrite::Yes, &body).await?;
        if outdated {
            self.report.updated.push(self.definition.name.to_owned());
        }
        Ok(())
    }
}

impl Record {
    fn of(package: &Value) -> Record {
        let annotation = items(package, "annotations").iter().find(|a| a["key"] == RECORD);
        let Some(record) = annotation.map(|annotation| &annotation["value"]) else {
            return Record::default();
        };
        Record {
            package: record["package"].as_str().map(ToOwned::to_owned),
            actions: record["actions"].as_object().cloned().unwrap_or_default(),
        }
    }

    fn annotation(&self) -> Value {
        json!({ "key": RECORD, "value": { "package": self.package, "actions": self.actions } })
    }
}

impl Report {
    /// Writes to the log what an operator should know.
    fn tell(&self) {
        for name in &self.kept {
            tracing::warn!(
                entity = format!("/{NAMESPACE}/{name}"),
                "this part of the system catalog was changed and is left alone, though there is a newer one; delete it to have that"
            );
        }
        if !self.unsupported.is_empty() {
            tracing::warn!(
                kind = FAMILY,
                actions = self.unsupported.len(),
                "the platform does not offer the kind of the system catalog's actions: they are not installed"
            );
        }
        if !(self.installed.is_empty() && self.updated.is_empty()) {
            let (installed, updated) = (self.installed.len(), self.updated.len());
            tracing::info!(installed, updated, "the system catalog is installed");
        }
    }
}

/// Whether a PUT may replace something.
#[derive(Clone, Copy)]
enum Overwrite {
    Yes,
    No,
}

async fn get(api: &impl Api, path: &str) -> Result<Option<Value>, Error> {
    let answer = api.call("GET", path, None).await.map_err(Error::Unreachable)?;
    match answer.status {
        404 => Ok(None),
        _ => accepted("GET", path, answer).map(Some),
    }
}

async fn put(api: &impl Api, path: &str, overwrite: Overwrite, body: &Value) -> Result<Value, Error> {
    let path = match overwrite {
        Overwrite::Yes => format!("{path}?overwrite=true"),
        Overwrite::No => path.to_owned(),
    };
    let answer = api.call("PUT", &path, Some(body)).await.map_err(Error::Unreachable)?;
    accepted("PUT", &path, answer)
}

fn accepted(method: &'static str, path: &str, answer: Answer) -> Result<Value, Error> {
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let text = answer.body["error"].as_str().unwrap_or("no reason given").to_owned();
    Err(Error::Refused {
        method,
        path: path.to_owned(),
        status: answer.status,
        text,
    })
}
