//! `wsk activation`.

use clap::Subcommand;
use serde_json::Value;
use wsk_client::{ActivationQuery, Client, Page};

use crate::args::Positionals;
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::json::text;
use crate::names::OWN;

mod cancel;
mod get;
mod list;
mod logs;
mod poll;
mod result;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// list activations
    List(list::List),
    /// get activation
    Get(get::Get),
    /// get the logs of an activation
    Logs(logs::Logs),
    /// end an activation that is pending or running
    Cancel(cancel::Cancel),
    /// get the result of an activation
    Result(result::ResultCommand),
    /// poll continuously for log messages from currently running actions
    Poll(poll::Poll),
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(cx).await,
            Self::Get(command) => command.run(cx).await,
            Self::Logs(command) => command.run(cx).await,
            Self::Cancel(command) => command.run(cx).await,
            Self::Result(command) => command.run(cx).await,
            Self::Poll(command) => command.run(cx).await,
        }
    }
}

const ID_REQUIRED: &str = "An activation ID is required.";

/// What a command wants of a record, as its failures call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Record,
    Logs,
    Result,
    /// That it ends now.
    End,
}

impl Wanted {
    fn attempted(self) -> &'static str {
        match self {
            Self::Record => "Unable to get activation",
            Self::Logs => "Unable to get logs for activation",
            Self::Result => "Unable to get result for activation",
            Self::End => "Unable to cancel activation",
        }
    }

    fn failed(self, id: &str, error: &wsk_client::Error) -> Failure {
        Failure::call(&format!("{} '{id}'", self.attempted()), error, Usage::Hidden)
    }
}

/// Whether the record meant is the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Named,
    Last,
}

impl Which {
    fn new(last: bool) -> Self {
        match last {
            true => Self::Last,
            false => Self::Named,
        }
    }

    /// Counts the operands; with `--last` the id is not among them. Gives the id, and a second operand where `most`
    /// allows one.
    fn count(self, args: Vec<String>, most: usize) -> Result<(String, Option<String>), Failure> {
        let mut args = args;
        if self == Self::Last {
            // A stand-in, so that the count is the same either way.
            args.insert(0, String::new());
        }
        let mut args = Positionals(args).count(1, most, ID_REQUIRED)?.into_iter();
        Ok((args.next().unwrap_or_default(), args.next()))
    }

    /// The id that was given, or that of the newest record.
    async fn resolve(self, id: String, client: &Client, wanted: Wanted) -> Result<String, Failure> {
        match self {
            Self::Named => Ok(id),
            Self::Last => last_id(client, wanted).await,
        }
    }
}

async fn last_id(client: &Client, wanted: Wanted) -> Result<String, Failure> {
    let page = Page { limit: 1, skip: 0 };
    let query = ActivationQuery {
        page,
        name: String::new(),
        since: 0,
        upto: 0,
        docs: false,
    };
    let newest = client
        .activations(OWN, &query)
        .await
        .map_err(|error| Failure::call(wanted.attempted(), &error, Usage::Hidden))?;
    match newest.first() {
        Some(record) => Ok(text(record, "activationId").to_owned()),
        None => Err(Failure::new(format!(
            "{}: Activation list does not contain any activations.",
            wanted.attempted()
        ))),
    }
}

/// Log lines, each as the record has it.
fn print_lines<'a>(cx: &mut Context, lines: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    lines.into_iter().try_for_each(|line| cx.out.line(line))
}

fn lines(record: &Value) -> Vec<&str> {
    crate::json::items(record, "logs")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// A log line without its time and stream, when it has them and something after them.
fn strip(line: &str) -> &str {
    stripped(line).filter(|rest| !rest.is_empty()).unwrap_or(line)
}

fn stripped(line: &str) -> Option<&str> {
    let (stamp, rest) = line.split_once('Z')?;
    if !is_stamp(stamp) {
        return None;
    }
    let rest = rest.trim_start_matches(' ');
    let rest = ["stdout:", "stderr:"]
        .iter()
        .find_map(|stream| rest.strip_prefix(stream))
        .unwrap_or(rest);
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

/// `YYYY-MM-DDThh:mm:ss.fff`, with any number of digits at the end.
fn is_stamp(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.";
    let text = text.as_bytes();
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    text.len() > SHAPE.len() && text.iter().zip(SHAPE).all(fits) && text[SHAPE.len()..].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripping() {
        let cases = [
            ("2020-01-01T00:01:00.123Z stdout: this is stdout", "this is stdout"),
            (
                "2020-01-01T00:01:00.123456789Z           stderr:  indented",
                " indented",
            ),
            ("2020-01-01T00:01:00.123Z plain", "plain"),
            ("2020-01-01T00:01:00.123Z stdout: ", "2020-01-01T00:01:00.123Z stdout: "),
            ("no stamp Z here", "no stamp Z here"),
            (r#"{"rule":"x"}"#, r#"{"rule":"x"}"#),
        ];
        for (line, expected) in cases {
            assert_eq!(strip(line), expected);
        }
    }
}
