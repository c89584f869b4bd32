//! What every command has in common: flags, help, the host and the key.

use crate::platform::{AUTH, BASIC, Platform, USAGE};

#[test]
fn help_is_a_success() {
    let platform = Platform::answering([]);
    for line in ["", "-h", "help"] {
        let run = platform.wsk(line);
        for part in ["Usage:", "Available Commands:", "Flags:", "--help"] {
            assert!(run.out.contains(part), "{line}: {}", run.out);
        }
        assert_eq!((run.code, run.err.as_str()), (0, ""));
    }
    let group = platform.wsk("action bogus");
    assert!(
        group
            .out
            .starts_with("work with actions\nUsage:\n  wsk action [command]\n\nAvailable Commands:\n  create ")
    );
    assert!(
        group
            .out
            .ends_with("Use \"wsk action [command] --help\" for more information about a command.\n")
    );
    let leaf = platform.wsk("action create -h");
    assert!(
        leaf.out
            .starts_with("create a new action\nUsage:\n  wsk action create ACTION_NAME ACTION [flags]\n\nFlags:\n")
    );
    let timeout = "  -t, --timeout LIMIT          the timeout LIMIT in milliseconds after which the action is terminated (default 60000)\n";
    assert!(leaf.out.contains(timeout), "{}", leaf.out);
    assert!(
        leaf.out.contains("\nGlobal Flags:\n      --apihost HOST "),
        "{}",
        leaf.out
    );
}

