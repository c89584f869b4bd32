//! When a sequence goes on and when it stops. Pure.

use wsk_entities::{Json, Response, StatusCode};

/// What follows a component's answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Onward {
    /// The next component gets this.
    Input(Json),
    /// The sequence ends with this answer.
    Stop(Response),
}

/// The stop rule: an answer that is no success, or that holds a field `error`, is the sequence's own; so is the last.
pub fn after(answer: Response, is_last: bool) -> Onward {
    if is_last || answer.status_code != StatusCode::Success || has_error(&answer.result) {
        Onward::Stop(answer)
    } else {
        Onward::Input(answer.result)
    }
}

fn has_error(result: &Json) -> bool {
    // The text settles nearly every case without parsing it.
    result.as_str().contains("\"error\"") && result.object().is_some_and(|fields| fields.contains_key("error"))
}

/// The end of a sequence whose component is not there.
pub fn component_missing() -> Response {
    failure(StatusCode::ApplicationError, "Sequence component does not exist.")
}

/// The end of a sequence that grew beyond the limit after it was created.
pub fn too_long() -> Response {
    failure(StatusCode::ApplicationError, "Too many actions in the sequence.")
}

/// The end of a sequence whose component gave no answer in time.
pub fn unanswered(id: wsk_entities::ActivationId) -> Response {
    let text = format!("Timeout reached when retrieving activation {id} for sequence component.");
    failure(StatusCode::WhiskError, &text)
}

/// The end of a sequence whose component could not be published.
pub fn unpublished() -> Response {
    failure(StatusCode::WhiskError, "Sequence failed.")
}

pub(super) fn failure(status: StatusCode, text: &str) -> Response {
    Response::failure(status, &Json::from(text), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, result: &str) -> Response {
        Response {
            status_code: status,
            result: Json::parse(result).unwrap(),
            size: None,
        }
    }

    #[test]
    fn only_a_success_without_error_goes_on() {
        for (status, result, goes_on) in [
            (StatusCode::Success, r#"{"a":1}"#, true),
            (StatusCode::Success, "[1]", true),
            (StatusCode::Success, r#"[{"error":1}]"#, true),
            (StatusCode::Success, r#"{"a":{"error":1}}"#, true),
            (StatusCode::Success, r#"{"error":null}"#, false),
            (StatusCode::ApplicationError, r#"{"error":"x"}"#, false),
            (StatusCode::DeveloperError, r#"{"error":"x"}"#, false),
            (StatusCode::WhiskError, r#"{"error":"x"}"#, false),
        ] {
            assert_eq!(
                matches!(after(answer(status, result), false), Onward::Input(_)),
                goes_on,
                "{result}"
            );
            assert_eq!(
                after(answer(status, result), true),
                Onward::Stop(answer(status, result))
            );
        }
    }
}
