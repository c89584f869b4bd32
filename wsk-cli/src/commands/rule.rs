//! `wsk rule`.

use clap::{Args, Subcommand};
use serde_json::json;
use wsk_client::{Client, Overwrite, RuleState};

use super::namespace::with_status;
use super::{OPTIONAL_NAMESPACE, PageFlags, list_failure, namespace_argument, print_list, summary};
use crate::args::Positionals;
use crate::context::Context;
use crate::documents::Document;
use crate::failure::{Failure, Usage};
use crate::json::text;
use crate::lists::Listed;
use crate::names::QualifiedName;
use crate::output::line;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// create new rule
    Create(Put),
    /// update an existing rule, or create a rule if it does not exist
    Update(Put),
    /// enable rule
    Enable(Named),
    /// disable rule
    Disable(Named),
    /// get rule status
    Status(Named),
    /// get rule
    Get(Get),
    /// delete rule
    Delete(Delete),
    /// list all rules
    List(List),
}

#[derive(Debug, Args)]
pub struct Put {
    #[arg(value_name = "RULE_NAME TRIGGER_NAME ACTION_NAME")]
    args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Named {
    #[arg(value_name = "RULE_NAME")]
    args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "RULE_NAME")]
    args: Vec<String>,
    /// summarize rule details
    #[arg(short, long)]
    summary: bool,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "RULE_NAME")]
    args: Vec<String>,
    /// automatically disable rule before deleting it
    #[arg(long)]
    disable: bool,
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "[NAMESPACE]")]
    args: Vec<String>,
    #[command(flatten)]
    page: PageFlags,
}

const NAME_REQUIRED: &str = "A rule name is required.";

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(cx, Overwrite::No).await,
            Self::Update(command) => command.run(cx, Overwrite::Yes).await,
            Self::Enable(command) => command.switch(cx, RuleState::Active).await,
            Self::Disable(command) => command.switch(cx, RuleState::Inactive).await,
            Self::Status(command) => command.status(cx).await,
            Self::Get(command) => command.run(cx).await,
            Self::Delete(command) => command.run(cx).await,
            Self::List(command) => command.run(cx).await,
        }
    }
}

fn failed(verb: &str, name: &QualifiedName, error: &wsk_client::Error, usage: Usage) -> Failure {
    Failure::call(&format!("Unable to {verb} rule '{}'", name.entity), error, usage)
}

impl Put {
    async fn run(self, cx: &mut Context, overwrite: Overwrite) -> Result<(), Failure> {
        let args = Positionals(self.args).count(3, 3, "A rule, trigger and action name are required.")?;
        let name = QualifiedName::parse(&args[0])?;
        let (trigger, action) = (QualifiedName::parse(&args[1])?, QualifiedName::parse(&args[2])?);
        let body = json!({
            "name": name.entity, "status": "", "trigger": trigger.to_string(), "action": action.to_string()
        });
        let (verb, told) = match overwrite {
            Overwrite::No => ("create", "created rule "),
            Overwrite::Yes => ("update", "updated rule "),
        };
        let client = cx.client()?;
        client
            .rules(&name.namespace)
            .put(&name.entity, overwrite, &body)
            .await
            .map_err(|error| failed(verb, &name, &error, Usage::Hidden))?;
        cx.out.ok(line(told).bold(name.entity))
    }
}

impl Named {
    fn name(self) -> Result<QualifiedName, Failure> {
        QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)
    }

    async fn switch(self, cx: &mut Context, state: RuleState) -> Result<(), Failure> {
        let name = self.name()?;
        switch(&cx.client()?, &name, state).await?;
        let told = match state {
            RuleState::Active => "enabled rule ",
            RuleState::Inactive => "disabled rule ",
        };
        cx.out.ok(line(told).bold(name.entity))
    }

    async fn status(self, cx: &mut Context) -> Result<(), Failure> {
        let name = self.name()?;
        let client = cx.client()?;
        let rule = client.rules(&name.namespace).get(&name.entity).await;
        let rule = rule.map_err(|error| {
            Failure::call(
                &format!("Unable to get status of rule '{}'", name.entity),
                &error,
                Usage::Shown,
            )
        })?;
        cx.out.ok(line("rule ")
            .bold(name.entity)
            .plain(" is ")
            .bold(text(&rule, "status")))
    }
}

async fn switch(client: &Client, name: &QualifiedName, state: RuleState) -> Result<(), Failure> {
    let verb = match state {
        RuleState::Active => "enable",
        RuleState::Inactive => "disable",
    };
    client
        .set_rule_state(&name.namespace, &name.entity, state)
        .await
        .map_err(|error| failed(verb, name, &error, Usage::Hidden))
}

impl Get {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let (name, typed) = Positionals(self.args).one_or_two(NAME_REQUIRED)?;
        let field = typed
            .map(|typed| Ok::<_, Failure>((Document::Rule.parse_field(&typed)?, typed)))
            .transpose()?;
        let name = QualifiedName::parse(&name)?;
        let client = cx.client()?;
        let rule = client.rules(&name.namespace).get(&name.entity).await;
        let rule = rule.map_err(|error| failed("get", &name, &error, Usage::Shown))?;
        if self.summary {
            return cx.out.text(&summary::rule(&rule));
        }
        let got = line("got rule ").bold(name.entity);
        match field {
            Some((field, typed)) => {
                cx.out.ok(got.plain(", displaying field ").bold(typed))?;
                cx.out.json(&Document::Rule.field(&rule, &field))
            }
            None => {
                cx.out.ok(got)?;
                cx.out.json(&Document::Rule.show(&rule))
            }
        }
    }
}

impl Delete {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let client = cx.client()?;
        if self.disable {
            switch(&client, &name, RuleState::Inactive).await?;
        }
        client
            .rules(&name.namespace)
            .delete(&name.entity)
            .await
            .map_err(|error| failed("delete", &name, &error, Usage::Hidden))?;
        cx.out.ok(line("deleted rule ").bold(name.entity))
    }
}

impl List {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let scope = namespace_argument(Positionals(self.args).optional(OPTIONAL_NAMESPACE)?)?;
        let client = cx.client()?;
        let failed = |error| list_failure("rules", &scope, &error, Usage::Hidden);
        let rules = client
            .rules(&scope.namespace)
            .list(self.page.page())
            .await
            .map_err(failed)?;
        let rules = with_status(&client, &scope.namespace, rules).await.map_err(failed)?;
        print_list(cx, Listed::Rules, rules, self.page.order())
    }
}
