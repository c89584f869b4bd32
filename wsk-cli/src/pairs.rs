//! `KEY VALUE` operands and parameter files, and the JSON they stand for.

use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// An ordered list of JSON object texts, one per operand pair or file; later ones override earlier ones by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<String>);

/// What a list is called in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Parameter,
    Annotation,
}

impl Pairs {
    pub fn push_pair(&mut self, key: &str, value: &str) {
        let key = key.replace('\\', "\\\\").replace('"', "\\\"");
        // The value goes in unescaped, as upstream does it: `a\nb` really means two lines.
        self.0.push(match serde_json::from_str::<serde::de::IgnoredAny>(value) {
            Ok(_) => format!("{{\"{key}\": {value}}}"),
            Err(_) => format!("{{\"{key}\": \"{value}\"}}"),
        });
    }

    pub fn push_file(&mut self, content: String) {
        self.0.push(content);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as one object, as an invocation takes it.
    pub fn to_object(&self, sort: Sort) -> Result<Map<String, Value>, Failure> {
        let mut object = Map::new();
        for text in &self.0 {
            let parsed = leading_object(text);
            object.extend(parsed.map_err(|reason| refused(sort, text, &reason))?);
        }
        Ok(object)
    }

    /// The list as an array of `{key, value}`, as entities take it.
    pub fn to_key_values(&self, sort: Sort) -> Result<Vec<Value>, Failure> {
        let object = self.to_object(sort)?;
        Ok(object
            .into_iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect())
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

fn refused(sort: Sort, text: &str, reason: &str) -> Failure {
    let name = match sort {
        Sort::Parameter => "parameter",
        Sort::Annotation => "annotation",
    };
    Failure::new(format!("Invalid {name} argument '{text}': {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str) -> Result<String, Failure> {
        let mut pairs = Pairs::default();
        pairs.push_pair("k", text);
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
        pairs.push_file(r#"{"a":1,"b":2} trailing"#.to_owned());
        pairs.push_pair("a", "over");
        let expected = r#"[{"key":"a","value":"over"},{"key":"b","value":2}]"#;
        assert_eq!(
            Value::Array(pairs.to_key_values(Sort::Parameter).unwrap()).to_string(),
            expected
        );
    }

    #[test]
    fn a_file_must_hold_an_object() {
        for content in ["[1]", "5", "", "nonsense"] {
            let mut pairs = Pairs::default();
            pairs.push_file(content.to_owned());
            assert!(pairs.to_object(Sort::Annotation).is_err(), "{content}");
        }
    }

    #[test]
    fn keys_are_escaped() {
        let mut pairs = Pairs::default();
        pairs.push_pair(r#"a"b\c"#, "1");
        assert_eq!(
            pairs.to_object(Sort::Parameter).unwrap().keys().next().unwrap(),
            r#"a"b\c"#
        );
    }
}
