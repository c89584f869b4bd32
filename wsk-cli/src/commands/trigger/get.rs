//! `wsk trigger get`.

use clap::Args;
use serde_json::Map;

use super::feed::{self, LifeCycle};
use super::{NAME_REQUIRED, failed};
use crate::args::Positionals;
use crate::commands::summary;
use crate::context::Context;
use crate::documents::Document;
use crate::failure::Failure;
use crate::names::QualifiedName;
use crate::output::line;

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "TRIGGER_NAME [FIELD_FILTER]")]
    args: Vec<String>,
    /// summarize trigger details; parameters with prefix "*" are bound
    #[arg(short, long)]
    summary: bool,
}

impl Get {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let (name, typed) = Positionals(self.args).one_or_two(NAME_REQUIRED)?;
        let field = typed
            .map(|typed| Ok::<_, Failure>((Document::Trigger.parse_field(&typed)?, typed)))
            .transpose()?;
        let name = QualifiedName::parse(&name)?;
        let client = cx.client()?;
        let trigger = client.triggers(&name.namespace).get(&name.entity).await;
        let trigger = trigger.map_err(|error| failed("get", &name, &error))?;
        if let Some(feed) = feed::of(&trigger) {
            return read(cx, &feed, &name).await;
        }
        if self.summary {
            return cx.out.text(&summary::trigger(&trigger));
        }
        let got = line("got trigger ").bold(name.entity);
        match field {
            Some((field, typed)) => {
                cx.out.ok(got.plain(", displaying field ").bold(typed))?;
                cx.out.json(&Document::Trigger.field(&trigger, &field))
            }
            None => {
                cx.out.ok(got)?;
                cx.out.json(&Document::Trigger.show(&trigger))
            }
        }
    }
}

/// A trigger with a feed is described by its feed; that the feed fails to is told, but no failure of this command.
async fn read(cx: &mut Context, feed: &str, name: &QualifiedName) -> Result<(), Failure> {
    match feed::call(cx, feed, LifeCycle::Read, name, &Map::new()).await {
        Err(Failure::ClosedPipe) => Err(Failure::ClosedPipe),
        Err(failure) => {
            cx.out.failure(failure.without_usage());
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
