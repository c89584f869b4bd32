//! The order and the members in which entities are shown.
//!
//! OpenWhisk's `wsk` decodes every answer into a fixed struct and prints that: the order is the struct's, members it
//! does not know are dropped, some appear only when they say something. The tables below are those structs; the names
//! of their members are also what `get NAME FIELD` accepts.

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::json::{is_empty, sorted};

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    Action,
    Package,
    Trigger,
    Rule,
    Activation,
}

/// One member of a document.
struct Member {
    name: &'static str,
    presence: Presence,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Shown even when the platform did not send it.
    Always,
    /// Left out when empty.
    WhenSet,
    /// Left out when absent, but shown when empty.
    WhenSent,
}

#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    /// Anything; objects in it are sorted.
    Free,
    /// An array of `{key, value}`.
    KeyValues,
    /// An object with members in a fixed order.
    Struct(&'static [&'static str]),
    /// An array of documents of a kind.
    Documents(Document),
}

const fn always(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        presence: Presence::Always,
        shape,
    }
}

const fn when_set(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        presence: Presence::WhenSet,
        shape,
    }
}

const fn when_sent(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        presence: Presence::WhenSent,
        shape,
    }
}

const EXEC: Shape = Shape::Struct(&["kind", "code", "image", "init", "main", "components", "binary"]);
const LIMITS: Shape = Shape::Struct(&["timeout", "memory", "logs", "concurrency"]);
const RESPONSE: Shape = Shape::Struct(&["status", "statusCode", "success", "result"]);
const BINDING: Shape = Shape::Struct(&["namespace", "name"]);

const ACTION: &[Member] = &[
    when_set("namespace", Shape::Text),
    when_set("name", Shape::Text),
    when_set("version", Shape::Text),
    when_sent("exec", EXEC),
    when_set("annotations", Shape::KeyValues),
    when_set("delAnnotations", Shape::Free),
    when_set("parameters", Shape::KeyValues),
    when_sent("limits", LIMITS),
    when_set("error", Shape::Text),
    when_set("code", Shape::Text),
    when_sent("publish", Shape::Free),
    when_sent("updated", Shape::Number),
];

const PACKAGE: &[Member] = &[
    when_set("namespace", Shape::Text),
    when_set("name", Shape::Text),
    when_set("version", Shape::Text),
    when_sent("publish", Shape::Free),
    when_set("annotations", Shape::KeyValues),
    when_set("parameters", Shape::KeyValues),
    when_sent("binding", BINDING),
    when_set("actions", Shape::Documents(Document::Action)),
    when_set("feeds", Shape::Documents(Document::Action)),
    when_sent("updated", Shape::Number),
];

const TRIGGER: &[Member] = &[
    when_set("namespace", Shape::Text),
    when_set("name", Shape::Text),
    when_set("version", Shape::Text),
    when_set("activationId", Shape::Text),
    when_set("annotations", Shape::KeyValues),
    when_set("parameters", Shape::KeyValues),
    when_sent("limits", Shape::Free),
    when_sent("publish", Shape::Free),
    when_set("rules", Shape::Free),
    when_sent("updated", Shape::Number),
];

const RULE: &[Member] = &[
    when_set("namespace", Shape::Text),
    when_set("name", Shape::Text),
    when_set("version", Shape::Text),
    when_set("annotations", Shape::KeyValues),
    always("status", Shape::Text),
    always("trigger", Shape::Free),
    always("action", Shape::Free),
    when_sent("publish", Shape::Free),
    when_sent("updated", Shape::Number),
];

const ACTIVATION: &[Member] = &[
    always("namespace", Shape::Text),
    always("name", Shape::Text),
    always("version", Shape::Text),
    always("subject", Shape::Text),
    always("activationId", Shape::Text),
    when_set("cause", Shape::Text),
    always("start", Shape::Number),
    always("end", Shape::Number),
    always("duration", Shape::Number),
    always("statusCode", Shape::Number),
    always("response", RESPONSE),
    always("logs", Shape::Free),
    always("annotations", Shape::KeyValues),
    when_sent("publish", Shape::Free),
];

