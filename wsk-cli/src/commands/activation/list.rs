//! `wsk activation list`.

use clap::Args;
use wsk_client::{ActivationQuery, Page};

use crate::args::Positionals;
use crate::args::flags::go_int;
use crate::commands::{OPTIONAL_NAMESPACE, list_failure, own_namespace};
use crate::context::Context;
use crate::documents;
use crate::failure::{Failure, Usage};
use crate::lists;
use crate::names::{OWN, QualifiedName};
use crate::output::Line;

#[derive(Debug, Args)]
pub struct List {
    #[arg(value_name = "[NAMESPACE or NAME]")]
    args: Vec<String>,
    /// exclude the first SKIP number of activations from the result
    #[arg(short, long, value_name = "SKIP", default_value = "0", value_parser = go_int)]
    skip: i64,
    /// only return LIMIT number of activations from the collection with a maximum LIMIT of 200 activations
    #[arg(short, long, value_name = "LIMIT", default_value = "30", value_parser = go_int)]
    limit: i64,
    /// include full activation description
    #[arg(short, long)]
    full: bool,
    /// return activations with timestamps later than SINCE; measured in milliseconds since Th, 01, Jan 1970
    #[arg(long, value_name = "SINCE", default_value = "0", value_parser = go_int)]
    since: i64,
    /// return activations with timestamps earlier than UPTO; measured in milliseconds since Th, 01, Jan 1970
    #[arg(long, value_name = "UPTO", default_value = "0", value_parser = go_int)]
    upto: i64,
}

impl List {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        // Records belong to the caller, so a namespace in the argument only takes part in its name.
        let name = match Positionals(self.args).optional(OPTIONAL_NAMESPACE)? {
            Some(argument) => QualifiedName::parse(&argument)?.entity,
            None => String::new(),
        };
        let page = Page {
            limit: self.limit,
            skip: self.skip,
        };
        let query = ActivationQuery {
            page,
            name,
            since: self.since,
            upto: self.upto,
            docs: self.full,
        };
        let client = cx.client()?;
        let records = client
            .activations(OWN, &query)
            .await
            .map_err(|error| list_failure("activations", &own_namespace(), &error, Usage::Hidden))?;
        if self.full {
            cx.out.line(Line::default().bold("activations"))?;
            return records
                .iter()
                .try_for_each(|record| cx.out.json(&documents::activation(record)));
        }
        let mut table = lists::activations(&records).into_iter();
        cx.out.line(Line::default().bold(table.next().unwrap_or_default()))?;
        table.try_for_each(|row| cx.out.line(row))
    }
}
