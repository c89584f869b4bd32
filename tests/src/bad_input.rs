//! Bad input and bad actions: each ends with a clear answer, nothing hangs, nothing is left behind, and the platform serves
//! on.

use hyper::Method;
use serde_json::{Value, json};

use crate::harness::{LONG, Platform, node, program, python, shell, skip};
use crate::leaks::{clean, descendants};
use crate::wait;

async fn refused(platform: &Platform, method: Method, path: &str, body: Option<&Value>, status: u16, text: &str) {
    let answer = platform.call(method, path, body).await;
    assert_eq!(answer.status, status, "{path}: {answer:?}");
    let error = answer.json()["error"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(error.contains(text), "{path}: {error:?} does not say {text:?}");
    assert!(answer.json()["code"].is_string(), "{path}: {answer:?}");
}

#[tokio::test]
async fn bad_requests_get_the_texts_of_the_specification() {
    needs_interpreters!();
    let platform = Platform::start().await;
    let p = &platform;
    let put = Method::PUT;
    let long = "n".repeat(257);
    let action = json!({"exec": shell("true")});
    refused(
        p,
        put.clone(),
        &format!("/actions/{long}"),
        Some(&action),
        400,
        "Name segement longer than allowed: 257 > 256.",
    )
    .await;
    refused(
        p,
        put.clone(),
        "/actions/a%23b",
        Some(&action),
        400,
        "The name of the entity contains illegal characters.",
    )
    .await;
    refused(p, put.clone(), "/actions/a", Some(&json!({})), 400, "exec undefined").await;
    let unknown = json!({"exec": {"kind": "cobol:60", "code": "x"}});
    refused(
        p,
        put.clone(),
        "/actions/a",
        Some(&unknown),
        400,
        "The specified runtime 'cobol:60' is not supported",
    )
    .await;
    let codeless = json!({"exec": {"kind": "nodejs:default"}});
    refused(
        p,
        put.clone(),
        "/actions/a",
        Some(&codeless),
        400,
        "'code' must be a string or attachment object",
    )
    .await;
    let limits = json!({"exec": shell("true"), "limits": {"timeout": 99}});
    refused(
        p,
        put.clone(),
        "/actions/a",
        Some(&limits),
        400,
        "duration 99 milliseconds below allowed threshold",
    )
    .await;
    let large = json!({"exec": {"kind": "nodejs:default", "code": "x".repeat(48 * 1024 * 1024 + 1)}});
    refused(p, put, "/actions/a", Some(&large), 413, "exec larger than allowed").await;
    refused(
        p,
        Method::POST,
        "/actions/none",
        Some(&json!({})),
        404,
        "The requested resource does not exist.",
    )
    .await;
    p.put_action("there", shell("echo '{}'"), json!({"memory": 128})).await;
    let payload = json!({"big": "x".repeat(1_048_576)});
    refused(
        p,
        Method::POST,
        "/actions/there",
        Some(&payload),
        413,
        "Request larger than allowed",
    )
    .await;
    refused(
        p,
        Method::POST,
        "/actions/there",
        Some(&json!([1])),
        400,
        "The request content was malformed",
    )
    .await;
    refused(
        p,
        Method::GET,
        "/activations/0123",
        None,
        400,
        "Activation id length is 4 but must be 32.",
    )
    .await;
    clean(platform).await;
}

#[tokio::test]
async fn malformed_json_is_told_apart_from_missing_keys() {
    let p = Platform::start().await;
    let target = "/api/v1/namespaces/_/actions/a";
    let anonymous = p
        .send(Method::PUT, target, None, Some("{".into()))
        .await
        .expect("an answer");
    assert_eq!(anonymous.status, 401);
    let key = {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(p.key()))
    };
    let malformed = p
        .send(Method::PUT, target, Some(&key), Some("{".into()))
        .await
        .expect("an answer");
    assert_eq!(malformed.status, 400);
    assert!(
        malformed.json()["error"]
            .as_str()
            .expect("a text")
            .starts_with("The request content was malformed:\n")
    );
    clean(p).await;
}

