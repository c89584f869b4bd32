//! `wsk action`.

use crate::platform::{MISSING, Platform, USAGE};

const DONE: (u16, &str) = (200, "{}");
const HELLO: &str = r#"{"namespace":"guest","name":"hello","version":"0.0.1","publish":false,"updated":1,
    "exec":{"kind":"nodejs:20","binary":false},"parameters":[],
    "annotations":[{"key":"exec","value":"nodejs:20"}],"limits":{"timeout":60000,"memory":256,"logs":10,"concurrency":1}}"#;

/// Runs one command against one script; gives the body of the last request.
#[track_caller]
fn sent(files: &[(&str, &str)], replies: &[(u16, &'static str)], line: &str) -> (Vec<String>, String) {
    let platform = Platform::answering(replies.to_vec());
    files.iter().for_each(|(name, content)| platform.file(name, content));
    let run = platform.wsk(line);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{line}");
    (platform.requests(), run.out)
}

#[test]
fn create_sends_code_with_the_kind_of_its_extension() {
    let files = [("hello.js", "function main() {}"), ("a.py", "x"), ("a.jar", "PK")];
    let cases = [
        (
            "hello hello.js",
            "hello",
            r#"{"kind":"nodejs:default","code":"function main() {}"}"#,
        ),
        (
            "hello a.py --kind python:3.11 --main m",
            "hello",
            r#"{"kind":"python:3.11","code":"x","main":"m"}"#,
        ),
        (
            "pkg/hello a.jar",
            "pkg/hello",
            r#"{"kind":"java:default","code":"UEs="}"#,
        ),
        ("hello --docker me/i", "hello", r#"{"kind":"blackbox","image":"me/i"}"#),
        (
            "hello a.py --docker me/i",
            "hello",
            r#"{"kind":"blackbox","image":"me/i","code":"x"}"#,
        ),
        (
            "hello a.py --native",
            "hello",
            r#"{"kind":"blackbox","image":"openwhisk/dockerskeleton","code":"x"}"#,
        ),
        (
            "hello --sequence a,/ns/p/b",
            "hello",
            r#"{"kind":"sequence","components":["/_/a","/ns/p/b"]}"#,
        ),
    ];
    for (line, name, exec) in cases {
        let (requests, out) = sent(&files, &[DONE], &format!("action create {line}"));
        let body = format!(r#"{{"namespace":"_","name":"{name}","exec":{exec}}}"#);
        let expected = format!("PUT /api/v1/namespaces/_/actions/{name}?overwrite=false {body}");
        assert_eq!(requests, [expected], "{line}");
        assert_eq!(out, format!("ok: created action {name}\n"));
    }
}

#[test]
fn create_sends_parameters_annotations_and_only_the_limits_given() {
    let line = "action create /ns/a a.js -p k 1.50 -a x true -p k 2 -P p.json -t 0 -c 3 --web yes";
    let (requests, _) = sent(&[("a.js", "c"), ("p.json", r#"{"b":"<&>"}"#)], &[DONE], line);
    let expected = concat!(
        r#"PUT /api/v1/namespaces/ns/actions/a?overwrite=false {"namespace":"ns","name":"a","#,
        r#""exec":{"kind":"nodejs:default","code":"c"},"annotations":[{"key":"x","value":true},"#,
        r#"{"key":"web-export","value":true},{"key":"raw-http","value":false},{"key":"final","value":true}],"#,
        r#""parameters":[{"key":"k","value":2},{"key":"b","value":"<&>"}],"limits":{"timeout":0,"concurrency":3}}"#
    );
    assert_eq!(requests, [expected]);
}

#[test]
fn update_looks_first_and_tolerates_absence() {
    for replies in [[(200, HELLO), DONE], [MISSING, DONE]] {
        let (requests, out) = sent(&[], &replies, "action update hello -p a b");
        assert_eq!(
            requests,
            [
                "GET /api/v1/namespaces/_/actions/hello?code=false",
                r#"PUT /api/v1/namespaces/_/actions/hello?overwrite=true {"namespace":"_","name":"hello","parameters":[{"key":"a","value":"b"}]}"#
            ]
        );
        assert_eq!(out, "ok: updated action hello\n");
    }
}

#[test]
fn update_resends_or_drops_annotations() {
    let (requests, _) = sent(&[], &[(200, HELLO), DONE], "action update hello --web raw");
    assert!(requests[1].contains(r#"[{"key":"exec","value":"nodejs:20"},{"key":"web-export","value":true}"#));
    let (requests, _) = sent(
        &[],
        &[(200, HELLO), DONE],
        "action update hello --del-annotation a --del-annotation b",
    );
    assert!(
        requests[1].ends_with(r#""name":"hello","delAnnotations":["a","b"]}"#),
        "{requests:?}"
    );
}

#[test]
fn copy_takes_code_first_then_parameters_behind_its_own() {
    let source = r#"{"exec":{"kind":"nodejs:20","code":"c","binary":true},"parameters":[{"key":"s","value":1}],
                     "annotations":[{"key":"t","value":2}]}"#;
    let (requests, _) = sent(&[], &[(200, source), DONE], "action create new /ns/p/old --copy -p a 1");
    assert_eq!(
        requests,
        [
            "GET /api/v1/namespaces/ns/actions/p/old?code=true",
            concat!(
                r#"PUT /api/v1/namespaces/_/actions/new?overwrite=false {"namespace":"_","name":"new","#,
                r#""exec":{"kind":"nodejs:20","code":"c","binary":true},"annotations":[{"key":"t","value":2}],"#,
                r#""parameters":[{"key":"a","value":1},{"key":"s","value":1}]}"#
            )
        ]
    );
}

#[test]
fn secrets_are_marked_and_not_shown() {
    let files = [("hello.js", "c"), ("s.json", r#"{"b":{"deep":"hidden"}}"#)];
    let line = "-d action create hello hello.js --secret-param a hidden --secret-param-file s.json -p c 3";
    let (requests, out) = sent(&files, &[DONE], line);
    let parameters = r#""parameters":[{"key":"a","value":"hidden","secret":true},{"key":"b","value":{"deep":"hidden"},"secret":true},{"key":"c","value":3}]}"#;
    assert!(requests[0].ends_with(parameters), "{requests:?}");
    assert!(out.contains("******") && !out.contains("hidden"), "{out}");
    let refused = Platform::answering([]).wsk("action invoke hello --secret-param a hidden");
    assert!(refused.code != 0 && !refused.err.contains("hidden"), "{}", refused.err);
}

#[test]
fn a_copy_says_which_secrets_it_lacks() {
    let source = r#"{"exec":{"kind":"nodejs:20","code":"c","binary":false},
                     "parameters":[{"key":"s","value":null,"secret":true},{"key":"t","value":null,"secret":true}]}"#;
    let platform = Platform::answering([(200, source), DONE]);
    let run = platform.wsk("action create new old --copy --secret-param s 1");
    assert_eq!(run.code, 0);
    let parameters = r#""parameters":[{"key":"s","value":1,"secret":true},{"key":"t","value":null,"secret":true}]}"#;
    assert!(platform.requests()[1].ends_with(parameters));
    assert_eq!(
        run.err,
        "secret parameters are not copied: t; set them with wsk action update --secret-param\n"
    );
}

#[test]
fn local_refusals() {
    let platform = Platform::answering([]);
    platform.file("hello.js", "c");
    platform.file("a.zip", "c");
    platform.file("bin.exe", "c");
    let required = "An action name and code artifact are required.";
    let cases = [
        (
            "create z a.zip",
            2,
            "creating an action from a .zip artifact requires specifying the action kind explicitly",
        ),
        ("create e bin.exe", 2, "'.exe' is not a supported action runtime"),
        (
            "create m nofile.js",
            2,
            "File 'nofile.js' is not a valid file or it does not exist",
        ),
        ("create", 1, required),
        ("create a", 2, required),
        ("create a --sequence", 2, required),
        ("create a --copy", 2, required),
        (
            "create b hello.js --docker i --kind nodejs:20",
            149,
            "Cannot specify both --kind and --docker at the same time.",
        ),
        (
            "create w hello.js --web bogus",
            2,
            "Invalid argument 'bogus' for --web flag. Valid input consist of 'yes', 'true', 'raw', 'false', or 'no'.",
        ),
        (
            "create w hello.js --web-secure true",
            2,
            "The --web-secure option is only valid when the --web option is enabled.",
        ),
        (
            "create '' hello.js",
            1,
            "'' is not a valid qualified name: A valid qualified name must be specified.",
        ),
        (
            "create j hello.js --kind java",
            2,
            "Java actions require --main to specify the fully-qualified name of the main class",
        ),
    ];
    for (line, code, text) in cases {
        let expected = format!("error: Invalid argument(s). {text}\n{USAGE}");
        platform.wsk(&format!("action {line}")).failed(code, &expected);
    }
    let surplus = format!("error: Invalid argument(s): c. {required}\n{USAGE}");
    platform.wsk("action create a b c").failed(1, &surplus);
    assert_eq!(platform.requests(), Vec::<String>::new());
}

#[test]
fn refusals_of_the_platform() {
    let platform = Platform::answering([(409, r#"{"error":"resource already exists","code":"T"}"#)]);
    platform.file("hello.js", "c");
    let text = format!("error: Unable to create action 'hello': resource already exists (code T)\n{USAGE}");
    platform.wsk("action create hello hello.js").failed(153, &text);
    let platform = Platform::answering([MISSING, MISSING]);
    let text = |verb: &str| {
        format!("error: Unable to {verb} action 'nope': The requested resource does not exist. (code T)\n{USAGE}")
    };
    platform.wsk("action get nope").failed(148, &text("get"));
    platform.wsk("action delete nope").failed(148, &text("delete"));
    assert_eq!(platform.requests()[1], "DELETE /api/v1/namespaces/_/actions/nope");
}

#[test]
fn get_shows_the_whole_a_field_an_url_or_a_summary() {
    let platform = Platform::answering([(200, HELLO), (200, HELLO), (200, HELLO), (200, HELLO)]);
    let whole = platform.wsk("action get hello");
    assert!(
        whole
            .out
            .starts_with("ok: got action hello\n{\n    \"namespace\": \"guest\",\n    \"name\": \"hello\",\n")
    );
    assert!(whole.out.ends_with("    \"publish\": false,\n    \"updated\": 1\n}\n"));
    platform.wsk("action get hello EXEC").printed(
        "ok: got action hello, displaying field EXEC\n{\n    \"kind\": \"nodejs:20\",\n    \"binary\": false\n}\n",
    );
    let url = format!(
        "ok: got action hello\n{}/api/v1/namespaces/guest/actions/pkg/hello\n",
        platform.address()
    );
    platform.wsk("action get pkg/hello --url").printed(&url);
    platform
        .wsk("action get hello -s")
        .printed("action /guest/hello\n   (parameters: none defined)\n");
    assert_eq!(
        platform.requests()[0],
        "GET /api/v1/namespaces/_/actions/hello?code=false"
    );
    platform
        .wsk("action get hello bogus")
        .failed(2, &format!("error: Invalid field filter 'bogus'.\n{USAGE}"));
    assert_eq!(platform.requests(), Vec::<String>::new(), "a bad filter asks nothing");
}

#[test]
fn save_writes_a_file_once() {
    let action = r#"{"name":"hello","exec":{"kind":"nodejs:20","code":"the code","binary":false}}"#;
    let platform = Platform::answering([(200, action), (200, action), (200, action)]);
    let directory = platform.dir.path().canonicalize().unwrap();
    let saved = |file: &str| format!("ok: saved action code to {}/{file}\n", directory.display());
    platform.wsk("action get hello --save").printed(&saved("hello.js"));
    assert_eq!(platform.read("hello.js"), "the code");
    let exists = format!("error: The file 'hello.js' already exists\n{USAGE}");
    platform.wsk("action get hello --save").failed(2, &exists);
    platform
        .wsk("action get hello --save-as other.txt")
        .printed(&saved("other.txt"));
    assert_eq!(
        platform.requests()[0],
        "GET /api/v1/namespaces/_/actions/hello?code=true"
    );

    let platform = Platform::answering([
        (200, r#"{"exec":{"kind":"sequence","components":[]}}"#),
        (200, r#"{"exec":{"kind":"blackbox","image":"i"}}"#),
        (200, r#"{"exec":{"kind":"python:3","code":"UEs=","binary":true}}"#),
    ]);
    platform
        .wsk("action get s --save")
        .failed(2, &format!("error: Cannot save action sequences\n{USAGE}"));
    platform
        .wsk("action get s --save")
        .failed(2, &format!("error: Cannot save Docker images\n{USAGE}"));
    assert_eq!(platform.wsk("action get s --save").code, 0);
    assert_eq!(platform.read("s.zip"), "PK");
}

#[test]
fn invoke_without_waiting() {
    let platform = Platform::answering([(202, r#"{"activationId":"ID"}"#), (202, r#"{"activationId":"ID"}"#)]);
    platform
        .wsk("action invoke hello -p a 1")
        .printed("ok: invoked /_/hello with id ID\n");
    platform
        .wsk("action invoke /guest/p/hello")
        .printed("ok: invoked /guest/p/hello with id ID\n");
    assert_eq!(
        platform.requests(),
        [
            r#"POST /api/v1/namespaces/_/actions/hello?blocking=false&result=false {"a":1}"#,
            "POST /api/v1/namespaces/guest/actions/p/hello?blocking=false&result=false {}"
        ]
    );
}

#[test]
fn invoke_and_wait() {
    let record = r#"{"namespace":"g","activationId":"ID","response":{"success":true,"result":{"b":1,"a":"<&>"}}}"#;
    let platform = Platform::answering([(200, record), (200, r#"{"b":1.50,"a":"<&>"}"#), (200, "[1]")]);
    platform.wsk("action invoke hello -b").printed(
        "ok: invoked /_/hello with id ID\n{\n    \"activationId\": \"ID\",\n    \"namespace\": \"g\",\n    \
         \"response\": {\n        \"result\": {\n            \"a\": \"<&>\",\n            \"b\": 1\n        },\n        \
         \"success\": true\n    }\n}\n",
    );
    platform
        .wsk("action invoke hello -br")
        .printed("{\n    \"a\": \"<&>\",\n    \"b\": 1.50\n}\n");
    platform.wsk("action invoke hello --result").printed("[\n    1\n]\n");
    let requests = platform.requests();
    assert_eq!(
        requests[0],
        "POST /api/v1/namespaces/_/actions/hello?blocking=true&result=false {}"
    );
    assert_eq!(
        requests[2],
        "POST /api/v1/namespaces/_/actions/hello?blocking=true&result=true {}"
    );
}

#[test]
fn failing_actions_are_told_on_the_error_stream() {
    let record = r#"{"activationId":"ID","response":{"status":"application error","success":false}}"#;
    let platform = Platform::answering([
        (502, r#"{"error":"This is an error"}"#),
        (502, record),
        (202, r#"{"activationId":"ID"}"#),
        (
            429,
            r#"{"error":"Too many requests in the last minute (count: 61, allowed: 60).","code":"T"}"#,
        ),
        (504, ""),
        (500, record),
        (200, record),
    ]);
    platform
        .wsk("action invoke x -r")
        .failed(246, "{\n    \"error\": \"This is an error\"\n}\n");
    let run = platform.wsk("action invoke x -b");
    assert_eq!((run.code, run.out.as_str()), (246, ""));
    assert!(
        run.err
            .starts_with("ok: invoked /_/x with id ID\n{\n    \"activationId\": \"ID\",\n"),
        "{}",
        run.err
    );
    platform.wsk("action invoke slow -b").failed(
        202,
        "ok: invoked /_/slow, but the request has not yet finished, with id ID\n",
    );
    let throttled = "Too many requests in the last minute (count: 61, allowed: 60). (code T)";
    platform.wsk("action invoke x").failed(
        173,
        &format!("error: Unable to invoke action 'x': {throttled}\n{USAGE}"),
    );
    for (code, status) in [(248, 504), (244, 500), (200, 200)] {
        let text = format!("The connection failed, or timed out. (HTTP status code {status})");
        platform
            .wsk("action invoke x -b")
            .failed(code, &format!("error: Unable to invoke action 'x': {text}\n{USAGE}"));
    }
}

#[test]
fn list() {
    let page = r#"[{"namespace":"guest/p","name":"b","annotations":[{"key":"exec","value":"nodejs:20"}]},
                   {"namespace":"guest","name":"a","publish":true,"annotations":[]}]"#;
    let platform = Platform::answering([(200, page), (200, page), (200, "[]")]);
    let (a, b) = (
        format!("{:<70} private \n", "/guest/a"),
        format!("{:<70} private nodejs:20\n", "/guest/p/b"),
    );
    platform.wsk("action list").printed(&format!("actions\n{b}{a}"));
    platform
        .wsk("action list /ns -n -l 5 -s 2")
        .printed(&format!("actions\n{a}{b}"));
    platform.wsk("action list pkg").printed("actions\n");
    assert_eq!(
        platform.requests(),
        [
            "GET /api/v1/namespaces/_/actions?limit=30&skip=0",
            "GET /api/v1/namespaces/ns/actions?limit=5&skip=2",
            "GET /api/v1/namespaces/_/actions/pkg/?limit=30&skip=0"
        ]
    );
}
