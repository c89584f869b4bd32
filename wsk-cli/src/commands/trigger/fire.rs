//! `wsk trigger fire`.

use clap::Args;
use serde_json::Value;

use super::{NAME_REQUIRED, failed};
use crate::args::Positionals;
use crate::commands::ParameterHelp;
use crate::context::Context;
use crate::failure::Failure;
use crate::names::QualifiedName;
use crate::output::line;
use crate::pairs::Sort;

#[derive(Debug, Args)]
pub struct Fire {
    #[arg(value_name = "TRIGGER_NAME [PAYLOAD]")]
    args: Vec<String>,
    #[command(flatten)]
    parameters: ParameterHelp,
}

impl Fire {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = QualifiedName::parse(&Positionals(self.args).one(NAME_REQUIRED)?)?;
        let payload = Value::Object(cx.lists.parameters.to_object(Sort::Parameter)?);
        let client = cx.client()?;
        let fired = client.fire(&name.namespace, &name.entity, &payload).await;
        let id = fired.map_err(|error| failed("fire", &name, &error))?;
        cx.out.ok(line("triggered ")
            .bold(name.to_string())
            .plain(" with id ")
            .bold(id.unwrap_or_default()))
    }
}
