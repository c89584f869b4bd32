//! Inputs: plain values, values with a type and a default, and variables of the environment in them.

use serde_json::{Map, Value, json};

use super::fields::{Fields, Place};
use crate::failure::Failure;

/// Where variables come from.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One input: its value, or that there is none although there must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub name: String,
    pub value: Option<Value>,
    pub required: bool,
}

/// Keys of an input that is described rather than given.
const DESCRIBED: &[&str] = &[
    "type",
    "value",
    "default",
    "required",
    "description",
    "status",
    "schema",
];

/// The inputs of an entity.
pub fn inputs(entries: Vec<(&str, &Value)>, place: Place<'_>, lookup: Lookup<'_>) -> Result<Vec<Input>, Failure> {
    entries
        .into_iter()
        .map(|(name, value)| input(name, value, place, lookup))
        .collect()
}

fn input(name: &str, given: &Value, place: Place<'_>, lookup: Lookup<'_>) -> Result<Input, Failure> {
    let described = given
        .as_object()
        .is_some_and(|members| !members.is_empty() && members.keys().all(|key| DESCRIBED.contains(&key.as_str())));
    if !described {
        let value = zero(given).unwrap_or_else(|| interpolated(given, lookup));
        return Ok(Input {
            name: name.to_owned(),
            value: Some(value),
            required: false,
        });
    }
    let fields = Fields::of(given, place, DESCRIBED)?;
    let sort = fields.text("type")?;
    let value = fields.get("value").or_else(|| fields.get("default"));
    let value = value.map(|value| typed(interpolated(value, lookup), sort.as_deref()));
    let required = fields.flag("required")?.unwrap_or(false);
    let empty = value.as_ref().is_none_or(|value| value == "");
    Ok(Input {
        name: name.to_owned(),
        value: match value {
            Some(value) if !(required && empty) => Some(value),
            _ if required => None,
            _ => Some(sort.as_deref().and_then(zero_of).unwrap_or(json!(""))),
        },
        required,
    })
}

/// A text that is the name of a type stands for the type's empty value.
fn zero(given: &Value) -> Option<Value> {
    given.as_str().and_then(zero_of)
}

fn zero_of(sort: &str) -> Option<Value> {
    Some(match sort {
        "string" => json!(""),
        "integer" => json!(0),
        "float" | "number" => json!(0.0),
        "boolean" => json!(false),
        "json" => json!({}),
        "slice" => json!([]),
        _ => return None,
    })
}

/// A text, where the type says that it stands for something else.
fn typed(value: Value, sort: Option<&str>) -> Value {
    let Some(text) = value.as_str() else { return value };
    match sort {
        Some("integer" | "float" | "number" | "boolean" | "json" | "slice") => {
            serde_json::from_str(text).unwrap_or(value)
        }
        _ => value,
    }
}

/// A value with the variables in its texts replaced.
pub fn interpolated(value: &Value, lookup: Lookup<'_>) -> Value {
    match value {
        Value::String(text) => Value::String(interpolated_text(text, lookup)),
        Value::Array(items) => items.iter().map(|item| interpolated(item, lookup)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), interpolated(value, lookup)))
                .collect::<Map<_, _>>(),
        ),
        scalar => scalar.clone(),
    }
}

/// `$NAME` and `${NAME}` replaced by the variable, by nothing where there is none; `$${NAME}` is `${NAME}` itself.
pub fn interpolated_text(text: &str, lookup: Lookup<'_>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(literal) = after.strip_prefix('$') {
            out.push('$');
            let end = literal
                .find('}')
                .filter(|_| literal.starts_with('{'))
                .map_or(0, |end| end + 1);
            out.push_str(&literal[..end]);
            rest = &literal[end..];
            continue;
        }
        let (name, end) = variable(after);
        match name {
            Some(name) => out.push_str(&lookup(name).unwrap_or_default()),
            None => out.push('$'),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// The variable's name at the start of a text, and how much of the text it takes.
fn variable(text: &str) -> (Option<&str>, usize) {
    let word = |text: &str| {
        text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    if let Some(inner) = text.strip_prefix('{') {
        let end = word(inner);
        return match inner[end..].starts_with('}') && end > 0 {
            true => (Some(&inner[..end]), end + 2),
            false => (None, 0),
        };
    }
    match word(text) {
        0 => (None, 0),
        end => (Some(&text[..end]), end),
    }
}

/// The inputs that have a value, as a list of `{key, value}`.
pub fn key_values(inputs: &[Input]) -> Vec<Value> {
    let valued = inputs
        .iter()
        .filter_map(|input| Some((&input.name, input.value.as_ref()?)));
    valued
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

/// Puts `over` above `under`, key by key.
pub fn overlay(under: &mut Vec<Input>, over: Vec<Input>) {
    for input in over {
        match under.iter_mut().find(|known| known.name == input.name) {
            Some(known) => *known = input,
            None => under.push(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "HERE" || name == "N").then(|| match name {
            "N" => "5".to_owned(),
            _ => "there".to_owned(),
        })
    }

    fn read(given: Value) -> Input {
        let place = Place { file: "f", path: "p" };
        input("x", &given, place, &lookup).unwrap()
    }

    #[test]
    fn variables() {
        for (text, expected) in [
            ("$HERE", "there"),
            ("a ${HERE}!", "a there!"),
            ("$HERE.x$NOT_HERE.", "there.x."),
            ("$${HERE}", "${HERE}"),
            ("$$", "$"),
            ("cost: 5$", "cost: 5$"),
            ("${", "${"),
            ("${a b}", "${a b}"),
        ] {
            assert_eq!(interpolated_text(text, &lookup), expected, "{text}");
        }
    }

    #[test]
    fn values_types_and_defaults() {
        for (given, expected) in [
            (json!("plain"), json!("plain")),
            (json!({"a": "$HERE"}), json!({"a": "there"})),
            (json!("integer"), json!(0)),
            (json!("json"), json!({})),
            (json!({"type": "string", "value": "v", "description": "d"}), json!("v")),
            (json!({"type": "integer", "default": 7}), json!(7)),
            (json!({"type": "integer", "value": "$N"}), json!(5)),
            (json!({"type": "json", "value": {"k": [1]}}), json!({"k": [1]})),
            (json!({"type": "boolean"}), json!(false)),
            (json!({"description": "d"}), json!("")),
        ] {
            assert_eq!(read(given.clone()).value, Some(expected), "{given}");
        }
        assert_eq!(read(json!({"required": true})).value, None);
        assert_eq!(read(json!({"required": true, "value": "$GONE"})).value, None);
        assert_eq!(read(json!({"required": true, "value": 1})).value, Some(json!(1)));
    }

    #[test]
    fn later_inputs_win() {
        let mut under = vec![read(json!(1))];
        overlay(&mut under, vec![read(json!(2))]);
        assert_eq!(key_values(&under), [json!({"key": "x", "value": 2})]);
    }
}