/// As deep as upstream takes it, from the request to the record; and not a level deeper.
#[tokio::test]
async fn deeply_nested_json_is_passed_on_and_too_deep_is_refused() {
    let p = Platform::start().await;
    let argument = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    let api = "/api/v1/namespaces/_";
    let send = async |method, path: &str, body: Option<String>| {
        let target = format!("{api}{path}");
        p.send(method, &target, Some(p.authorization()), body)
            .await
            .expect("an answer")
    };
    // A list, an object and a value above it.
    let kept = argument(997);
    let exec = shell(r#"echo "$1""#);
    let action = format!(r#"{{"exec":{exec},"parameters":[{{"key":"kept","value":{kept}}}]}}"#);
    let stored = send(Method::PUT, "/actions/deep", Some(action)).await;
    assert_eq!(stored.status, 200, "{stored:?}");
    assert!(String::from_utf8_lossy(&stored.body).contains(&kept));
    let given = argument(1000);
    let invoke = "/actions/deep?blocking=true&result=true";
    let answer = send(Method::POST, invoke, Some(given.clone())).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let inner = &given[1..given.len() - 1];
    assert!(
        answer.status == 200 && text.contains(inner) && text.contains(&kept),
        "{}: {text}",
        answer.status
    );
    let id = answer.headers["x-openwhisk-activation-id"]
        .to_str()
        .expect("an id")
        .to_owned();
    wait::until(LONG, async || {
        let record = send(Method::GET, &format!("/activations/{id}"), None).await;
        let text = String::from_utf8_lossy(&record.body).into_owned();
        match record.status {
            200 if text.contains(inner) => Ok(()),
            status => Err(format!("{status}: {text}")),
        }
    })
    .await;
    let refused = send(Method::POST, invoke, Some(argument(1001))).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let error = refused.json()["error"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(error.contains("nested more than 1000 levels deep"), "{error}");
    clean(p).await;
}

/// Creates an action, invokes it, and checks how it ended.
async fn ends(p: &Platform, name: &str, exec: Value, limits: Value, status: u16, error: &str) -> Value {
    p.put_action(name, exec, limits).await;
    let answer = p.invoke(name, &json!({})).await;
    assert_eq!(answer.status, status, "{name}: {answer:?}");
    let record = p.record(&answer.activation_id()).await;
    let text = record["response"]["result"]["error"].to_string();
    assert!(text.contains(error), "{name}: {record}");
    record
}

/// An action that takes all the memory there is, where the platform can set a limit to that.
async fn hogs(p: &Platform, exec: Value, limits: Value) {
    let doctor = tokio::process::Command::new(program("ferrowhisk"))
        .args(["doctor", "--data"])
        .arg(p.folder.path())
        .output();
    let said = String::from_utf8(doctor.await.expect("the doctor comes").stdout).expect("text");
    let layer = said.lines().find(|line| line.contains("memory-limit"));
    let layer = layer.expect("a line about memory").trim();
    if layer.starts_with("MISSING") {
        return skip(&format!("memory cannot be limited here: {layer}"));
    }
    let aborted = "The action exhausted its memory and was aborted.";
    ends(p, "hog", exec, limits, 502, aborted).await;
}

#[tokio::test]
async fn misbehaving_native_actions_end_with_a_verdict() {
    let platform = Platform::start().await;
    let p = &platform;
    let limits = || json!({"timeout": 2000, "memory": 128});
    let invalid = "The action did not return a dictionary or array.";
    ends(p, "scalar", shell("echo 1"), limits(), 502, invalid).await;
    ends(p, "silent", shell("true"), limits(), 502, invalid).await;
    ends(p, "fd3", shell("echo forged >&3; echo x"), limits(), 502, invalid).await;
    let hung = ends(
        p,
        "hangs",
        shell("sleep 600"),
        limits(),
        502,
        "exceeded its time limits of 2000 milliseconds",
    )
    .await;
    let timeout = hung["annotations"]
        .as_array()
        .expect("annotations")
        .iter()
        .find(|a| a["key"] == "timeout");
    assert_eq!(timeout.map(|a| &a["value"]), Some(&json!(true)), "{hung}");
    let forks = "i=0; while [ $i -lt 3000 ]; do sleep 600 & i=$((i+1)); done; echo '{}'";
    p.put_action("forks", shell(forks), limits()).await;
    let answer = p.invoke("forks", &json!({})).await;
    assert!(matches!(answer.status, 200 | 502), "{answer:?}");
    wait::until(LONG, async || match descendants(p.pid().as_raw(), "sleep") {
        0 => Ok(()),
        left => Err(format!("{left} children of an action that has ended still sleep")),
    })
    .await;
    // Whatever it did, others still run.
    p.put_action("fine", shell("echo '{\"ok\":true}'"), json!({"memory": 128}))
        .await;
    assert_eq!(p.invoke("fine", &json!({})).await.status, 200);
    clean(platform).await;
}

#[tokio::test]
async fn misbehaving_node_actions_end_with_a_verdict() {
    needs_interpreters!();
    let platform = Platform::start().await;
    let p = &platform;
    let limits = || json!({"timeout": 10000, "memory": 128, "logs": 1});
    ends(
        p,
        "syntax",
        node("function main( {"),
        limits(),
        502,
        "Initialization has failed due to",
    )
    .await;
    let gone = "The action did not produce a valid response and exited unexpectedly.";
    ends(
        p,
        "exits",
        node("function main() { process.exit(1) }"),
        limits(),
        502,
        gone,
    )
    .await;
    let hog = "function main() { const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1)); }";
    hogs(p, node(hog), limits()).await;
    let big = "function main() { return { big: 'x'.repeat(2 * 1024 * 1024) } }";
    ends(
        p,
        "big",
        node(big),
        limits(),
        502,
        "The action produced a response that exceeded the allowed length",
    )
    .await;
    let flood = "function main() { for (let i = 0; i < 40000; i++) console.log('x'.repeat(100)); return {} }";
    p.put_action("flood", node(flood), limits()).await;
    let answer = p.invoke("flood", &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let record = p.record(&answer.activation_id()).await;
    let logs = record["logs"].as_array().expect("logs");
    let last = logs.last().and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(
        last.ends_with("Logs were truncated because the total bytes size exceeds the limit of 1048576 bytes."),
        "{last}"
    );
    assert!(logs.iter().map(|l| l.as_str().map_or(0, str::len)).sum::<usize>() < 2 * 1024 * 1024);
    clean(platform).await;
}

#[tokio::test]
async fn misbehaving_python_actions_end_with_a_verdict() {
    needs_interpreters!();
    let platform = Platform::start().await;
    let p = &platform;
    let limits = || json!({"timeout": 10000, "memory": 128});
    let generate = "The action failed to generate or locate a binary. See logs for details.";
    ends(p, "syntax", python("def main(args:\n"), limits(), 502, generate).await;
    ends(
        p,
        "exits",
        python("import sys\ndef main(args):\n  sys.exit(1)\n"),
        limits(),
        502,
        "command exited",
    )
    .await;
    ends(
        p,
        "scalar",
        python("def main(args):\n  return 1\n"),
        limits(),
        502,
        "did not return a dictionary or array",
    )
    .await;
    let hog = "def main(args):\n  a = []\n  while True:\n    a.append(bytearray(1 << 20))\n";
    hogs(p, python(hog), limits()).await;
    clean(platform).await;
}

/// A zip made by Python, which writes whatever names it is told.
fn zipped(script: &str) -> String {
    let program = format!(
        "import io,zipfile,base64,sys\nb=io.BytesIO()\nz=zipfile.ZipFile(b,'w',zipfile.ZIP_DEFLATED)\n{script}\nz.close()\nprint(base64.b64encode(b.getvalue()).decode())"
    );
    let output = std::process::Command::new("python3")
        .args(["-c", &program])
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn hostile_archives_are_refused() {
    needs_interpreters!();
    let platform = Platform::start().await;
    let p = &platform;
    let limits = || json!({"timeout": 20000, "memory": 256});
    let native = |code: String| json!({"kind": "blackbox", "image": "openwhisk/dockerskeleton", "code": code});
    let escape = zipped("z.writestr('exec','#!/bin/sh\\necho {}')\nz.writestr('../../escaped','x')");
    p.put_action("escape", native(escape), limits()).await;
    let answer = p.invoke("escape", &json!({})).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let bomb =
        zipped("z.writestr('exec','#!/bin/sh\\necho {}')\nfor i in range(60):\n  z.writestr(f'f{i}', b'\\0'*(64<<20))");
    p.put_action("bomb", native(bomb), limits()).await;
    let answer = p.invoke("bomb", &json!({})).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let good = zipped(
        "i=zipfile.ZipInfo('exec')\ni.external_attr=0o755<<16\nz.writestr(i,'#!/bin/sh\\necho \\'{\"ok\":true}\\'')",
    );
    p.put_action("good", native(good), limits()).await;
    let answer = p.invoke("good", &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    clean(platform).await;
}
