use super::*;

#[test]
fn numbers_and_ids_are_written_as_text_writes_them() {
    for number in [0, 7, 10, 1_700_000_001_000, u64::MAX] {
        let mut out = Vec::new();
        push_number(&mut out, number);
        assert_eq!(out, number.to_string().into_bytes());
    }
    assert_eq!(&hex(0xfe_0a), b"0000000000000000000000000000fe0a");
}

#[test]
fn a_variable_is_text() {
    let rows = [
        ("\"a\\n\"", "a\n"),
        ("null", ""),
        ("true", "true"),
        ("1.50", "1.50"),
        (r#"{"a":[1]}"#, r#"{"a":[1]}"#),
    ];
    for (json, text) in rows {
        let json = Json::parse(json).unwrap();
        assert_eq!(unlock::variable(&unlock::Value::Plain(&json)), text);
    }
    let lone = Json::parse(r#""\ud83d""#).unwrap();
    assert_eq!(unlock::variable(&unlock::Value::Plain(&lone)), "?");
}

#[test]
fn keys_with_quotes_stay_inside_their_string() {
    let mut out = Vec::new();
    push_string(&mut out, "a\"b\\");
    assert_eq!(out, br#""a\"b\\""#);
}
