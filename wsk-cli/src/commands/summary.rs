//! The short descriptions that `--summary` gives.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::{items, key_value, text};
use crate::lists::full_name;

/// An action on its own.
pub fn action(action: &Value) -> String {
    entry(6, "action", &full_name(action), action)
}

/// A trigger.
pub fn trigger(trigger: &Value) -> String {
    entry(7, "trigger", &full_name(trigger), trigger)
}

/// A rule and its state.
pub fn rule(rule: &Value) -> String {
    format!("rule {}\n   (status: {})\n", full_name(rule), text(rule, "status"))
}

/// A package with its actions and feeds.
pub fn package(package: &Value) -> String {
    let name = full_name(package);
    let mut summary = entry(7, "package", &name, package);
    for (label, member) in [("action", "actions"), ("feed  ", "feeds")] {
        for action in items(package, member) {
            summary += &entry(7, label, &format!("{name}/{}", text(action, "name")), action);
        }
    }
    summary
}

fn entry(width: usize, label: &str, name: &str, entity: &Value) -> String {
    let parameters = parameters(entity);
    let description = description(entity, &parameters)
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    let shown: Vec<String> = parameters
        .iter()
        .map(|(name, bound)| format!("{}{name}", bound.prefix()))
        .collect();
    let shown = match shown.is_empty() {
        true => "none defined".to_owned(),
        false => shown.join(", "),
    };
    format!("{label:>width$} {name}{description}\n   (parameters: {shown})\n")
}

#[derive(Clone, Copy)]
enum Bound {
    No,
    Yes,
    Finally,
}

impl Bound {
    fn prefix(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Yes => "*",
            Self::Finally => "**",
        }
    }
}

/// Bound and announced parameters, by name.
fn parameters(entity: &Value) -> BTreeMap<String, Bound> {
    let annotations = entity.get("annotations");
    let announced = key_value(annotations, "parameters")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut parameters: BTreeMap<String, Bound> = announced
        .iter()
        .map(|parameter| (text(parameter, "name").to_owned(), Bound::No))
        .collect();
    let bound = match key_value(annotations, "final") == Some(&Value::Bool(true)) {
        true => Bound::Finally,
        false => Bound::Yes,
    };
    parameters.extend(
        items(entity, "parameters")
            .iter()
            .map(|parameter| (text(parameter, "key").to_owned(), bound)),
    );
    parameters.remove("");
    parameters
}

fn description(entity: &Value, parameters: &BTreeMap<String, Bound>) -> Option<String> {
    if let Some(given) = key_value(entity.get("annotations"), "description").and_then(Value::as_str) {
        return Some(given.to_owned());
    }
    let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    match names[..] {
        [] => None,
        [only] => Some(format!("Returns a result based on parameter {only}")),
        [ref first @ .., last] => Some(format!(
            "Returns a result based on parameters {} and {last}",
            first.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn packages() {
        let package = json!({
            "namespace": "guest", "name": "p1",
            "annotations": [{"key": "description", "value": "my pkg"}], "parameters": [{"key": "c", "value": 1}],
            "actions": [
                {"name": "act", "annotations": [{"key": "description", "value": "act desc"}],
                 "parameters": [{"key": "z", "value": 1}]},
                {"name": "act2", "annotations": [{"key": "parameters", "value": [{"name": "zz"}, {"name": "aa"}]}]}
            ],
            "feeds": [{"name": "f", "annotations": []}]
        });
        let expected = "package /guest/p1: my pkg\n   (parameters: *c)\n action /guest/p1/act: act desc\n   \
                        (parameters: *z)\n action /guest/p1/act2: Returns a result based on parameters aa and zz\n   \
                        (parameters: aa, zz)\n feed   /guest/p1/f\n   (parameters: none defined)\n";
        assert_eq!(super::package(&package), expected);
    }

    #[test]
    fn bound_and_final_parameters() {
        let action = json!({
            "namespace": "guest", "name": "a", "parameters": [{"key": "b", "value": 1}, {"key": "o", "value": 1}],
            "annotations": [{"key": "final", "value": true},
                            {"key": "parameters", "value": [{"name": "a"}, {"name": "o"}]}]
        });
        let expected =
            "action /guest/a: Returns a result based on parameters a, b and o\n   (parameters: a, **b, **o)\n";
        assert_eq!(super::action(&action), expected);
    }
}
