//! Web actions.

use std::sync::Arc;

use wsk_service::http::Response;

use super::router::WebPath;
use super::{Error, Layout, Request};
use crate::app::{self, App};

/// Answers `/api/v1/web/{ns}/{package}/{action}…`, its own errors and CORS headers included.
pub async fn handle(_app: &Arc<App>, request: &Request, _path: WebPath<'_>) -> Response {
    Error::from(app::Error::Missing).response(&request.transid, Layout::Indented)
}
