//! `wskadmin user`.

use clap::{Args, Subcommand};
use wsk_entities::{Namespace, SubjectDocument, SubjectNamespace};
use wsk_store::SubjectStore;

use super::keys::Key;
use super::{NOT_FOUND, Refusal, Store, print};
use crate::exit::Exit;
use crate::output::Output;

#[derive(Debug, Args)]
pub struct User {
    /// Name of the view that identities are read from; kept for scripts, the embedded store has one
    #[arg(short = 'w', long, value_name = "NAME")]
    view: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a user and show the authorization key
    Create(Create),
    /// Delete a user
    Delete(Delete),
    /// Get the authorization key for a user
    Get(Get),
    /// Identify the user of an authorization key
    Whois {
        #[arg(value_name = "UUID:KEY")]
        authkey: String,
    },
    /// List authorization keys associated with a namespace
    List(List),
    /// Block one or more users
    Block { subjects: Vec<String> },
    /// Unblock one or more users
    Unblock { subjects: Vec<String> },
}

#[derive(Debug, Args)]
struct Create {
    subject: String,
    /// The uuid:key to initialize the subject with (key length is at least 64 characters)
    #[arg(short = 'u', long, value_name = "UUID:KEY")]
    auth: Option<String>,
    /// Create the user in this namespace (default is the subject name)
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Replace the key of the namespace
    #[arg(short, long)]
    revoke: bool,
    /// Generate a key without touching the store
    #[arg(short, long)]
    genonly: bool,
    /// Do not show the key
    #[arg(short, long)]
    silent: bool,
}

#[derive(Debug, Args)]
struct Delete {
    subject: String,
    /// Delete the key for this namespace only
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
}

#[derive(Debug, Args)]
struct Get {
    subject: String,
    /// The namespace to get the key for (default is the subject name)
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Show all namespaces and their keys
    #[arg(short, long)]
    all: bool,
}

#[derive(Debug, Args)]
struct List {
    namespace: String,
    /// Show no more than N identities
    #[arg(short, long, value_name = "N", default_value = "1", allow_hyphen_values = true)]
    pick: i64,
    /// Show all identities
    #[arg(short, long)]
    all: bool,
    /// Show only the keys
    #[arg(short, long)]
    key: bool,
}

/// Which way a subject is switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Block,
    Unblock,
}

impl User {
    pub async fn run(self, store: &Store, out: &mut Output) -> Result<Exit, Refusal> {
        let told = match self.command {
            Command::Create(create) => create.run(store, out).await?,
            Command::Delete(delete) => delete.run(&*store.open(Some(out)).await?.subjects).await?,
            Command::Get(get) => get.run(&*store.open(Some(out)).await?.subjects).await?,
            Command::Whois { authkey } => whois(&*store.open(Some(out)).await?.subjects, &authkey).await?,
            Command::List(list) => list.run(store, out).await?,
            Command::Block { subjects } => return switch(store, out, subjects, Switch::Block).await,
            Command::Unblock { subjects } => return switch(store, out, subjects, Switch::Unblock).await,
        };
        if !told.is_empty() {
            print(out, told)?;
        }
        Ok(Exit::OK)
    }
}

async fn document(subjects: &dyn SubjectStore, subject: &str) -> Result<SubjectDocument, Refusal> {
    let found = subjects
        .subject(subject)
        .await
        .map_err(|error| Refusal::failed("get subject", error))?;
    found.ok_or_else(|| Refusal::failed("get subject", NOT_FOUND))
}

fn key_of(namespace: &SubjectNamespace) -> String {
    format!("{}:{}", namespace.uuid, namespace.key)
}

impl Create {
    async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        if self.subject.chars().count() < 5 {
            return Err(Refusal::usage("Subject name must be at least 5 characters"));
        }
        let key = self.auth.as_deref().map_or_else(|| Ok(Key::random()), Key::parse)?;
        let namespace = self.namespace.clone().unwrap_or_else(|| self.subject.clone());
        if namespace.trim().is_empty() {
            return Err(Refusal::usage("Namespace must not be empty"));
        }
        if !self.genonly {
            let namespace = Namespace::new(&namespace).map_err(|error| Refusal::usage(error.to_string()))?;
            let stores = store.open(Some(out)).await?;
            self.store(&*stores.subjects, namespace, &key).await?;
        }
        Ok(if self.silent { String::new() } else { key.to_string() })
    }

    async fn store(&self, subjects: &dyn SubjectStore, name: Namespace, key: &Key) -> Result<(), Refusal> {
        let existing = subjects
            .subject(&self.subject)
            .await
            .map_err(|error| Refusal::failed("get subject", error))?;
        let mut document = existing.unwrap_or_else(|| SubjectDocument {
            subject: self.subject.clone(),
            namespaces: Vec::new(),
            blocked: false,
        });
        if document.blocked {
            return Err(Refusal::new("The subject you want to edit is blocked"));
        }
        let entry = SubjectNamespace {
            name,
            uuid: key.uuid.clone(),
            key: key.key.clone(),
        };
        match document
            .namespaces
            .iter_mut()
            .find(|namespace| namespace.name == entry.name)
        {
            Some(_) if !self.revoke => return Err(Refusal::new("Namespace already exists")),
            Some(namespace) => *namespace = entry,
            None => document.namespaces.push(entry),
        }
        subjects
            .put_subject(&document)
            .await
            .map_err(|error| Refusal::failed("create subject", error))
    }
}

