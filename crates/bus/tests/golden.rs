//! Frozen messages. Components of two versions share a bus while a cluster is upgraded, and OpenWhisk's own may share it, so
//! for each message that `golden/` holds:
//!
//! * today's code reads it, also with fields in it that nobody here knows;
//! * what today's code writes for the same value has every field of it, unchanged, so that its author reads that too.
//!
//! `golden/previous` is what the release before this one writes, `golden/openwhisk` OpenWhisk's form. How to change a message
//! is in `docs/how-to/change-a-message.md`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wsk_bus::Payload;
use wsk_bus::messages::{
    Acknowledgement, ActivationMessage, CacheInvalidation, Control, Event, Instance, Ping, Printed,
};

/// Reads a message and gives what today's code writes for it.
type Pass = fn(&str) -> Result<Value, String>;

/// Which message a file holds: by the beginning of its name.
const KINDS: [(&str, Pass); 8] = [
    ("acknowledgement", pass::<Acknowledgement>),
    ("activation", pass::<ActivationMessage>),
    ("cache-invalidation", pass::<CacheInvalidation>),
    ("control", pass::<Control>),
    ("event", pass::<Event>),
    ("instance", pass::<Instance>),
    ("ping", pass::<Ping>),
    ("printed", pass::<Printed>),
];

/// Optional fields of OpenWhisk's that mean nothing here: read over, and not written.
const NOT_OURS: [&str; 1] = ["busyMemory"];

fn pass<T: Payload + Serialize + DeserializeOwned + PartialEq + Debug>(text: &str) -> Result<Value, String> {
    let read = |text: &[u8]| serde_json::from_slice::<T>(text).map_err(|error| error.to_string());
    let value = read(text.as_bytes())?;
    let written = value.encode();
    assert_eq!(read(&written)?, value, "what is written is read as the same value");
    serde_json::from_slice(&written).map_err(|error| error.to_string())
}

fn files() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let folders = ["previous", "openwhisk"].map(|folder| std::fs::read_dir(golden.join(folder)).unwrap());
    let mut files: Vec<_> = folders
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn kind(file: &Path) -> Pass {
    let name = file.file_name().unwrap().to_str().unwrap();
    let known = KINDS.iter().find(|(start, _)| name.starts_with(start));
    known.unwrap_or_else(|| panic!("{name}: no message is called so")).1
}

/// Where `written` lacks something of `golden`, or has something else there.
fn lost(at: &str, golden: &Value, written: Option<&Value>, found: &mut Vec<String>) {
    match (golden, written) {
        (Value::Object(golden), Some(Value::Object(written))) => {
            for (key, value) in golden.iter().filter(|(key, _)| !NOT_OURS.contains(&key.as_str())) {
                lost(&format!("{at}.{key}"), value, written.get(key), found);
            }
        }
        // Of OpenWhisk's chain of requests, whose rest is optional, the id and the time of the first are kept.
        (Value::Array(golden), Some(Value::Array(written))) if at.ends_with(".transid") => {
            if golden[..2] != written[..2] {
                found.push(format!("{at}: {golden:?} has become {written:?}"));
            }
        }
        (Value::Array(golden), Some(Value::Array(written))) if golden.len() == written.len() => {
            for (place, (value, written)) in golden.iter().zip(written).enumerate() {
                lost(&format!("{at}[{place}]"), value, Some(written), found);
            }
        }
        _ if Some(golden) == written => {}
        _ => found.push(format!("{at}: {golden} has become {}", written.unwrap_or(&Value::Null))),
    }
}

/// The same message with a field that nobody knows in every object of the message's own.
fn with_strangers(mut message: Value) -> Value {
    // What users put into these is theirs; nothing is strange there.
    const THEIRS: [&str; 6] = [
        "content",
        "result",
        "annotations",
        "lockedArgs",
        "traceContext",
        "limits",
    ];
    fn visit(object: &mut Map<String, Value>) {
        for (_, value) in object.iter_mut().filter(|(key, _)| !THEIRS.contains(&key.as_str())) {
            if let Value::Object(inner) = value {
                visit(inner);
            }
        }
        object.insert("strange".to_owned(), json!({"from": ["the", "future"]}));
    }
    visit(message.as_object_mut().unwrap());
    message
}

#[test]
fn what_was_written_is_read_and_written_again() {
    let mut wrong = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let golden: Value = serde_json::from_str(&text).unwrap();
        match kind(&file)(&text) {
            Err(error) => wrong.push(format!("{}: cannot be read: {error}", file.display())),
            Ok(written) => lost(&file.display().to_string(), &golden, Some(&written), &mut wrong),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fields_that_nobody_knows_change_nothing() {
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let strange = with_strangers(serde_json::from_str(&text).unwrap()).to_string();
        let pass = kind(&file);
        assert_eq!(pass(&strange), pass(&text), "{}", file.display());
    }
}

#[test]
fn every_message_has_its_files() {
    let names: Vec<String> = files()
        .iter()
        .map(|file| {
            file.strip_prefix(env!("CARGO_MANIFEST_DIR"))
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    for (start, _) in KINDS {
        let previous = format!("golden/previous/{start}");
        assert!(
            names.iter().any(|name| name.starts_with(&previous)),
            "no {previous}*.json"
        );
    }
    // Each way to acknowledge, with and without a record; each order; each kind of event; a question and an answer about a name;
    // what invokers say of their machines, and what becomes of activations that those cannot run.
    for name in [
        "acknowledgement-combined",
        "acknowledgement-combined-id",
        "acknowledgement-completion",
        "acknowledgement-result",
        "acknowledgement-result-id",
        "control-cancel",
        "control-follow",
        "event-activation",
        "event-metric",
        "instance",
        "instance-answer",
        "ping-node",
        "activation-detour",
        "activation-detour-last",
    ] {
        let wanted = format!("golden/previous/{name}.json");
        assert!(names.contains(&wanted), "no {wanted}");
    }
}

#[test]
fn the_comparison_notices_what_is_lost() {
    let golden = json!({"a": 1, "b": {"c": [1, 2]}});
    let seen = |written: Value| {
        let mut found = Vec::new();
        lost("m", &golden, Some(&written), &mut found);
        found
    };
    assert!(seen(json!({"a": 1, "b": {"c": [1, 2]}, "new": true})).is_empty());
    assert_eq!(seen(json!({"a": 1, "b": {"c": [1, 3]}})), ["m.b.c[1]: 2 has become 3"]);
    assert_eq!(seen(json!({"b": {"c": [1, 2]}})), ["m.a: 1 has become null"]);
}
