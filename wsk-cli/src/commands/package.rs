//! `wsk package`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wsk_client::Overwrite;

use super::{
    AnnotationHelp, OPTIONAL_NAMESPACE, PageFlags, ParameterHelp, list_failure, namespace_argument, print_list, summary,
};
use crate::args::Positionals;
use crate::context::Context;
use crate::documents::Document;
use crate::failure::{Failure, Usage};
use crate::json::{items, object};
use crate::lists::Listed;
use crate::names::QualifiedName;
use crate::output::{Line, line};
use crate::pairs::Sort;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// bind parameters to a package
    Bind(Bind),
    /// create a new package
    Create(Put),
    /// update an existing package, or create a package if it does not exist
    Update(Put),
    /// get package
    Get(Get),
    /// delete package
    Delete(Delete),
    /// list all packages
    List(List),
    /// refresh package bindings
    Refresh(Refresh),
}

#[derive(Debug, Args)]
pub struct Put {
    #[arg(value_name = "PACKAGE_NAME")]
    args: Vec<String>,
    /// package visibility SCOPE; yes = shared, no = private
    #[arg(long, value_name = "SCOPE")]
    shared: Option<String>,
    #[command(flatten)]
    parameters: ParameterHelp,
    #[command(flatten)]
    annotations: AnnotationHelp,
}

#[derive(Debug, Args)]
pub struct Bind {
    #[arg(value_name = "PACKAGE_NAME BOUND_PACKAGE_NAME")]
    args: Vec<String>,
    /// overwrite existing binding
    #[arg(short, long)]
    overwrite: bool,
    #[command(flatten)]
    parameters: ParameterHelp,
    #[command(flatten)]
    annotations: AnnotationHelp,
}

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "PACKAGE_NAME [FIELD_FILTER]")]
    args: Vec<String>,
    /// summarize package details; parameters with prefix "*" are bound
    #[arg(short, long)]
    summary: bool,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "PACKAGE_NAME")]
    args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "[NAMESPACE]")]
    args: Vec<String>,
    #[command(flatten)]
    page: PageFlags,
}

#[derive(Debug, Args)]
pub struct Refresh {
    #[arg(value_name = "[NAMESPACE]")]
    args: Vec<String>,
}

const NAME_REQUIRED: &str = "A package name is required.";

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Bind(command) => command.run(cx).await,
            Self::Create(command) => command.run(cx, Overwrite::No).await,
            Self::Update(command) => command.run(cx, Overwrite::Yes).await,
            Self::Get(command) => command.run(cx).await,
            Self::Delete(command) => command.run(cx).await,
            Self::List(command) => command.run(cx).await,
            Self::Refresh(command) => command.run(cx).await,
        }
    }
}

fn failed(verb: &str, name: &QualifiedName, error: &wsk_client::Error) -> Failure {
    Failure::call(
        &format!("Unable to {verb} package '{}'", name.entity),
        error,
        Usage::Hidden,
    )
}

/// The members for parameters and annotations, where there are any.
fn key_values(cx: &Context) -> Result<Vec<(&'static str, Value)>, Failure> {
    let lists = [
        ("annotations", cx.lists.annotations.to_key_values(Sort::Annotation)?),
        ("parameters", cx.lists.parameters.to_key_values(Sort::Parameter)?),
    ];
    Ok(lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name, list.into()))
        .collect())
}

fn parse_shared(text: &str) -> Result<bool, Failure> {
    match text.to_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(Failure::new(format!("Cannot use value '{text}' for shared."))),
    }
}

impl Put {
    async fn run(self, cx: &mut Context, overwrite: Overwrite) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let shared = self
            .shared
            .as_deref()
            .filter(|shared| !shared.is_empty())
            .map(parse_shared)
            .transpose()?;
        let mut members = vec![("namespace", json!(name.namespace)), ("name", json!(name.entity))];
        members.extend(shared.map(|shared| ("publish", json!(shared))));
        members.extend(key_values(cx)?);
        let client = cx.client()?;
        let put = client
            .packages(&name.namespace)
            .put(&name.entity, overwrite, &object(members))
            .await;
        let told = match overwrite {
            Overwrite::No => {
                put.map_err(|error| failed("create", &name, &error))?;
                "created package "
            }
            Overwrite::Yes => {
                put.map_err(|error| Failure::call("Package update failed", &error, Usage::Hidden))?;
                "updated package "
            }
        };
        cx.out.ok(line(told).bold(name.entity))
    }
}

