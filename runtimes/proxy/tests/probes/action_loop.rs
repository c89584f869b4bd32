//! Programs that speak ActionLoop themselves.

use std::process::Stdio;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::harness::*;

const OK: &str = "{\"ok\":true}\n";
const LOOP: &str = "#!/bin/bash\necho '{\"ok\":true}' >&3\nn=0\nwhile read -r line; do n=$((n+1)); echo \"call $n\"; echo \"{\\\"n\\\":$n,\\\"line\\\":$line}\" >&3; done\n";
const ACK: (&str, &str) = ("OW_WAIT_FOR_ACK", "1");

async fn initialised(code: &str) -> Proxy {
    let proxy = Proxy::start_with(&["actionloop"], &[ACK]).await;
    assert_eq!(proxy.init(code).await, answer(200, OK));
    proxy
}

#[tokio::test]
async fn a_program_stays_between_calls_and_gets_one_line_each() {
    let mut proxy = initialised(LOOP).await; // 40
    for n in 1..=3 {
        let body = format!("{{\n\"value\":\n{{\"n\":{n}}}\n}}\n");
        let expected = format!("{{\"n\":{n},\"line\":{{\"value\":{{\"n\":{n}}}}}}}\n");
        assert_eq!(proxy.post("/run", body).await, answer(200, &expected));
        assert_eq!(proxy.log().await.out, [format!("call {n}")]);
    }
}

#[tokio::test]
async fn requests_that_cannot_be_served() {
    let mut proxy = Proxy::start(&["actionloop"]).await;
    assert_eq!(proxy.run(json!({})).await, error_line(500, "no action defined yet")); // 5
    assert_eq!(
        proxy.init("").await,
        error_line(403, "Missing main/no code to execute.")
    ); // 1, 2
    assert_eq!(proxy.init("some source").await, error_line(502, "No compiler defined"));
    proxy.log().await;
    let (status, body) = proxy.init_archive(&zip(&[("exec", "x")])[..30], "main").await.unwrap(); // 34
    assert_eq!(status, 502);
    assert!(body.contains("the archive is damaged or cut off"), "{body}");
    proxy.log().await;
    assert_eq!(
        proxy.init("#!/bin/sh\nexit 1\n").await,
        error_line(502, "cannot start action: command exited")
    ); // 31
    proxy.log().await;
    assert_eq!(
        proxy.init("#!/bin/sh\nwhile read l; do echo '{}' >&3; done\n").await,
        answer(200, OK)
    );
    assert_eq!(
        proxy.init("x").await,
        error_line(403, "Cannot initialize the action more than once.")
    ); // 4
    assert_eq!(proxy.error_line().await, "Cannot initialize the action more than once.");
    assert_eq!(proxy.run(json!({})).await, answer(200, "{}\n"));
}

#[tokio::test]
async fn acknowledgements_are_checked() {
    for (script, why) in [
        ("#!/bin/sh\nexit 0\n", "Command exited abruptly during initialization."),
        (
            "#!/bin/sh\necho '{\"ok\":false}' >&3\nsleep 10\n",
            "The action did not initialize properly.",
        ),
    ] {
        let mut proxy = Proxy::start_with(&["actionloop"], &[ACK]).await;
        assert_eq!(
            proxy.init(script).await,
            error_line(502, &format!("cannot start action: {why}"))
        );
        proxy.log().await;
        let mut proxy = Proxy::start_with(&["actionloop"], &[ACK, ("OW_LOG_INIT_ERROR", "1")]).await;
        assert_eq!(
            proxy.init(script).await,
            error_line(502, "Cannot start action. Check logs for details.")
        );
        assert_eq!(proxy.log().await.err, [why]);
    }
}

#[tokio::test]
async fn a_program_that_ends_is_reported_once() {
    let mut proxy = initialised("#!/bin/bash\necho '{\"ok\":true}' >&3\nread line\necho bye\nexit 0\n").await;
    assert_eq!(proxy.run(json!({})).await, error_line(400, "command exited")); // 30
    assert_eq!(proxy.log().await.out, ["bye"]);
    assert_eq!(proxy.run(json!({})).await, error_line(500, "no action defined yet"));
}

