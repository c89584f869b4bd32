//! `wsk action invoke`, and the telling of how an invocation ended, which feeds share.

use clap::Args;
use serde_json::Value;
use wsk_client::{Invocation, Wait};

use super::{NAME_REQUIRED, failed};
use crate::args::Positionals;
use crate::commands::ParameterHelp;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{sorted, text};
use crate::names::QualifiedName;
use crate::output::{Line, Output, Stream, line};
use crate::pairs::Sort;

#[derive(Debug, Args)]
pub struct Invoke {
    #[arg(value_name = "ACTION_NAME")]
    args: Vec<String>,
    /// blocking invoke
    #[arg(short, long)]
    blocking: bool,
    /// blocking invoke; show only activation result (unless there is a failure)
    #[arg(short, long)]
    result: bool,
    #[command(flatten)]
    pairs: ParameterHelp,
}

impl Invoke {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let wait = match (self.blocking, self.result) {
            (_, true) => Wait::ForResult,
            (true, false) => Wait::ForRecord,
            (false, false) => Wait::No,
        };
        let parameters = Value::Object(cx.lists.parameters.to_object(Sort::Parameter)?);
        invoke(cx, &name, &parameters, wait).await
    }
}

/// Invokes and tells how it ended.
pub async fn invoke(cx: &mut Context, name: &QualifiedName, parameters: &Value, wait: Wait) -> Result<(), Failure> {
    let client = cx.client()?;
    let ended = client
        .invoke(&name.namespace, &name.entity, parameters, wait)
        .await
        .map_err(|error| failed("invoke", &name.entity, &error))?;
    tell(&mut cx.out, name, wait, &ended)
}

fn tell(out: &mut Output, name: &QualifiedName, wait: Wait, ended: &Invocation) -> Result<(), Failure> {
    match ended {
        Invocation::Accepted { id } => out.ok(invoked(name, id)),
        Invocation::Unfinished { id } => {
            let told = line("invoked ")
                .bold(name.to_string())
                .plain(", but the request has not yet finished, with id ")
                .bold(id.as_str());
            out.ok_on(Stream::Err, told)?;
            Err(Failure::Reported(Exit::UNFINISHED))
        }
        Invocation::Done(body) => tell_body(out, Stream::Out, name, wait, body),
        Invocation::Failed { status, body } => {
            tell_body(out, Stream::Err, name, wait, body)?;
            Err(Failure::Reported(Exit::from_status(*status)))
        }
    }
}

fn tell_body(out: &mut Output, to: Stream, name: &QualifiedName, wait: Wait, body: &Value) -> Result<(), Failure> {
    match wait {
        Wait::No | Wait::ForRecord => out.ok_on(to, invoked(name, text(body, "activationId")))?,
        Wait::ForResult => {}
    }
    out.json_on(to, &sorted(body))
}

fn invoked(name: &QualifiedName, id: &str) -> Line {
    line("invoked ").bold(name.to_string()).plain(" with id ").bold(id)
}