impl Bind {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let args = Positionals(self.args).count(2, 2, "A package name and binding name are required.")?;
        let provider = QualifiedName::parse(&args[0])?;
        let binding = QualifiedName::parse(&args[1])?;
        let mut members = key_values(cx)?;
        members.push((
            "binding",
            json!({ "namespace": provider.namespace, "name": provider.entity }),
        ));
        let overwrite = match self.overwrite {
            true => Overwrite::Yes,
            false => Overwrite::No,
        };
        let client = cx.client()?;
        client
            .packages(&binding.namespace)
            .put(&binding.entity, overwrite, &object(members))
            .await
            .map_err(|error| Failure::call("Binding creation failed", &error, Usage::Hidden))?;
        cx.out.ok(line("created binding ").bold(args[1].as_str()))
    }
}

impl Get {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let (name, typed) = Positionals(self.args).one_or_two(NAME_REQUIRED)?;
        let field = typed
            .map(|typed| Ok::<_, Failure>((Document::Package.parse_field(&typed)?, typed)))
            .transpose()?;
        let name = QualifiedName::parse(&name)?;
        let client = cx.client()?;
        let package = client.packages(&name.namespace).get(&name.entity).await;
        let package = package.map_err(|error| failed("get", &name, &error))?;
        if self.summary {
            return cx.out.text(&summary::package(&package));
        }
        let got = line("got package ").bold(name.entity);
        match field {
            Some((field, typed)) => {
                cx.out.ok(got.plain(", displaying field ").bold(typed))?;
                cx.out.json(&Document::Package.field(&package, &field))
            }
            None => {
                cx.out.ok(got)?;
                cx.out.json(&Document::Package.show(&package))
            }
        }
    }
}

impl Delete {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let client = cx.client()?;
        let deleted = client.packages(&name.namespace).delete(&name.entity).await;
        deleted.map_err(|error| failed("delete", &name, &error))?;
        cx.out.ok(line("deleted package ").bold(name.entity))
    }
}

impl List {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let scope = namespace_argument(Positionals(self.args).optional(OPTIONAL_NAMESPACE)?)?;
        let client = cx.client()?;
        let page = client.packages(&scope.namespace).list(self.page.page()).await;
        let page = page.map_err(|error| list_failure("packages", &scope, &error, Usage::Hidden))?;
        print_list(cx, Listed::Packages, page, self.page.order())
    }
}

impl Refresh {
    async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let scope = namespace_argument(Positionals(self.args).optional(OPTIONAL_NAMESPACE)?)?;
        let namespace = scope.namespace;
        let changes = cx.client()?.refresh_packages(&namespace).await.map_err(|error| {
            let attempted = format!("Package refresh for namespace '{namespace}' failed");
            match error.not_implemented() {
                true => Failure::call(&attempted, &error, Usage::Hidden)
                    .prefixed("The package refresh feature is not implemented in the target deployment. "),
                false => Failure::call(&attempted, &error, Usage::Hidden),
            }
        })?;
        cx.out.line(
            Line::default()
                .plain("'")
                .bold(namespace)
                .plain("' refreshed successfully"),
        )?;
        for (title, member) in [
            ("created bindings:", "added"),
            ("updated bindings:", "updated"),
            ("deleted bindings:", "deleted"),
        ] {
            cx.out.line(Line::default().bold(title))?;
            items(&changes, member).iter().try_for_each(|name| {
                cx.out
                    .line(name.as_str().map_or_else(|| name.to_string(), str::to_owned))
            })?;
        }
        Ok(())
    }
}