impl Delete {
    async fn run(self, subjects: &dyn SubjectStore) -> Result<String, Refusal> {
        let Some(namespace) = self.namespace else {
            let deleted = subjects.delete_subject(&self.subject).await;
            return match deleted.map_err(|error| Refusal::failed("delete subject", error))? {
                true => Ok("Subject deleted".to_owned()),
                false => Err(Refusal::failed("delete subject", NOT_FOUND)),
            };
        };
        let mut document = document(subjects, &self.subject).await?;
        let before = document.namespaces.len();
        document.namespaces.retain(|owned| owned.name.as_str() != namespace);
        if document.namespaces.len() == before {
            return Err(Refusal::new(format!(
                "Namespace \"{namespace}\" does not exist for \"{}\"",
                self.subject
            )));
        }
        subjects
            .put_subject(&document)
            .await
            .map_err(|error| Refusal::failed("remove namespace", error))?;
        Ok("Namespace deleted".to_owned())
    }
}

impl Get {
    async fn run(self, subjects: &dyn SubjectStore) -> Result<String, Refusal> {
        let document = document(subjects, &self.subject).await?;
        if self.all {
            let rows = document
                .namespaces
                .iter()
                .map(|owned| format!("{}\t{}", owned.name.as_str(), key_of(owned)));
            return Ok(rows.collect::<Vec<_>>().join("\n"));
        }
        let namespace = self.namespace.as_deref().unwrap_or(&self.subject);
        let owned = document
            .namespaces
            .iter()
            .find(|owned| owned.name.as_str() == namespace);
        owned
            .map(key_of)
            .ok_or_else(|| Refusal::new(format!("namespace \"{namespace}\" not found for \"{}\"", self.subject)))
    }
}

async fn whois(subjects: &dyn SubjectStore, key: &str) -> Result<String, Refusal> {
    let (uuid, key) = key.split_once(':').unwrap_or((key, ""));
    let identity = subjects
        .by_key(uuid, key)
        .await
        .map_err(|error| Refusal::failed("get subject", error))?;
    Ok(match identity {
        Some(identity) => {
            format!(
                "subject: {}\nnamespace: {}",
                identity.subject,
                identity.namespace.name.as_str()
            )
        }
        None => "Subject id is not recognized".to_owned(),
    })
}

impl List {
    async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        if self.pick < 1 && !self.all {
            return Err(Refusal::usage("pick at least 1 identity to show"));
        }
        let stores = store.open(Some(out)).await?;
        let subjects = stores.subjects.subjects().await;
        let subjects = subjects.map_err(|error| Refusal::failed("get namespace key", error))?;
        let identities = subjects
            .iter()
            .filter(|document| !document.blocked)
            .flat_map(|document| {
                let owned = document
                    .namespaces
                    .iter()
                    .filter(|owned| owned.name.as_str() == self.namespace);
                owned.map(|owned| (key_of(owned), document.subject.as_str()))
            });
        let most = match self.all {
            true => usize::MAX,
            false => usize::try_from(self.pick).unwrap_or(usize::MAX),
        };
        let rows: Vec<String> = identities
            .take(most)
            .map(|(key, subject)| if self.key { key } else { format!("{key}\t{subject}") })
            .collect();
        match rows.is_empty() {
            true => Ok(format!("no identities found for namespace \"{}\"", self.namespace)),
            false => Ok(rows.join("\n")),
        }
    }
}

/// Switches each subject and says so; the exit code counts the failures.
async fn switch(store: &Store, out: &mut Output, subjects: Vec<String>, to: Switch) -> Result<Exit, Refusal> {
    let stores = store.open(Some(out)).await?;
    let mut failures = 0;
    for subject in subjects
        .iter()
        .map(|subject| subject.trim())
        .filter(|subject| !subject.is_empty())
    {
        let (verb, past) = match to {
            Switch::Block => ("block", "blocked"),
            Switch::Unblock => ("unblock", "unblocked"),
        };
        let told = match set_blocked(&*stores.subjects, subject, to).await {
            Ok(()) => format!("\"{subject}\" {past} successfully"),
            Err(reason) => {
                failures += 1;
                format!("Failed to {verb} \"{subject}\" ({reason})")
            }
        };
        print(out, told)?;
    }
    Ok(Exit::from_count(failures))
}

async fn set_blocked(subjects: &dyn SubjectStore, subject: &str, to: Switch) -> Result<(), String> {
    let found = subjects.subject(subject).await.map_err(|error| error.to_string())?;
    let mut document = found.ok_or_else(|| NOT_FOUND.to_owned())?;
    document.blocked = to == Switch::Block;
    subjects.put_subject(&document).await.map_err(|error| error.to_string())
}
