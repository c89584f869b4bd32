//! `wsk activation logs`.

use clap::Args;
use wsk_client::{Client, Heard};

use super::{Wanted, Which, print_lines, strip};
use crate::context::Context;
use crate::failure::Failure;
use crate::names::OWN;

#[derive(Debug, Args)]
pub struct Logs {
    #[arg(value_name = "(ACTIVATION_ID | --last)")]
    args: Vec<String>,
    /// retrieves the last activation
    #[arg(short, long)]
    last: bool,
    /// show the lines as they are printed, until the activation ends
    #[arg(short, long)]
    follow: bool,
    /// strip timestamp and stream information
    #[arg(short = 'r', long)]
    strip: bool,
}

impl Logs {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let which = Which::new(self.last);
        let (id, _) = which.count(self.args, 1)?;
        let client = cx.client()?;
        let id = which.resolve(id, &client, Wanted::Logs).await?;
        if self.follow {
            return follow(cx, &client, &id, self.strip).await;
        }
        let lines = client
            .activation_logs(OWN, &id)
            .await
            .map_err(|error| Wanted::Logs.failed(&id, &error))?;
        let strip = |line| if self.strip { strip(line) } else { line };
        print_lines(cx, lines.iter().map(|line| strip(line.as_str())))
    }
}

/// Times that a connection which brought nothing new is made again.
const TRIES: u32 = 3;

/// Prints lines as they come. A connection that ends early is made again, and goes on after the last line.
async fn follow(cx: &mut Context, client: &Client, id: &str, stripped: bool) -> Result<(), Failure> {
    let (mut told, mut tries) = (0, TRIES);
    loop {
        let mut follower = client
            .follow_logs(OWN, id, told)
            .await
            .map_err(|error| Wanted::Logs.failed(id, &error))?;
        loop {
            match follower.next().await {
                Ok(Some(Heard::Line { number, text })) => {
                    (told, tries) = (number, TRIES);
                    cx.out.line(if stripped { strip(&text) } else { &text })?;
                    cx.out.flush()?;
                }
                Ok(Some(Heard::End(_))) => return Ok(()),
                Ok(None) if tries > 0 => break,
                Ok(None) => return Err(Failure::new("The connection ended before the activation did.")),
                Err(_) if tries > 0 => break,
                Err(error) => return Err(Wanted::Logs.failed(id, &error)),
            }
        }
        tries -= 1;
    }
}