impl Document {
    fn members(self) -> &'static [Member] {
        match self {
            Self::Action => ACTION,
            Self::Package => PACKAGE,
            Self::Trigger => TRIGGER,
            Self::Rule => RULE,
            Self::Activation => ACTIVATION,
        }
    }

    /// `document` as it is shown.
    pub fn show(self, document: &Value) -> Value {
        let mut shown = Map::new();
        for member in self.members() {
            let value = document.get(member.name).filter(|value| !value.is_null());
            let value = match (member.presence, value) {
                (Presence::WhenSet | Presence::WhenSent, None) => continue,
                (Presence::WhenSet, Some(value)) if is_empty(value) => continue,
                (_, Some(value)) => member.shape.show(value),
                (Presence::Always, None) => member.shape.zero(),
            };
            shown.insert(member.name.to_owned(), value);
        }
        Value::Object(shown)
    }

    /// One member of `document`, as `get NAME FIELD` shows it.
    pub fn field(self, document: &Value, field: &Field) -> Value {
        let member = &self.members()[field.0];
        match document.get(member.name).filter(|value| !value.is_null()) {
            Some(value) => member.shape.show(value),
            None => member.shape.zero(),
        }
    }

    /// Recognises a field filter, in any case.
    pub fn parse_field(self, filter: &str) -> Result<Field, Failure> {
        let place = self
            .members()
            .iter()
            .position(|member| member.name.eq_ignore_ascii_case(filter));
        place.map(Field).ok_or_else(|| {
            let failure = Failure::new(format!("Invalid field filter '{filter}'."));
            match self {
                Self::Action => failure.with_exit(crate::exit::Exit::USAGE),
                Self::Package | Self::Trigger | Self::Rule | Self::Activation => failure.without_usage(),
            }
        })
    }
}

/// A member that a field filter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field(usize);

impl Shape {
    fn show(self, value: &Value) -> Value {
        match (self, value) {
            (Self::Struct(order), Value::Object(members)) => Value::Object(
                order
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), sorted(members.get(*name)?))))
                    .collect(),
            ),
            // A plain package says `false` where a binding has an object.
            (Self::Struct(_), Value::Bool(false)) => json!({}),
            (Self::KeyValues, Value::Array(items)) => Value::Array(
                items
                    .iter()
                    .map(|item| Self::Struct(&["key", "value", "secret"]).show(item))
                    .collect(),
            ),
            (Self::Documents(kind), Value::Array(items)) => {
                Value::Array(items.iter().map(|item| kind.show(item)).collect())
            }
            (
                Self::Text | Self::Number | Self::Free | Self::KeyValues | Self::Struct(_) | Self::Documents(_),
                other,
            ) => sorted(other),
        }
    }

    /// What is shown for a member that is not there.
    fn zero(self) -> Value {
        match self {
            Self::Text => json!(""),
            Self::Number => json!(0),
            Self::Free | Self::KeyValues | Self::Struct(_) | Self::Documents(_) => Value::Null,
        }
    }
}

/// A record as `activation get` and full lists show it: the top-level `statusCode` follows from the status text.
pub fn activation(record: &Value) -> Value {
    Document::Activation.show(&with_status_code(record))
}

