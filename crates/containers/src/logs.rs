//! The log of one activation.

use std::time::Duration;

/// What a proxy writes on a line of its own, on each stream, when an activation ends. Backends that can tell the proxy a
/// secret of the container's own use that instead, so that user code cannot forge the end.
pub const SENTINEL: &str = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";

/// Which stream a line was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One line without its newline; what is not UTF-8 is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Nanoseconds since the epoch, when the platform read it.
    pub time_ns: u64,
    pub stream: Stream,
    pub text: String,
}

/// Where the log of the activation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At the sentinel of each stream.
    Sentinel,
    /// Where the streams are empty now: no sentinel is expected (an unmanaged image, a lost proxy). A sentinel that is met all
    /// the same ends the log too.
    Drained,
}

/// How to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRequest {
    /// Keep whole lines up to this many bytes of text, over both streams.
    pub limit_bytes: u64,
    pub until: Until,
    /// The longest wait for the sentinels. Upstream: 2 s times the larger of 5 and the limit in MB.
    pub wait: Duration,
}

/// What was collected. The notices that users see for `truncated` and `incomplete` are the caller's to append.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    /// In the order of their times; per stream in the order written. Never a sentinel line.
    pub lines: Vec<LogLine>,
    /// Lines were dropped because of the limit (or of the backend's own bound, where the request allows more).
    pub truncated: bool,
    /// A sentinel was expected and did not come in time, or a stream could not be read.
    pub incomplete: bool,
}

impl Logs {
    /// Keeps whole lines up to this many bytes of text.
    pub(crate) fn truncate(&mut self, limit_bytes: u64) {
        let mut room = limit_bytes;
        let over = self
            .lines
            .iter()
            .position(|line| match room.checked_sub(line.text.len() as u64) {
                Some(left) => {
                    room = left;
                    false
                }
                None => true,
            });
        if let Some(kept) = over {
            self.lines.truncate(kept);
            self.truncated = true;
        }
    }
}

impl Stream {
    /// As it stands in a stored log line.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}
