//! `GET activations…`.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;
use wsk_entities::{Activation, ActivationId, EntityName, Namespace};
use wsk_service::http::Response;
use wsk_store::ActivationFilter;

use super::query::malformed;
use super::{Call, Error, Listing, Query, follow, reply};
use crate::app::{self, App, UnderWay};

#[derive(Serialize)]
struct Count {
    activations: u64,
}

#[derive(Serialize)]
struct Logs<'a> {
    logs: &'a [String],
}

/// An activation without record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending<'a> {
    activation_id: ActivationId,
    namespace: &'a Namespace,
    name: &'a EntityName,
    path: String,
    state: &'static str,
}

/// An activation that is to end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cancelling {
    activation_id: ActivationId,
    state: &'static str,
}

/// `GET activations`.
pub async fn list(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    call.caller.must_own_namespace(&call.namespace)?;
    let query = call.query();
    let listing = query.listing("activations")?;
    let docs = query.flag("docs", false)?;
    let filter = filter(query)?;
    match listing {
        Listing::Count { .. } if docs => {
            Err(app::Error::Rejected("The parameter 'docs' is not permitted with 'count'.".into()).into())
        }
        Listing::Count { skip } => {
            let count = app.activation_count(&call.namespace, &filter).await?;
            Ok(reply::json(&Count {
                activations: count.saturating_sub(skip),
            }))
        }
        Listing::Page(page) if docs => {
            let records = app.activation_records(&call.namespace, &filter, page).await?;
            Ok(reply::json(&records.iter().map(Activation::shown).collect::<Vec<_>>()))
        }
        Listing::Page(page) => Ok(reply::json(
            &app.activation_summaries(&call.namespace, &filter, page).await?,
        )),
    }
}

/// `GET activations/{id}`. With `pending=true`, which is ours, one that has no record yet is shown too.
pub async fn get(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    match record(app, call).await {
        Err(Error::App(app::Error::Missing)) if call.query().flag("pending", false)? => under_way(app, call).await,
        record => Ok(reply::json(&record?.shown())),
    }
}

async fn under_way(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let id = id(call)?;
    let Some(UnderWay { action, state }) = app.under_way(&call.caller, id).await? else {
        // It may have ended while everybody was asked.
        return Ok(reply::json(&record(app, call).await?.shown()));
    };
    Ok(reply::json(&Pending {
        activation_id: id,
        namespace: call.caller.namespace(),
        name: &action.name,
        path: action.to_string(),
        state: state.text(),
    }))
}

/// `DELETE activations/{id}`, which is ours: 200 with the record of what was cancelled, 202 while that is to come. Where there
/// is nothing to cancel it is answered as upstream answers every such request, for which it has no route.
pub async fn cancel(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    let id = id(call)?;
    let cancelled = app.cancel(&call.caller, &call.namespace, id).await;
    match cancelled.map_err(|error| match error {
        app::Error::Missing => Error::NoRoute,
        other => other.into(),
    })? {
        app::Cancelled::Ended(record) => Ok(reply::json(&record.shown())),
        app::Cancelled::Accepted => {
            let mut response = reply::json(&Cancelling {
                activation_id: id,
                state: "cancelling",
            });
            *response.status_mut() = StatusCode::ACCEPTED;
            Ok(response)
        }
    }
}

/// `GET activations/{id}/result`.
pub async fn result(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    Ok(reply::json(&record(app, call).await?.response.shown()))
}

/// `GET activations/{id}/logs`. With `follow=true`, which is ours, as they are printed.
pub async fn logs(app: &Arc<App>, call: &Call<'_>) -> Result<Response, Error> {
    if call.query().flag("follow", false)? {
        return follow::logs(app, call, id(call)?).await;
    }
    Ok(reply::json(&Logs {
        logs: &record(app, call).await?.logs,
    }))
}

async fn record(app: &Arc<App>, call: &Call<'_>) -> Result<Activation, Error> {
    Ok(app.activation(&call.caller, &call.namespace, id(call)?).await?)
}

fn id(call: &Call<'_>) -> Result<ActivationId, Error> {
    call.text().parse().map_err(Error::Path)
}

fn filter(query: Query<'_>) -> Result<ActivationFilter, Error> {
    Ok(ActivationFilter {
        name: name(query)?,
        since: time(query, "since")?,
        upto: time(query, "upto")?,
    })
}

/// `action` or `package/action`; blanks of a path (a slash before, after, doubled) do not count. A blank name is no filter.
fn name(query: Query<'_>) -> Result<Option<String>, Error> {
    let Some(given) = query.get("name").filter(|name| !name.trim().is_empty()) else {
        return Ok(None);
    };
    let refused = || {
        malformed(
            "name",
            format!("Parameter may be a 'simple' name or 'package-name/simple' name: {given}"),
        )
    };
    let parts: Vec<&str> = given.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || parts.len() > 2 || parts.iter().any(|part| EntityName::new(part).is_err()) {
        return Err(refused().into());
    }
    Ok(Some(parts.join("/")))
}

fn time(query: Query<'_>, parameter: &str) -> Result<Option<u64>, Error> {
    let Some(text) = query.get(parameter) else {
        return Ok(None);
    };
    let refused = || {
        malformed(
            parameter,
            format!("Parameter is not a valid value for epoch seconds: {text}"),
        )
    };
    let time: i64 = text.parse().map_err(|_| refused())?;
    Ok(Some(u64::try_from(time).unwrap_or(0)))
}
