//! `wsk namespace` and `wsk list`.

use clap::{Args, Subcommand};
use serde_json::Value;
use wsk_client::{Client, Page};

use super::{list_failure, order, own_namespace, print_list};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::json::text;
use crate::lists::Listed;
use crate::names::OWN;
use crate::output::{Line, line};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// list available namespaces
    List(List),
    /// get triggers, actions, and rules in the registry for namespace
    Get(Get),
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "", hide = true)]
    args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "", hide = true)]
    args: Vec<String>,
    /// sorts a list alphabetically by entity name; only applicable within the limit/skip returned entity block
    #[arg(short, long)]
    name_sort: bool,
}

const NOTHING_REQUIRED: &str = "No arguments are required.";

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(cx).await,
            Self::Get(command) => command.run(cx).await,
        }
    }
}

impl List {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        Positionals(self.args).count(0, 0, NOTHING_REQUIRED)?;
        let names = cx.client()?.namespaces().await.map_err(|error| {
            Failure::call(
                "Unable to obtain the list of available namespaces",
                &error,
                Usage::Hidden,
            )
        })?;
        cx.out.line(Line::default().bold("namespaces"))?;
        names.into_iter().try_for_each(|name| cx.out.line(name))
    }
}

impl Get {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let args = self.args.into_iter().filter(|argument| argument != "/_").collect();
        Positionals(args).count(0, 0, NOTHING_REQUIRED)?;
        let client = cx.client()?;
        let failed = |error| list_failure("entities", &own_namespace(), &error, Usage::Hidden);
        let actions = client.actions(OWN).list(Page::ALL).await.map_err(failed)?;
        let packages = client.packages(OWN).list(Page::ALL).await.map_err(failed)?;
        let triggers = client.triggers(OWN).list(Page::ALL).await.map_err(failed)?;
        let rules = client.rules(OWN).list(Page::ALL).await.map_err(failed)?;
        let rules = with_status(&client, OWN, rules).await.map_err(failed)?;
        let order = order(self.name_sort);
        cx.out
            .line(line("Entities in namespace: ").bold(own_namespace().namespace_for_messages()))?;
        print_list(cx, Listed::Packages, packages, order)?;
        print_list(cx, Listed::Actions, actions, order)?;
        print_list(cx, Listed::Triggers, triggers, order)?;
        print_list(cx, Listed::Rules, rules, order)
    }
}

/// Lists of rules say nothing of their status, so each is asked for.
pub async fn with_status(client: &Client, namespace: &str, rules: Vec<Value>) -> wsk_client::Result<Vec<Value>> {
    let mut told = Vec::with_capacity(rules.len());
    for mut rule in rules {
        let whole = client.rules(namespace).get(text(&rule, "name")).await?;
        if let (Some(members), Some(status)) = (rule.as_object_mut(), whole.get("status")) {
            members.insert("status".to_owned(), status.clone());
        }
        told.push(rule);
    }
    Ok(told)
}
