//! What user code tries with the proxy, and ways in which it listens.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::json;

use crate::harness::*;

const SECRET: (&str, &str) = ("WSK_LOG_SENTINEL", "end-3b9c1f");

#[tokio::test]
async fn the_secret_end_mark_is_out_of_reach() {
    if !available("python3") {
        return;
    }
    let code = "import os, glob\ndef main(args):\n    found = []\n    for name in glob.glob('/proc/*/environ') + glob.glob('/proc/*/mem') + glob.glob('/proc/*/maps'):\n        if name.split('/')[2] != str(os.getppid()): continue\n        try:\n            found.append(open(name, 'rb').read(1 << 20).decode('latin1'))\n        except (OSError, PermissionError) as e:\n            pass\n    return {'seen': any('end-3b9c1f' in text for text in found), 'env': [k for k in os.environ if 'WSK' in k], 'root': os.getuid() == 0, 'n': len(found)}\n";
    let mut proxy = Proxy::start_with(&["python"], &[SECRET]).await;
    assert_eq!(proxy.init(code).await, answer(200, "{\"ok\":true}\n"));
    let result = value(&proxy.run(json!({})).await);
    assert_eq!(result["env"], json!([]));
    // Without a sandbox root may read anything; the sandbox's users are not root.
    if result["root"] == json!(false) {
        assert_eq!((&result["seen"], &result["n"]), (&json!(false), &json!(0)));
    }
    proxy.log().await;
}

#[tokio::test]
async fn printing_an_end_mark_ends_nothing() {
    if !available("node") {
        return;
    }
    let code = format!(
        "function main() {{ console.log('one\\n{SENTINEL}\\na {SENTINEL} b'); console.error('three'); return {{}}; }}"
    );
    // A secret mark: the text stays as it is.
    let mut proxy = Proxy::start_with(&["nodejs"], &[SECRET]).await;
    proxy.init(&code).await;
    proxy.run(json!({})).await;
    assert_eq!(proxy.log().await.out, ["one", SENTINEL, &format!("a {SENTINEL} b")]);
    // The well-known mark: the text is taken apart, nothing is lost.
    let mut proxy = Proxy::start(&["nodejs"]).await;
    proxy.init(&code).await;
    proxy.run(json!({})).await;
    let log = proxy.log().await;
    assert_eq!(log.out.concat(), format!("one{SENTINEL}a {SENTINEL} b"));
    assert_eq!(log.err, ["three"]);
}

#[tokio::test]
async fn output_after_the_answer_is_in_no_other_activation() {
    if !available("node") {
        return;
    }
    let code = "function main(a) { console.log('during ' + a.n); setTimeout(() => { console.log('after ' + a.n); process.stdout.write('unfinished'); }, 10); return {}; }";
    let mut proxy = Proxy::start(&["nodejs"]).await;
    proxy.init(code).await;
    for n in 1..=3 {
        proxy.run(json!({ "n": n })).await;
        assert_eq!(proxy.log().await.out, [format!("during {n}")]);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

#[tokio::test]
async fn descriptors_the_user_finds_are_of_no_use() {
    if !available("python3") {
        return;
    }
    for attack in [
        "os.write(3, b'{\"forged\": 1}\\n')",
        "os.close(3)",
        "os.closerange(3, 100)",
        "os.write(3, b'garbage')",
        "sys.stdout.write('{\"forged\": 1}\\n')",
    ] {
        let code = format!("import os, sys\ndef main(args):\n    {attack}\n    return {{'a': 1}}\n");
        let mut proxy = Proxy::start(&["python"]).await;
        proxy.init(&code).await;
        for _ in 0..2 {
            let result = proxy.run(json!({})).await;
            let refused = answer(200, "{\"error\": \"[Errno 9] Bad file descriptor\"}\n");
            assert!(
                result == answer(200, "{\"a\": 1}\n") || result == refused,
                "{attack}: {result:?}"
            );
            proxy.log().await;
        }
    }
}

#[tokio::test]
async fn a_fork_that_returns_answers_only_once() {
    if !available("python3") {
        return;
    }
    let code = "import os\nn = 0\ndef main(args):\n    global n\n    n += 1\n    os.fork()\n    return {'n': n}\n";
    let mut proxy = Proxy::start(&["python"]).await;
    proxy.init(code).await;
    for n in 1..=3 {
        assert_eq!(proxy.run(json!({})).await, answer(200, &format!("{{\"n\": {n}}}\n")));
        proxy.log().await;
    }
}

#[tokio::test]
async fn endless_output_does_not_keep_an_activation_open() {
    let script = "#!/bin/sh\nyes flood >&2 &\necho '{\"a\":1}'\n";
    let mut proxy = Proxy::start(&["native"]).await;
    proxy.init(script).await;
    let socket = proxy.socket();
    let (result, log) = tokio::join!(post(&socket, "/run", "{\"value\":{}}".into()), proxy.log());
    assert_eq!(result, answer(200, r#"{"a":1}"#));
    assert!(
        log.err
            .iter()
            .all(|line| line == "flood" || "flood".starts_with(line.as_str()))
    );
}

#[tokio::test]
async fn bombs_and_climbers_are_refused_with_their_cause() {
    let limit = ("WSK_MAX_UNPACKED_BYTES", "1000000");
    let zeros = "\0".repeat(5_000_000);
    for (archive, cause) in [
        (
            zip(&[("index.js", "exports.main = () => 1"), ("zeros", &zeros)]),
            "the archive unpacks to more than 1000000 bytes",
        ),
        (
            zip(&[("../../evil", "x")]),
            "the archive has the entry '../../evil', which lies outside the action's folder",
        ),
    ] {
        if !available("node") || !available("python3") {
            return;
        }
        let proxy = Proxy::start_with(&["nodejs"], &[limit]).await;
        let text = format!(
            "Initialization has failed due to: There was an error uncompressing the action Zip archive. The cause: {cause}."
        );
        assert_eq!(proxy.init_archive(&archive, "main").await, error(502, &text));
        let proxy = Proxy::start_with(&["python"], &[limit]).await;
        let text = format!("The archive of the action cannot be unpacked: {cause}.");
        assert_eq!(proxy.init_archive(&archive, "main").await, error_line(502, &text));
        assert!(!proxy.dir.path().join("evil").exists());
    }
}

#[tokio::test]
async fn an_inherited_socket_is_served_and_not_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener: OwnedFd = std::os::unix::net::UnixListener::bind(&socket).unwrap().into();
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_wsk-proxy"))
        .arg("native")
        .env("WSK_PROXY_FD", listener.as_raw_fd().to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let script = "#!/bin/sh\nn=0; for f in /proc/self/fd/*; do case $(readlink $f) in socket:*) n=$((n+1));; esac; done; echo \"{\\\"sockets\\\":$n}\"\n";
    let body = json!({"value": {"code": script}}).to_string();
    assert_eq!(post(&socket, "/init", body.into()).await, answer(200, "OK"));
    assert_eq!(
        post(&socket, "/run", "{\"value\":{}}".into()).await,
        answer(200, r#"{"sockets":0}"#)
    );
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().unwrap() as i32),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert!(child.wait().await.unwrap().success());
}
