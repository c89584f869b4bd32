//! `wsk action create` and `wsk action update`.

use clap::Args;
use serde_json::{Value, json};
use wsk_client::{Client, Code, Overwrite};

use super::annotations::{Secure, Web, Wishes};
use super::exec::{self, ExecFlags};
use super::failed;
use crate::args::Positionals;
use crate::args::flags::go_int;
use crate::commands::{AnnotationHelp, ParameterHelp};
use crate::context::Context;
use crate::failure::Failure;
use crate::json::{items, object, text};
use crate::names::QualifiedName;
use crate::output::line;
use crate::pairs::Sort;

#[derive(Debug, Args)]
pub struct Create {
    #[arg(value_name = "ACTION_NAME ACTION")]
    args: Vec<String>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args)]
pub struct Update {
    #[arg(value_name = "ACTION_NAME [ACTION]")]
    args: Vec<String>,
    #[command(flatten)]
    flags: Flags,
    /// the list of annotations to be deleted from the action, e.g. --del-annotation key1 --del-annotation key2
    #[arg(long, value_name = "KEY")]
    del_annotation: Vec<String>,
}

#[derive(Debug, Args)]
struct Flags {
    #[command(flatten)]
    exec: ExecFlags,
    /// copy the contents of an existing action (only for ACTION that is an existing action)
    #[arg(long)]
    copy: bool,
    /// treat ACTION as comma separated sequence of actions to invoke
    #[arg(long)]
    sequence: bool,
    /// treat ACTION as a web action, a raw HTTP web action, or as a standard action; yes | true = web action, raw = raw HTTP web action, no | false = standard action
    #[arg(long, value_name = "string")]
    web: Option<String>,
    /// secure the web action; true, false or SECRET
    #[arg(long, value_name = "SECRET")]
    web_secure: Option<String>,
    /// the timeout LIMIT in milliseconds after which the action is terminated (default 60000)
    #[arg(short, long, value_name = "LIMIT", value_parser = go_int)]
    timeout: Option<i64>,
    /// the maximum memory LIMIT in MB for the action (default 256)
    #[arg(short, long, value_name = "LIMIT", value_parser = go_int)]
    memory: Option<i64>,
    /// the maximum log size LIMIT in MB for the action (default 10)
    #[arg(short, long, value_name = "LIMIT", value_parser = go_int)]
    logsize: Option<i64>,
    /// the maximum intra-container concurrent activation LIMIT for the action (default 1)
    #[arg(short, long, value_name = "LIMIT", value_parser = go_int)]
    concurrency: Option<i64>,
    #[command(flatten)]
    parameters: ParameterHelp,
    #[command(flatten)]
    annotations: AnnotationHelp,
}

/// Whether the action may be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
}

/// What the action is made of.
enum Source {
    Copy(QualifiedName),
    Exec(Value),
    /// An update that leaves the code alone.
    Unchanged,
}

/// A body in the making.
struct Draft {
    exec: Option<Value>,
    parameters: Vec<Value>,
    wishes: Wishes,
}

const ARTIFACT_REQUIRED: &str = "An action name and code artifact are required.";

impl Create {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let (name, artifact) = Positionals(self.args).one_or_two(ARTIFACT_REQUIRED)?;
        put(cx, Mode::Create, &name, artifact.as_deref(), &self.flags, Vec::new()).await
    }
}

impl Update {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let required = "An action name is required. A code artifact is optional.";
        let (name, artifact) = Positionals(self.args).one_or_two(required)?;
        put(
            cx,
            Mode::Update,
            &name,
            artifact.as_deref(),
            &self.flags,
            self.del_annotation,
        )
        .await
    }
}

async fn put(
    cx: &mut Context,
    mode: Mode,
    name: &str,
    artifact: Option<&str>,
    flags: &Flags,
    deleted: Vec<String>,
) -> Result<(), Failure> {
    let name = QualifiedName::parse(name).map_err(Failure::in_arguments)?;
    let (source, mut draft) = flags
        .draft(cx, mode, artifact, deleted)
        .map_err(Failure::in_arguments)?;
    let client = cx.client()?;
    let mut missing = Vec::new();
    match source {
        Source::Copy(original) => missing = draft.copy(&client, &original).await.map_err(Failure::in_arguments)?,
        Source::Exec(exec) => draft.exec = Some(exec),
        Source::Unchanged => {}
    }
    let existing = match mode {
        Mode::Create => None,
        Mode::Update => existing(&client, &name).await?,
    };
    let body = draft
        .into_body(&name, flags, existing.as_ref())
        .map_err(Failure::in_arguments)?;
    let (overwrite, told) = match mode {
        Mode::Create => (Overwrite::No, "created action "),
        Mode::Update => (Overwrite::Yes, "updated action "),
    };
    let actions = client.actions(&name.namespace);
    actions
        .put(&name.entity, overwrite, &body)
        .await
        .map_err(|error| failed("create", &name.entity, &error))?;
    cx.out.ok(line(told).bold(name.entity))?;
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    cx.out.error_text(&format!(
        "secret parameters are not copied: {names}; set them with wsk action update --secret-param"
    ))
}

