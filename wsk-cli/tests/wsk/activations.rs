//! `wsk activation`.

use crate::platform::{MISSING, Platform, USAGE};

const FAILED: &str = r#"{"namespace":"guest","name":"x","version":"0.0.1","subject":"guest","activationId":"ID",
    "start":60000,"end":60500,"duration":500,"statusCode":1,
    "response":{"status":"application error","success":false,"size":9,"result":{"error":"e"}},
    "logs":["2020-01-01T00:01:00.123Z stdout: this is stdout","plain"],
    "annotations":[{"key":"kind","value":"nodejs:20"},{"key":"initTime","value":5}],"publish":false}"#;

#[test]
fn list_is_a_table() {
    let page: &'static str = Box::leak(format!("[{FAILED}]").into_boxed_str());
    let platform = Platform::answering([(200, page), (200, "[]")]);
    platform.wsk("activation list /other/pkg/x --since 5 --upto 9 -l 2").printed(
        "Datetime            Activation ID                    Kind      Start Duration   Status            Entity\n\
         1970-01-01 00:01:00 ID                               nodejs:20 cold  500ms      application error guest/x:0.0.1\n",
    );
    platform.wsk("activation list").printed("\n");
    assert_eq!(
        platform.requests(),
        [
            "GET /api/v1/namespaces/_/activations?limit=2&name=pkg%2Fx&since=5&skip=0&upto=9",
            "GET /api/v1/namespaces/_/activations?limit=30&skip=0"
        ]
    );
}

#[test]
fn full_lists_show_records() {
    let page: &'static str = Box::leak(format!("[{FAILED}]").into_boxed_str());
    let platform = Platform::answering([(200, page)]);
    let run = platform.wsk("activation list --full");
    assert!(
        run.out.starts_with("activations\n{\n    \"namespace\": \"guest\",\n"),
        "{}",
        run.out
    );
    assert_eq!(
        platform.requests(),
        ["GET /api/v1/namespaces/_/activations?docs=true&limit=30&skip=0"]
    );
}

#[test]
fn get_shows_the_record_in_its_order() {
    let platform = Platform::answering([(200, FAILED), (200, FAILED), (200, FAILED), (200, FAILED)]);
    let run = platform.wsk("activation get ID");
    let names: Vec<&str> = run
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("    \"")?.split('"').next())
        .collect();
    let order =
        "namespace name version subject activationId start end duration statusCode response logs annotations publish";
    assert_eq!(names.join(" "), order);
    assert!(run.out.starts_with("ok: got activation ID\n{\n") && !run.out.contains("size"));
    platform
        .wsk("activation get ID statuscode")
        .printed("ok: got activation ID, displaying field statuscode\n1\n");
    platform.wsk("activation get ID -s").printed(
        "activation result for '/guest/x' (application error at 1970-01-01 00:01:00 +0000 UTC)\n{\n    \"error\": \"e\"\n}\n",
    );
    platform.wsk("activation get ID -g").printed("this is stdout\nplain\n");
    platform
        .wsk("activation get ID bogus")
        .failed(1, "error: Invalid field filter 'bogus'.\n");
}

#[test]
fn last_is_the_first_of_the_list() {
    let newest = r#"[{"activationId":"NEW"}]"#;
    let platform = Platform::answering([(200, newest), (200, FAILED), (200, "[]"), (200, "[]"), (200, "[]")]);
    let run = platform.wsk("activation get --last logs");
    assert!(
        run.out
            .starts_with("ok: got activation NEW, displaying field logs\n[\n"),
        "{}",
        run.out
    );
    assert_eq!(
        platform.requests(),
        [
            "GET /api/v1/namespaces/_/activations?limit=1&skip=0",
            "GET /api/v1/namespaces/_/activations/NEW"
        ]
    );
    for (line, attempted) in [
        ("get --last", "Unable to get activation"),
        ("logs -l", "Unable to get logs for activation"),
        ("result -l", "Unable to get result for activation"),
    ] {
        let text = format!("error: {attempted}: Activation list does not contain any activations.\n{USAGE}");
        platform.wsk(&format!("activation {line}")).failed(1, &text);
    }
}

#[test]
fn logs_and_results() {
    let logs = r#"{"logs":["2020-01-01T00:01:00.123Z stdout: this is stdout"]}"#;
    let result = r#"{"result":{"error":"e"},"success":false,"status":"application error"}"#;
    let platform = Platform::answering([(200, logs), (200, logs), (200, result), MISSING]);
    platform
        .wsk("activation logs ID")
        .printed("2020-01-01T00:01:00.123Z stdout: this is stdout\n");
    platform.wsk("activation logs ID --strip").printed("this is stdout\n");
    platform
        .wsk("activation result ID")
        .printed("{\n    \"error\": \"e\"\n}\n");
    let missing = "error: Unable to get activation 'nope': The requested resource does not exist. (code T)\n";
    platform.wsk("activation get nope").failed(148, missing);
    let required = format!("error: Invalid argument(s). An activation ID is required.\n{USAGE}");
    platform.wsk("activation logs").failed(1, &required);
}

#[test]
fn poll_shows_each_record_once_and_ends_in_time() {
    let newest = r#"[{"activationId":"OLD","start":41}]"#;
    let page = r#"[{"activationId":"NEW","name":"x","start":50,"logs":["a line"]}]"#;
    let platform = Platform::answering([(200, newest), (200, page), (200, page), (200, page)]);
    platform
        .wsk("activation poll x -e 1")
        .printed("Enter Ctrl-c to exit.\nPolling for activation logs\n\nActivation: 'x' (NEW)\n[\n    \"a line\"\n]\n");
    let requests = platform.requests();
    assert_eq!(
        requests[0],
        "GET /api/v1/namespaces/_/activations?docs=true&limit=1&skip=0"
    );
    assert_eq!(
        requests[1],
        "GET /api/v1/namespaces/_/activations?docs=true&limit=0&name=x&since=42&skip=0"
    );
}

#[test]
fn cancelling() {
    let ended = r#"{"error":"The activation has already ended (success) and cannot be cancelled.","code":"T"}"#;
    let platform = Platform::answering([(200, FAILED), (202, r#"{"state":"cancelling"}"#), (409, ended), MISSING]);
    platform
        .wsk("activation cancel ID")
        .printed("ok: cancelled activation ID\n");
    platform
        .wsk("activation cancel ID")
        .printed("ok: activation ID is being cancelled\n");
    let text = "error: Unable to cancel activation 'ID': The activation has already ended (success) and cannot be cancelled. (code T)\n";
    platform.wsk("activation cancel ID").failed(153, text);
    let missing = "error: Unable to cancel activation 'ID': The requested resource does not exist. (code T)\n";
    platform.wsk("activation cancel ID").failed(148, missing);
    assert_eq!(platform.requests()[0], "DELETE /api/v1/namespaces/_/activations/ID");
    let required = format!("error: Invalid argument(s). An activation ID is required.\n{USAGE}");
    platform.wsk("activation cancel").failed(1, &required);
}

#[test]
fn following_a_platform_that_cannot_gives_the_record() {
    let logs = r#"{"logs":["2020-01-01T00:01:00.123Z stdout: one","two"]}"#;
    let platform = Platform::answering([(200, logs), MISSING]);
    platform.wsk("activation logs ID --follow -r").printed("one\ntwo\n");
    assert_eq!(
        platform.requests(),
        ["GET /api/v1/namespaces/_/activations/ID/logs?follow=true"]
    );
    let missing = "error: Unable to get logs for activation 'nope': The requested resource does not exist. (code T)\n";
    platform.wsk("activation logs nope --follow").failed(148, missing);
}
