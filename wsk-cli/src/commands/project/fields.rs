//! Reading a mapping of a manifest: every key is known, or it is a mistake.

use serde_json::{Map, Value};

use super::refused;
use crate::failure::Failure;

/// A mapping and where it stands.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    members: Option<&'a Map<String, Value>>,
    place: Place<'a>,
}

/// Where something stands, for messages.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub file: &'a str,
    pub path: &'a str,
}

impl<'a> Fields<'a> {
    /// The mapping that `value` is; nothing at all is an empty one.
    pub fn of(value: &'a Value, place: Place<'a>, known: &[&str]) -> Result<Self, Failure> {
        let members = match value {
            Value::Null => None,
            Value::Object(members) => Some(members),
            _ => return Err(place.wrong("a mapping was expected")),
        };
        let mut names = members.into_iter().flat_map(Map::keys);
        if let Some(unknown) = names.find(|name| !known.contains(&name.as_str())) {
            return Err(place.wrong(&format!("the key '{unknown}' is not known here")));
        }
        Ok(Self { members, place })
    }

    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name).filter(|value| !value.is_null())
    }

    /// A scalar as text: versions are often written as numbers.
    pub fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(scalar.to_string())),
            Some(_) => Err(self.place.wrong(&format!("'{name}' must be a text"))),
        }
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if matches!(text.to_lowercase().as_str(), "true" | "yes") => Ok(Some(true)),
            Some(Value::String(text)) if matches!(text.to_lowercase().as_str(), "false" | "no") => Ok(Some(false)),
            Some(_) => Err(self.place.wrong(&format!("'{name}' must be true or false"))),
        }
    }

    /// The entries of a member that is a mapping of names the user chose.
    pub fn entries(&self, name: &str) -> Result<Vec<(&'a str, &'a Value)>, Failure> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(members)) => Ok(members.iter().map(|(name, value)| (name.as_str(), value)).collect()),
            Some(_) => Err(self.place.wrong(&format!("'{name}' must be a mapping"))),
        }
    }

    pub fn list(&self, name: &str) -> Result<&'a [Value], Failure> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.place.wrong(&format!("'{name}' must be a list"))),
        }
    }

    pub fn wrong(&self, text: &str) -> Failure {
        self.place.wrong(text)
    }
}

impl Place<'_> {
    pub fn wrong(&self, text: &str) -> Failure {
        refused(
            "ERROR_YAML_PARSER_ERROR",
            format!("File: [{}]: {}: {text}.", self.file, self.path),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLACE: Place<'_> = Place {
        file: "f.yaml",
        path: "packages.demo",
    };

    #[test]
    fn keys_are_known_and_values_of_their_type() {
        let value = json!({"version": 1.0, "public": "yes", "actions": {"a": null}});
        let fields = Fields::of(&value, PLACE, &["version", "public", "actions", "rules"]).unwrap();
        assert_eq!(fields.text("version").unwrap().as_deref(), Some("1.0"));
        assert_eq!(fields.flag("public").unwrap(), Some(true));
        assert_eq!(fields.entries("actions").unwrap().len(), 1);
        assert!(fields.entries("rules").unwrap().is_empty());
        assert!(fields.list("actions").is_err());
        let Err(Failure::Said { message, .. }) = Fields::of(&value, PLACE, &["version"]) else {
            panic!("unknown keys are refused")
        };
        let expected = "[ERROR_YAML_PARSER_ERROR]: File: [f.yaml]: packages.demo: the key 'public' is not known here.";
        assert_eq!(message, expected);
    }
}
