//! Under construction: actions.

use std::sync::Arc;

use wsk_service::http::Response;

use super::{Call, Error};
use crate::app::{self, App};

fn unbuilt() -> Result<Response, Error> {
    Err(app::Error::Unavailable("actions are not built yet".into()).into())
}

pub async fn list(_app: &Arc<App>, _call: &Call<'_>) -> Result<Response, Error> {
    unbuilt()
}

pub async fn list_package(_app: &Arc<App>, _call: &Call<'_>) -> Result<Response, Error> {
    unbuilt()
}

pub async fn get(_app: &Arc<App>, _call: &Call<'_>, _name: wsk_entities::FullName) -> Result<Response, Error> {
    unbuilt()
}

pub async fn put(_app: &Arc<App>, _call: &Call<'_>, _name: wsk_entities::FullName) -> Result<Response, Error> {
    unbuilt()
}

pub async fn delete(_app: &Arc<App>, _call: &Call<'_>, _name: wsk_entities::FullName) -> Result<Response, Error> {
    unbuilt()
}

