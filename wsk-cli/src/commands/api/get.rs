//! `wsk api get`.

use clap::Args;
use serde_json::Value;
use wsk_client::ApiQuery;

use super::{failed, swagger, tenant};
use crate::args::Positionals;
use crate::context::Context;
use crate::failure::Failure;
use crate::yaml;

#[derive(Debug, Args)]
pub struct Get {
    #[arg(value_name = "BASE_PATH | API_NAME")]
    args: Vec<String>,
    /// display full API configuration details
    #[arg(short, long)]
    full: bool,
    /// Specify the API output TYPE, either json or yaml
    #[arg(long, value_name = "TYPE", default_value = "json")]
    format: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

impl Get {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let name = Positionals(self.args).one("An API base path or API name is required.")?;
        let format = match self.format.to_lowercase().as_str() {
            "json" => Format::Json,
            "yaml" => Format::Yaml,
            other => return Err(Failure::new(format!("Invalid format type: {other}")).without_usage()),
        };
        let query = ApiQuery {
            base: name.clone(),
            ..ApiQuery::default()
        };
        let found = cx.client()?.apis(&tenant(cx)?, &query, None).await;
        let found = found.map_err(|error| failed(&format!("Unable to get API '{name}'"), &error))?;
        let Some(api) = found.first().and_then(|item| item.get("value")) else {
            let what = if name.starts_with('/') { "basepath" } else { "API name" };
            return Err(Failure::new(format!("API does not exist for {what} {name}")).without_usage());
        };
        let shown = match self.full {
            true => swagger::show_api(api),
            false => swagger::show(api.get("apidoc").unwrap_or(&Value::Null)),
        };
        match format {
            Format::Json => cx.out.json(&shown),
            // Upstream ends the document with an empty line.
            Format::Yaml => cx.out.line(yaml::to_text(&shown)),
        }
    }
}
