//! `wsk api list`.

use clap::Args;
use wsk_client::ApiQuery;

use super::operations::{self, Filter, Operation};
use super::{route, tenant};
use crate::args::Positionals;
use crate::commands::PageFlags;
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::lists::Order;

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "[[BASE_PATH | API_NAME] [API_PATH [API_VERB]]")]
    args: Vec<String>,
    #[command(flatten)]
    page: PageFlags,
    /// display full description of each API
    #[arg(short, long)]
    full: bool,
}

const REQUIRED: &str = "Optional parameters are: API base path (or API name), API relative path and operation.";

/// Operands that name an API, a path of it and a verb of that path.
pub fn query(args: &[String]) -> Result<ApiQuery, Failure> {
    Ok(ApiQuery {
        base: args.first().cloned().unwrap_or_default(),
        path: args
            .get(1)
            .map(|path| route::parse_path(path))
            .transpose()?
            .unwrap_or_default(),
        verb: args
            .get(2)
            .map(|verb| route::parse_verb(verb))
            .transpose()?
            .unwrap_or_default(),
    })
}

impl List {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let query = query(&Positionals(self.args).count(0, 3, REQUIRED)?)?;
        let page = query.base.is_empty().then(|| self.page.page());
        let found = cx.client()?.apis(&tenant(cx)?, &query, page).await;
        let found = found.map_err(|error| Failure::call("Unable to obtain the API list", &error, Usage::Hidden))?;
        let filter = Filter {
            path: query.path,
            verb: query.verb,
        };
        let mut rows: Vec<Operation> = Vec::new();
        for api in found.iter().filter_map(|item| item.get("value")) {
            rows.extend(operations::of(api, &filter)?);
        }
        match self.page.order() {
            Order::ByName => rows.sort_by_cached_key(operations::sort_key),
            Order::AsSent => {}
        }
        cx.out.ok("APIs")?;
        let lines = match self.full {
            true => operations::details(&rows),
            false => operations::table(&rows),
        };
        lines.into_iter().try_for_each(|line| cx.out.line(line))
    }
}
