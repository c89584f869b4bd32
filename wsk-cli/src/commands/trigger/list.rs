//! `wsk trigger list`.

use clap::Args;

use crate::args::Positionals;
use crate::commands::{OPTIONAL_NAMESPACE, PageFlags, list_failure, namespace_argument, print_list};
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::lists::Listed;

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "[NAMESPACE]")]
    args: Vec<String>,
    #[command(flatten)]
    page: PageFlags,
}

impl List {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let scope = namespace_argument(Positionals(self.args).optional(OPTIONAL_NAMESPACE)?)?;
        let client = cx.client()?;
        let page = client.triggers(&scope.namespace).list(self.page.page()).await;
        let page = page.map_err(|error| list_failure("triggers", &scope, &error, Usage::Hidden))?;
        print_list(cx, Listed::Triggers, page, self.page.order())
    }
}
