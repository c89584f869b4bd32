//! YAML files as JSON documents, and documents as YAML.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::{Number, Value};

/// Reads one document.
pub fn parse(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// Writes one document, with a newline at its end.
pub fn to_text(document: &Value) -> String {
    let text = serde_saphyr::to_string(&Yaml(document)).expect("a JSON value can always be written as YAML");
    format!("{}\n", text.trim_end())
}

/// A JSON value whose numbers serialise as numbers: they are kept as text, which only serde_json understands.
struct Yaml<'a>(&'a Value);

impl Serialize for Yaml<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) => serialize_number(number, serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| sequence.serialize_element(&Yaml(item)))?;
                sequence.end()
            }
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                members
                    .iter()
                    .try_for_each(|(name, value)| map.serialize_entry(name, &Yaml(value)))?;
                map.end()
            }
        }
    }
}

fn serialize_number<S: Serializer>(number: &Number, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(integer) = number.as_i64() {
        return serializer.serialize_i64(integer);
    }
    match (number.as_u64(), number.as_f64()) {
        (Some(integer), _) => serializer.serialize_u64(integer),
        (None, Some(float)) => serializer.serialize_f64(float),
        (None, None) => serializer.serialize_str(&number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let document: Value =
            serde_json::from_str(r#"{"a":{"b":[1,2.5,"x: y","yes",null,true]},"c":"2.0","d":{},"e":[]}"#).unwrap();
        assert_eq!(parse(&to_text(&document)).unwrap(), document);
    }

    #[test]
    fn files_people_write() {
        let text =
            "swagger: '2.0'\npaths:\n  /a/{b}:\n    get:\n      parameters:\n      - name: b\n        required: true\n";
        let document = parse(text).unwrap();
        assert_eq!(document["swagger"], "2.0");
        assert_eq!(document["paths"]["/a/{b}"]["get"]["parameters"][0]["required"], true);
        assert!(parse("a: [").is_err());
    }
}
