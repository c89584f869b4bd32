//! `wsk activation cancel`.

use clap::Args;
use wsk_client::Cancelled;

use super::{ID_REQUIRED, Wanted};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::OWN;
use crate::output::line;

/// There is no `--last`: what has not ended is in no list.
#[derive(Debug, Args)]
pub struct Cancel {
    #[arg(value_name = "ACTIVATION_ID")]
    args: Vec<String>,
}

impl Cancel {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let id = Positionals(self.args).one(ID_REQUIRED)?;
        let client = cx.client()?;
        let cancelled = client
            .cancel_activation(OWN, &id)
            .await
            .map_err(|error| Wanted::End.failed(&id, &error))?;
        match cancelled {
            Cancelled::Ended(_) => cx.out.ok(line("cancelled activation ").bold(id)),
            Cancelled::Accepted => cx.out.ok(line("activation ").bold(id).plain(" is being cancelled")),
        }
    }
}
