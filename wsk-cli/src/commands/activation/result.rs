//! `wsk activation result`.

use clap::Args;
use serde_json::Value;

use super::{Wanted, Which};
use crate::context::Context;
use crate::failure::Failure;
use crate::json::sorted;
use crate::names::OWN;

#[derive(Debug, Args)]
pub struct ResultCommand {
    #[arg(value_name = "(ACTIVATION_ID | --last)")]
    args: Vec<String>,
    /// retrieves the last activation
    #[arg(short, long)]
    last: bool,
}

impl ResultCommand {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let which = Which::new(self.last);
        let (id, _) = which.count(self.args, 1)?;
        let client = cx.client()?;
        let id = which.resolve(id, &client, Wanted::Result).await?;
        let response = client
            .activation_result(OWN, &id)
            .await
            .map_err(|error| Wanted::Result.failed(&id, &error))?;
        cx.out.json(&sorted(response.get("result").unwrap_or(&Value::Null)))
    }
}
