//! `/whisk.system/utils`.

use serde_json::json;

use super::{activation, error, printed, result, start};

#[tokio::test]
async fn lines_and_texts() {
    needs_interpreters!();
    let p = &start().await;
    for arguments in [json!({"a": 1, "b": [null, {"c": "d"}]}), json!({})] {
        assert_eq!(result(p, "utils/echo", &arguments).await, arguments);
    }
    let lines = json!(["seven", "eight", "nine"]);
    let cat = result(p, "utils/cat", &json!({ "lines": lines })).await;
    assert_eq!(cat, json!({"lines": lines, "payload": "seven\neight\nnine"}));
    let cat = result(p, "utils/cat", &json!({"lines": "one text"})).await;
    assert_eq!(cat, json!({"lines": "one text", "payload": "one text"}));

    assert_eq!(
        result(p, "utils/head", &json!({ "lines": lines })).await,
        json!({"lines": ["seven"], "num": 1})
    );
    let head = result(p, "utils/head", &json!({"lines": lines, "num": 2})).await;
    assert_eq!(head, json!({"lines": ["seven", "eight"], "num": 2}));
    let head = result(p, "utils/head", &json!({"lines": lines, "num": 9})).await;
    assert_eq!(head, json!({"lines": lines, "num": 9}));

    let split = result(p, "utils/split", &json!({"payload": "a\nb\r\nc"})).await;
    assert_eq!(split, json!({"lines": ["a", "b", "c"], "payload": "a\nb\r\nc"}));
    let split = result(p, "utils/split", &json!({"payload": "a.b.c", "separator": "."})).await;
    assert_eq!(
        split,
        json!({"lines": ["a", "b", "c"], "payload": "a.b.c"}),
        "a separator is no pattern"
    );
}

#[tokio::test]
async fn sorting_is_by_code_units() {
    needs_interpreters!();
    let p = &start().await;
    // By code points the last two would change places, as numbers 9 would come first, and in a dictionary so would B.
    let lines = json!(["b", "\u{ff5e}", "\u{1f600}", "a", "B", 10, 9]);
    let sorted = result(p, "utils/sort", &json!({ "lines": lines })).await;
    assert_eq!(
        sorted,
        json!({"lines": [10, 9, "B", "a", "b", "\u{1f600}", "\u{ff5e}"], "length": 7})
    );
    assert_eq!(
        result(p, "utils/sort", &json!({"lines": []})).await,
        json!({"lines": [], "length": 0})
    );
}

#[tokio::test]
async fn smash_nests_the_others() {
    needs_interpreters!();
    let p = &start().await;
    let nested = result(p, "utils/smash", &json!({"$fieldName": "x", "a": 1, "b": {"c": 2}})).await;
    assert_eq!(nested, json!({"x": {"a": 1, "b": {"c": 2}}}));
    assert_eq!(
        result(p, "utils/smash", &json!({"$fieldName": "x"})).await,
        json!({"x": {}})
    );
    for arguments in [json!({}), json!({"$fieldName": 1})] {
        let error = error(p, "utils/smash", &arguments).await;
        assert_eq!(error, "Expected an argument '$fieldName' of type 'string'.");
    }
}

#[tokio::test]
async fn where_and_when() {
    needs_interpreters!();
    let p = &start().await;
    let when = activation(p, "utils/date", &json!({})).await;
    let date = when["response"]["result"]["date"].as_str().expect("a date").to_owned();
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    let log = printed(p, &when).await;
    assert!(log[0].starts_with("stdout: It is now "), "{log:?}");
    assert_eq!(
        result(p, "utils/namespace", &json!({})).await,
        json!({"namespace": "guest"})
    );
}

#[tokio::test]
async fn host_urls() {
    needs_interpreters!();
    let p = &start().await;
    let host = format!("http://{}", p.address);
    let cases = [
        (json!({}), "/api/v1/namespaces/guest/actions"),
        (json!({"path": "a"}), "/api/v1/namespaces/guest/actions/a"),
        (json!({"path": "p/a"}), "/api/v1/namespaces/guest/actions/p/a"),
        (
            json!({"path": "a", "ext": ".json"}),
            "/api/v1/namespaces/guest/actions/a",
        ),
        (
            json!({"path": "a", "web": "true"}),
            "/api/v1/namespaces/guest/actions/a",
        ),
        (
            json!({"path": "t", "trigger": true}),
            "/api/v1/namespaces/guest/triggers/t",
        ),
        (json!({"trigger": true}), "/api/v1/namespaces/guest/triggers"),
        (json!({"web": true}), "/api/v1/web/guest"),
        (json!({"path": "a", "web": true}), "/api/v1/web/guest/default/a"),
        (
            json!({"path": "a", "web": true, "ext": ".http"}),
            "/api/v1/web/guest/default/a.http",
        ),
        (
            json!({"path": "p/a", "web": true, "ext": ".svg"}),
            "/api/v1/web/guest/p/a.svg",
        ),
    ];
    for (arguments, path) in cases {
        let url = result(p, "utils/hosturl", &arguments).await;
        assert_eq!(url, json!({"url": format!("{host}{path}")}), "{arguments}");
    }
    let errors = [
        (
            json!({"path": "t", "web": true, "trigger": true}),
            "triggers are not allowed for web actions.",
        ),
        (
            json!({"path": "p/t", "trigger": true}),
            "triggers are not allowed in packages.",
        ),
        (
            json!({"path": "a", "web": true, "ext": ".pdf"}),
            r#"extension for web action must be one of [".html", ".http", ".json", ".svg", ".text"]."#,
        ),
    ];
    for (arguments, text) in errors {
        assert_eq!(error(p, "utils/hosturl", &arguments).await, text);
    }
}
