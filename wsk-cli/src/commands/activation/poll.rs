//! `wsk activation poll`: the logs of activations as they appear.

use std::collections::HashSet;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use wsk_client::{ActivationQuery, Client, Page};

use crate::args::Positionals;
use crate::args::flags::go_int;
use crate::commands::OPTIONAL_NAMESPACE;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::json::{integer, text};
use crate::names::{OWN, QualifiedName};
use crate::output::Line;

#[derive(Debug, Args)]
pub struct Poll {
    #[arg(value_name = "[ NAMESPACE | ACTION_NAME ]")]
    args: Vec<String>,
    /// stop polling after SECONDS seconds
    #[arg(short, long, value_name = "SECONDS", default_value = "0", value_parser = go_int)]
    exit: i64,
    /// start polling for activations SECONDS seconds ago
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = go_int)]
    since_seconds: i64,
    /// start polling for activations MINUTES minutes ago
    #[arg(long, value_name = "MINUTES", default_value = "0", value_parser = go_int)]
    since_minutes: i64,
    /// start polling for activations HOURS hours ago
    #[arg(long, value_name = "HOURS", default_value = "0", value_parser = go_int)]
    since_hours: i64,
    /// start polling for activations DAYS days ago
    #[arg(long, value_name = "DAYS", default_value = "0", value_parser = go_int)]
    since_days: i64,
}

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(2);

impl Poll {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = match Positionals(self.args.clone()).optional(OPTIONAL_NAMESPACE)? {
            Some(argument) => QualifiedName::parse(&argument)?.entity,
            None => String::new(),
        };
        let client = cx.client()?;
        cx.out.line("Enter Ctrl-c to exit.")?;
        let since = self.since(&client).await;
        cx.out.line("Polling for activation logs")?;
        let deadline = u64::try_from(self.exit).ok().filter(|seconds| *seconds > 0);
        let deadline = deadline.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        tokio::select! {
            told = follow(cx, &client, name, since, deadline) => return told,
            _ = tokio::signal::ctrl_c() => {}
        }
        cx.out.line("Poll terminated")?;
        Err(Failure::Reported(Exit::GENERAL))
    }

    /// The time of the first activation to show, in ms: so long ago, or just after the newest one there is.
    async fn since(&self, client: &Client) -> i64 {
        let ago = self.since_seconds + 60 * (self.since_minutes + 60 * (self.since_hours + 24 * self.since_days));
        let now = Timestamp::now().as_millisecond();
        if ago > 0 {
            return now - ago * 1000;
        }
        let page = Page { limit: 1, skip: 0 };
        let query = ActivationQuery {
            page,
            name: String::new(),
            since: 0,
            upto: 0,
            docs: true,
        };
        match client.activations(OWN, &query).await {
            Ok(newest) => newest.first().map_or(0, |record| integer(record, "start") + 1),
            Err(_) => now,
        }
    }
}

/// Prints each record once, until the deadline. A list that fails is simply tried again at the next look.
async fn follow(
    cx: &mut Context,
    client: &Client,
    name: String,
    since: i64,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let mut query = ActivationQuery {
        page: Page::ALL,
        name,
        since,
        upto: 0,
        docs: true,
    };
    let mut seen = HashSet::new();
    loop {
        let records = client.activations(OWN, &query).await.unwrap_or_default();
        for record in &records {
            if seen.insert(text(record, "activationId").to_owned()) {
                print(cx, record)?;
            }
        }
        // A full page would hide what comes after it, so the window moves on; the newest time itself is asked again,
        // because several activations may share it.
        if let Some(newest) = records.iter().map(|record| integer(record, "start")).max() {
            query.since = query.since.max(newest);
            seen.retain(|id| records.iter().any(|record| text(record, "activationId") == id));
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Ok(());
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn print(cx: &mut Context, record: &Value) -> Result<(), Failure> {
    let told = Line::default()
        .plain("\nActivation: ")
        .bold(format!("'{}'", text(record, "name")));
    cx.out
        .line(told.plain(format!(" ({})", text(record, "activationId"))))?;
    cx.out.json(record.get("logs").unwrap_or(&Value::Null))?;
    cx.out.flush()
}
