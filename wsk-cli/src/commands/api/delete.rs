//! `wsk api delete`.

use clap::Args;

use super::{failed, list, tenant};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::line;

#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "BASE_PATH | API_NAME [API_PATH [API_VERB]]")]
    args: Vec<String>,
}

const REQUIRED: &str =
    "An API base path or API name is required.  An optional API relative path and operation may also be provided.";

impl Delete {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let query = list::query(&Positionals(self.args).count(1, 3, REQUIRED)?)?;
        let deleted = cx.client()?.delete_api(&tenant(cx)?, &query).await;
        deleted.map_err(|error| failed("Unable to delete API", &error))?;
        let told = match (query.path.is_empty(), query.verb.is_empty()) {
            (true, _) => line("deleted API ").bold(query.base),
            (false, true) => line("deleted ").bold(query.path).plain(" from ").bold(query.base),
            (false, false) => line("deleted ")
                .bold(format!("{} {}", query.path, query.verb))
                .plain(" from ")
                .bold(query.base),
        };
        cx.out.ok(told)
    }
}
