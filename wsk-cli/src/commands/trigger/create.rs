//! `wsk trigger create`.

use clap::Args;
use serde_json::{Map, Value, json};
use wsk_client::Overwrite;

use super::feed::{self, LifeCycle, Split};
use super::{NAME_REQUIRED, body, delete, failed};
use crate::args::Positionals;
use crate::commands::{AnnotationHelp, ParameterHelp};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::QualifiedName;
use crate::output::line;
use crate::pairs::Sort;

#[derive(Debug, Args)]
pub struct Create {
    #[arg(value_name = "TRIGGER_NAME")]
    args: Vec<String>,
    /// trigger feed ACTION_NAME
    #[arg(short, long, value_name = "ACTION_NAME")]
    feed: Option<String>,
    #[command(flatten)]
    split: SplitHelp,
    #[command(flatten)]
    parameters: ParameterHelp,
    #[command(flatten)]
    annotations: AnnotationHelp,
}

/// See [`ParameterHelp`].
#[derive(Debug, Args)]
pub struct SplitHelp {
    /// feed parameter values in KEY VALUE format
    #[arg(short = 'F', long, value_name = "KEY VALUE")]
    feed_param: Vec<String>,
    /// trigger parameter values in KEY VALUE format
    #[arg(short = 'T', long, value_name = "KEY VALUE")]
    trigger_param: Vec<String>,
}

impl Create {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let feed = self.feed.filter(|feed| !feed.is_empty());
        let feed = feed.as_deref().map(QualifiedName::parse).transpose()?;
        let split = Split::new(cx)?;
        if feed.is_none() && split.feed_given {
            let text = "Incorrect usage. Trigger without a feed cannot have feed parameters";
            return Err(Failure::new(text).with_exit(Exit::NOT_ALLOWED).without_usage());
        }
        create(cx, &name, feed, split).await
    }
}

/// Creates the trigger and, where there is a feed, has the feed create its side.
pub async fn create(
    cx: &mut Context,
    name: &QualifiedName,
    feed: Option<QualifiedName>,
    split: Split,
) -> Result<(), Failure> {
    let mut annotations = cx.lists.annotations.to_key_values(Sort::Annotation)?;
    annotations.extend(
        feed.as_ref()
            .map(|feed| json!({ "key": "feed", "value": feed.to_string() })),
    );
    // With a feed, plain parameters are the feed's business and not the trigger's.
    let parameters = match feed.is_some() && !split.explicit {
        true => Vec::new(),
        false => split.trigger,
    };
    let client = cx.client()?;
    client
        .triggers(&name.namespace)
        .put(&name.entity, Overwrite::No, &body(name, annotations, parameters))
        .await
        .map_err(|error| failed("create", name, &error))?;
    if let Some(feed) = feed {
        configure(cx, name, &feed.to_string(), &split.feed).await?;
    }
    cx.out.ok(line("created trigger ").bold(name.entity.as_str()))
}

/// Has the feed create its side; when it cannot, the trigger is taken back.
async fn configure(
    cx: &mut Context,
    name: &QualifiedName,
    feed: &str,
    parameters: &Map<String, Value>,
) -> Result<(), Failure> {
    let Err(failure) = feed::call(cx, feed, LifeCycle::Create, name, parameters).await else {
        return Ok(());
    };
    // The failure that counts is the feed's; what goes wrong in taking back is told on the way.
    if let Err(second) = delete::delete(cx, name, parameters).await {
        cx.out.failure(second);
    }
    Err(feed::unconfigured(name, feed, failure))
}
