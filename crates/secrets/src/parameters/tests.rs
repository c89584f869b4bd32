use proptest::prelude::*;

use super::*;
use crate::Keys;

const OLD: &str = "AAECAwQFBgcICQoLDA0ODw==";
const NEW: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn vault(keys: &str) -> Vault {
    Vault::open_with(Keys::Given(Zeroizing::new(keys.to_owned()))).unwrap()
}

fn request(text: &str) -> Parameters {
    Parameters::from_json(&Json::parse(text).unwrap()).unwrap()
}

fn text(parameters: &Parameters) -> String {
    Json::of(parameters).to_string()
}

/// What a PUT of `given` over `stored` leaves, in clear.
fn put(given: &str, stored: Option<&Parameters>, annotations: &str) -> Parameters {
    let vault = vault(NEW);
    let wanted = wanted(request(given), stored, &request(annotations)).unwrap();
    seal(wanted, Scope::Marked, &vault).unwrap()
}

fn clear(stored: &Parameters) -> String {
    text(&open(stored, &vault(NEW)).unwrap())
}

const SECRET: &str = r#"[{"key":"t","value":"v","secret":true},{"key":"u","value":1}]"#;

#[test]
fn what_is_marked_is_sealed_and_shown_without_its_value() {
    let stored = put(SECRET, None, "[]");
    let document = text(&stored);
    assert!(
        !document.contains("\"v\"") && document.contains(r#""secret":true,"encryption":"aes-256""#),
        "{document}"
    );
    assert!(document.contains(r#"{"key":"u","value":1}"#), "{document}");
    let seen = r#"[{"key":"t","value":null,"secret":true},{"key":"u","value":1}]"#;
    assert_eq!(text(&shown(&stored, &vault(NEW)).unwrap()), seen);
    assert_eq!(
        text(&shown(&stored, &Vault::empty()).unwrap()),
        seen,
        "showing a secret takes no key"
    );
    assert_eq!(clear(&stored), SECRET);
}

#[test]
fn an_annotation_marks_for_clients_that_know_no_marks() {
    let names = r#"[{"key":"secret-parameters","value":["t"]}]"#;
    let stored = put(r#"[{"key":"t","value":"v"},{"key":"u","value":1}]"#, None, names);
    assert_eq!(clear(&stored), SECRET);
    // Also those that were there before it.
    let plain = put(r#"[{"key":"t","value":"v"},{"key":"u","value":1}]"#, None, "[]");
    let later = wanted(plain.clone(), Some(&plain), &request(names)).unwrap();
    assert!(!text(&seal(later, Scope::Marked, &vault(NEW)).unwrap()).contains("\"v\""));
    for bad in ["true", "[1]", "\"t\"", "{}"] {
        let bad = request(&format!(r#"[{{"key":"secret-parameters","value":{bad}}}]"#));
        assert!(wanted(Parameters::new(), None, &bad).is_err());
    }
}

/// What a client that reads and writes back, with or without knowledge of marks, does to a secret: nothing.
#[test]
fn a_secret_without_a_value_stays() {
    let stored = put(SECRET, None, "[]");
    for given in [
        r#"[{"key":"t","value":null,"secret":true},{"key":"u","value":1}]"#,
        r#"[{"key":"t","secret":true},{"key":"u","value":1}]"#,
        r#"[{"key":"t","value":null},{"key":"u","value":1}]"#,
    ] {
        assert_eq!(clear(&put(given, Some(&stored), "[]")), SECRET, "{given}");
    }
    let init = put(r#"[{"key":"t","secret":true,"init":true}]"#, Some(&stored), "[]");
    assert_eq!(clear(&init), r#"[{"key":"t","value":"v","init":true,"secret":true}]"#);
    let marked = put(r#"[{"key":"u","secret":true}]"#, Some(&stored), "[]");
    assert_eq!(
        clear(&marked),
        r#"[{"key":"u","value":1,"secret":true}]"#,
        "a mark alone marks what is there"
    );
}

#[test]
fn a_secret_stays_one_until_it_is_said_not_to_be() {
    let stored = put(SECRET, None, "[]");
    let updated = put(r#"[{"key":"t","value":"w"}]"#, Some(&stored), "[]");
    assert_eq!(clear(&updated), r#"[{"key":"t","value":"w","secret":true}]"#);
    assert!(!text(&updated).contains("\"w\""));
    let ended = put(r#"[{"key":"t","value":"w","secret":false}]"#, Some(&stored), "[]");
    assert_eq!(text(&ended), r#"[{"key":"t","value":"w"}]"#);
    let unbound = put(r#"[{"key":"t","value":null,"secret":false}]"#, Some(&stored), "[]");
    assert_eq!(
        text(&unbound),
        r#"[{"key":"t","value":null}]"#,
        "the old value is not revealed"
    );
    assert_eq!(text(&put("[]", Some(&stored), "[]")), "[]");
    let declared = put(r#"[{"key":"t","secret":true}]"#, None, "[]");
    assert_eq!(text(&declared), r#"[{"key":"t","value":null,"secret":true}]"#);
}

#[test]
fn the_operators_switch_seals_all_and_shows_all_but_secrets() {
    let stored = seal(
        wanted(request(SECRET), None, &Parameters::new()).unwrap(),
        Scope::All,
        &vault(NEW),
    )
    .unwrap();
    assert_eq!(stored.sealed().count(), 2);
    let seen = r#"[{"key":"t","value":null,"secret":true},{"key":"u","value":1}]"#;
    assert_eq!(text(&shown(&stored, &vault(NEW)).unwrap()), seen);
    let error = shown(&stored, &vault(OLD)).unwrap_err().to_string();
    assert!(
        error.starts_with("the parameter 'u' is sealed and does not open: its key "),
        "{error}"
    );
    assert_eq!(text(&veil(&stored)), seen.replace("1}", "null}"));
}

#[test]
fn a_client_cannot_pass_something_off_as_sealed() {
    let sealed = vault(NEW).seal("\"theirs\"").unwrap().text;
    let given = format!(r#"[{{"key":"t","value":"{sealed}","encryption":"aes-256"}}]"#);
    assert_eq!(put(&given, None, "[]").sealed().count(), 0);
}

#[test]
fn resealing_renews_what_is_old_and_nothing_else() {
    let stored = seal(request(SECRET), Scope::Marked, &vault(OLD)).unwrap();
    let both = vault(&format!("{NEW} {OLD}"));
    let renewed = reseal(&stored, &both).unwrap().unwrap();
    assert_eq!(clear(&renewed), SECRET);
    assert_eq!(reseal(&renewed, &both).unwrap(), None);
    assert!(reseal(&stored, &vault(NEW)).is_err());
    // A write takes along what it can, and loses nothing of what it cannot.
    assert_eq!(
        seal(stored.clone(), Scope::Marked, &both).map(|p| clear(&p)).unwrap(),
        SECRET
    );
    assert_eq!(seal(stored.clone(), Scope::Marked, &vault(NEW)).unwrap(), stored);
}

proptest! {
    /// Whatever the order of writes: a secret's value is never in the document, and never shown.
    #[test]
    fn no_order_of_writes_reveals_a_secret(writes in prop::collection::vec((0u8..3, any::<bool>(), any::<bool>()), 1..6)) {
        let mut stored = put(r#"[{"key":"t","value":"needle","secret":true}]"#, None, "[]");
        for (value, marked, other) in writes {
            let value = ["null", "\"needle\"", "[\"needle\"]"][usize::from(value)];
            let mark = if marked { r#","secret":true"# } else { "" };
            let other = if other { r#",{"key":"o","value":2}"# } else { "" };
            stored = put(&format!(r#"[{{"key":"t","value":{value}{mark}}}{other}]"#), Some(&stored), "[]");
            prop_assert!(!text(&stored).contains("needle"));
            prop_assert!(!text(&shown(&stored, &vault(NEW)).unwrap()).contains("needle"));
            prop_assert!(clear(&stored).contains("needle"));
        }
    }
}
