//! Node.js.

use serde_json::json;

use crate::harness::*;

const ECHO: &str = "function main(a) { console.log('hello stdout'); console.error('hello stderr'); return a; }";
const OK: &str = r#"{"OK":true}"#;
const NOT_A_DICTIONARY: &str = "The action did not return a dictionary.";

async fn start() -> Option<Proxy> {
    if available("node") {
        Some(Proxy::start(&["nodejs"]).await)
    } else {
        None
    }
}

async fn initialised(code: &str) -> Option<Proxy> {
    let proxy = start().await?;
    assert_eq!(proxy.init(code).await, answer(200, OK));
    Some(proxy)
}

#[tokio::test]
async fn nothing_to_run_is_refused_and_leaves_the_proxy_usable() {
    let Some(proxy) = start().await else { return };
    let missing = error(403, "Missing main/no code to execute.");
    assert_eq!(proxy.init("").await, missing); // 1
    assert_eq!(proxy.post("/init", "{}").await, missing); // 2
    assert_eq!(proxy.post("/init", "[]").await, missing);
    assert_eq!(proxy.init_value(json!({"main": 5, "code": "x"})).await, missing);
    assert_eq!(proxy.init_value(json!({"main": "", "code": "x"})).await, missing);
    assert_eq!(proxy.post("/init", "nonsense").await, error(500, "Bad request.")); // 3
    assert_eq!(proxy.post("/other", "{}").await, error(500, "Bad request."));
    assert_eq!(proxy.init(ECHO).await, answer(200, OK));
}