/// Gives a record the top-level `statusCode` its status text stands for.
pub fn with_status_code(record: &Value) -> Value {
    let status = record
        .pointer("/response/status")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let code = match status {
        "application error" => 1,
        "action developer error" => 2,
        "whisk internal error" => 3,
        _ => 0,
    };
    let mut record = record.clone();
    if let Some(members) = record.as_object_mut() {
        members.insert("statusCode".to_owned(), json!(code));
        if let Some(response) = members.get_mut("response").and_then(Value::as_object_mut) {
            response.entry("statusCode").or_insert_with(|| json!(0));
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keep_the_order_and_drop_what_is_empty_or_unknown() {
        let sent = json!({
            "updated": 5, "publish": false, "annotations": [], "name": "hello", "namespace": "guest", "extra": 1,
            "exec": {"binary": false, "kind": "nodejs:20", "other": 2},
            "parameters": [{"value": {"b": 1, "a": 2}, "key": "k"}, {"secret": true, "value": null, "key": "s"}], "limits": {"logs": 10, "timeout": 1, "memory": 2}
        });
        let expected = r#"{"namespace":"guest","name":"hello","exec":{"kind":"nodejs:20","binary":false},"parameters":[{"key":"k","value":{"a":2,"b":1}},{"key":"s","value":null,"secret":true}],"limits":{"timeout":1,"memory":2,"logs":10},"publish":false,"updated":5}"#;
        assert_eq!(Document::Action.show(&sent).to_string(), expected);
    }

    #[test]
    fn activations_show_every_member_and_the_code_of_their_status() {
        let sent = json!({"name": "x", "response": {"status": "application error", "success": false, "size": 3,
                          "result": {"error": "e"}}, "end": 7});
        let expected = r#"{"namespace":"","name":"x","version":"","subject":"","activationId":"","start":0,"end":7,"duration":0,"statusCode":1,"response":{"status":"application error","statusCode":0,"success":false,"result":{"error":"e"}},"logs":null,"annotations":null}"#;
        assert_eq!(activation(&sent).to_string(), expected);
    }

    #[test]
    fn empty_bindings_and_trigger_limits_stay() {
        assert_eq!(
            Document::Package.show(&json!({"binding": {}})).to_string(),
            r#"{"binding":{}}"#
        );
        assert_eq!(
            Document::Package.show(&json!({"binding": false})).to_string(),
            r#"{"binding":{}}"#
        );
        assert_eq!(
            Document::Trigger.show(&json!({"limits": {}, "rules": {}})).to_string(),
            r#"{"limits":{}}"#
        );
    }

    #[test]
    fn field_filters_ignore_case_and_give_nothing_for_what_is_absent() {
        let field = Document::Action.parse_field("EXEC").unwrap();
        assert_eq!(
            Document::Action
                .field(&json!({"exec": {"kind": "x"}}), &field)
                .to_string(),
            r#"{"kind":"x"}"#
        );
        assert_eq!(Document::Action.field(&json!({}), &field), Value::Null);
        let field = Document::Trigger.parse_field("activationid").unwrap();
        assert_eq!(Document::Trigger.field(&json!({}), &field), json!(""));
    }

    #[test]
    fn every_documented_filter_is_known() {
        let filters = [
            (
                Document::Action,
                "namespace name version exec annotations delannotations parameters limits error code publish updated",
            ),
            (
                Document::Package,
                "namespace name version publish annotations parameters binding actions feeds updated",
            ),
            (
                Document::Trigger,
                "namespace name version activationid annotations parameters limits publish rules updated",
            ),
            (
                Document::Rule,
                "namespace name version annotations status trigger action publish updated",
            ),
            (
                Document::Activation,
                "namespace name version subject activationid cause start end duration statuscode response logs annotations publish",
            ),
        ];
        for (kind, names) in filters {
            for name in names.split(' ') {
                assert!(kind.parse_field(name).is_ok(), "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn a_bad_filter_is_exit_2_with_usage_for_actions_and_exit_1_without_for_others() {
        let action = Document::Action.parse_field("bogus").unwrap_err();
        assert_eq!(action, Failure::input("Invalid field filter 'bogus'."));
        let rule = Document::Rule.parse_field("bogus").unwrap_err();
        assert_eq!(rule, Failure::new("Invalid field filter 'bogus'.").without_usage());
    }
}
