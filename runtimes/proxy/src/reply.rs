//! Answers of the proxy, in the JSON both families of upstream proxies use.

use bytes::Bytes;

/// What goes back to the invoker for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Answer {
        status: u16,
        body: Bytes,
    },
    /// No answer at all: the process behind the proxy died and the connection breaks, as that of its container would.
    Hangup,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Reply::Answer {
            status,
            body: body.into(),
        }
    }

    /// `{"error":"<text>"}` as express writes it: without a newline.
    pub fn error(status: u16, text: &str) -> Self {
        Reply::new(status, error_object(text))
    }

    /// `{"error":"<text>"}` as the ActionLoop proxy writes it: with a newline, which counts in the size of the answer.
    pub fn error_line(status: u16, text: &str) -> Self {
        Reply::new(status, error_object(text) + "\n")
    }
}

fn error_object(text: &str) -> String {
    serde_json::json!({ "error": text }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_escaped_and_only_actionloop_ends_the_line() {
        assert_eq!(Reply::error(502, "a\"b\n"), Reply::new(502, r#"{"error":"a\"b\n"}"#));
        assert_eq!(Reply::error_line(403, "x"), Reply::new(403, "{\"error\":\"x\"}\n"));
    }
}
