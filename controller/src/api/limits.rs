//! The limits that apply to a namespace.

use std::sync::Arc;

use wsk_service::http::Response;

use super::{Call, Error, reply};
use crate::app::App;

/// `GET …/limits`.
pub fn get(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    call.caller.must_own_namespace(&call.namespace)?;
    Ok(reply::json(&app.shown_limits(&call.caller)))
}