#[test]
fn unknown_commands_and_flags() {
    let platform = Platform::answering([]);
    platform.wsk("bogus").failed(
        1,
        "Error: unknown command \"bogus\" for \"wsk\"\nRun 'wsk --help' for usage.\nunknown command \"bogus\" for \"wsk\"\n",
    );
    let near = platform.wsk("actoin");
    assert!(near.err.contains("Did you mean this?\n\taction\n"), "{}", near.err);
    let cases = [
        ("action invoke x -x", "unknown shorthand flag: 'x' in -x"),
        ("action invoke x -bx", "unknown shorthand flag: 'x' in -bx"),
        ("action list --bogus", "unknown flag: --bogus"),
        ("action list --bogus=1", "unknown flag: --bogus"),
        ("action create x --memory", "flag needs an argument: --memory"),
        ("action create x -m", "flag needs an argument: 'm' in -m"),
        (
            "action create x -m abc",
            "invalid argument \"abc\" for \"-m, --memory\" flag: strconv.ParseInt: parsing \"abc\": invalid syntax",
        ),
        (
            "activation list --since 99999999999999999999",
            "invalid argument \"99999999999999999999\" for \"--since\" flag: strconv.ParseInt: parsing \
             \"99999999999999999999\": value out of range",
        ),
        (
            "action invoke x --blocking=maybe",
            "invalid argument \"maybe\" for \"-b, --blocking\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
    ];
    for (line, text) in cases {
        platform.wsk(line).failed(1, &format!("{text}\n"));
    }
    platform
        .wsk("action --bogus")
        .failed(1, "Error: unknown flag: --bogus\nunknown flag: --bogus\n");
}

#[test]
fn flags_may_stand_anywhere_and_the_last_one_wins() {
    let platform = Platform::answering([(200, "[]"), (200, "[]")]);
    platform
        .wsk("-i action --auth a:b list -l 5 -l -1 --name-sort=false")
        .printed("actions\n");
    platform.wsk("action list -a swallowed x -F a b").printed("actions\n");
    let requests = platform.requests();
    assert_eq!(requests[0], "GET /api/v1/namespaces/_/actions?limit=-1&skip=0");
}

#[test]
fn the_pass_before_the_flags() {
    let platform = Platform::answering([]);
    let text =
        "Failed to parse arguments: The parameter arguments are invalid: Arguments for '-p' must be a key/value pair";
    platform
        .wsk("action invoke x -p a")
        .failed(1, &format!("error: {text}\n{USAGE}"));
    let text = "Failed to parse arguments: File 'nofile' is not a valid file or it does not exist";
    platform
        .wsk("action invoke x -P nofile")
        .failed(2, &format!("error: {text}\n{USAGE}"));
    let bad = platform.wsk_words(["action", "invoke", "x", "-p", "k", r#"{"invalid1": }"#]);
    assert!(
        bad.err.starts_with("error: Invalid parameter argument '") && bad.code == 1,
        "{bad:?}"
    );
}

#[test]
fn no_host() {
    let platform = Platform::answering([]);
    platform.file("props", "");
    let text = format!("error: The API host is not valid: An API host must be provided.\n\n{USAGE}");
    platform.wsk("action list").failed(1, &text);
    platform.wsk("property get").failed(1, &text);
    platform.wsk("property get --auth").printed("whisk auth\t\t\n");
}

#[test]
fn no_key() {
    let platform = Platform::answering([]);
    platform.file("props", &format!("APIHOST={}\n", platform.address()));
    let text = format!(
        "error: Unable to obtain the list of entities for namespace 'default': Unable to create HTTP request for GET \
         'actions?limit=0&skip=0': Unable to add the HTTP authentication header: Authorization key is not configured \
         (--auth is required)\n{USAGE}"
    );
    platform.wsk("list").failed(2, &text);
}

#[test]
fn no_connection() {
    let platform = Platform::answering([]);
    // Port 1 on the loopback: nobody listens there.
    let run = platform.wsk("action list --apihost http://127.0.0.1:1");
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.err
            .starts_with("error: Unable to obtain the list of actions for namespace 'default': GET "),
        "{run:?}"
    );
}

#[test]
fn half_a_client_certificate() {
    let platform = Platform::answering([]);
    let text = "Unable to initialize server connection: The Key file is not configured. Please configure the missing Key file.";
    platform
        .wsk("action list --cert c")
        .failed(1, &format!("error: {text}\n\n{USAGE}"));
}

/// `wskdeploy` had letters for the two files; elsewhere they mean something else or nothing.
#[test]
fn letters_for_a_client_certificate_of_projects() {
    let platform = Platform::answering([]);
    platform.file("manifest.yaml", "packages: {}\n");
    let text = "Unable to load the X509 key pair due to the following reason: open missing: ";
    for command in ["deploy", "undeploy", "sync --projectname p", "export --projectname p"] {
        let run = platform.wsk(&format!("project {command} -c missing -k missing"));
        assert!(run.code != 0 && run.err.contains(text), "{command}: {run:?}");
    }
    let run = platform.wsk("action list -c missing -k missing");
    assert!(run.code != 0 && !run.err.contains(text), "{run:?}");
}

#[test]
fn requests_carry_the_key_and_say_who_asks() {
    let platform = Platform::answering([(200, "{}")]);
    platform.wsk("trigger fire t");
    let headers = platform.headers();
    let header = |name: &str| {
        headers
            .iter()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
            .unwrap_or_default()
    };
    assert_eq!(header("authorization"), BASIC, "{AUTH}");
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("OpenWhisk-CLI/1.0 ("), "{headers:?}");
}

#[test]
fn verbose_shows_the_traffic() {
    let platform = Platform::answering([(200, r#"{"a":1}"#), (200, r#"{"a":1}"#), (200, r#"{"a":1}"#)]);
    let run = platform.wsk("-v action invoke x -r -p a b");
    let address = platform.address();
    assert!(
        run.out.starts_with(&format!(
            "REQUEST:\n[POST]\t{address}/api/v1/namespaces/_/actions/x?blocking=true&result=true\nReq Headers\n{{\n  \
             \"Authorization\": [\n    \"{BASIC}\"\n  ],\n"
        )),
        "{}",
        run.out
    );
    assert!(
        run.out
            .contains("Req Body\n{\"a\":\"b\"}\n\nRESPONSE:Got response with code 200\nResp Headers\n{\n")
    );
    assert!(
        run.out
            .ends_with("Response body size is 7 bytes\nResponse body received:\n{\"a\":1}\n{\n    \"a\": 1\n}\n")
    );

    let long = "x".repeat(1100);
    let run = platform.wsk_words(["-v", "action", "invoke", "x", "-r", "-p", "big", &long]);
    assert_eq!(run.out.matches("will be truncated").count(), 1);
    let run = platform.wsk_words(["-d", "action", "invoke", "x", "-r", "-p", "big", &long]);
    assert!(!run.out.contains("will be truncated") && run.out.contains(&long));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let platform = Platform::answering([(200, "[]")]);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_wsk"))
        .args(["action", "list"])
        .env("WSK_CONFIG_FILE", platform.path("props"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
