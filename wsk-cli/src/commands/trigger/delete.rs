//! `wsk trigger delete`.

use clap::Args;
use serde_json::{Map, Value};

use super::feed::{self, LifeCycle};
use super::{NAME_REQUIRED, failed};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::QualifiedName;
use crate::output::line;

#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "TRIGGER_NAME")]
    args: Vec<String>,
}

impl Delete {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        delete(cx, &name, &Map::new()).await
    }
}

/// Has the feed delete its side, then deletes the trigger whether or not the feed could.
pub async fn delete(cx: &mut Context, name: &QualifiedName, parameters: &Map<String, Value>) -> Result<(), Failure> {
    let client = cx.client()?;
    let triggers = client.triggers(&name.namespace);
    let trigger = triggers
        .get(&name.entity)
        .await
        .map_err(|error| failed("get", name, &error))?;
    if let Some(feed) = feed::of(&trigger)
        && let Err(failure) = feed::call(cx, &feed, LifeCycle::Delete, name, parameters).await
    {
        cx.out.failure(failure.without_usage());
    }
    triggers
        .delete(&name.entity)
        .await
        .map_err(|error| failed("delete", name, &error))?;
    cx.out.ok(line("deleted trigger ").bold(name.entity.as_str()))
}
