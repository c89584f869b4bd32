//! Actions.

use std::sync::Arc;

use wsk_entities::requests::ActionPut;
use wsk_entities::{Collection, FullName};
use wsk_service::http::Response;

use super::{Call, Error, listing, reply};
use crate::app::{App, CodeWanted};

/// `GET …/actions`.
pub async fn list(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    listing::own_namespace(app, call, Collection::Actions).await
}

/// `GET …/actions/{package}/`.
pub async fn list_package(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let path = app.listed_package(&call.caller, &call.full_name()?).await?;
    listing::answer(app, call, Collection::Actions, &path).await
}

/// `GET …/actions/[{package}/]{name}`.
pub async fn get(app: &Arc<App>, call: &Call<'_>, name: FullName) -> Result<Response, Error> {
    app.may_read_action(&call.caller, &name).await?;
    let code = if call.query().flag("code", true)? {
        CodeWanted::Yes
    } else {
        CodeWanted::No
    };
    let action = app.get_action(&call.caller, &name, code).await?;
    Ok(reply::json(&action.shown()))
}

/// `PUT …/actions/[{package}/]{name}`.
pub async fn put(app: &Arc<App>, call: &Call<'_>, name: FullName) -> Result<Response, Error> {
    app.may_write_action(&call.caller, &name).await?;
    let body = call.put_body(app)?;
    let overwrite = call.overwrite()?;
    let put = ActionPut::read(body)?;
    let action = app.put_action(&call.caller, &name, overwrite, put).await?;
    Ok(reply::json(&action.shown()))
}

/// `DELETE …/actions/[{package}/]{name}`.
pub async fn delete(app: &Arc<App>, call: &Call<'_>, name: FullName) -> Result<Response, Error> {
    app.may_write_action(&call.caller, &name).await?;
    Ok(reply::json(&app.delete_action(&name).await?.shown()))
}
