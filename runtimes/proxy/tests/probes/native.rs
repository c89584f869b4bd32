//! Native programs, as `dockerskeleton` runs them.

use serde_json::json;

use crate::harness::*;

const NOT_A_DICTIONARY: &str = "The action did not return a dictionary or array.";
const BUILD_FAILED: &str = "The action failed to generate or locate a binary. See logs for details.";

async fn initialised(code: &str) -> Proxy {
    let proxy = Proxy::start(&["native"]).await;
    assert_eq!(proxy.init(code).await, answer(200, "OK"));
    proxy
}

#[tokio::test]
async fn the_last_line_is_the_result_and_the_rest_is_the_log() {
    let script = "#!/bin/sh\necho first; echo '{\"a\": \"not this\"}'; echo problem >&2; echo; printf '%s' \"$1\"\n";
    let mut proxy = initialised(script).await; // 40
    for value in [r#"{"string":"❄"}"#, r#"["a","b"]"#] {
        let (status, body) = proxy.post("/run", format!("{{\"value\":{value}}}")).await.unwrap(); // 42, 43
        assert_eq!((status, body.as_str()), (200, value));
        let log = proxy.log().await;
        assert_eq!(log.out, ["first", "{\"a\": \"not this\"}", ""]);
        assert_eq!(log.err, ["problem"]);
    }
}

#[tokio::test]
async fn arguments_go_to_both_places_while_they_fit() {
    let script = "#!/bin/sh\nread -r input\necho \"{\\\"argument\\\":${#1},\\\"input\\\":${#input}}\"\n";
    let mut proxy = initialised(script).await;
    for (length, expected) in [
        (131_071, r#"{"argument":131071,"input":131071}"#),
        (131_072, r#"{"argument":0,"input":131072}"#),
    ] {
        let text = "a".repeat(length - r#"{"a":""}"#.len()); // 16
        assert_eq!(proxy.run(json!({ "a": text })).await, answer(200, expected));
        proxy.log().await;
    }
    let proxy = initialised("#!/bin/sh\nexec cat\n").await;
    let big = json!({"a": "a".repeat(1_048_561)}); // 15
    assert_eq!(value(&proxy.run(big.clone()).await), big);
}

#[tokio::test]
async fn output_that_is_no_result_is_logged() {
    for (output, line) in [
        ("echo text", "text"),
        ("echo 42", "42"),
        ("true", ""),
        ("echo '{}'; echo", ""),
    ] {
        let mut proxy = initialised(&format!("#!/bin/sh\n{output}\n")).await;
        assert_eq!(proxy.run(json!({})).await, error(502, NOT_A_DICTIONARY), "{output}"); // 41
        let log = proxy.log().await;
        assert_eq!(log.out.last().unwrap(), line, "{output}");
    }
}

#[tokio::test]
async fn exit_codes_do_not_matter_and_killed_programs_lose_nothing_they_said() {
    let mut proxy = initialised("#!/bin/sh\necho working\necho '{\"a\":1}'\nexit 7\n").await;
    assert_eq!(proxy.run(json!({})).await, answer(200, r#"{"a":1}"#));
    assert_eq!(proxy.log().await.out, ["working"]);
    let mut proxy = initialised("#!/bin/sh\necho working\nkill -9 $$\n").await;
    assert_eq!(proxy.run(json!({})).await, error(502, NOT_A_DICTIONARY));
    assert_eq!(proxy.log().await.out, ["working"]);
    // A child left behind holds stdout open; the answer does not wait for it.
    let proxy = initialised("#!/bin/sh\nsleep 1000 &\necho '{\"a\":1}'\n").await;
    assert_eq!(proxy.run(json!({})).await, answer(200, r#"{"a":1}"#));
}

#[tokio::test]
async fn uploads_of_every_form() {
    let script = "#!/bin/sh\necho \"{\\\"data\\\":\\\"$(cat data.txt)\\\"}\"\n";
    for archive in [
        zip(&[("exec", script), ("data.txt", "x")]),
        tar_gz(&[("exec", script), ("data.txt", "x")]),
    ] {
        let proxy = Proxy::start(&["native"]).await;
        assert_eq!(proxy.init_archive(&archive, "main").await, answer(200, "OK"));
        assert_eq!(proxy.run(json!({})).await, answer(200, r#"{"data":"x"}"#));
    }
    let program = std::fs::read("/bin/echo").unwrap();
    let proxy = Proxy::start(&["native"]).await;
    assert_eq!(proxy.init_archive(&program, "main").await, answer(200, "OK"));
    assert_eq!(proxy.run(json!({"a": 1})).await, answer(200, r#"{"a":1}"#));
}

#[tokio::test]
async fn uploads_that_cannot_be_run() {
    for archive in [
        zip(&[("other", "x")]),
        b"Ceci n'est pas un zip.\n".to_vec(),
        zip(&[("exec", "x")])[..30].to_vec(),
    ] {
        let mut proxy = Proxy::start(&["native"]).await;
        assert_eq!(proxy.init_archive(&archive, "main").await, error(502, BUILD_FAILED)); // 33, 34
        assert_eq!(proxy.log().await.err.len(), 1);
        assert_eq!(proxy.init("#!/bin/sh\necho '{}'\n").await, answer(200, "OK"));
    }
    let mut proxy = initialised("no program at all").await;
    assert_eq!(proxy.run(json!({})).await, error(502, NOT_A_DICTIONARY));
    assert!(proxy.log().await.out[0].starts_with("[Errno 8] Exec format error: '"));
}

#[tokio::test]
async fn no_code_means_the_images_own_program() {
    let proxy = Proxy::start(&["native"]).await;
    assert_eq!(proxy.init("").await, answer(200, "OK")); // 1
    let stub = "This is a stub action. Replace it with custom logic.";
    assert_eq!(proxy.run(json!({})).await, error(200, stub));
    assert_eq!(
        proxy.init("x").await,
        error(403, "Cannot initialize the action more than once.")
    ); // 4
}

#[tokio::test]
async fn arguments_that_are_no_structure_are_refused() {
    let proxy = initialised("#!/bin/sh\necho '{}'\n").await;
    for body in [r#"{"value":5}"#, r#"{"value":"text"}"#, "{}", "nonsense"] {
        let refusal = error(404, "The action did not receive a dictionary or array as an argument.");
        assert_eq!(proxy.post("/run", body).await, refusal, "{body}");
    }
}

#[tokio::test]
async fn the_environment_follows_init_and_run() {
    let script = "#!/bin/sh\necho \"{\\\"some\\\":\\\"$SOME_VAR\\\",\\\"empty\\\":\\\"${EMPTY-absent}\\\",\\\"id\\\":\\\"$__OW_ACTIVATION_ID\\\",\\\"foo\\\":\\\"$__OW_FOO_BAR\\\",\\\"host\\\":\\\"$__OW_API_HOST\\\"}\"\n";
    let proxy = Proxy::start(&["native"]).await;
    let env = json!({"SOME_VAR": "xyz", "EMPTY": ""});
    assert_eq!(
        proxy.init_value(json!({"code": script, "env": env})).await,
        answer(200, "OK")
    );
    for id in ["first", "second"] {
        let result = value(
            &proxy
                .run_with(json!({}), json!({"activation_id": id, "foo_bar": "x"}))
                .await,
        );
        assert_eq!(
            result,
            json!({"some": "xyz", "empty": "", "id": id, "foo": "x", "host": "https://api:443"})
        );
    }
}
