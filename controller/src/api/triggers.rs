//! Triggers.

use std::sync::Arc;

use wsk_entities::Collection;
use wsk_entities::requests::TriggerPut;
use wsk_service::http::Response;

use super::{Call, Error, listing, reply};
use crate::app::App;

/// `GET …/triggers`.
pub async fn list(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    listing::own_namespace(app, call, Collection::Triggers).await
}

/// `GET …/triggers/{name}`.
pub async fn get(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    Ok(reply::json(&*app.get_trigger(&name).await?))
}

/// `PUT …/triggers/{name}`.
pub async fn put(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    let body = call.put_body(app)?;
    let overwrite = call.overwrite()?;
    let put = TriggerPut::read(body)?;
    Ok(reply::json(&*app.put_trigger(&name, overwrite, put).await?))
}

/// `DELETE …/triggers/{name}`.
pub async fn delete(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    Ok(reply::json(&*app.delete_trigger(&name).await?))
}
