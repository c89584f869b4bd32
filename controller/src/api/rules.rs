//! Rules.

use std::sync::Arc;

use wsk_entities::Collection;
use wsk_entities::requests::{RulePut, read_rule_status};
use wsk_service::http::Response;

use super::{Call, Error, listing, reply};
use crate::app::{App, StatedRule};

/// `GET …/rules`.
pub async fn list(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    listing::own_namespace(app, call, Collection::Rules).await
}

/// `GET …/rules/{name}`.
pub async fn get(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    Ok(shown(&app.get_rule(&name).await?))
}

/// `PUT …/rules/{name}`.
pub async fn put(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    let body = call.put_body(app)?;
    let overwrite = call.overwrite()?;
    let put = RulePut::read(body, &call.namespace)?;
    Ok(shown(&app.put_rule(&call.caller, &name, overwrite, put).await?))
}

/// `DELETE …/rules/{name}`.
pub async fn delete(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    Ok(shown(&app.delete_rule(&name).await?))
}

/// `POST …/rules/{name}`.
pub async fn set_status(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    app.check_payload_size(&call.caller, call.request.body.len())?;
    let status = read_rule_status(&call.request.json()?)?;
    app.set_rule_status(&name, status).await?;
    Ok(reply::ok())
}

fn shown(stated: &StatedRule) -> Response {
    reply::json(&stated.rule.shown(stated.status))
}