#[tokio::test]
async fn order_of_init_and_run_is_enforced() {
    let Some(mut proxy) = start().await else { return };
    assert_eq!(proxy.run(json!({})).await, error(403, "System not initialized.")); // 5
    assert_eq!(
        proxy.error_line().await,
        "Internal system error: System not initialized."
    );
    assert_eq!(proxy.init(ECHO).await, answer(200, OK));
    let again = "Cannot initialize the action more than once.";
    assert_eq!(proxy.init(ECHO).await, error(403, again)); // 4
    assert_eq!(proxy.error_line().await, format!("Internal system error: {again}"));
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let Some(mut proxy) = initialised(ECHO).await else {
        return;
    };
    // 9
    for value in [
        json!({"string": "hello"}),
        json!({"string": "❄ ☃ ❄"}),
        json!({"numbers": [42, 1]}),
        json!({"object": {"a": "A"}}),
    ] {
        assert_eq!(proxy.run(value.clone()).await, answer(200, &value.to_string()));
        assert_eq!(
            proxy.log().await,
            Log {
                out: vec!["hello stdout".into()],
                err: vec!["hello stderr".into()]
            }
        );
    }
    let big = json!({"a": "a".repeat(1_048_561)}); // 15
    assert_eq!(value(&proxy.run(big.clone()).await), big);
    proxy.log().await;
    assert_eq!(proxy.run(json!(["a", "b"])).await, answer(200, r#"["a","b"]"#)); // 43
}

#[tokio::test]
async fn results_of_every_type() {
    let Some(mut proxy) = initialised("function main(a) { return eval(a.result); }").await else {
        return;
    };
    for (result, expected, line) in [
        (
            "({error: 'x', more: 1})",
            answer(200, r#"{"error":"x","more":1}"#),
            None,
        ), // 25
        ("undefined", answer(200, "{}"), None), // 7
        ("null", answer(200, "null"), None),
        ("new Date(0)", answer(200, r#""1970-01-01T00:00:00.000Z""#), None),
        ("({toJSON() {}})", answer(200, ""), None),
        (
            "'text'",
            error(502, NOT_A_DICTIONARY),
            Some("Result must be of type object but has type \"string\": text"),
        ), // 6
        (
            "42",
            error(502, NOT_A_DICTIONARY),
            Some("Result must be of type object but has type \"number\": 42"),
        ),
        (
            "() => 1",
            error(502, NOT_A_DICTIONARY),
            Some("Result must be of type object but has type \"function\": [Function (anonymous)]"),
        ),
        (
            "Promise.resolve('s')",
            error(502, NOT_A_DICTIONARY),
            Some("Result must be of type object but has type \"string\": s"),
        ), // 28
        (
            "new Promise(ok => setTimeout(ok, 50, {late: 1}))",
            answer(200, r#"{"late":1}"#),
            None,
        ), // 26
        (
            "Promise.reject({code: 5})",
            answer(200, r#"{"error":{"code":5}}"#),
            None,
        ), // 27
        ("Promise.reject()", answer(200, r#"{"error":{}}"#), None),
        ("Promise.reject(0)", answer(200, r#"{"error":{}}"#), None),
        ("Promise.reject('text')", answer(200, r#"{"error":"text"}"#), None),
        (
            "(() => { const a = {n: 1}; a.self = a; return Promise.reject(a); })()",
            answer(200, r#"{"error":{"n":1,"self":"[Circular]"}}"#),
            None,
        ),
        ("({s: 'a\\uD83Db'})", answer(200, r#"{"s":"a\ud83db"}"#), None),
    ] {
        assert_eq!(proxy.run(json!({ "result": result })).await, expected, "{result}");
        let log = proxy.log().await;
        assert_eq!(
            log.err,
            line.into_iter().map(str::to_owned).collect::<Vec<_>>(),
            "{result}"
        );
    }
}

#[tokio::test]
async fn what_json_cannot_hold_is_an_internal_error() {
    for result in [
        "{a: 10n}",
        "(() => { const a = {}; a.a = a; return a; })()",
        "{toJSON() { throw new Error('no'); }}",
        "Promise.reject(10n)",
    ] {
        let Some(mut proxy) = initialised(&format!("function main() {{ return ({result}); }}")).await else {
            return;
        };
        assert_eq!(proxy.run(json!({})).await, error(500, "Internal error."), "{result}");
        assert_eq!(proxy.log().await, Log::default(), "{result}");
    }
}

#[tokio::test]
async fn an_error_that_is_thrown_stops_the_runtime() {
    let Some(mut proxy) = initialised("function main() { console.log('before'); throw new Error('boom'); }").await
    else {
        return;
    };
    assert_eq!(
        proxy.run(json!({})).await,
        error(502, "An error has occurred: Error: boom")
    ); // 22
    let log = proxy.log().await;
    assert_eq!(log.out, ["before"]);
    assert_eq!(log.err[0], "Error: boom");
    assert!(log.err[1].starts_with("    at "));
    assert_eq!(
        proxy.run(json!({})).await,
        error(403, "System not ready, status is stopped.")
    ); // 24
}

#[tokio::test]
async fn rejected_errors_keep_their_properties() {
    let Some(proxy) = initialised(
        "async function main() { throw Object.assign(new TypeError('t'), {code: 'E', extra: {a: 1}, f() {}}); }",
    )
    .await
    else {
        return;
    };
    let error = value(&proxy.run(json!({})).await)["error"].clone();
    assert_eq!(error["name"], "TypeError");
    assert_eq!(error["message"], "t");
    assert_eq!((&error["code"], &error["extra"]), (&json!("E"), &json!({"a": 1})));
    assert!(error["stack"].as_str().unwrap().starts_with("TypeError: t\n    at "));
    assert_eq!(error.as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn rejections_become_plain_data() {
    let Some(proxy) = initialised("function main(a) { return Promise.reject(eval(a.reason)); }").await else {
        return;
    };
    for (reason, expected) in [
        ("new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("({at: new Date(0)})", json!({"at": "1970-01-01T00:00:00.000Z"})),
        (
            "Object.assign(new Error('told'), {request: {}, toJSON() { return {status: 404}; }})",
            json!({"status": 404}),
        ),
        ("({toJSON() { throw new Error('cannot tell'); }})", json!("cannot tell")),
        ("({body: Buffer.from('hi')})", json!({"body": "[object Buffer]"})),
        ("({body: process.stdin})", json!({"body": "[object Stream]"})),
        ("({cause: 'why', message: 5})", json!({"cause": "why", "message": 5})),
        (
            "(() => { const e = []; e.push(e, () => 1); return e; })()",
            json!(["[Circular]"]),
        ),
    ] {
        assert_eq!(
            value(&proxy.run(json!({ "reason": reason })).await),
            json!({ "error": expected }),
            "{reason}"
        );
    }
    let reason = "new Error('outer', {cause: new TypeError('inner')})";
    let error = value(&proxy.run(json!({ "reason": reason })).await)["error"].clone();
    assert_eq!(error["message"], "outer");
    assert_eq!(
        (&error["cause"]["name"], &error["cause"]["message"]),
        (&json!("TypeError"), &json!("inner"))
    );
}

#[tokio::test]
async fn entry_points_and_sources() {
    for (code, main, expected) in [
        ("function niam(a) { return a; }", "niam", r#"{"x":1}"#), // 8
        ("const a = {b: {c: (x) => x}};", "a.b.c", r#"{"x":1}"#),
        ("exports.main = (a) => a;", "main", r#"{"x":1}"#),
        ("module.exports = {main: (a) => a};", "main", r#"{"x":1}"#),
        (
            "const module = {}, require = 1; function main(a) { return a; }",
            "main",
            r#"{"x":1}"#,
        ),
        (
            "\u{feff}const main = async ({x}) => ({x}); // end",
            "main",
            r#"{"x":1}"#,
        ),
        (
            "async function main() { return {sep: (await import('node:path')).sep}; }",
            "main",
            r#"{"sep":"/"}"#,
        ),
        (
            "function main() { return {a: typeof channel, b: typeof service, c: typeof action, d: typeof evaluate}; }",
            "main",
            r#"{"a":"undefined","b":"undefined","c":"undefined","d":"undefined"}"#,
        ),
    ] {
        let Some(mut proxy) = start().await else { return };
        assert_eq!(
            proxy.init_value(json!({"main": main, "code": code})).await,
            answer(200, OK),
            "{code}"
        );
        assert_eq!(proxy.run(json!({"x": 1})).await, answer(200, expected), "{code}");
        assert_eq!(proxy.log().await, Log::default(), "{code}");
    }
}

#[tokio::test]
async fn initialisations_that_fail_say_why() {
    for (code, main, cause) in [
        (
            "function main( { return {}; }",
            "main",
            "SyntaxError: Unexpected token '{'",
        ), // 19
        (
            "const other = 1;",
            "main",
            "Action entrypoint 'main' is not a function.",
        ), // 20
        ("function main() {}", "   ", "SyntaxError: Unexpected token '||'"),
        (
            "module.exports = () => 1;",
            "main",
            "Action entrypoint 'main' is not a function.",
        ),
        (
            "function main() {} return 5;",
            "main",
            "Action entrypoint 'main' is not a function.",
        ),
        (
            "export function main() {}",
            "main",
            "SyntaxError: Unexpected token 'export'",
        ),
        (
            "import fs from 'fs'; function main() {}",
            "main",
            "SyntaxError: Cannot use import statement outside a module",
        ),
        ("throw new Error('load boom');", "main", "Error: load boom"), // 21
        ("throw 'text at load';", "main", "text at load"),
        (
            "require('not-there');",
            "main",
            "Error: Cannot find module 'not-there'\nRequire stack:\n- ",
        ),
    ] {
        let Some(mut proxy) = start().await else { return };
        let (status, body) = proxy.init_value(json!({"main": main, "code": code})).await.unwrap();
        let text = serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(status, 502);
        assert!(
            text.starts_with(&format!("Initialization has failed due to: {cause}")),
            "{code}: {text}"
        );
        let first = cause.lines().next().unwrap();
        assert!(
            proxy
                .log()
                .await
                .has_error_line(&format!("Error during initialization: {first}")),
            "{code}"
        );
        assert_eq!(
            proxy.init(ECHO).await,
            error(403, "System not ready, status is stopped.")
        );
    }
}

#[tokio::test]
async fn a_load_that_throws_nothing_readable_is_an_internal_error() {
    let Some(mut proxy) = start().await else { return };
    assert_eq!(proxy.init("throw null;").await, error(500, "Internal error."));
    assert_eq!(proxy.log().await.err, ["Error during initialization: null"]);
}

#[tokio::test]
async fn the_environment_follows_init_and_run() {
    let code = "const at = process.env.SOME_VAR; function main() { const e = process.env; return {at, some: e.SOME_VAR, other: e.ANOTHER_VAR,
        ow: Object.keys(e).filter(k => k.startsWith('__OW_')).sort().map(k => e[k]), ours: Object.keys(e).filter(k => k.startsWith('WSK_'))}; }";
    let Some(proxy) = start().await else { return };
    let env = json!({"SOME_VAR": "xyz", "ANOTHER_VAR": ""});
    assert_eq!(
        proxy
            .init_value(json!({"main": "main", "code": code, "env": env}))
            .await,
        answer(200, OK)
    ); // 11
    for id in ["first", "second"] {
        let context = json!({"namespace": "ns", "action_name": "/ns/a", "action_version": "0.0.2", "activation_id": id,
            "transaction_id": "t", "deadline": "123", "api_key": "k:k", "foo_bar": "x", "number": 5});
        let result = value(&proxy.run_with(json!({}), context).await); // 12, 13, 14
        let ow = json!(["/ns/a", "0.0.2", id, "https://api:443", "k:k", "123", "x", "ns", "t"]);
        assert_eq!(
            result,
            json!({"at": "xyz", "some": "xyz", "other": "", "ow": ow, "ours": []})
        );
    }
}

/// As upstream's image brings some: what `npm install --global` put beside this node, or Debian's npm below `/usr/local`.
#[tokio::test]
async fn modules_that_are_installed_for_everybody_are_found() {
    let source = "function main() { const path = require('path'); \
        const shared = path.join(path.dirname(process.execPath), '..', 'lib', 'node_modules'); \
        const sought = require.resolve.paths('x'); \
        return {sought: sought.includes(shared), debian: sought.includes('/usr/local/lib/node_modules'), seen: 'NODE_PATH' in process.env}; }";
    let Some(proxy) = initialised(source).await else { return };
    assert_eq!(
        proxy.run(json!({})).await,
        answer(200, r#"{"sought":true,"debian":true,"seen":false}"#)
    );
}

#[tokio::test]
async fn large_code_is_taken() {
    let Some(proxy) = start().await else { return };
    let code = format!("// {}\nfunction main() {{ return {{a: 1}}; }}", "x".repeat(500 * 1024)); // 17
    assert_eq!(proxy.init(&code).await, answer(200, OK));
    let Some(proxy) = start().await else { return };
    let archive = big_zip("index.js", "exports.main = () => ({a: 1});"); // 18
    assert_eq!(proxy.init_archive(&archive, "main").await, answer(200, OK));
    assert_eq!(proxy.run(json!({})).await, answer(200, r#"{"a":1}"#));
}

#[tokio::test]
async fn archives() {
    let index = (
        "index.js",
        "exports.main = () => ({from: 'index', data: require('fs').readFileSync('data.txt', 'utf8')});",
    );
    let data = ("data.txt", "❄");
    let lib = (
        "lib.js",
        "exports.go = () => ({from: 'lib'}); exports.a = {b: exports.go};",
    );
    let from_index = r#"{"from":"index","data":"❄"}"#;
    let package = |text| ("package.json", text);
    for (archive, main, expected) in [
        (zip(&[index, data]), "main", from_index),           // 32
        (tar_gz(&[index, data]), "main", from_index),        // 36
        (zip(&[index, lib]), "lib.go", r#"{"from":"lib"}"#), // 37
        (zip(&[index, lib]), "lib.a.b", r#"{"from":"lib"}"#),
        (zip(&[package(r#"{"main": "lib.js"}"#), lib]), "go", r#"{"from":"lib"}"#),
        (
            zip(&[
                package(r#"{"type": "module"}"#),
                ("index.js", "export const main = () => ({esm: 1});"),
            ]),
            "main",
            r#"{"esm":1}"#,
        ),
        (
            zip(&[
                package(r#"{"main": "i.mjs"}"#),
                ("i.mjs", "export const main = () => ({esm: 2});"),
            ]),
            "main",
            r#"{"esm":2}"#,
        ),
    ] {
        let Some(mut proxy) = start().await else { return };
        assert_eq!(proxy.init_archive(&archive, main).await, answer(200, OK));
        assert_eq!(proxy.run(json!({})).await, answer(200, expected));
        assert_eq!(proxy.log().await, Log::default());
    }
}

#[tokio::test]
async fn archives_that_cannot_be_used() {
    let unpacking = "There was an error uncompressing the action";
    let cut = zip(&[("index.js", &"exports.main = () => 1;".repeat(40))]);
    for (archive, main, cause) in [
        (
            zip(&[("other.js", "")]),
            "main",
            "Zipped actions must contain either package.json or index.js at the root.".to_owned(),
        ), // 33
        (
            b"Ceci n'est pas un zip.\n".to_vec(),
            "main",
            format!("{unpacking} archive. The file type is unsupported"),
        ), // 34
        (
            zip(&[]),
            "main",
            format!("{unpacking} archive. The file type is unsupported"),
        ),
        (cut[..60].to_vec(), "main", format!("{unpacking} Zip archive.")),
        (
            tar_gz(&[("index.js", "x")])[..40].to_vec(),
            "main",
            format!("{unpacking} Tar GZ archive."),
        ),
        (
            zip(&[("index.js", "exports.niam = 1")]),
            "main",
            "Action entrypoint 'main' is not a function.".to_owned(),
        ),
        (
            zip(&[("index.js", "")]),
            ".x",
            "Name of main function is not valid.".to_owned(),
        ),
    ] {
        let Some(mut proxy) = start().await else { return };
        assert_eq!(
            proxy.init_archive(&archive, main).await,
            error(502, &format!("Initialization has failed due to: {cause}"))
        );
        assert_eq!(proxy.log().await.err, [format!("Error during initialization: {cause}")]);
    }
}

#[tokio::test]
async fn one_activation_at_a_time_unless_told_otherwise() {
    let code = "let n = 0; function main(a) { const mine = ++n; if (a.first) return new Promise(ok => { globalThis.ok = () => ok({mine}); });
        globalThis.ok(); return {mine}; }";
    let Some(proxy) = initialised("function main(a) { return new Promise(ok => setTimeout(ok, 300, {a})); }").await
    else {
        return;
    };
    let (one, two) = tokio::join!(proxy.run(json!({})), async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        proxy.run(json!({})).await
    });
    assert_eq!(one, answer(200, r#"{"a":{}}"#));
    assert_eq!(two, error(403, "System not ready, status is running.")); // 46, off
    let proxy = Proxy::start_with(&["nodejs"], &[("__OW_ALLOW_CONCURRENT", "true")]).await;
    assert_eq!(proxy.init(code).await, answer(200, OK));
    let (one, two) = tokio::join!(proxy.run(json!({"first": true})), async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        proxy.run(json!({})).await
    });
    assert_eq!((one, two), (answer(200, r#"{"mine":1}"#), answer(200, r#"{"mine":2}"#))); // 46, on
}

#[tokio::test]
async fn every_line_comes_before_the_end_mark() {
    let code = "function main(a) { for (let i = 0; i < 10000; i++) console.log('line ' + i + 'x'.repeat(50)); process.stdout.write('no newline'); return a; }";
    let Some(mut proxy) = initialised(code).await else {
        return;
    };
    let (answered, log) = tokio::join!(post_run(proxy.socket()), proxy.log());
    assert_eq!(answered, answer(200, "{}"));
    assert_eq!(log.out.len(), 10_001); // 47
    assert!(log.out[9999].starts_with("line 9999x"));
    assert_eq!(log.out[10_000], "no newline"); // 48
}

async fn post_run(socket: std::path::PathBuf) -> Answer {
    post(&socket, "/run", r#"{"value":{}}"#.into()).await
}

#[tokio::test]
async fn a_process_that_dies_breaks_the_connection_and_its_log_is_complete() {
    for code in [
        "process.exit(0)",
        "process.kill(process.pid, 'SIGKILL')",
        "setTimeout(() => { throw new Error('in timer'); }, 1)",
    ] {
        let source = format!("function main() {{ console.log('bye'); {code}; return new Promise(() => {{}}); }}");
        let Some(mut proxy) = initialised(&source).await else {
            return;
        };
        assert_eq!(proxy.run(json!({})).await, None, "{code}");
        let log = proxy.log().await;
        assert_eq!(log.out, ["bye"], "{code}");
        if code.contains("timer") {
            // Node 18 has no name for it.
            assert!(
                ["<anonymous_script>:2", "undefined:2"].contains(&&*log.err[0]),
                "{:?}",
                log.err
            );
            assert!(log.has_error_line("Error: in timer"));
        }
        assert!(!proxy.child.wait().await.unwrap().success());
    }
    let Some(mut proxy) = start().await else { return };
    assert_eq!(proxy.init("console.log('leaving'); process.exit(2);").await, None); // 31
    assert_eq!(proxy.log().await.out, ["leaving"]);
}

#[tokio::test]
async fn a_process_that_dies_between_activations_ends_the_container() {
    let Some(mut proxy) =
        initialised("function main() { setTimeout(() => process.exit(3), 20); return {a: 1}; }").await
    else {
        return;
    };
    assert_eq!(proxy.run(json!({})).await, answer(200, r#"{"a":1}"#)); // 29
    assert!(!proxy.child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_rejection_nobody_handles_at_load_fails_the_first_activation() {
    let Some(mut proxy) = initialised("Promise.reject(new Error('at load')); function main() { return {}; }").await
    else {
        return;
    };
    assert_eq!(proxy.run(json!({})).await, None);
    assert!(proxy.log().await.has_error_line("Error: at load"));
}
