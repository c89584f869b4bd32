//! The log of an activation as it is printed: server-sent events, a line each.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::transport::parse;
use crate::{Client, Error, Result};

/// What is heard of a followed activation.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A line of its log, with its number, counted from 1.
    Line { number: u64, text: String },
    /// It has ended: `status`, `success`, `cancelled`. Nothing follows.
    End(Value),
}

/// A log that is being followed.
#[derive(Debug)]
pub struct Follower {
    body: Incoming,
    /// What came and is no whole line yet.
    partial: BytesMut,
    event: Event,
    heard: VecDeque<Heard>,
}

/// An event that is being read.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: u64,
    data: Option<String>,
}

impl Client {
    /// Follows the log of an activation, after so many lines. A platform that cannot do that gives the lines of the record.
    pub async fn follow_logs(&self, namespace: &str, id: &str, after: u64) -> Result<Follower> {
        let query = [("follow", "true".to_owned())];
        let call = self.call(Method::GET, namespace, &format!("activations/{id}/logs"), &query);
        let mut headers = HeaderMap::new();
        if after > 0 {
            headers.insert(HeaderName::from_static("last-event-id"), HeaderValue::from(after));
        }
        let (head, body) = self.open(call, headers).await?.into_parts();
        let mut follower = Follower {
            body,
            partial: BytesMut::new(),
            event: Event::default(),
            heard: VecDeque::new(),
        };
        let events = head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|of| of.as_bytes().starts_with(b"text/event-stream"));
        if !events {
            follower.read_record(after).await?;
        }
        Ok(follower)
    }
}

impl Follower {
    /// What comes next; none where the connection ended, after the end or before it.
    pub async fn next(&mut self) -> Result<Option<Heard>> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(Some(heard));
            }
            match self.chunk().await? {
                Some(chunk) => self.take(&chunk)?,
                None => return Ok(None),
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::Malformed {
                        reason: error.to_string(),
                    });
                }
            }
        }
    }

    /// Reads the answer of a platform that knows only records.
    async fn read_record(&mut self, after: u64) -> Result<()> {
        let mut text = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            text.extend_from_slice(&chunk);
        }
        let document = parse(&text)?;
        let lines = document.get("logs").and_then(Value::as_array).into_iter().flatten();
        for (number, line) in (1..).zip(lines) {
            let text = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
            if number > after {
                self.heard.push_back(Heard::Line { number, text });
            }
        }
        self.heard.push_back(Heard::End(Value::Null));
        Ok(())
    }

    fn take(&mut self, chunk: &[u8]) -> Result<()> {
        self.partial.extend_from_slice(chunk);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line = self.partial.split_to(end + 1);
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            if let Some(heard) = self.event.line(&line)? {
                self.heard.push_back(heard);
            }
        }
        Ok(())
    }
}

impl Event {
    /// Takes a line of the protocol in; an empty one ends the event.
    fn line(&mut self, line: &str) -> Result<Option<Heard>> {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => return self.ended(),
            "event" => value.clone_into(&mut self.name),
            "id" => self.id = value.parse().unwrap_or(self.id),
            "data" => match &mut self.data {
                // Our platform cuts lines at carriage returns alone.
                Some(data) => {
                    data.push('\r');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
        Ok(None)
    }

    fn ended(&mut self) -> Result<Option<Heard>> {
        let (name, data) = (std::mem::take(&mut self.name), self.data.take());
        Ok(match data {
            None => None,
            Some(data) if name == "end" => Some(Heard::End(parse(data.as_bytes())?)),
            Some(text) => Some(Heard::Line { number: self.id, text }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_line_by_line() {
        let mut event = Event::default();
        let text = ": hello\n\nid: 1\ndata: a: b\n\nid: 2\ndata: x\ndata:  y\n\nid: 3\ndata: \n\nevent: end\ndata: {\"success\":true}\n\n";
        let heard: Vec<Heard> = text.lines().filter_map(|line| event.line(line).unwrap()).collect();
        let line = |number, text: &str| Heard::Line {
            number,
            text: text.to_owned(),
        };
        let end = Heard::End(serde_json::json!({"success": true}));
        assert_eq!(heard, [line(1, "a: b"), line(2, "x\r y"), line(3, ""), end]);
    }
}
