//! A record as the row it is kept in.
//!
//! Two JSON objects whose fields together make OpenWhisk's document: the small one is all that lists read.

use std::sync::Arc;

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use wsk_entities::{
    Activation, ActivationId, ActivationSummary, EntityName, Namespace, Parameters, Response, StatusCode, Timestamp,
    Version,
};

use crate::Error;
use crate::embedded::failure::corrupted;

/// What lists show, and all else that is small. Together with [`Body`] OpenWhisk's document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadRef<'a> {
    namespace: &'a Namespace,
    name: &'a EntityName,
    version: Version,
    subject: &'a str,
    activation_id: ActivationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<ActivationId>,
    start: Timestamp,
    end: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    annotations: &'a Parameters,
    publish: bool,
    entity_type: &'static str,
}

/// [`HeadRef`] as read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    namespace: Namespace,
    name: EntityName,
    version: Version,
    subject: Arc<str>,
    activation_id: ActivationId,
    cause: Option<ActivationId>,
    start: Timestamp,
    end: Timestamp,
    duration: Option<u64>,
    annotations: Parameters,
    publish: bool,
}

/// What may be large; lists leave it on the disk.
#[derive(Serialize)]
struct BodyRef<'a> {
    response: &'a Response,
    logs: &'a [String],
}

#[derive(Deserialize)]
struct Body {
    response: Response,
    logs: Vec<String>,
}

/// The head and the body of a record.
pub fn encode(record: &Activation) -> (String, String) {
    let head = HeadRef {
        namespace: &record.namespace,
        name: &record.name,
        version: record.version,
        subject: &record.subject,
        activation_id: record.activation_id,
        cause: record.cause,
        start: record.start,
        end: record.end,
        duration: record.duration,
        annotations: &record.annotations,
        publish: record.publish,
        entity_type: "activation",
    };
    let body = BodyRef {
        response: &record.response,
        logs: &record.logs,
    };
    let json = "records serialise to JSON";
    (
        serde_json::to_string(&head).expect(json),
        serde_json::to_string(&body).expect(json),
    )
}

/// Reads columns `id, head, status`.
pub fn summary(row: &Row<'_>) -> Result<ActivationSummary, Error> {
    let Head {
        namespace,
        name,
        version,
        publish,
        annotations,
        activation_id,
        start,
        end,
        cause,
        ..
    } = parse(row, 1)?;
    let ended = end != 0;
    let status = row.get::<_, u8>(2)?;
    Ok(ActivationSummary {
        namespace,
        name,
        version,
        publish,
        annotations,
        activation_id,
        start,
        end: ended.then_some(end),
        duration: ended.then(|| end.saturating_sub(start)),
        status_code: if ended { StatusCode::from_number(status) } else { None },
        cause,
    })
}

/// Reads columns `id, head, body`.
pub fn activation(row: &Row<'_>) -> Result<Activation, Error> {
    let head: Head = parse(row, 1)?;
    let body: Body = parse(row, 2)?;
    Ok(Activation {
        namespace: head.namespace,
        name: head.name,
        version: head.version,
        subject: head.subject,
        activation_id: head.activation_id,
        cause: head.cause,
        start: head.start,
        end: head.end,
        duration: head.duration,
        response: body.response,
        logs: body.logs,
        annotations: head.annotations,
        publish: head.publish,
    })
}

/// Parses one column; the id in the first names the record when it does not.
fn parse<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Error> {
    let id = || {
        row.get(0).map_or("an activation".to_owned(), |id| {
            ActivationId::from_bits(u128::from_be_bytes(id)).to_string()
        })
    };
    let text = row.get_ref(column)?.as_str().map_err(|e| corrupted(&id(), e))?;
    serde_json::from_str(text).map_err(|e| corrupted(&id(), e))
}

/// The bytes of an id as they are stored, in the order of its text.
pub fn key(id: ActivationId) -> [u8; 16] {
    id.bits().to_be_bytes()
}
