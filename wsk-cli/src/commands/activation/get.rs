//! `wsk activation get`.

use clap::Args;
use serde_json::Value;

use super::{Wanted, Which, lines, print_lines, strip};
use crate::context::Context;
use crate::documents::{self, Document};
use crate::failure::Failure;
use crate::json::{integer, sorted, text};
use crate::names::OWN;
use crate::output::line;
use crate::times;

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "(ACTIVATION_ID | --last) [FIELD_FILTER]")]
    args: Vec<String>,
    /// retrieves the last activation
    #[arg(short, long)]
    last: bool,
    /// summarize activation details
    #[arg(short, long)]
    summary: bool,
    /// emit only the logs, stripped of time stamps and stream identifier
    #[arg(short = 'g', long)]
    logs: bool,
}

impl Get {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let which = Which::new(self.last);
        let (id, typed) = which.count(self.args, 2)?;
        // A bad filter is told before anything is asked of the platform.
        let field = typed
            .map(|typed| Ok::<_, Failure>((Document::Activation.parse_field(&typed)?, typed)))
            .transpose()?;
        let client = cx.client()?;
        let id = which.resolve(id, &client, Wanted::Record).await?;
        let record = client
            .activation(OWN, &id)
            .await
            .map_err(|error| Wanted::Record.failed(&id, &error))?;
        if self.logs {
            return print_lines(cx, lines(&record).into_iter().map(strip));
        }
        if self.summary {
            return summarize(cx, &record);
        }
        match field {
            Some((field, typed)) => {
                cx.out.ok(line("got activation ")
                    .bold(id)
                    .plain(", displaying field ")
                    .bold(typed))?;
                cx.out
                    .json(&Document::Activation.field(&documents::with_status_code(&record), &field))
            }
            None => {
                cx.out.ok(line("got activation ").bold(id))?;
                cx.out.json(&documents::activation(&record))
            }
        }
    }
}

fn summarize(cx: &mut Context, record: &Value) -> Result<(), Failure> {
    let name = format!("/{}/{}", text(record, "namespace"), text(record, "name"));
    let status = record
        .pointer("/response/status")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let time = times::summary_time(integer(record, "end"));
    cx.out
        .line(format!("activation result for '{name}' ({status} at {time})"))?;
    cx.out
        .json(&sorted(record.pointer("/response/result").unwrap_or(&Value::Null)))
}
