//! What a conductor's answer means. Pure.

use wsk_entities::{FullName, Json, Namespace, Object, Response, StatusCode};

use super::sequences::failure;

/// What a conductor wants next.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// Kept by the platform until the conductor's next turn.
    pub state: Option<Json>,
    pub next: Next,
}

/// How the composition goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A component runs with this input.
    Component { name: FullName, input: Option<Json> },
    /// `action` names nothing that could be an action: the conductor gets this error as input.
    Unreadable(Json),
    /// The composition ends.
    End(Response),
}

/// Reads a conductor's answer; relative names are names of `namespace`.
pub fn decide(answer: &Response, namespace: &Namespace) -> Decision {
    let Some(mut fields) = answer.result.object() else {
        let text = "The conductor of the composition returned a value that is not a JSON object.";
        return Decision {
            state: None,
            next: Next::End(failure(StatusCode::ApplicationError, text)),
        };
    };
    let params = fields.get("params").map(|params| boxed("value", params));
    let state = fields.get("state").map(|state| boxed("state", state));
    let next = match fields.shift_remove("action") {
        None => {
            let result = params.unwrap_or_else(|| answer.result.clone());
            Next::End(Response {
                status_code: answer.status_code,
                result,
                size: None,
            })
        }
        Some(action) => match component(&action, namespace) {
            Some(name) => Next::Component { name, input: params },
            None => {
                let text = format!("Failed to parse action name from json value {action} during composition.");
                Next::Unreadable(error(&text))
            }
        },
    };
    Decision { state, next }
}

/// `name`, `pkg/name` or `/ns/…`, as a conductor names a component.
fn component(action: &Json, namespace: &Namespace) -> Option<FullName> {
    let text = action.string()?;
    let full = if text.starts_with('/') {
        text
    } else {
        format!("/{namespace}/{text}")
    };
    full.parse::<FullName>().ok().map(|name| name.resolved(namespace))
}

/// The conductor's next input: `input` overlaid by the state, which wins.
pub fn with_state(input: Option<Json>, state: Option<&Json>) -> Option<Json> {
    let Some(state) = state else { return input };
    let mut fields = input.as_ref().and_then(Json::object).unwrap_or_default();
    fields.extend(state.object().unwrap_or_default());
    Some(Json::from(&fields))
}

/// An object stays as it is; anything else becomes the field `name` of one.
fn boxed(name: &str, value: &Json) -> Json {
    if value.is_object() {
        return value.clone();
    }
    Json::from(&Object::from_iter([(name.to_owned(), value.clone())]))
}

/// The conductor's input after a component that is not there.
pub fn not_found(name: &FullName) -> Json {
    error(&format!(
        "Failed to resolve action with name '{name}' during composition."
    ))
}

/// The conductor's input after a component that the caller may not use.
pub fn not_entitled(name: &FullName) -> Json {
    error(&format!(
        "Failed entitlement check for action with name '{name}' during composition."
    ))
}

const TOO_LONG: &str = "Too many actions in the composition.";

/// The conductor's input when the composition has used up its components.
pub fn no_components_left() -> Json {
    error(TOO_LONG)
}

/// The end of a composition that has used up its conductor's turns.
pub fn too_long() -> Response {
    failure(StatusCode::ApplicationError, TOO_LONG)
}

/// The end of a composition when an activation gave no answer in time.
pub fn unanswered(id: wsk_entities::ActivationId) -> Response {
    failure(
        StatusCode::WhiskError,
        &format!("Timeout reached when retrieving activation {id} during composition."),
    )
}

/// The end of a composition when an activation could not be published.
pub fn unpublished() -> Response {
    failure(StatusCode::WhiskError, "Activation failure during composition.")
}

fn error(text: &str) -> Json {
    Json::from(&Object::from_iter([("error".to_owned(), Json::from(text))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(result: &str) -> Decision {
        let answer = Response::success(Json::parse(result).unwrap(), None);
        decide(&answer, &Namespace::new("guest").unwrap())
    }

    fn json(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn names_resolve_in_the_callers_namespace() {
        for (action, full) in [
            ("a", "guest/a"),
            ("p/a", "guest/p/a"),
            ("/_/a", "guest/a"),
            ("/x/a", "x/a"),
            ("/x/p/a", "x/p/a"),
        ] {
            let Next::Component { name, input } = decided(&format!(r#"{{"action":"{action}"}}"#)).next else {
                panic!("{action} names a component");
            };
            assert_eq!((name.to_string().as_str(), input), (full, None));
        }
    }

    #[test]
    fn what_names_nothing_is_told_to_the_conductor() {
        for action in ["5", "null", "{}", "\"\"", "\"a#b\"", "\"/a/b/c/d\""] {
            let text = format!("Failed to parse action name from json value {action} during composition.");
            assert_eq!(
                decided(&format!(r#"{{"action":{action}}}"#)).next,
                Next::Unreadable(error(&text))
            );
        }
    }

    #[test]
    fn without_an_action_it_ends_with_params_or_all_of_it() {
        let end = |result: &str| match decided(result).next {
            Next::End(response) => response.result.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(end(r#"{"params":{"a":1},"state":{}}"#), r#"{"a":1}"#);
        assert_eq!(end(r#"{"params":5}"#), r#"{"value":5}"#);
        assert_eq!(end(r#"{"foo":1}"#), r#"{"foo":1}"#);
        assert!(matches!(decided("[1]").next, Next::End(r) if r.status_code == StatusCode::ApplicationError));
    }

    #[test]
    fn state_is_kept_boxed_and_wins() {
        assert_eq!(
            decided(r#"{"action":"a","state":5}"#).state,
            Some(json(r#"{"state":5}"#))
        );
        assert_eq!(decided(r#"{"action":"a"}"#).state, None);
        let merged = with_state(Some(json(r#"{"a":1,"b":1}"#)), Some(&json(r#"{"b":2}"#)));
        assert_eq!(merged, Some(json(r#"{"a":1,"b":2}"#)));
        assert_eq!(with_state(None, None), None);
    }
}
