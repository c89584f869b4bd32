//! `wsk api`: routes of the API gateway.

use clap::Subcommand;
use wsk_client::ApiTenant;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Usage};

mod create;
mod delete;
mod get;
mod list;
mod operations;
mod route;
mod swagger;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// create a new API
    Create(create::Create),
    /// get API details
    Get(get::Get),
    /// delete an API
    Delete(delete::Delete),
    /// list APIs
    List(list::List),
}

impl Command {
    pub async fn run(self, cx: &mut Context) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(cx).await,
            Self::Get(command) => command.run(cx).await,
            Self::Delete(command) => command.run(cx).await,
            Self::List(command) => command.run(cx).await,
        }
    }
}

/// Sent when no token is configured; the platform's own gateway asks for none.
const NO_TOKEN: &str = "DUMMY TOKEN";

/// Who the routes belong to. The key in the properties file comes first, so that `-u` cannot move them by accident;
/// upstream stops there.
pub(super) fn tenant(cx: &Context) -> Result<ApiTenant, Failure> {
    let settings = &cx.settings;
    let key = match settings.file_auth.is_empty() {
        true => &settings.auth,
        false => &settings.file_auth,
    };
    if key.is_empty() {
        return Err(Failure::new("Authorization key is not configured (--auth is required)"));
    }
    let space = wsk_client::Credentials::new(key.as_str()).uuid().to_owned();
    Ok(ApiTenant {
        space,
        token: settings.gateway_token.clone().unwrap_or_else(|| NO_TOKEN.to_owned()),
    })
}

pub(super) use route::declared;

/// What the gateway is asked for a whole API that a file describes.
pub(super) fn description(file: &str) -> Result<serde_json::Value, Failure> {
    Ok(swagger::creation(&swagger::read(file)?))
}

/// The base path of the API that a file describes.
pub(super) fn base_path(file: &str) -> Result<String, Failure> {
    swagger::base_path(file)
}

/// A failed call about one API: always exit 1, but for a missing key or connection.
fn failed(attempted: &str, error: &wsk_client::Error) -> Failure {
    let failure = Failure::call(attempted, error, Usage::Hidden);
    match error.status() {
        Some(_) => failure.with_exit(Exit::GENERAL),
        None => failure,
    }
}
