//! The command tree. A command has its clap struct, the conversion into what it means, and its calls to the platform;
//! it hands what there is to say to [`crate::output`].

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use wsk_client::Page;

use crate::args::flags::go_int;
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::lists::{Listed, Order};
use crate::names::QualifiedName;

pub mod action;
pub mod activation;
pub mod api;
pub mod namespace;
pub mod package;
pub mod project;
pub mod property;
pub mod rule;
pub mod sdk;
mod summary;
pub mod trigger;

/// The root.
#[derive(Debug, Parser)]
#[command(name = "wsk")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// work with actions
    #[command(subcommand)]
    Action(action::Command),
    /// work with activations
    #[command(subcommand)]
    Activation(activation::Command),
    /// work with packages
    #[command(subcommand)]
    Package(package::Command),
    /// work with rules
    #[command(subcommand)]
    Rule(rule::Command),
    /// work with triggers
    #[command(subcommand)]
    Trigger(trigger::Command),
    /// work with APIs
    #[command(subcommand)]
    Api(api::Command),
    /// work with whisk properties
    #[command(subcommand)]
    Property(property::Command),
    /// work with namespaces
    #[command(subcommand)]
    Namespace(namespace::Command),
    /// list entities in the current namespace
    List(namespace::Get),
    /// work with the sdk
    #[command(subcommand)]
    Sdk(sdk::Command),
    /// The OpenWhisk Project Management Tool
    #[command(subcommand)]
    Project(project::Command),
    /// help about any command
    Help(Help),
}

/// Words of the command to explain.
#[derive(Debug, Args)]
pub struct Help {
    #[arg(value_name = "[command]")]
    pub words: Vec<String>,
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        if !self.works_without_host() {
            cx.require_host()?;
        }
        match self {
            Self::Action(command) => command.run(cx).await,
            Self::Activation(command) => command.run(cx).await,
            Self::Package(command) => command.run(cx).await,
            Self::Rule(command) => command.run(cx).await,
            Self::Trigger(command) => command.run(cx).await,
            Self::Api(command) => command.run(cx).await,
            Self::Property(command) => command.run(cx).await,
            Self::Namespace(command) => command.run(cx).await,
            Self::List(command) => command.run(cx).await,
            Self::Sdk(command) => command.run(cx).await,
            Self::Project(command) => command.run(cx).await,
            // Help never gets here: the root answers it.
            Self::Help(_) => Ok(()),
        }
    }

    fn works_without_host(&self) -> bool {
        match self {
            Self::Property(command) => command.works_without_host(),
            Self::Sdk(command) => command.works_without_host(),
            // A manifest may name the host.
            Self::Help(_) | Self::Project(_) => true,
            Self::Action(_)
            | Self::Activation(_)
            | Self::Package(_)
            | Self::Rule(_)
            | Self::Trigger(_)
            | Self::Api(_)
            | Self::Namespace(_)
            | Self::List(_) => false,
        }
    }
}

/// Parameters and annotations. The pass before clap collects them; here they only make the help complete.
#[derive(Debug, Args)]
pub struct ParameterHelp {
    /// parameter values in KEY VALUE format
    #[arg(short, long, value_name = "KEY VALUE")]
    param: Vec<String>,
    /// FILE containing parameter values in JSON format
    #[arg(short = 'P', long, value_name = "FILE")]
    param_file: Vec<String>,
}

/// See [`ParameterHelp`].
#[derive(Debug, Args)]
pub struct AnnotationHelp {
    /// annotation values in KEY VALUE format
    #[arg(short, long, value_name = "KEY VALUE")]
    annotation: Vec<String>,
    /// FILE containing annotation values in JSON format
    #[arg(short = 'A', long, value_name = "FILE")]
    annotation_file: Vec<String>,
}

/// The window and order of a list.
#[derive(Debug, Args)]
pub struct PageFlags {
    /// exclude the first SKIP number of entities from the result
    #[arg(short, long, value_name = "SKIP", default_value = "0", value_parser = go_int)]
    skip: i64,
    /// only return LIMIT number of entities from the collection
    #[arg(short, long, value_name = "LIMIT", default_value = "30", value_parser = go_int)]
    limit: i64,
    /// sorts a list alphabetically by entity name; only applicable within the limit/skip returned entity block
    #[arg(short, long)]
    name_sort: bool,
}

impl PageFlags {
    fn page(&self) -> Page {
        Page {
            limit: self.limit,
            skip: self.skip,
        }
    }

    fn order(&self) -> Order {
        order(self.name_sort)
    }
}

fn order(by_name: bool) -> Order {
    match by_name {
        true => Order::ByName,
        false => Order::AsSent,
    }
}

/// Prints a page of a list under its header.
fn print_list(cx: &mut Context, listed: Listed, mut page: Vec<Value>, order: Order) -> Result<(), Failure> {
    listed.sort(&mut page, order);
    cx.out.line(crate::output::Line::default().bold(listed.header()))?;
    for entity in &page {
        cx.out.line(listed.row(entity))?;
    }
    Ok(())
}

/// The namespace that a list of triggers, rules or packages is about.
fn namespace_argument(argument: Option<String>) -> Result<QualifiedName, Failure> {
    let Some(argument) = argument else {
        return Ok(own_namespace());
    };
    let name = QualifiedName::parse(&argument)?;
    match name.entity.is_empty() {
        true => Ok(name),
        false => Err(Failure::new(format!(
            "An entity name, '{}', was provided instead of a namespace. Valid namespaces are of the following format: \
             /NAMESPACE.",
            name.entity
        ))),
    }
}

fn own_namespace() -> QualifiedName {
    QualifiedName {
        namespace: crate::names::OWN.to_owned(),
        entity: String::new(),
    }
}

/// A failed list, in upstream's words.
fn list_failure(what: &str, namespace: &QualifiedName, error: &wsk_client::Error, usage: Usage) -> Failure {
    let namespace = namespace.namespace_for_messages();
    Failure::call(
        &format!("Unable to obtain the list of {what} for namespace '{namespace}'"),
        error,
        usage,
    )
}

/// The sentence for lists that take at most a namespace.
const OPTIONAL_NAMESPACE: &str = "An optional namespace is the only valid argument.";
