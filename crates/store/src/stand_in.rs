//! What is stored in place of a record that the store refuses.

use wsk_entities::{Activation, Json, Response, StatusCode};

use crate::Error;

/// The record of the same activation that says that its own could not be stored, and why: without the result and the log,
/// which are what a user can make unacceptable.
pub fn stand_in(record: &Activation, error: &Error) -> Activation {
    let text = format!("The record of this activation could not be stored: {error}");
    Activation {
        response: Response::failure(StatusCode::WhiskError, &Json::from(text.as_str()), None),
        logs: Vec::new(),
        ..record.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::samples::record;

    #[test]
    fn it_is_the_same_activation_without_what_was_refused() {
        let refused = record(1, "guest/a", 1000);
        let error = Error::Unusable("it is too large".to_owned());
        let stands = stand_in(&refused, &error);
        assert_eq!(stands.response.status_code, StatusCode::WhiskError);
        let text = r#"{"error":"The record of this activation could not be stored: it is too large"}"#;
        assert_eq!(stands.response.result.as_str(), text);
        assert!(stands.logs.is_empty());
        let (response, logs) = (refused.response.clone(), refused.logs.clone());
        assert_eq!(
            Activation {
                response,
                logs,
                ..stands
            },
            refused
        );
    }
}
