//! Log lines as they are stored: a timestamp padded to 30 columns, a space, the stream, a colon, the text.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use wsk_containers::{LogLine, Logs, Stream};
use wsk_entities::StatusCode;

const MB: u64 = 1 << 20;

/// Bytes of log text that an action may keep.
pub(crate) fn limit_bytes(limit_mb: u32) -> u64 {
    u64::from(limit_mb) * MB
}

/// The stored lines, with the notices that users are owed. An action with a limit of 0 has no log at all.
pub(crate) fn stored(logs: Logs, limit_mb: u32, status: StatusCode, now_ns: u64) -> Vec<String> {
    if limit_mb == 0 {
        return Vec::new();
    }
    let mut lines: Vec<String> = logs.lines.iter().map(line).collect();
    let mut notice = |text: String| {
        lines.push(line(&LogLine {
            time_ns: now_ns,
            stream: Stream::Stderr,
            text,
        }));
    };
    if logs.truncated {
        let limit = limit_bytes(limit_mb);
        notice(format!(
            "Logs were truncated because the total bytes size exceeds the limit of {limit} bytes."
        ));
    }
    if logs.incomplete {
        notice("There was an issue while collecting your logs. Data might be missing.".to_owned());
    }
    match status {
        StatusCode::DeveloperError => {
            notice("The action did not initialize or run as expected. Log data might be missing.".to_owned());
        }
        StatusCode::Success | StatusCode::ApplicationError | StatusCode::WhiskError => {}
    }
    lines
}

/// A line as it is stored.
pub(crate) fn line(line: &LogLine) -> String {
    let mut out = String::with_capacity(39 + line.text.len());
    timestamp(&mut out, line.time_ns);
    out.push(' ');
    out.push_str(line.stream.as_str());
    out.push_str(": ");
    out.push_str(&line.text);
    out
}

/// RFC 3339 in UTC with nine fractional digits: exactly 30 columns.
fn timestamp(out: &mut String, time_ns: u64) {
    let time = UNIX_EPOCH + Duration::from_nanos(time_ns);
    write!(out, "{}", humantime::format_rfc3339_nanos(time)).expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(truncated: bool, incomplete: bool) -> Logs {
        let line = LogLine {
            time_ns: 1_767_323_045_123_456_789,
            stream: Stream::Stdout,
            text: "hello".to_owned(),
        };
        Logs {
            lines: vec![line],
            truncated,
            incomplete,
        }
    }

    fn texts(lines: &[String]) -> Vec<&str> {
        lines.iter().map(|line| &line[31..]).collect()
    }

    #[test]
    fn a_line_has_upstreams_shape() {
        let lines = stored(logs(false, false), 10, StatusCode::Success, 0);
        assert_eq!(lines, ["2026-01-02T03:04:05.123456789Z stdout: hello"]);
    }

    #[test]
    fn notices_come_last_on_stderr() {
        let lines = stored(logs(true, true), 10, StatusCode::DeveloperError, 0);
        assert_eq!(
            texts(&lines),
            [
                "stdout: hello",
                "stderr: Logs were truncated because the total bytes size exceeds the limit of 10485760 bytes.",
                "stderr: There was an issue while collecting your logs. Data might be missing.",
                "stderr: The action did not initialize or run as expected. Log data might be missing.",
            ]
        );
    }

    #[test]
    fn no_limit_no_log_no_notice() {
        assert_eq!(
            stored(logs(true, true), 0, StatusCode::DeveloperError, 0),
            Vec::<String>::new()
        );
    }
}
