use super::*;

fn success(result: &str) -> Response {
    Response::success(Json::parse(result).unwrap(), None)
}

fn failed(error: &str) -> Response {
    Response::failure(StatusCode::ApplicationError, &Json::parse(error).unwrap(), None)
}

fn body(answer: &Answer) -> (u16, &str, String) {
    let entity = answer.entity.as_ref().expect("an answer with a body");
    (
        answer.status,
        &entity.content_type,
        String::from_utf8_lossy(&entity.body).into_owned(),
    )
}

fn http_answer(result: &str) -> Result<Answer, Unfit> {
    answer(&success(result), Extension::Http)
}

#[test]
fn extensions_are_the_last_known_ending() {
    for (segment, name, extension) in [
        ("a", "a", Extension::Http),
        ("a.json", "a", Extension::Json),
        ("a.json.json", "a.json", Extension::Json),
        ("a.xyz", "a.xyz", Extension::Http),
        ("a.JSON", "a.JSON", Extension::Http),
    ] {
        assert_eq!(Extension::split(segment), (name, extension));
    }
}

#[test]
fn extensions_take_what_they_are_named_after() {
    type Case<'a> = (Extension, &'a str, Result<(&'a str, &'a str), Unfit>);
    let cases: &[Case<'_>] = &[
        (
            Extension::Json,
            r#"{"body":1}"#,
            Ok(("application/json", "{\n  \"body\": 1\n}")),
        ),
        (
            Extension::Html,
            r#"{"html":"<x>"}"#,
            Ok(("text/html; charset=UTF-8", "<x>")),
        ),
        (
            Extension::Html,
            r#"{"body":"b","html":"h"}"#,
            Ok(("text/html; charset=UTF-8", "b")),
        ),
        (
            Extension::Html,
            r#"{"body":null,"html":"h"}"#,
            Err(Unfit::Invalid("text/html")),
        ),
        (Extension::Html, r#"{"body":5}"#, Err(Unfit::Invalid("text/html"))),
        (Extension::Svg, r#"{"body":""}"#, Ok(("image/svg+xml", ""))),
        (
            Extension::Text,
            r#"{"text":{"a":1}}"#,
            Ok(("text/plain; charset=UTF-8", "{\n  \"a\": 1\n}")),
        ),
        (
            Extension::Text,
            r#"{"body":true}"#,
            Ok(("text/plain; charset=UTF-8", "true")),
        ),
        (Extension::Text, r#"{"a":1}"#, Err(Unfit::NoProperty)),
        (Extension::Html, "[1]", Ok(("application/json", "[1]"))),
    ];
    for (extension, result, expected) in cases {
        let answer = answer(&success(result), *extension);
        let shown = answer.as_ref().map(body).map_err(Clone::clone);
        let expected = expected
            .clone()
            .map(|(content_type, text)| (200, content_type, text.to_owned()));
        assert_eq!(shown, expected, "{extension:?} {result}");
    }
}

#[test]
fn errors_are_answers_too() {
    let not_found = answer(&failed(r#"{"statusCode":404,"body":"nope"}"#), Extension::Http).unwrap();
    assert_eq!(body(&not_found), (404, "text/html; charset=UTF-8", "nope".into()));
    assert_eq!(
        answer(&failed("\"bad\""), Extension::Http),
        Err(Unfit::Invalid("message/http"))
    );
    assert_eq!(body(&answer(&failed("\"bad\""), Extension::Html).unwrap()).2, "bad");
    assert_eq!(body(&answer(&failed("null"), Extension::Text).unwrap()).2, "null");
    assert_eq!(
        answer(&failed("null"), Extension::Json),
        Err(Unfit::Invalid("application/json"))
    );
    let thrown = Response::failure(StatusCode::DeveloperError, &Json::from("x"), None);
    assert_eq!(answer(&thrown, Extension::Json), Err(Unfit::Failed));
}

#[test]
fn statuses_are_whole_numbers_that_can_end_an_exchange() {
    for (code, status) in [
        ("201", Some(201)),
        ("200.0", Some(200)),
        ("\"201\"", Some(201)),
        ("\"0201\"", Some(201)),
        ("599", Some(599)),
        ("600", None),
        ("99", None),
        ("-1", None),
        ("200.5", None),
        ("\" 201\"", None),
        ("\"\"", None),
        ("true", None),
        ("null", None),
        ("{}", None),
        ("99999999999", None),
    ] {
        let result = http_answer(&format!(r#"{{"statusCode":{code},"body":"x"}}"#));
        let expected = status.ok_or(Unfit::Invalid("message/http"));
        assert_eq!(result.map(|answer| answer.status), expected, "{code}");
    }
}

#[test]
fn no_body_means_no_content() {
    for (result, status) in [
        ("{}", 204),
        (r#"{"body":""}"#, 204),
        (r#"{"body":null}"#, 204),
        (r#"{"statusCode":302}"#, 302),
        (r#"{"statusCode":204,"body":"x"}"#, 204),
        (r#"{"statusCode":205,"body":"x"}"#, 205),
    ] {
        let answer = http_answer(result).unwrap();
        assert_eq!((answer.status, answer.entity), (status, None), "{result}");
    }
    let typed = http_answer(r#"{"headers":{"X-A":"a","content-type":"text/plain"}}"#).unwrap();
    assert_eq!(typed.headers, [("X-A".to_owned(), "a".to_owned())]);
}

#[test]
fn headers_are_strings_numbers_booleans_and_lists_of_them() {
    let lines = |headers: &str| {
        let result = format!(r#"{{"headers":{headers},"body":"x"}}"#);
        http_answer(&result).map(|a| a.headers.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>())
    };
    assert_eq!(
        lines(r#"{"A":["a",1,[false]],"a":1.50}"#).unwrap(),
        ["A=a", "A=1", "A=false", "a=1.50"]
    );
    assert_eq!(lines(r#"{"A":"a\r\nB: b"}"#).unwrap(), Vec::<String>::new());
    let of_the_server = r#"{"Content-Length":5,"transfer-encoding":"chunked","Connection":"close","DATE":"x","Server":"x",
        "Keep-Alive":"x","Upgrade":"x","TE":"x","Trailer":"x","Proxy-Connection":"x","":"x","X-Date":"y"}"#;
    assert_eq!(lines(of_the_server).unwrap(), ["X-Date=y"]);
    for bad in [
        "null",
        "[]",
        "5",
        r#"{"A":null}"#,
        r#"{"A":{}}"#,
        r#"{"A b":"x"}"#,
        r#"{"":null}"#,
    ] {
        assert_eq!(lines(bad), Err(Unfit::Invalid("message/http")), "{bad}");
    }
}

#[test]
fn types_decide_how_a_body_is_written() {
    let sent = |content_type: &str, value: &str| {
        let result = format!(r#"{{"headers":{{"Content-Type":{content_type}}},"body":{value}}}"#);
        http_answer(&result).map(|answer| {
            let (_, content_type, text) = body(&answer);
            format!("{content_type}|{text}")
        })
    };
    for (content_type, value, expected) in [
        (
            "\"text/html; charset=iso-8859-1\"",
            "\"ä\"",
            Ok("text/html; charset=UTF-8|ä"),
        ),
        ("\"image/png\"", "\"aGVsbG8=\"", Ok("image/png|hello")),
        ("\"image/png\"", "\"***\"", Err(Unfit::Mismatch)),
        ("\"application/json\"", "\"aGVsbG8=\"", Ok("application/json|hello")),
        ("\"application/json\"", "\"oops!\"", Ok("application/json|oops!")),
        ("\"application/vnd.own+json\"", "\"oops!\"", Err(Unfit::Mismatch)),
        (
            "\"application/hal+json\"",
            "{\"a\":1}",
            Ok("application/hal+json|{\n  \"a\": 1\n}"),
        ),
        ("\"text/plain\"", "[1]", Err(Unfit::Mismatch)),
        ("\"bogus\"", "[1]", Err(Unfit::Mismatch)),
        ("\"bogus\"", "\"x\"", Err(Unfit::UnknownType)),
        ("5", "\"x\"", Err(Unfit::UnknownType)),
        (
            "[\"text/plain\",\"text/html\"]",
            "\"x\"",
            Ok("text/plain; charset=UTF-8|x"),
        ),
    ] {
        assert_eq!(
            sent(content_type, value),
            expected.map(str::to_owned),
            "{content_type} {value}"
        );
    }
}

use proptest::prelude::*;

/// Results as actions make them: nested values, and the fields that mean something here.
fn result() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-2000i64..2000).prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[ -~ä\\r\\n]{0,12}|aGVsbG8=|image/png|text/plain|application/json".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = "statusCode|headers|body|error|html|text|Content-Type|[a-zA-Z -]{0,8}";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            proptest::collection::vec((name, inner), 0..5).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    /// Whatever an action returns is an answer that can be sent, or one of the refusals.
    #[test]
    fn every_result_is_answered(result in result(), extension in 0usize..5, failed in any::<bool>()) {
        let json = Json::of(&result);
        let response = if failed {
            Response::failure(StatusCode::ApplicationError, &json, None)
        } else {
            Response::success(json, None)
        };
        if let Ok(answer) = answer(&response, Extension::ALL[extension].1) {
            prop_assert!((200..=599).contains(&answer.status));
            prop_assert!(answer.headers.iter().all(|(name, value)| is_header_name(name) && !value.contains(['\r', '\n'])));
        }
    }

    /// The layout changes nothing but blanks.
    #[test]
    fn indented_text_means_the_same(result in result()) {
        let compact = serde_json::to_string(&result).unwrap();
        let again = Json::parse(&indented(&compact)).unwrap();
        prop_assert_eq!(again.as_str(), compact);
    }
}
