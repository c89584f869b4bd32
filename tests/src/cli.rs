//! The command lines against a real platform.

use std::process::Output;

use tokio::process::Command;

use crate::harness::{LONG, Platform, program};
use crate::wait;

/// Runs `wsk` as the guest of a platform.
async fn wsk(platform: &Platform, arguments: &[&str]) -> Output {
    let mut command = Command::new(program("wsk"));
    command
        .env("WSK_CONFIG_FILE", platform.folder.file("wskprops"))
        .current_dir(platform.folder.path());
    command
        .args([
            "--apihost",
            &format!("http://{}", platform.address),
            "--auth",
            &platform.key(),
        ])
        .args(arguments);
    command.output().await.expect("wsk runs")
}

async fn says(platform: &Platform, arguments: &[&str]) -> String {
    let output = wsk(platform, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn create_invoke_look_delete() {
    needs_interpreters!();
    let p = Platform::start().await;
    std::fs::write(
        p.folder.path().join("hello.py"),
        "def main(args):\n  print('said hello')\n  return {'hello': args.get('name', 'nobody')}\n",
    )
    .expect("a file");
    assert_eq!(
        says(&p, &["action", "create", "hello", "hello.py"]).await,
        "ok: created action hello\n"
    );
    let result = says(&p, &["action", "invoke", "hello", "--result", "--param", "name", "Ada"]).await;
    let result: serde_json::Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!(result, serde_json::json!({"hello": "Ada"}));
    let log = wait::until(LONG, async || {
        let output = wsk(&p, &["activation", "logs", "--last"]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("said hello") {
            Ok(text)
        } else {
            Err(format!("{output:?}"))
        }
    })
    .await;
    assert!(log.contains("stdout: said hello"), "{log}");
    assert!(says(&p, &["action", "list"]).await.contains("/guest/hello"));
    assert!(says(&p, &["activation", "list"]).await.contains("hello"));
    assert_eq!(
        says(&p, &["action", "delete", "hello"]).await,
        "ok: deleted action hello\n"
    );
    assert!(!wsk(&p, &["action", "get", "hello"]).await.status.success());
}

#[tokio::test]
async fn wskadmin_works_while_the_platform_runs() {
    let p = Platform::start().await;
    let admin = async |arguments: &[&str]| {
        let mut command = Command::new(program("wskadmin"));
        command
            .arg("--data")
            .arg(p.folder.path())
            .args(arguments)
            .output()
            .await
            .expect("wskadmin runs")
    };
    let made = admin(&["user", "create", "alice"]).await;
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let wsk = async || {
        let mut command = Command::new(program("wsk"));
        command.env("WSK_CONFIG_FILE", p.folder.file("alice"));
        command.args([
            "--apihost",
            &format!("http://{}", p.address),
            "--auth",
            &key,
            "namespace",
            "list",
        ]);
        command.output().await.expect("wsk runs")
    };
    wait::until(LONG, async || {
        let output = wsk().await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if text.contains("alice") {
            Ok(())
        } else {
            Err(format!("{output:?}"))
        }
    })
    .await;
    assert!(admin(&["user", "block", "alice"]).await.status.success());
    wait::until(LONG, async || {
        let output = wsk().await;
        if output.status.success() {
            Err("alice is blocked and still gets in".into())
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    for (name, arguments) in [
        ("ferrowhisk", ["doctor"].as_slice()),
        ("ferrowhisk", &["config-reference"]),
        ("ferrowhisk", &["serve", "--print-config"]),
        ("wsk", &["--help"]),
        ("wsk", &["action"]),
        ("wsk", &["property", "get", "--apihost"]),
        ("wskadmin", &["--help"]),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(program(name));
        command.args(arguments).stdout(writer).env("WSK_CONFIG_FILE", "");
        let output = command.output().await.expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.is_empty(),
            "{name} {arguments:?}: {output:?}"
        );
    }
}
