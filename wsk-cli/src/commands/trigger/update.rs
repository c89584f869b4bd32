//! `wsk trigger update`.

use clap::Args;
use wsk_client::Overwrite;

use super::create::{SplitHelp, create};
use super::feed::{self, LifeCycle, Split};
use super::{NAME_REQUIRED, body, failed};
use crate::args::Positionals;
use crate::commands::{AnnotationHelp, ParameterHelp};
use crate::context::Context;
use crate::failure::Failure;
use crate::names::QualifiedName;
use crate::output::line;
use crate::pairs::Sort;

#[derive(Debug, Args)]
pub struct Update {
    #[arg(value_name = "TRIGGER_NAME")]
    args: Vec<String>,
    #[command(flatten)]
    split: SplitHelp,
    #[command(flatten)]
    parameters: ParameterHelp,
    #[command(flatten)]
    annotations: AnnotationHelp,
}

impl Update {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let split = Split::new(cx)?;
        let client = cx.client()?;
        let existing = match client.triggers(&name.namespace).get(&name.entity).await {
            Ok(trigger) => trigger,
            Err(error) if error.not_found() => return create(cx, &name, None, split).await,
            Err(error) => return Err(failed("update", &name, &error)),
        };
        let feed = feed::of(&existing);
        // A trigger with a feed is left alone, unless the user told its parameters from the feed's.
        if feed.is_none() || split.explicit {
            put(cx, &name, &split).await?;
        }
        match feed {
            Some(feed) if split.feed_given || !split.explicit => {
                feed::call(cx, &feed, LifeCycle::Update, &name, &split.feed)
                    .await
                    .map_err(|failure| feed::unconfigured(&name, &feed, failure))?;
            }
            None if split.feed_given => {
                let entity = &name.entity;
                let text = format!("Unable to configure feed '{entity}': this trigger does not contain a feed");
                return Err(Failure::new(text).without_usage());
            }
            Some(_) | None => {}
        }
        cx.out.ok(line("updated trigger ").bold(name.entity))
    }
}

async fn put(cx: &mut Context, name: &QualifiedName, split: &Split) -> Result<(), Failure> {
    let annotations = cx.lists.annotations.to_key_values(Sort::Annotation)?;
    let body = body(name, annotations, split.trigger.clone());
    let client = cx.client()?;
    let put = client
        .triggers(&name.namespace)
        .put(&name.entity, Overwrite::Yes, &body)
        .await;
    put.map(drop).map_err(|error| failed("update", name, &error))
}
