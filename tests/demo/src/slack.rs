//! Slack, as far as its webhooks go: it tells an outgoing webhook what somebody wrote, and takes posts at an incoming one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::server::{Reply, Server, send};

/// Path of the incoming webhook.
const WEBHOOK: &str = "/services/T0/B0/x";
/// How often a message that was not taken is sent again.
const RETRIES: usize = 3;

/// A workspace with one incoming webhook.
#[derive(Debug)]
pub struct Slack {
    server: Server,
    status: Arc<AtomicU16>,
}

/// What somebody wrote in a channel, with the fields that Slack's outgoing webhooks have.
#[derive(Debug, Clone)]
pub struct Message(Vec<(&'static str, String)>);

/// How a message was received, attempt by attempt.
#[derive(Debug)]
pub struct Delivery {
    pub attempts: Vec<Reply>,
}

impl Slack {
    /// On this address of the machine.
    pub async fn start(host: IpAddr) -> Result<Slack> {
        let status = Arc::new(AtomicU16::new(200));
        let answers = status.clone();
        let server = Server::start_at(host, move |request| match (request.uri.path(), &request.method) {
            (WEBHOOK, &Method::POST) => Reply::new(answers.load(Ordering::SeqCst), "ok"),
            _ => Reply::new(404, "no_service"),
        });
        Ok(Slack {
            server: server.await?,
            status,
        })
    }

    /// Address of the incoming webhook.
    pub fn webhook(&self) -> String {
        self.server.url(WEBHOOK)
    }

    /// From now on the incoming webhook answers with this status.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Bodies of the posts so far, as they came.
    pub fn bodies(&self) -> Vec<String> {
        self.server.seen().iter().map(|request| request.text()).collect()
    }

    /// The messages posted so far. Errors: a post that is not one form field `payload` with a JSON object.
    pub fn posts(&self) -> Result<Vec<Map<String, Value>>> {
        let posts = self.server.seen();
        posts.iter().map(|post| payload(&post.text())).collect()
    }

    /// Tells an outgoing webhook of a message; again, after anything but 200, as Slack does.
    pub async fn tell(&self, url: &str, message: &Message) -> Result<Delivery> {
        let mut attempts = Vec::new();
        for _ in 0..=RETRIES {
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            let reply = send(Method::POST, url, &headers, message.form()).await?;
            let taken = reply.status == 200;
            attempts.push(reply);
            if taken {
                break;
            }
        }
        Ok(Delivery { attempts })
    }
}

impl Message {
    pub fn new(text: &str) -> Message {
        let fields = [
            ("token", "XXXX"),
            ("team_id", "T0001"),
            ("team_domain", "example"),
            ("channel_id", "C1"),
            ("channel_name", "weather"),
            ("timestamp", "1355517523.000005"),
            ("user_id", "U1"),
            ("user_name", "Steve"),
            ("text", text),
            ("trigger_word", "weather"),
        ];
        Message(fields.map(|(name, value)| (name, value.to_owned())).into())
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Message {
        self.0.push((name, value.to_owned()));
        self
    }

    /// As a form, blanks as `+`.
    pub fn form(&self) -> String {
        let encoded = |text: &str| {
            utf8_percent_encode(text, NON_ALPHANUMERIC)
                .to_string()
                .replace("%20", "+")
        };
        let fields: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        fields.join("&")
    }

    pub fn json(&self) -> Value {
        let fields = self
            .0
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())));
        Value::Object(fields.collect())
    }
}

fn payload(form: &str) -> Result<Map<String, Value>> {
    let encoded = form.strip_prefix("payload=").filter(|rest| !rest.contains('&'));
    let encoded = encoded
        .with_context(|| format!("not the one field payload: {form}"))?
        .replace('+', " ");
    let text = percent_decode_str(&encoded).decode_utf8()?;
    serde_json::from_str(&text).with_context(|| format!("the payload is no JSON object: {text}"))
}
