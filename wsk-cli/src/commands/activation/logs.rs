//! `wsk activation logs`.

use clap::Args;

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
        let lines = client
            .activation_logs(OWN, &id)
            .await
            .map_err(|error| Wanted::Logs.failed(&id, &error))?;
        let strip = |line| if self.strip { strip(line) } else { line };
        print_lines(cx, lines.iter().map(|line| strip(line.as_str())))
    }
}