async fn existing(client: &Client, name: &QualifiedName) -> Result<Option<Value>, Failure> {
    match client.action(&name.namespace, &name.entity, Code::Without).await {
        Ok(action) => Ok(Some(action)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(failed("create", &name.entity, &error)),
    }
}

impl Flags {
    fn draft(
        &self,
        cx: &Context,
        mode: Mode,
        artifact: Option<&str>,
        deleted: Vec<String>,
    ) -> Result<(Source, Draft), Failure> {
        let parameters = cx.lists.parameters.to_key_values(Sort::Parameter)?;
        let own = cx.lists.annotations.to_key_values(Sort::Annotation)?;
        let source = self.source(mode, artifact)?;
        let web = self.web.as_deref().map(Web::parse).transpose()?;
        let secure = self.web_secure.as_deref().map(Secure::parse);
        Ok((
            source,
            Draft {
                exec: None,
                parameters,
                wishes: Wishes {
                    own,
                    web,
                    secure,
                    deleted,
                },
            },
        ))
    }

    fn source(&self, mode: Mode, artifact: Option<&str>) -> Result<Source, Failure> {
        let nothing = || Failure::input(ARTIFACT_REQUIRED);
        if self.copy {
            return QualifiedName::parse(artifact.ok_or_else(nothing)?).map(Source::Copy);
        }
        if self.sequence {
            return exec::sequence(artifact.ok_or_else(nothing)?).map(Source::Exec);
        }
        match (exec::is_given(&self.exec, artifact), mode) {
            (true, _) => exec::from_artifact(&self.exec, artifact).map(Source::Exec),
            (false, Mode::Create) => Err(nothing()),
            (false, Mode::Update) => Ok(Source::Unchanged),
        }
    }

    fn limits(&self) -> Option<Value> {
        let given = [
            ("timeout", self.timeout),
            ("memory", self.memory),
            ("logs", self.logsize),
            ("concurrency", self.concurrency),
        ];
        let given: Vec<_> = given
            .into_iter()
            .filter_map(|(name, limit)| Some((name, json!(limit?))))
            .collect();
        (!given.is_empty()).then(|| object(given))
    }
}

impl Draft {
    /// Takes over the code of an action, and puts its parameters and annotations behind the given ones. Secrets cannot be
    /// taken over, since nobody is shown their values: the copy declares them; those that are missing are given back.
    async fn copy(&mut self, client: &Client, original: &QualifiedName) -> Result<Vec<String>, Failure> {
        let action = client
            .action(&original.namespace, &original.entity, Code::With)
            .await
            .map_err(|error| failed("get", &original.entity, &error))?;
        self.exec = action.get("exec").cloned();
        let given: Vec<Value> = self.parameters.iter().map(|own| own["key"].clone()).collect();
        let mut missing = Vec::new();
        for parameter in items(&action, "parameters") {
            let is_secret = parameter.get("secret") == Some(&Value::Bool(true));
            if is_secret && given.contains(&parameter["key"]) {
                continue;
            }
            if is_secret {
                missing.push(text(parameter, "key").to_owned());
            }
            self.parameters.push(parameter.clone());
        }
        self.wishes.own.extend_from_slice(items(&action, "annotations"));
        Ok(missing)
    }

    fn into_body(self, name: &QualifiedName, flags: &Flags, existing: Option<&Value>) -> Result<Value, Failure> {
        let annotations = existing.and_then(|action| action.get("annotations"));
        let sent = self.wishes.resolve(annotations)?;
        let mut members = vec![("namespace", json!(name.namespace)), ("name", json!(name.entity))];
        members.extend(self.exec.map(|exec| ("exec", exec)));
        let lists = [
            ("annotations", sent.annotations),
            ("delAnnotations", sent.deleted.into_iter().map(Value::from).collect()),
            ("parameters", self.parameters),
        ];
        members.extend(
            lists
                .into_iter()
                .filter(|(_, list)| !list.is_empty())
                .map(|(name, list)| (name, list.into())),
        );
        members.extend(flags.limits().map(|limits| ("limits", limits)));
        Ok(object(members))
    }
}
