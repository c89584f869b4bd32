//! `wsk action list`.

use clap::Args;

use crate::args::Positionals;
use crate::commands::{OPTIONAL_NAMESPACE, PageFlags, list_failure, own_namespace, print_list};
use crate::context::Context;
use crate::failure::{Failure, Usage};
use crate::lists::Listed;
use crate::names::QualifiedName;

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "[ NAMESPACE | PACKAGE_NAME ]")]
    args: Vec<String>,
    #[command(flatten)]
    page: PageFlags,
}

impl List {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        let scope = match Positionals(self.args).optional(OPTIONAL_NAMESPACE)? {
            Some(argument) => QualifiedName::parse(&argument)?,
            None => own_namespace(),
        };
        let client = cx.client()?;
        let page = match scope.entity.is_empty() {
            true => client.actions(&scope.namespace).list(self.page.page()).await,
            false => {
                client
                    .actions_in(&scope.namespace, &scope.entity, self.page.page())
                    .await
            }
        };
        let page = page.map_err(|error| list_failure("actions", &scope, &error, Usage::Shown))?;
        print_list(cx, Listed::Actions, page, self.page.order())
    }
}