#[tokio::test]
async fn superfluous_answers_are_dropped_with_a_warning() {
    // The shell's own printf writes line by line; a line that comes after the next request cannot be told from its answer.
    let script = "#!/bin/bash\necho '{\"ok\":true}' >&3\nn=0\nwhile read line; do n=$((n+1)); env printf '\\n{\"n\":%d}\\n{\"extra\":1}\\n' $n >&3; done\n";
    let mut proxy = initialised(script).await;
    assert_eq!(proxy.run(json!({})).await, answer(200, "{\"n\":1}\n")); // 50
    proxy.log().await;
    assert_eq!(proxy.run(json!({})).await, answer(200, "{\"n\":2}\n"));
    assert_eq!(
        proxy.log().await.err,
        ["The action wrote more than one line on descriptor 3; the rest was dropped."]
    );
}

#[tokio::test]
async fn archives_and_environments() {
    let script = "#!/bin/bash\necho '{\"ok\":true}' >&3\nwhile read line; do echo \"{\\\"d\\\":\\\"$(cat data)\\\",\\\"v\\\":\\\"$SOME\\\",\\\"p\\\":\\\"${PATH:+set}\\\",\\\"o\\\":\\\"$OTHER\\\"}\" >&3; done\n";
    for archive in [
        zip(&[("exec", script), ("data", "x")]),
        tar_gz(&[("exec", script), ("data", "x")]),
    ] {
        let proxy = Proxy::start_with(&["actionloop"], &[ACK, ("OTHER", "hidden")]).await;
        let code = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, archive);
        let value = json!({"code": code, "binary": true, "env": {"SOME": "a=b"}});
        assert_eq!(proxy.init_value(value).await, answer(200, OK)); // 36, 40
        assert_eq!(
            proxy.run(json!({})).await,
            answer(200, "{\"d\":\"x\",\"v\":\"a=b\",\"p\":\"set\",\"o\":\"\"}\n")
        );
    }
}

fn compiler(dir: &std::path::Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("compile");
    let script = "#!/bin/bash\nif grep -q broken \"$2/exec\"; then echo \"$1: broken\"; exit 0; fi\n\
        { echo '#!/bin/bash'; echo \"echo '{\\\"ok\\\":true}' >&3\"; echo \"while read l; do echo '{\\\"main\\\":\\\"$1\\\"}' >&3; done\"; } > \"$3/exec\"\n\
        echo -n \"$__OW_EXECUTION_ENV\" > \"$3/exec.env\"\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_string_lossy().into_owned()
}

#[tokio::test]
async fn sources_are_compiled_and_any_output_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let compiler = compiler(dir.path());
    let variables = [ACK, ("OW_COMPILER", compiler.as_str()), ("OW_EXECUTION_ENV", "here")];
    let proxy = Proxy::start_with(&["actionloop"], &variables).await;
    assert_eq!(
        proxy.init_value(json!({"code": "broken source", "main": "fn"})).await,
        error_line(502, "fn: broken\n")
    ); // 19
    assert_eq!(
        proxy.init_value(json!({"code": "good source", "main": "fn"})).await,
        answer(200, OK)
    );
    assert_eq!(proxy.run(json!({})).await, answer(200, "{\"main\":\"fn\"}\n")); // 8
}

#[tokio::test]
async fn precompiled_archives_start_without_a_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let compiler = compiler(dir.path());
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_wsk-proxy"))
        .args(["actionloop", "-compile", "fn", "-env", "{\"A\":1}"])
        .envs([("OW_COMPILER", compiler.as_str()), ("OW_EXECUTION_ENV", "here")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"good source").await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    let proxy = Proxy::start_with(&["actionloop"], &[ACK, ("OW_EXECUTION_ENV", "here")]).await;
    assert_eq!(proxy.init_archive(&output.stdout, "main").await, answer(200, OK)); // 44
    assert_eq!(proxy.run(json!({})).await, answer(200, "{\"main\":\"fn\"}\n"));
    let mut proxy = Proxy::start_with(&["actionloop"], &[ACK, ("OW_EXECUTION_ENV", "there")]).await;
    let mismatch = "cannot start action: Execution environment version mismatch. See logs for details.";
    assert_eq!(
        proxy.init_archive(&output.stdout, "main").await,
        error_line(502, mismatch)
    ); // 45
    assert_eq!(
        proxy.log().await.out,
        ["Expected exec.env should start with there", "Actual value: here"]
    );
}

#[tokio::test]
async fn the_version_is_told() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_wsk-proxy"))
        .args(["actionloop", "-version"])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("1.17.1") && text.lines().count() == 1,
        "{text}"
    );
}
