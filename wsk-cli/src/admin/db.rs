//! `wskadmin db`: the content of the store, in the shape of CouchDB's answers.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use wsk_entities::{Activation, Collection, Entity, EntityPath, Namespace, SubjectDocument};
use wsk_store::{ActivationFilter, Page, Stores, Visibility};

use super::{Refusal, Store, print};
use crate::json::{pretty, sorted, text};
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Get contents of database
    Get(Get),
}

#[derive(Debug, Args)]
pub struct Get {
    /// One of subjects, whisks and activations
    database: String,
    /// The view in design/view form
    #[arg(short = 'w', long, value_name = "DESIGN/VIEW")]
    view: Option<String>,
    /// Include document contents
    #[arg(long)]
    docs: bool,
}

/// A row of the answer.
struct Row {
    id: String,
    key: Value,
    value: Value,
    document: Value,
}

/// Documents read at once.
const PAGE: u64 = 200;

const COLLECTIONS: [Collection; 4] = [
    Collection::Actions,
    Collection::Packages,
    Collection::Rules,
    Collection::Triggers,
];

impl Command {
    pub async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        let Self::Get(get) = self;
        get.run(store, out).await
    }
}

impl Get {
    async fn run(self, store: &Store, out: &mut Output) -> Result<String, Refusal> {
        let shown = match &self.view {
            None => "primary index",
            Some(view) if is_view(view) => view,
            Some(view) => {
                let text = format!("view name \"{view}\" is not formatted correctly, should be design/view");
                return Err(Refusal::usage(text));
            }
        };
        let stores = store.open(None).await?;
        print(out, format!("getting contents for {} ({shown})", self.database))?;
        let rows = self
            .rows(&stores)
            .await
            .map_err(|reason| Refusal::failed("get database", reason))?;
        let rows: Vec<Value> = rows.into_iter().map(|row| row.show(self.docs)).collect();
        Ok(pretty(&sorted(
            &json!({ "total_rows": rows.len(), "offset": 0, "rows": rows }),
        )))
    }

    async fn rows(&self, stores: &Stores) -> Result<Vec<Row>, String> {
        match (self.database.as_str(), self.view.as_deref()) {
            ("subjects", None) => subjects(stores).await,
            ("subjects", Some("subjects.v2.0.0/identities")) => identities(stores).await,
            ("whisks", None) => entities(stores).await,
            ("activations", None) => records(stores).await,
            ("subjects" | "whisks" | "activations", Some(view)) => {
                Err(format!("the embedded store does not keep the view {view}"))
            }
            (other, _) => Err(format!(
                "there is no database {other}; choose subjects, whisks or activations"
            )),
        }
    }
}

fn is_view(text: &str) -> bool {
    text.split('/').count() == 2 && text.split('/').all(|part| !part.is_empty())
}

impl Row {
    fn of(id: String, document: Value) -> Self {
        Self {
            key: json!(id),
            value: json!({}),
            id,
            document,
        }
    }

    fn show(self, docs: bool) -> Value {
        let mut row = json!({ "id": self.id, "key": self.key, "value": self.value });
        if docs {
            row["doc"] = self.document;
        }
        row
    }
}

fn document(value: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

async fn all_subjects(stores: &Stores) -> Result<Vec<SubjectDocument>, String> {
    stores.subjects.subjects().await.map_err(|error| error.to_string())
}

async fn subjects(stores: &Stores) -> Result<Vec<Row>, String> {
    let subjects = all_subjects(stores).await?;
    subjects
        .iter()
        .map(|subject| Ok(Row::of(subject.subject.clone(), document(subject)?)))
        .collect()
}

/// One row per key of a subject that is not blocked, by namespace and by key.
async fn identities(stores: &Stores) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for subject in all_subjects(stores).await?.iter().filter(|subject| !subject.blocked) {
        for owned in &subject.namespaces {
            let name = owned.name.as_str();
            let value =
                json!({ "_id": format!("{name}/limits"), "namespace": name, "uuid": owned.uuid, "key": owned.key });
            for key in [json!([name]), json!([owned.uuid, owned.key])] {
                rows.push(Row {
                    id: subject.subject.clone(),
                    key,
                    value: value.clone(),
                    document: document(subject)?,
                });
            }
        }
    }
    Ok(rows)
}

/// Every namespace that somebody owns.
async fn namespaces(stores: &Stores) -> Result<Vec<Namespace>, String> {
    let mut names: Vec<Namespace> = all_subjects(stores)
        .await?
        .into_iter()
        .flat_map(|subject| subject.namespaces)
        .map(|owned| owned.name)
        .collect();
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    Ok(names)
}

async fn entities(stores: &Stores) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for namespace in namespaces(stores).await? {
        let path = EntityPath::root(namespace);
        for collection in COLLECTIONS {
            let mut page = Page { skip: 0, limit: PAGE };
            loop {
                let listed = stores.entities.list(collection, &path, Visibility::All, page).await;
                let listed = listed.map_err(|error| error.to_string())?;
                page.skip += PAGE;
                let last = (listed.len() as u64) < PAGE;
                for entity in &listed {
                    rows.push(entity_row(entity)?);
                }
                if last {
                    break;
                }
            }
        }
    }
    Ok(rows)
}

fn entity_row(entity: &Entity) -> Result<Row, String> {
    let (kind, document) = match entity {
        Entity::Action(action) => ("action", document(action)?),
        Entity::Trigger(trigger) => ("trigger", document(trigger)?),
        Entity::Rule(rule) => ("rule", document(rule)?),
        Entity::Package(package) => ("package", document(package)?),
    };
    let id = format!("{}/{}", text(&document, "namespace"), text(&document, "name"));
    let mut document = document;
    document["entityType"] = json!(kind);
    Ok(Row::of(id, document))
}

async fn records(stores: &Stores) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for namespace in namespaces(stores).await? {
        let mut page = Page { skip: 0, limit: PAGE };
        loop {
            let records = stores
                .activations
                .records(&namespace, &ActivationFilter::default(), page)
                .await;
            let records: Vec<Activation> = records.map_err(|error| error.to_string())?;
            page.skip += PAGE;
            for record in &records {
                let document = document(record)?;
                rows.push(Row::of(
                    format!("{}/{}", namespace.as_str(), text(&document, "activationId")),
                    document,
                ));
            }
            if (records.len() as u64) < PAGE {
                break;
            }
        }
    }
    Ok(rows)
}
