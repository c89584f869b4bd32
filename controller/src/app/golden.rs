//! Frozen promises, which a controller of the next version finds on the topics of the one before; see the golden messages of
//! the bus for the rules.

use std::fmt::Debug;
use std::path::Path;

use serde_json::{Value, json};
use wsk_bus::Payload;

use super::cancel::Order;
use super::owed::Owed;

/// What today's code writes for what an older one wrote.
fn pass<T: Payload + serde::de::DeserializeOwned + Debug>(text: &str) -> Value {
    let read: T = serde_json::from_str(text).unwrap();
    serde_json::from_slice(&read.encode()).unwrap()
}

fn files(start: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/previous");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let ours = entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start));
    ours.map(|path| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.display().to_string(), serde_json::from_str(&text).unwrap())
    })
    .collect()
}

/// Whether `written` has all of `golden`; more is welcome.
fn holds(golden: &Value, written: &Value) -> bool {
    match (golden, written) {
        (Value::Object(golden), Value::Object(written)) => golden
            .iter()
            .all(|(key, value)| written.get(key).is_some_and(|written| holds(value, written))),
        (Value::Array(golden), Value::Array(written)) => {
            golden.len() == written.len() && golden.iter().zip(written).all(|(a, b)| holds(a, b))
        }
        _ => golden == written,
    }
}

/// A field of the future in what is written as a struct.
fn with_stranger(golden: &Value) -> Value {
    let mut strange = golden.clone();
    let inner = ["Record", "Composition"]
        .into_iter()
        .find(|variant| strange.get(variant).is_some());
    let fields = match inner {
        Some(variant) => &mut strange[variant],
        None => &mut strange,
    };
    fields["strange"] = json!({"from": "the future"});
    strange
}

#[test]
fn promises_of_the_previous_version_are_read_and_written_again() {
    let owed = files("owed");
    assert_eq!(
        owed.len(),
        4,
        "a record, a sequence, a composition, an action that is run again"
    );
    for (file, golden) in owed {
        let written = pass::<Owed>(&golden.to_string());
        assert!(holds(&golden, &written), "{file} has become\n{written:#}");
        assert_eq!(pass::<Owed>(&with_stranger(&golden).to_string()), written, "{file}");
    }
    let cancels = files("cancel");
    assert_eq!(cancels.len(), 1);
    for (file, golden) in cancels {
        let written = pass::<Order>(&golden.to_string());
        assert!(holds(&golden, &written), "{file} has become\n{written:#}");
        assert_eq!(pass::<Order>(&with_stranger(&golden).to_string()), written, "{file}");
    }
}
