//! The forms of documents and answers, frozen: what was stored or published once is read for ever, and written the same.

#![expect(clippy::unwrap_used, reason = "a test ends where its data is wrong")]

use serde::Serialize;
use serde::de::DeserializeOwned;
use wsk_entities::{Action, Activation, Identity, Package, Rule, RuleStatus, SubjectDocument, Trigger};

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../golden/", $name, ".json"))
    };
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

fn written<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// The golden text without its blanks, every digit and the order of fields kept.
fn compact(text: &str) -> String {
    wsk_entities::Json::parse(text).unwrap().to_string()
}

/// Reads a document and writes it again; what later versions add to it does not keep this one from reading it.
#[track_caller]
fn both_ways<T: DeserializeOwned + Serialize>(golden: &str) {
    let expected = compact(golden);
    assert_eq!(written(&read::<T>(golden)), expected);
    let extended = golden.replacen('{', "{\n  \"entityType\": \"x\",\n  \"_rev\": \"1-a\",", 1);
    assert_eq!(written(&read::<T>(&extended)), expected, "unknown fields do no harm");
}

#[test]
fn stored_documents() {
    both_ways::<Action>(golden!("action"));
    both_ways::<Action>(golden!("blackbox"));
    both_ways::<Action>(golden!("sequence"));
    both_ways::<Trigger>(golden!("trigger"));
    both_ways::<Rule>(golden!("rule"));
    both_ways::<Package>(golden!("package"));
    both_ways::<Package>(golden!("binding"));
    both_ways::<Activation>(golden!("activation"));
    both_ways::<Activation>(golden!("trigger-activation"));
    both_ways::<Identity>(golden!("identity"));
    both_ways::<SubjectDocument>(golden!("subject"));
}

#[test]
fn answers() {
    let action: Action = read(golden!("action"));
    let (trigger, rule): (Trigger, Rule) = (read(golden!("trigger")), read(golden!("rule")));
    let (package, binding): (Package, Package) = (read(golden!("package")), read(golden!("binding")));
    let (activation, fired): (Activation, Activation) =
        (read(golden!("activation")), read(golden!("trigger-activation")));
    let none = wsk_entities::Parameters::new();
    let contents = std::slice::from_ref(&action);
    let as_json = |value: &dyn erased::Json| value.json();
    let answers: indexmap::IndexMap<&str, wsk_entities::Json> = [
        (
            "action",
            as_json(&action.shown(&none, Some("function main(p) { return p }"))),
        ),
        ("action in a list", as_json(&action.summary())),
        ("rule", as_json(&rule.shown(RuleStatus::Inactive))),
        ("trigger in a list", as_json(&trigger.summary())),
        ("package", as_json(&package.shown(&package.parameters, contents))),
        ("package in a list", as_json(&package.summary())),
        ("binding in a list", as_json(&binding.summary())),
        ("activation", as_json(&activation.shown())),
        ("activation in a list", as_json(&activation.summary())),
        ("trigger's activation", as_json(&fired.shown())),
    ]
    .into_iter()
    .collect();
    let expected: serde_json::Value = read(golden!("answers"));
    let made: serde_json::Value = read(&serde_json::to_string(&answers).unwrap());
    for (name, answer) in expected.as_object().unwrap() {
        assert_eq!(&made[name], answer, "{name}");
        assert_eq!(made[name].to_string(), answer.to_string(), "{name}: order of fields");
    }
    assert_eq!(made.as_object().unwrap().len(), expected.as_object().unwrap().len());
}

mod erased {
    /// Anything that serialises, behind one type.
    pub trait Json {
        fn json(&self) -> wsk_entities::Json;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> wsk_entities::Json {
            wsk_entities::Json::of(self)
        }
    }
}
