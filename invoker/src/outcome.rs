//! The verdict: what an answer, or the lack of one, means for the activation. Pure.
//!
//! **Invariant.** A fault of the platform is never blamed on the developer, nor the reverse: every [`CallError`], every
//! container [`Error`](wsk_containers::Error) and every [`Fault`] has exactly one verdict, and the texts are upstream's, since
//! clients and test suites compare them.
//!
//! **Upstream behaviour honoured.** Order of checks: 503, time, length, shape. An over-long answer of `/run` is an application
//! error whatever its status, of `/init` a developer error. Beside `error` all other keys are dropped. Where we differ:
//! out-of-memory is certain, so it is named for every kind; chunked answers count.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use wsk_containers::{Answer, CallError};
use wsk_entities::{Json, Object, Response, StatusCode};

/// Bounds on answers, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Longest answer that is passed on whole.
    pub payload: u64,
    /// How much of a longer one is shown.
    pub truncation: u64,
}

/// How long a call took, and how long it might have, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub elapsed: u64,
    pub limit: u64,
}

/// What became of a `/run`, or of an `/init` that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The activation ended.
    Ended { response: Response, timeout: bool },
    /// The action saw nothing of it: another container may run it.
    Elsewhere,
}

/// Why an activation ended without its code having run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    ImagePull {
        image: String,
    },
    ProgramMissing {
        image: String,
    },
    /// The image has no variant for this node; the text says which it would need.
    Architecture {
        text: String,
        managed: bool,
    },
    RunContainer {
        image: String,
    },
    Provision,
    Deleted,
    Incompatible,
    Fetch,
    /// A secret parameter does not open; the text says which, and which key it would take.
    Locked(String),
    /// A limit of the action is outside what the namespace may use now; the text says which.
    Limit(String),
    Blocked,
    /// It may have run before, and its action allows no further run.
    Attempts {
        allowed: u32,
    },
    /// It was handed out again and again without an end.
    GivenUp {
        attempts: u32,
    },
    /// Its owner cancelled it.
    Cancelled,
    /// Every container that it was given was shutting down.
    Unavailable,
}

const ABNORMAL_RUN: &str = "The action did not produce a valid response and exited unexpectedly.";
const ABNORMAL_INIT: &str = "The action did not initialize and exited unexpectedly.";
const OUT_OF_MEMORY: &str = "The action exhausted its memory and was aborted.";
const NOT_JSON: &str = "The action did not produce a valid JSON or JSON Array response";
const INIT_FAILED: &str = "The action failed during initialization";

/// The verdict on a `/run`.
pub fn of_run(result: Result<Answer, CallError>, time: Time, sizes: Sizes) -> Verdict {
    let answer = match arrived(result, time, "", ABNORMAL_RUN) {
        Ok(answer) => answer,
        Err(verdict) => return verdict,
    };
    if answer.status == 204 {
        return developer(ABNORMAL_RUN);
    }
    if answer.length > sizes.payload {
        return ended(too_long(&answer, sizes, StatusCode::ApplicationError));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let size = Some(utf16_units(&text));
    let json = Json::parse(&text)
        .ok()
        .filter(|json| json.is_object() || json.is_array());
    let response = match (json, answer.status) {
        (Some(json), 200) => match error_of(&json) {
            None => Response::success(json, size),
            Some(error) => Response::failure(StatusCode::ApplicationError, &error, size),
        },
        (Some(json), _) => match error_of(&json) {
            None => sentence(NOT_JSON, &text, size),
            Some(error) => Response::failure(StatusCode::DeveloperError, &error, size),
        },
        (None, _) => sentence(NOT_JSON, &text, size),
    };
    ended(response)
}

/// The verdict on an `/init`; none when it succeeded.
pub fn of_init(result: Result<Answer, CallError>, time: Time, sizes: Sizes) -> Option<Verdict> {
    let answer = match arrived(result, time, " during initialization", ABNORMAL_INIT) {
        Ok(answer) => answer,
        Err(verdict) => return Some(verdict),
    };
    if answer.length > sizes.payload {
        return Some(ended(too_long(&answer, sizes, StatusCode::DeveloperError)));
    }
    if answer.status == 200 {
        return None;
    }
    let text = String::from_utf8_lossy(&answer.body);
    let size = Some(utf16_units(&text));
    let error = Json::parse(&text).ok().and_then(|json| error_of(&json));
    Some(ended(match error {
        Some(error) => Response::failure(StatusCode::DeveloperError, &error, size),
        None => sentence(INIT_FAILED, &text, size),
    }))
}

/// The answer, if one came in time and the container lived to give it.
fn arrived(
    result: Result<Answer, CallError>,
    time: Time,
    during: &str,
    abnormal: &'static str,
) -> Result<Answer, Verdict> {
    let late = || Verdict::Ended {
        response: failure(
            StatusCode::DeveloperError,
            &format!(
                "The action exceeded its time limits of {} milliseconds{during}.",
                time.limit
            ),
        ),
        timeout: true,
    };
    match result {
        Err(CallError::Refused | CallError::Unavailable) => Err(Verdict::Elsewhere),
        Ok(Answer { status: 503, .. }) => Err(Verdict::Elsewhere),
        Err(CallError::Timeout) => Err(late()),
        Err(CallError::ConnectionLost | CallError::OutOfMemory) | Ok(_) if time.elapsed >= time.limit => Err(late()),
        Err(CallError::ConnectionLost) => Err(developer(abnormal)),
        Err(CallError::OutOfMemory) => Err(developer(OUT_OF_MEMORY)),
        Ok(answer) if answer.out_of_memory && answer.status != 200 => Err(developer(OUT_OF_MEMORY)),
        Ok(answer) => Ok(answer),
    }
}

fn ended(response: Response) -> Verdict {
    Verdict::Ended {
        response,
        timeout: false,
    }
}

fn developer(text: &str) -> Verdict {
    ended(failure(StatusCode::DeveloperError, text))
}

fn failure(status: StatusCode, text: &str) -> Response {
    Response::failure(status, &Json::from(text), None)
}

fn sentence(beginning: &str, text: &str, size: Option<u64>) -> Response {
    let sentence = match text {
        "" => format!("{beginning}."),
        text => format!("{beginning}: {text}"),
    };
    Response::failure(StatusCode::DeveloperError, &Json::from(sentence.as_str()), size)
}

fn too_long(answer: &Answer, sizes: Sizes, status: StatusCode) -> Response {
    let kept = usize::try_from(sizes.truncation)
        .unwrap_or(usize::MAX)
        .min(answer.body.len());
    let text = format!(
        "The action produced a response that exceeded the allowed length: {} > {} bytes. The truncated response was: {}",
        answer.length,
        sizes.payload,
        String::from_utf8_lossy(&answer.body[..kept])
    );
    Response::failure(status, &Json::from(text.as_str()), Some(answer.length))
}

/// The answer of an activation that was cancelled while its code ran: as that of one whose time was over, since both times it
/// is the owner who had it killed.
pub fn cancelled() -> Response {
    failure(
        StatusCode::DeveloperError,
        "The activation was cancelled while its code ran.",
    )
}

/// Length of a text as the original counts it.
fn utf16_units(text: &str) -> u64 {
    let units = if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    };
    units as u64
}

