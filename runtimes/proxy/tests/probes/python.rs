//! Python.

use serde_json::json;

use crate::harness::*;

const ECHO: &str = "import sys\ndef main(args):\n    print('hello stdout')\n    print('hello stderr', file=sys.stderr)\n    return args\n";
const OK: &str = "{\"ok\":true}\n";
const BUILD_FAILED: &str = "The action failed to generate or locate a binary. See logs for details.";
const START_FAILED: &str = "Cannot start action. Check logs for details.";
const ABRUPTLY: &str = "Command exited abruptly during initialization.";

async fn start() -> Option<Proxy> {
    if available("python3") {
        Some(Proxy::start(&["python"]).await)
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
async fn requests_that_ask_for_nothing_are_refused() {
    let Some(proxy) = start().await else { return };
    let missing = error_line(403, "Missing main/no code to execute.");
    assert_eq!(proxy.init("").await, missing); // 1
    assert_eq!(proxy.post("/init", "{}").await, missing); // 2
    let (status, body) = proxy.post("/init", "nonsense").await.unwrap(); // 3
    assert_eq!(status, 400);
    assert!(body.starts_with("{\"error\":\"Error unmarshaling request: "), "{body}");
    let (status, body) = proxy.init_value(json!({"code": "a b!", "binary": true})).await.unwrap(); // 35
    assert_eq!(status, 400);
    assert!(body.starts_with("{\"error\":\"cannot decode the request: "), "{body}");
    assert_eq!(proxy.run(json!({})).await, error_line(500, "no action defined yet")); // 5
    assert_eq!(proxy.post("/other", "{}").await, answer(200, ""));
    assert_eq!(proxy.init(ECHO).await, answer(200, OK));
}

#[tokio::test]
async fn a_second_init_is_refused() {
    let Some(mut proxy) = initialised(ECHO).await else {
        return;
    };
    let again = "Cannot initialize the action more than once.";
    assert_eq!(proxy.init(ECHO).await, error_line(403, again)); // 4
    assert_eq!(proxy.error_line().await, again);
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let Some(mut proxy) = initialised(ECHO).await else {
        return;
    };
    // 9
    for (value, text) in [
        (json!({"string": "hello"}), r#"{"string": "hello"}"#),
        (json!({"string": "❄ ☃ ❄"}), r#"{"string": "❄ ☃ ❄"}"#),
        (json!({"numbers": [42, 1.0]}), r#"{"numbers": [42, 1.0]}"#),
        (json!(["a", "b"]), r#"["a", "b"]"#), // 43
    ] {
        assert_eq!(proxy.run(value).await, answer(200, &format!("{text}\n")));
        assert_eq!(
            proxy.log().await,
            Log {
                out: vec!["hello stdout".into()],
                err: vec!["hello stderr".into()]
            }
        );
    }
    let numbers = r#"{"value":{"a":12345678901234567890123,"b":1E400,"c":1.0}}"#;
    assert_eq!(
        proxy.post("/run", numbers).await,
        error_line(502, "The action did not return a dictionary or array.")
    );
    proxy.log().await;
    let big = json!({"a": "a".repeat(1_048_561)}); // 15
    assert_eq!(value(&proxy.run(big.clone()).await), big);
}

#[tokio::test]
async fn results_of_every_type() {
    let code = "def main(args):\n    return eval(args['result'])\n";
    let Some(mut proxy) = initialised(code).await else {
        return;
    };
    let wrong = || error_line(502, "The action did not return a dictionary or array.");
    for (result, expected) in [
        (
            "{'error': 'x', 'more': 1}",
            answer(200, "{\"error\": \"x\", \"more\": 1}\n"),
        ), // 25
        ("(1, 2)", answer(200, "[1, 2]\n")),
        (
            "{'a': 10 ** 40, 'b': 1e22}",
            answer(
                200,
                "{\"a\": 10000000000000000000000000000000000000000, \"b\": 1e+22}\n",
            ),
        ),
        ("None", answer(200, "null\n")),
        ("'text'", wrong()), // 6
        ("42", wrong()),
        ("True", wrong()),
        ("{'a': float('nan')}", wrong()),
    ] {
        assert_eq!(proxy.run(json!({ "result": result })).await, expected, "{result}");
        assert_eq!(proxy.log().await, Log::default(), "{result}");
    }
}

#[tokio::test]
async fn exceptions_are_the_actions_own_errors() {
    let Some(mut proxy) = initialised("def main(args):\n    print('before')\n    raise ValueError(args['x'])\n").await
    else {
        return;
    };
    for text in ["boom", "zażółć ❄", ""] {
        assert_eq!(
            proxy.run(json!({ "x": text })).await,
            answer(200, &format!("{{\"error\": \"{text}\"}}\n"))
        ); // 23
        let log = proxy.log().await;
        assert_eq!(log.out, ["before"]);
        assert_eq!(log.err[0], "Traceback (most recent call last):");
        let last = if text.is_empty() {
            "ValueError".to_owned()
        } else {
            format!("ValueError: {text}")
        };
        assert_eq!(log.err[log.err.len() - 2..], [last, String::new()]);
    }
}

#[tokio::test]
async fn what_ends_the_interpreter_ends_the_action() {
    for (code, out, err) in [
        (
            "import sys\ndef main(args):\n    print('bye')\n    sys.exit(0)\n",
            "bye",
            "",
        ), // 30
        (
            "import os\ndef main(args):\n    print('bye')\n    os._exit(3)\n",
            "bye",
            "",
        ),
        (
            "def main(args):\n    print('bye')\n    raise KeyboardInterrupt('kb')\n",
            "bye",
            "KeyboardInterrupt: kb",
        ),
        (
            "def main(args):\n    print('bye')\n    return {'b': b'x'}\n",
            "bye",
            "TypeError: Object of type bytes is not JSON serializable",
        ),
        (
            "def main(args):\n    print('bye')\n    return {'s': '\\ud83d'}\n",
            "bye",
            "UnicodeEncodeError: 'utf-8' codec",
        ),
        (
            "import threading\ndef main(args):\n    print('bye')\n    threading.Thread(target=threading.Event().wait).start()\n    return {1}\n",
            "bye",
            "TypeError: Object of type set",
        ),
    ] {
        let Some(mut proxy) = initialised(code).await else {
            return;
        };
        assert_eq!(proxy.run(json!({})).await, error_line(400, "command exited"), "{code}");
        let log = proxy.log().await;
        assert_eq!(log.out, [out], "{code}");
        assert!(
            err.is_empty() == log.err.is_empty() && (err.is_empty() || log.has_error_line(err)),
            "{code}: {log:?}"
        );
        assert_eq!(proxy.run(json!({})).await, error_line(500, "no action defined yet"));
    }
}

#[tokio::test]
async fn a_forked_process_does_not_hide_the_end_of_the_interpreter() {
    let code = "import os, time\ndef main(args):\n    if os.fork() == 0:\n        time.sleep(1000)\n    print('bye')\n    os._exit(1)\n";
    let Some(mut proxy) = initialised(code).await else {
        return;
    };
    assert_eq!(proxy.run(json!({})).await, error_line(400, "command exited"));
    assert_eq!(proxy.log().await.out, ["bye"]);
}

#[tokio::test]
async fn an_interpreter_that_ended_since_is_noticed() {
    let code = "import threading, time, os\ndef main(args):\n    threading.Timer(0.02, os._exit, [4]).start()\n    return {}\n";
    let Some(proxy) = initialised(code).await else { return };
    assert_eq!(proxy.run(json!({})).await, answer(200, "{}\n"));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(proxy.run(json!({})).await, error_line(500, "command exited"));
}

#[tokio::test]
async fn initialisations_that_fail_say_why() {
    for (code, main, text, lines) in [
        (
            "def main(args:\n    return {}\n",
            "main",
            BUILD_FAILED,
            vec!["'(' was never closed"],
        ), // 19
        (
            "\u{feff}def main(args): pass\n",
            "main",
            BUILD_FAILED,
            vec!["invalid non-printable character U+FEFF"],
        ),
        (
            "x = 1\n",
            "main",
            START_FAILED,
            vec!["ImportError: cannot import name 'main' from 'main__' (", ABRUPTLY],
        ), // 20
        (
            "def main(args): pass\n",
            "A.b",
            START_FAILED,
            vec!["SyntaxError: invalid syntax", ABRUPTLY],
        ),
        (
            "import not_there\n",
            "main",
            START_FAILED,
            vec!["ModuleNotFoundError: No module named 'not_there'", ABRUPTLY],
        ),
        (
            "raise RuntimeError('load boom')\n",
            "main",
            START_FAILED,
            vec![
                "Traceback (most recent call last):",
                "RuntimeError: load boom",
                ABRUPTLY,
            ],
        ), // 21
        ("import sys\nsys.exit(0)\n", "main", START_FAILED, vec![ABRUPTLY]), // 31
        (
            "#!/bin/bash\n",
            "main",
            START_FAILED,
            vec!["open ./action/1/bin/exec.env: no such file or directory"],
        ),
    ] {
        let Some(mut proxy) = start().await else { return };
        let result = proxy.init_value(json!({"main": main, "code": code})).await;
        assert_eq!(result, error_line(502, text), "{code}");
        let log = proxy.log().await;
        for line in lines {
            assert!(log.has_error_line(line), "{code}: {log:?}");
        }
        assert_eq!(proxy.init(ECHO).await, answer(200, OK), "after {code}");
        assert_eq!(proxy.run(json!({})).await, answer(200, "{}\n"), "after {code}");
    }
}

#[tokio::test]
async fn the_folder_is_laid_out_as_upstreams() {
    let code = "import os, sys\ndef main(args):\n    return {'name': __name__, 'file': os.path.basename(__file__), 'cwd': os.path.basename(os.getcwd()),\n        'here': os.getcwd() == os.path.dirname(os.path.abspath(__file__)), 'argv': len(sys.argv),\n        'entries': sorted(e for e in os.listdir('.') if not e.startswith('__'))}\n";
    let Some(proxy) = initialised(code).await else { return };
    let expected = json!({"name": "main__", "file": "main__.py", "cwd": "bin", "here": true, "argv": 1,
        "entries": ["exec", "exec.env", "exec__.py", "main__.py"]});
    assert_eq!(value(&proxy.run(json!({})).await), expected);
}

#[tokio::test]
async fn the_environment_follows_init_and_run() {
    let code = "import os\nat = os.environ.get('SOME_VAR')\ndef main(args):\n    e = os.environ\n    return {'at': at, 'other': e.get('ANOTHER_VAR', 'absent'),\n        'ow': {k: v for k, v in e.items() if k.startswith('__OW_')}, 'ours': [k for k in e if k.startswith('WSK_')]}\n";
    let Some(proxy) = start().await else { return };
    let env = json!({"SOME_VAR": "t ❄=1", "ANOTHER_VAR": "", "__OW_NAMESPACE": "at init"});
    assert_eq!(
        proxy.init_value(json!({"code": code, "env": env})).await,
        answer(200, OK)
    ); // 11
    for id in ["first", "second"] {
        let context = json!({"namespace": "ns", "action_name": "/ns/a", "action_version": "0.0.2", "activation_id": id,
            "transaction_id": "t", "deadline": "123", "api_key": "k:k", "foo_bar": "x"});
        let result = value(&proxy.run_with(json!({}), context).await); // 12, 13, 14
        let ow = json!({"__OW_NAMESPACE": "ns", "__OW_ACTION_NAME": "/ns/a", "__OW_ACTION_VERSION": "0.0.2", "__OW_ACTIVATION_ID": id,
            "__OW_TRANSACTION_ID": "t", "__OW_DEADLINE": "123", "__OW_API_KEY": "k:k", "__OW_FOO_BAR": "x", "__OW_API_HOST": "https://api:443",
            "__OW_EXECUTION_ENV": "openwhisk/action-python-v3.11", "__OW_PROXY_VERSION": "1.17.1", "__OW_WAIT_FOR_ACK": "1"});
        assert_eq!(result, json!({"at": "t ❄=1", "other": "", "ow": ow, "ours": []}));
    }
}

#[tokio::test]
async fn archives() {
    let main = (
        "__main__.py",
        "import os\ndef main(args):\n    return {'data': open('data.txt', encoding='utf8').read()}\n",
    );
    let data = ("data.txt", "❄");
    for archive in [zip(&[main, data]), tar_gz(&[main, data])] {
        let Some(proxy) = start().await else { return };
        assert_eq!(proxy.init_archive(&archive, "main").await, answer(200, OK)); // 32, 36
        assert_eq!(proxy.run(json!({})).await, answer(200, "{\"data\": \"❄\"}\n"));
    }
    let Some(proxy) = start().await else { return };
    assert_eq!(
        proxy
            .init_archive(&zip(&[("__main__.py", "def niam(a):\n    return a\n")]), "niam")
            .await,
        answer(200, OK)
    ); // 8
    let Some(proxy) = start().await else { return };
    let code = format!("# {}\ndef main(args):\n    return {{}}\n", "x".repeat(500 * 1024)); // 17
    assert_eq!(proxy.init(&code).await, answer(200, OK));
    let Some(proxy) = start().await else { return };
    let archive = big_zip("__main__.py", "def main(args):\n    return args\n"); // 18
    assert_eq!(proxy.init_archive(&archive, "main").await, answer(200, OK));
}

#[tokio::test]
async fn archives_that_cannot_be_used() {
    let cut = zip(&[("__main__.py", &"def main(args):\n    return {}\n".repeat(30))]);
    let damaged = "The archive of the action cannot be unpacked: the archive is damaged or cut off: ";
    for (archive, text, line) in [
        (
            zip(&[("other.py", "x = 1\n")]),
            BUILD_FAILED,
            "Zip file does not include main__",
        ), // 33
        (zip(&[]), BUILD_FAILED, "Zip file does not include main__"),
        (
            b"Ceci n'est pas un zip.\n".to_vec(),
            BUILD_FAILED,
            "unterminated string literal (detected at line 1)",
        ), // 34
        (
            vec![0x69, 0xb7, 0x1d],
            BUILD_FAILED,
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xb7 in position 1: invalid start byte",
        ),
        (cut[..60].to_vec(), damaged, damaged),
    ] {
        let Some(mut proxy) = start().await else { return };
        let (status, body) = proxy.init_archive(&archive, "main").await.unwrap();
        assert_eq!(status, 502);
        assert!(body.starts_with(&format!("{{\"error\":\"{text}")), "{body}");
        let log = proxy.log().await;
        assert!(log.has_error_line(line), "{log:?}");
    }
}

#[tokio::test]
async fn virtualenvs() {
    let main = (
        "__main__.py",
        "import vmod\ndef main(args):\n    return {'v': vmod.v}\n",
    );
    let activate = "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'site'))\n";
    let module = ("virtualenv/site/vmod.py", "v = 1\n");
    for script in ["virtualenv/bin/activate_this.py", "virtualenv/Scripts/activate_this.py"] {
        let Some(proxy) = start().await else { return };
        assert_eq!(
            proxy
                .init_archive(&zip(&[main, module, (script, activate)]), "main")
                .await,
            answer(200, OK)
        ); // 38
        assert_eq!(proxy.run(json!({})).await, answer(200, "{\"v\": 1}\n"));
    }
    let Some(mut proxy) = start().await else { return };
    assert_eq!(
        proxy.init_archive(&zip(&[main, module]), "main").await,
        error_line(502, BUILD_FAILED)
    );
    let invalid = "Invalid virtualenv. Zip file does not include 'activate_this.py'.";
    assert_eq!(proxy.log().await.err, [invalid, ""]);
    let Some(mut proxy) = start().await else { return };
    let broken = zip(&[("__main__.py", "def main(:\n"), module]);
    assert_eq!(proxy.init_archive(&broken, "main").await, error_line(502, BUILD_FAILED));
    assert_eq!(proxy.log().await.err, [invalid, "invalid syntax"]);
    let Some(mut proxy) = start().await else { return };
    let script = ("virtualenv/bin/activate_this.py", "raise ValueError('no')\n");
    assert_eq!(
        proxy.init_archive(&zip(&[main, script]), "main").await,
        error_line(502, BUILD_FAILED)
    );
    let log = proxy.log().await;
    assert_eq!(log.err[log.err.len() - 2..], ["ValueError: no", ""], "{log:?}");
}

#[tokio::test]
async fn the_build_step_ends_its_line_and_so_does_the_proxy() {
    let Some(mut proxy) = start().await else { return };
    let archive = zip(&[("folder/__main__.py", "def main(args):\n    return args\n")]);
    assert_eq!(
        proxy.init_archive(&archive, "main").await,
        error_line(502, BUILD_FAILED)
    );
    assert_eq!(proxy.log().await.err, ["Zip file does not include main__", ""]);
}

#[tokio::test]
async fn prebuilt_programs_need_the_right_environment() {
    let script = "#!/bin/bash\necho '{\"ok\":true}' >&3\nwhile read line; do echo working; echo '{\"from\":\"bash\"}' >&3; done\n";
    let Some(mut proxy) = start().await else { return };
    let archive = zip(&[("exec", script), ("exec.env", "openwhisk/other\n")]);
    assert_eq!(
        proxy.init_archive(&archive, "main").await,
        error_line(502, START_FAILED)
    ); // 45
    let log = proxy.log().await;
    assert_eq!(
        log.out,
        [
            "Expected exec.env should start with openwhisk/action-python-v3.11",
            "Actual value: openwhisk/other"
        ]
    );
    assert_eq!(
        log.err,
        ["Execution environment version mismatch. See logs for details."]
    );
    let archive = zip(&[("exec", script), ("exec.env", "openwhisk/action-python-v3.11\n")]);
    assert_eq!(proxy.init_archive(&archive, "main").await, answer(200, OK));
    assert_eq!(proxy.run(json!({})).await, answer(200, "{\"from\":\"bash\"}\n"));
    assert_eq!(proxy.log().await.out, ["working"]);
}

#[tokio::test]
async fn streams_are_line_buffered_and_stdin_is_at_its_end() {
    let code = "import subprocess, sys\ndef main(args):\n    print('parent')\n    subprocess.run(['/bin/echo', 'child'])\n    print('no newline', end='')\n    return {'in': sys.stdin.read()}\n";
    let Some(mut proxy) = initialised(code).await else {
        return;
    };
    assert_eq!(proxy.run(json!({})).await, answer(200, "{\"in\": \"\"}\n"));
    assert_eq!(proxy.log().await.out, ["parent", "child", "no newline"]); // 48
    let Some(mut proxy) =
        initialised("def main(args):\n    for i in range(10000): print('line %d' % i)\n    return {}\n").await
    else {
        return;
    };
    assert_eq!(proxy.run(json!({})).await, answer(200, "{}\n"));
    assert_eq!(proxy.log().await.out.len(), 10_000); // 47
}
