//! JSON as `wsk` prints it: four blanks, and for free-form objects sorted keys.

use serde::Serialize as _;
use serde_json::{Map, Value};

/// `document` in the order it has.
pub fn pretty(document: &Value) -> String {
    indented(document, b"    ")
}

/// `document` with a given indentation.
pub fn indented(document: &Value, indent: &[u8]) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    document
        .serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))
        .expect("a JSON value can always be written to memory");
    String::from_utf8(text).expect("serde_json writes UTF-8")
}

/// The same document with the keys of every object sorted.
pub fn sorted(document: &Value) -> Value {
    match document {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}

/// A member of an object as text; empty when absent or of another type.
pub fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A member of an object as an integer; zero when absent or of another type.
pub fn integer(document: &Value, name: &str) -> i64 {
    document.get(name).and_then(Value::as_i64).unwrap_or_default()
}

/// The value of `key` in an array of `{key, value}`.
pub fn key_value<'a>(list: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    let items = list?.as_array()?;
    items.iter().find(|item| text(item, "key") == key)?.get("value")
}

/// An array member's items; none when absent or of another type.
pub fn items<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a value counts as nothing where empty members are left out.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// An object from members in the order given.
pub fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape() {
        let document = serde_json::from_str(r#"{"b":[],"a":{},"c":[1,{"z":"<&>","y":1.50}]}"#).unwrap();
        let expected = "{\n    \"b\": [],\n    \"a\": {},\n    \"c\": [\n        1,\n        {\n            \"z\": \
                        \"<&>\",\n            \"y\": 1.50\n        }\n    ]\n}";
        assert_eq!(pretty(&document), expected);
        assert_eq!(
            sorted(&document).to_string(),
            r#"{"a":{},"b":[],"c":[1,{"y":1.50,"z":"<&>"}]}"#
        );
    }
}
