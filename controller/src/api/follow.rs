//! The log of an activation as server-sent events: `GET activations/{id}/logs?follow=true`, which is ours.
//!
//! One event a line, whose id is the number of the line; `Last-Event-ID` goes on after it. The last event is named `end` and
//! says how the activation ended. Comments keep silent connections alive.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use wsk_entities::{Activation, ActivationId};
use wsk_service::http::{Body, Response};

use super::query::malformed;
use super::{Call, Error};
use crate::app::{App, Told, is_cancelled};

/// The media type.
pub const EVENTS: &str = "text/event-stream";
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Asks proxies of the nginx family not to gather the answer.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Events that wait for a client.
const WAITING: usize = 16;

/// The last event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct End {
    activation_id: ActivationId,
    status: &'static str,
    status_code: u8,
    success: bool,
    cancelled: bool,
}

pub async fn logs(app: &Arc<App>, call: &Call<'_>, id: ActivationId) -> Result<Response, Error> {
    let after = match call.request.parts.headers.get(LAST_EVENT_ID) {
        None => 0,
        Some(value) => last(value)?,
    };
    let mut follower = app.follow(&call.caller, &call.namespace, id, after).await?;
    let (sender, body) = Body::stream(WAITING);
    tokio::spawn(async move {
        // At once, so that the client knows that it is followed.
        let mut chunk = String::from(": following\n\n");
        loop {
            if sender.send(std::mem::take(&mut chunk)).await.is_err() {
                return;
            }
            tokio::select! {
                told = follower.next() => match told {
                    Some(told) => event(&mut chunk, id, &told),
                    None => return,
                },
                () = sender.gone() => return,
            }
        }
    });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

fn last(value: &HeaderValue) -> Result<u64, Error> {
    let text = value.to_str().unwrap_or_default();
    text.parse().map_err(|_| {
        let reason = "The header Last-Event-ID is not the number of a line.".to_owned();
        malformed("follow", reason).into()
    })
}

fn event(out: &mut String, id: ActivationId, told: &Told) {
    let written = match told {
        Told::Line { number, text } => {
            let mut written = writeln!(out, "id: {number}");
            // A carriage return ends a line of the protocol, too.
            for part in text.split(['\r', '\n']) {
                written = written.and_then(|()| writeln!(out, "data: {part}"));
            }
            written.and_then(|()| writeln!(out))
        }
        Told::Quiet => writeln!(out, ": running\n"),
        Told::End(record) => {
            let end = serde_json::to_string(&End::of(record)).expect("our own types serialise to JSON");
            writeln!(out, "event: end\ndata: {end}\n")
        }
        Told::Lost => writeln!(
            out,
            "event: end\ndata: {{\"activationId\":\"{id}\",\"status\":\"unknown\"}}\n"
        ),
    };
    written.expect("a string takes any text");
}

impl End {
    fn of(record: &Activation) -> End {
        let status = record.response.status_code;
        End {
            activation_id: record.activation_id,
            status: status.text(),
            status_code: status as u8,
            success: status == wsk_entities::StatusCode::Success,
            cancelled: is_cancelled(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_event_whatever_it_holds() {
        let mut out = String::new();
        let line = |text: &str| Told::Line {
            number: 7,
            text: text.to_owned(),
        };
        let id: ActivationId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        for (text, expected) in [
            ("a: b", "id: 7\ndata: a: b\n\n"),
            ("", "id: 7\ndata: \n\n"),
            ("10%\r20%", "id: 7\ndata: 10%\ndata: 20%\n\n"),
            ("x\n\nevent: end", "id: 7\ndata: x\ndata: \ndata: event: end\n\n"),
        ] {
            out.clear();
            event(&mut out, id, &line(text));
            assert_eq!(out, expected, "{text:?}");
        }
    }
}
