//! `wsk action delete`.

use clap::Args;

use super::{NAME_REQUIRED, failed};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::QualifiedName;
use crate::output::line;

#[derive(Debug, Args)]
pub struct Delete {
    #[arg(value_name = "ACTION_NAME")]
    args: Vec<String>,
}

impl Delete {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let client = cx.client()?;
        client
            .actions(&name.namespace)
            .delete(&name.entity)
            .await
            .map_err(|error| failed("delete", &name.entity, &error))?;
        cx.out.ok(line("deleted action ").bold(name.entity))
    }
}
