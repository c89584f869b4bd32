//! `KEY VALUE` operands and parameter files, and the JSON they stand for.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// An ordered list of JSON object texts, one per operand pair or file; later ones override earlier ones by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    secrecy: Secrecy,
}

/// Whether the platform may show a value again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    Plain,
    Secret,
}

/// What a list is called in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Parameter,
    Annotation,
}

impl Pairs {
    pub fn push_pair(&mut self, key: &str, value: &str, secrecy: Secrecy) {
        let key = key.replace('\\', "\\\\").replace('"', "\\\"");
        // The value goes in unescaped, as upstream does it: `a\nb` really means two lines.
        let text = match serde_json::from_str::<serde::de::IgnoredAny>(value) {
            Ok(_) => format!("{{\"{key}\": {value}}}"),
            Err(_) => format!("{{\"{key}\": \"{value}\"}}"),
        };
        self.0.push(Piece { text, secrecy });
    }

    pub fn push_file(&mut self, text: String, secrecy: Secrecy) {
        self.0.push(Piece { text, secrecy });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as one object, as an invocation takes it. Nothing of it can be secret: it is used up at once.
    pub fn to_object(&self, sort: Sort) -> Result<Map<String, Value>, Failure> {
        if self.0.iter().any(|piece| piece.secrecy == Secrecy::Secret) {
            return Err(Failure::new(
                "A secret parameter is kept with an action, a trigger or a package; what is given to an invocation or a \
                 feed cannot be one.",
            ));
        }
        Ok(self
            .values(sort)?
            .into_iter()
            .map(|(key, (value, _))| (key, value))
            .collect())
    }

    fn values(&self, sort: Sort) -> Result<IndexMap<String, (Value, Secrecy)>, Failure> {
        let mut values = IndexMap::new();
        for piece in &self.0 {
            let parsed = leading_object(&piece.text).map_err(|reason| refused(sort, piece, &reason))?;
            values.extend(parsed.into_iter().map(|(key, value)| (key, (value, piece.secrecy))));
        }
        Ok(values)
    }

    /// The list as an array of `{key, value}`, as entities take it.
    pub fn to_key_values(&self, sort: Sort) -> Result<Vec<Value>, Failure> {
        let pair = |(key, (value, secrecy))| match secrecy {
            Secrecy::Plain => json!({ "key": key, "value": value }),
            Secrecy::Secret => json!({ "key": key, "value": value, "secret": true }),
        };
        Ok(self.values(sort)?.into_iter().map(pair).collect())
    }
}

/// The JSON object at the start of `text`; what follows it is ignored.
fn leading_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::Deserializer::from_str(text)
        .into_iter::<Map<String, Value>>()
        .next()
    {
        Some(result) => result.map_err(|error| error.to_string()),
        None => Err("it is empty".to_owned()),
    }
}

fn refused(sort: Sort, piece: &Piece, reason: &str) -> Failure {
    let name = match sort {
        Sort::Parameter => "parameter",
        Sort::Annotation => "annotation",
    };
    match piece.secrecy {
        Secrecy::Plain => Failure::new(format!("Invalid {name} argument '{}': {reason}", piece.text)),
        Secrecy::Secret => Failure::new(format!("Invalid secret parameter, which is not shown here: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str) -> Result<String, Failure> {
        let mut pairs = Pairs::default();
        pairs.push_pair("k", text, Secrecy::Plain);
        Ok(pairs.to_object(Sort::Parameter)?["k"].to_string())
    }

    #[test]
    fn json_is_taken_as_json_and_the_rest_as_text() {
        let cases = [
            ("5", "5"),
            (" true ", "true"),
            ("null", "null"),
            ("[1]", "[1]"),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#""quoted""#, r#""quoted""#),
            ("plain text", r#""plain text""#),
            ("", r#""""#),
            ("<&>", r#""<&>""#),
            (r"C:\temp", r#""C:\temp""#),
            (r"a\nb", r#""a\nb""#),
            ("12345678901234567890", "12345678901234567890"),
            ("1.50", "1.50"),
        ];
        for (typed, json) in cases {
            assert_eq!(value_of(typed).unwrap(), json, "{typed}");
        }
    }

    #[test]
    fn text_that_breaks_its_quotes_is_refused() {
        for typed in [r#"say "hi""#, r#"{"bad": }"#, "two\nlines"] {
            let Failure::Said { message, .. } = value_of(typed).unwrap_err() else {
                panic!("{typed}")
            };
            assert!(message.starts_with("Invalid parameter argument '"), "{message}");
        }
    }

    #[test]
    fn later_entries_win_and_keep_the_place_of_the_first() {
        let mut pairs = Pairs::default();
        pairs.push_file(r#"{"a":1,"b":2} trailing"#.to_owned(), Secrecy::Plain);
        pairs.push_pair("a", "over", Secrecy::Plain);
        let expected = r#"[{"key":"a","value":"over"},{"key":"b","value":2}]"#;
        assert_eq!(
            Value::Array(pairs.to_key_values(Sort::Parameter).unwrap()).to_string(),
            expected
        );
    }

    #[test]
    fn secrets_are_marked_and_never_repeated() {
        let mut pairs = Pairs::default();
        pairs.push_pair("a", "1", Secrecy::Secret);
        pairs.push_pair("b", "2", Secrecy::Plain);
        let expected = r#"[{"key":"a","value":1,"secret":true},{"key":"b","value":2}]"#;
        assert_eq!(
            Value::Array(pairs.to_key_values(Sort::Parameter).unwrap()).to_string(),
            expected
        );
        assert!(pairs.to_object(Sort::Parameter).is_err(), "an invocation keeps nothing");
        pairs.push_pair("c", r#"hid"den"#, Secrecy::Secret);
        let Failure::Said { message, .. } = pairs.to_key_values(Sort::Parameter).unwrap_err() else {
            panic!("it is said")
        };
        assert!(!message.contains("den"), "{message}");
    }

    #[test]
    fn a_file_must_hold_an_object() {
        for content in ["[1]", "5", "", "nonsense"] {
            let mut pairs = Pairs::default();
            pairs.push_file(content.to_owned(), Secrecy::Plain);
            assert!(pairs.to_object(Sort::Annotation).is_err(), "{content}");
        }
    }

    #[test]
    fn keys_are_escaped() {
        let mut pairs = Pairs::default();
        pairs.push_pair(r#"a"b\c"#, "1", Secrecy::Plain);
        assert_eq!(
            pairs.to_object(Sort::Parameter).unwrap().keys().next().unwrap(),
            r#"a"b\c"#
        );
    }
}