#[derive(Deserialize)]
struct Errors<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<Cow<'a, RawValue>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, RawValue>>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(|raw| Some(Cow::Borrowed(raw)))
}

/// The value under `error` of an object. Most answers cannot have that key, which a look for its letters tells.
fn error_of(json: &Json) -> Option<Json> {
    let text = json.as_str();
    if !json.is_object() || !(text.contains("error") || text.contains('\\')) {
        return None;
    }
    match serde_json::from_str::<Errors<'_>>(text) {
        Ok(errors) => errors.error.and_then(|raw| Json::parse(raw.get()).ok()),
        // A repeated key: the last one wins.
        Err(_) => serde_json::from_str::<Object>(text).ok()?.swap_remove("error"),
    }
}

impl Fault {
    /// The fault behind a container that could not be made.
    pub fn of_create(error: &wsk_containers::Error, image: &str, managed: bool) -> Fault {
        use wsk_containers::Error;
        match error {
            Error::ImagePull { image, .. } if !managed => Fault::ImagePull { image: image.clone() },
            Error::ProgramMissing { image, .. } => Fault::ProgramMissing { image: image.clone() },
            Error::NoVariant { .. } => Fault::Architecture {
                text: error.to_string(),
                managed,
            },
            Error::Step { .. } | Error::Backend { .. } | Error::Exhausted { .. } if !managed => Fault::RunContainer {
                image: image.to_owned(),
            },
            Error::ImagePull { .. }
            | Error::Step { .. }
            | Error::Backend { .. }
            | Error::Exhausted { .. }
            | Error::Gone { .. }
            | Error::ShuttingDown
            | Error::Config { .. } => Fault::Provision,
        }
    }

    fn text(&self) -> Cow<'static, str> {
        match self {
            Fault::ImagePull { image } => format!("Failed to pull container image '{image}'.").into(),
            Fault::ProgramMissing { image } => format!("executable file not found in image {image}").into(),
            Fault::Architecture { text, managed: _ } => text.clone().into(),
            Fault::RunContainer { image } => format!("Failed to run container with image '{image}'.").into(),
            Fault::Provision => "Failed to provision resources to run the action.".into(),
            Fault::Deleted => "Action could not be found or may have been deleted.".into(),
            Fault::Incompatible => "Action version is not compatible and cannot be invoked.".into(),
            Fault::Fetch => "Action could not be fetched.".into(),
            Fault::Limit(text) => text.clone().into(),
            Fault::Locked(text) => format!("The action was not run: {text}.").into(),
            Fault::Blocked => "The action was not invoked due to a blacklisted namespace.".into(),
            Fault::Attempts { allowed } => format!(
                "The invoker that had this activation stopped before it was recorded. The action may have run, and its \
                 annotation max-attempts allows {allowed} in all."
            )
            .into(),
            Fault::GivenUp { attempts } => {
                format!("The activation was taken up {attempts} times and ended none of them; it was given up.").into()
            }
            Fault::Cancelled => "The activation was cancelled before its code was run.".into(),
            Fault::Unavailable => ABNORMAL_RUN.into(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Fault::Deleted | Fault::Limit(_) | Fault::Blocked => StatusCode::ApplicationError,
            Fault::ImagePull { .. }
            | Fault::ProgramMissing { .. }
            | Fault::Architecture { managed: false, .. }
            | Fault::Cancelled
            | Fault::Unavailable => StatusCode::DeveloperError,
            Fault::Architecture { managed: true, .. }
            | Fault::RunContainer { .. }
            | Fault::Provision
            | Fault::Incompatible
            | Fault::Fetch
            | Fault::Locked(_)
            | Fault::Attempts { .. }
            | Fault::GivenUp { .. } => StatusCode::WhiskError,
        }
    }

    pub fn response(&self) -> Response {
        failure(self.status(), &self.text())
    }
}

#[cfg(test)]
mod tests;
