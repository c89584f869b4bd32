//! `wsk trigger`.

use clap::Subcommand;
use serde_json::Value;

use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::names::QualifiedName;

mod create;
mod delete;
mod feed;
mod fire;
mod get;
mod list;
mod update;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// create new trigger
    Create(create::Create),
    /// update an existing an trigger, or create a trigger if it does not exist
    Update(update::Update),
    /// fire trigger event
    Fire(fire::Fire),
    /// get trigger
    Get(get::Get),
    /// delete trigger
    Delete(delete::Delete),
    /// list all triggers
    List(list::List),
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(cx).await,
            Self::Update(command) => command.run(cx).await,
            Self::Fire(command) => command.run(cx).await,
            Self::Get(command) => command.run(cx).await,
            Self::Delete(command) => command.run(cx).await,
            Self::List(command) => command.run(cx).await,
        }
    }
}

const NAME_REQUIRED: &str = "A trigger name is required.";

fn failed(verb: &str, name: &QualifiedName, error: &wsk_client::Error) -> Failure {
    Failure::call(
        &format!("Unable to {verb} trigger '{}'", name.entity),
        error,
        Usage::Hidden,
    )
}

/// The body of a put; empty members are left out.
fn body(name: &QualifiedName, annotations: Vec<Value>, parameters: Vec<Value>) -> Value {
    let lists = [("annotations", annotations), ("parameters", parameters)];
    let lists = lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name, Value::from(list)));
    crate::json::object(std::iter::once(("name", Value::from(name.entity.as_str()))).chain(lists))
}
