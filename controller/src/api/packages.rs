//! Packages and bindings.

use std::sync::Arc;

use wsk_entities::requests::PackagePut;
use wsk_entities::{Collection, EntityPath};
use wsk_service::http::Response;

use super::{Call, Error, listing, reply};
use crate::app::{self, App, Contents};

/// Stands for the default package in the paths of web actions.
const RESERVED: &str = "default";

/// `GET …/packages`. Foreign namespaces show what is public.
pub async fn list(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    listing::answer(
        app,
        call,
        Collection::Packages,
        &EntityPath::root(call.namespace.clone()),
    )
    .await
}

/// `GET …/packages/{name}`.
pub async fn get(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let package = app.get_package(&call.caller, &call.full_name()?).await?;
    Ok(reply::json(&package.shown()))
}

/// `PUT …/packages/{name}`.
pub async fn put(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    let body = call.put_body(app)?;
    let overwrite = call.overwrite()?;
    if name.name.as_str() == RESERVED {
        return Err(app::Error::Rejected(format!("Package name '{RESERVED}' is reserved.")).into());
    }
    let put = PackagePut::read(body, &call.namespace)?;
    Ok(reply::json(
        &app.put_package(&call.caller, &name, overwrite, put).await?,
    ))
}

/// `DELETE …/packages/{name}`.
pub async fn delete(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let name = call.full_name()?;
    call.caller.must_own(&name)?;
    let contents = if call.query().flag("force", false)? {
        Contents::Deleted
    } else {
        Contents::Kept
    };
    Ok(reply::json(&*app.delete_package(&name, contents).await?))
}
