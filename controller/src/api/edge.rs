//! What an edge in the same process asks of a controller beside answering requests.

use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use wsk_entities::{ErrorBody, TransactionId};
use wsk_service::http::{Body, Rejection, Response};

use super::{REQUEST_ID, request};
use crate::app::{self, App};

impl App {
    /// The id of a request that has just arrived: the client's own unless it is reserved, else a new one.
    pub fn transaction_id(&self, headers: &HeaderMap) -> TransactionId {
        request::transaction_id(headers, app::now(), || self.chance.draw())
    }

    /// The answer to a request that was turned away before it was read whole, with an id like every other.
    pub fn reject(&self, head: &Parts, rejection: Rejection) -> Response {
        let transid = self.transaction_id(&head.headers);
        let body = ErrorBody {
            error: rejection.text().to_owned(),
            code: transid.id.to_string(),
        };
        let text = serde_json::to_vec(&body).expect("two strings serialise");
        let mut response = Response::new(Body::full(text));
        *response.status_mut() = rejection.status();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&transid.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}
