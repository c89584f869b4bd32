use serde_json::json;

use super::*;
use crate::apis::target::Target;
use hyper::HeaderMap;

/// What a request becomes: headers beside the host, query, body, and path of the target.
fn mapped(actions: Value) -> Result<(Vec<String>, String, Value, String), String> {
    let mut mapping = Mapping::default();
    mapping.map(&actions)?;
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "h"), ("x-a", "1"), ("x-b", "2"), ("x-b", "3")] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let mut target = Target::parse("http://h/t/{SLOT}").unwrap();
    let mut message = Message {
        headers: &mut headers,
        query: "q=1&r=a%20b&q=2".to_owned(),
        body: json!({"m": {"n": 1.5}, "o": "x"}).as_object().unwrap().clone(),
        parameters: vec![("id".to_owned(), "a/b".to_owned())],
        target: &mut target,
    };
    mapping.apply(&mut message)?;
    let Message { query, body, .. } = message;
    assert_eq!(headers["host"], "h");
    let shown = headers.iter().filter(|(name, _)| *name != HOST);
    let shown = shown
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    Ok((shown, query, body.into(), target.path_and_query("", "")))
}

fn action(action: &str, from: Value, to: Value) -> Value {
    json!([{ "action": action, "from": from, "to": to }])
}

fn at(location: &str, name: &str) -> Value {
    json!({ "location": location, "name": name })
}

#[test]
fn values_are_inserted() {
    let value = json!({"value": "v w"});
    let (headers, ..) = mapped(action("insert", value.clone(), at("header", "X-B"))).unwrap();
    assert_eq!(headers, ["x-a: 1", "x-b: v w"], "in the place of what was there");
    let (_, query, ..) = mapped(action("insert", value.clone(), at("query", "q"))).unwrap();
    assert_eq!(query, "r=a%20b&q=v+w", "others stay as they were written");
    let (_, _, body, _) = mapped(action("insert", json!({"value": {"k": [1]}}), at("body", "m"))).unwrap();
    assert_eq!(body.to_string(), r#"{"m":{"k":[1]},"o":"x"}"#);
    let (.., path) = mapped(action("insert", value, at("path", "SLOT"))).unwrap();
    assert_eq!(path, "/t/v%20w");
}

#[test]
fn parts_are_inserted_and_stay() {
    let (headers, query, ..) = mapped(action("insert", at("query", "q"), at("header", "x-q"))).unwrap();
    assert_eq!(
        (headers.last().unwrap().as_str(), query.as_str()),
        ("x-q: 1", "q=1&r=a%20b&q=2")
    );
    let (headers, ..) = mapped(action("insert", at("query", "none"), at("header", "x-a"))).unwrap();
    assert_eq!(headers[0], "x-a: 1", "what is not there changes nothing");
}

#[test]
fn defaults_do_not_replace() {
    let value = json!({"value": 7});
    for (location, there, absent) in [("header", "x-a", "x-n"), ("query", "q", "n"), ("body", "o", "n")] {
        let before = mapped(json!([])).unwrap();
        assert_eq!(
            mapped(action("default", value.clone(), at(location, there))).unwrap(),
            before,
            "{location}"
        );
        assert_ne!(
            mapped(action("default", value.clone(), at(location, absent))).unwrap(),
            before,
            "{location}"
        );
    }
}

#[test]
fn parts_move() {
    let (headers, _, body, _) = mapped(action("transform", at("header", "x-b"), at("body", "b"))).unwrap();
    assert_eq!(headers, ["x-a: 1"]);
    assert_eq!(body["b"], "2, 3");
    let (headers, _, body, _) = mapped(action("transform", at("body", "m"), at("header", "x-m"))).unwrap();
    assert_eq!(
        (headers.last().unwrap().as_str(), body),
        (r#"x-m: {"n":1.5}"#, json!({"o": "x"}))
    );
    let (.., path) = mapped(action("transform", at("path", "id"), at("path", "SLOT"))).unwrap();
    assert_eq!(path, "/t/a%2Fb");
}

#[test]
fn everything_of_a_place_moves() {
    let all = |from: &str, to: &str| mapped(action("transform", at(from, "*"), at(to, "*"))).unwrap();
    let (_, query, body, _) = all("query", "body");
    assert_eq!(
        (query.as_str(), body["q"].clone(), body["r"].clone()),
        ("", json!("1"), json!("a b"))
    );
    let (headers, _, body, _) = all("header", "body");
    assert_eq!((headers.len(), body["x-b"].clone()), (0, json!("2, 3")));
    let (headers, ..) = all("path", "header");
    assert_eq!(headers.last().unwrap(), "id: a/b");
}

#[test]
fn parts_are_removed() {
    let remove =
        |location: &str, name: &str| mapped(json!([{"action": "remove", "from": at(location, name)}])).unwrap();
    assert_eq!(remove("header", "X-B").0, ["x-a: 1"]);
    assert_eq!(remove("query", "q").1, "r=a%20b");
    assert_eq!(remove("body", "m").2, json!({"o": "x"}));
}

#[test]
fn a_value_that_does_not_fit_is_named() {
    let text = mapped(json!([
        {"action": "insert", "from": {"value": "a\nb"}, "to": at("body", "k")},
        {"action": "transform", "from": at("body", "k"), "to": at("header", "x-k")},
    ]));
    assert_eq!(text.unwrap_err(), "the value of 'x-k' cannot be a header's");
}

#[test]
fn what_cannot_be_mapped() {
    let value = json!({"value": 1});
    for (actions, text) in [
        (json!({}), "a reqMapping must be an array of actions"),
        (
            action("copy", value.clone(), at("body", "x")),
            "'copy' is no action of a reqMapping (insert, default, transform, remove)",
        ),
        (
            action("insert", value.clone(), at("cookie", "x")),
            "'cookie' is no part of a request (header, query, body, path)",
        ),
        (
            action("insert", value.clone(), Value::Null),
            "'' is no part of a request (header, query, body, path)",
        ),
        (
            action("insert", value.clone(), at("body", "")),
            "'' cannot name one part of a request",
        ),
        (
            action("insert", value.clone(), at("header", "Transfer-Encoding")),
            "the header 'Transfer-Encoding' cannot be changed by an API",
        ),
        (
            action("insert", json!({"value": [1]}), at("query", "x")),
            "the value of 'x' must be a text, a number or a boolean",
        ),
        (action("default", at("body", "x"), at("body", "y")), "'y' has no value"),
        (
            action("default", value, at("path", "SLOT")),
            "the path has no part to default in a reqMapping",
        ),
        (json!([{"action": "remove"}]), "an action of a reqMapping has no 'from'"),
    ] {
        assert_eq!(mapped(actions).unwrap_err(), text);
    }
}
