//! `wsk action`.

use clap::Subcommand;

use crate::context::Context;
use crate::failure::{Failure, Usage};

mod annotations;
mod delete;
pub(super) mod exec;
mod get;
pub mod invoke;
mod list;
mod put;
mod save;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// create a new action
    Create(put::Create),
    /// update an existing action, or create an action if it does not exist
    Update(put::Update),
    /// invoke action
    Invoke(invoke::Invoke),
    /// get action
    Get(get::Get),
    /// delete action
    Delete(delete::Delete),
    /// list all actions in a namespace or actions contained in a package
    List(list::List),
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(cx).await,
            Self::Update(command) => command.run(cx).await,
            Self::Invoke(command) => command.run(cx).await,
            Self::Get(command) => command.run(cx).await,
            Self::Delete(command) => command.run(cx).await,
            Self::List(command) => command.run(cx).await,
        }
    }
}

const NAME_REQUIRED: &str = "An action name is required.";

/// A call about one action that failed.
pub fn failed(verb: &str, name: &str, error: &wsk_client::Error) -> Failure {
    Failure::call(&format!("Unable to {verb} action '{name}'"), error, Usage::Shown)
}
