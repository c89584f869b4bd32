//! `wsk trigger` and the feed protocol.

use crate::platform::{AUTH, MISSING, Platform};

const PLAIN: &str = r#"{"namespace":"guest","name":"t","annotations":[],"parameters":[],"limits":{},"rules":{}}"#;
const FED: &str = r#"{"namespace":"guest","name":"t","annotations":[{"key":"feed","value":"/_/echo"}]}"#;
const DONE: &str = r#"{"activationId":"ID","response":{"status":"success","success":true}}"#;
const RECORD: &str = "ok: invoked /_/echo with id ID\n{\n    \"activationId\": \"ID\",\n    \"response\": {\n        \"status\": \
     \"success\",\n        \"success\": true\n    }\n}\n";

fn feed_call(event: &str, parameters: &str) -> String {
    format!(
        "POST /api/v1/namespaces/_/actions/echo?blocking=true&result=false \
         {{{parameters}\"lifecycleEvent\":\"{event}\",\"triggerName\":\"/_/t\",\"authKey\":\"{AUTH}\"}}"
    )
}

#[test]
fn without_a_feed() {
    let platform = Platform::answering([
        (200, PLAIN),
        (200, PLAIN),
        (200, PLAIN),
        (200, PLAIN),
        (200, PLAIN),
        (200, "{}"),
    ]);
    platform
        .wsk("trigger create t -p a 1 -a b 2")
        .printed("ok: created trigger t\n");
    platform
        .wsk("trigger update t -p a 2")
        .printed("ok: updated trigger t\n");
    platform
        .wsk("trigger get t")
        .printed("ok: got trigger t\n{\n    \"namespace\": \"guest\",\n    \"name\": \"t\",\n    \"limits\": {}\n}\n");
    platform.wsk("trigger delete t").printed("ok: deleted trigger t\n");
    let base = "/api/v1/namespaces/_/triggers/t";
    assert_eq!(
        platform.requests(),
        [
            format!(
                r#"PUT {base}?overwrite=false {{"name":"t","annotations":[{{"key":"b","value":2}}],"parameters":[{{"key":"a","value":1}}]}}"#
            ),
            format!("GET {base}"),
            format!(r#"PUT {base}?overwrite=true {{"name":"t","parameters":[{{"key":"a","value":2}}]}}"#),
            format!("GET {base}"),
            format!("GET {base}"),
            format!("DELETE {base}"),
        ]
    );
}

#[test]
fn updating_what_is_not_there_creates_it() {
    let platform = Platform::answering([MISSING, (200, PLAIN)]);
    platform.wsk("trigger update t").printed("ok: created trigger t\n");
    assert_eq!(
        platform.requests()[1],
        r#"PUT /api/v1/namespaces/_/triggers/t?overwrite=false {"name":"t"}"#
    );
}

#[test]
fn fire() {
    let platform = Platform::answering([(202, r#"{"activationId":"ID"}"#), (204, "")]);
    platform
        .wsk("trigger fire t -p a 1")
        .printed("ok: triggered /_/t with id ID\n");
    platform
        .wsk("trigger fire /guest/t")
        .printed("ok: triggered /guest/t with id \n");
    assert_eq!(
        platform.requests()[0],
        r#"POST /api/v1/namespaces/_/triggers/t {"a":1}"#
    );
}

#[test]
fn a_feed_takes_the_parameters() {
    let platform = Platform::answering([(200, FED), (200, DONE)]);
    platform
        .wsk("trigger create t --feed echo -p a 1")
        .printed(&format!("{RECORD}ok: created trigger t\n"));
    assert_eq!(
        platform.requests(),
        [
            r#"PUT /api/v1/namespaces/_/triggers/t?overwrite=false {"name":"t","annotations":[{"key":"feed","value":"/_/echo"}]}"#.to_owned(),
            feed_call("CREATE", r#""a":1,"#),
        ]
    );
}

#[test]
fn a_feed_follows_the_life_of_its_trigger() {
    let platform = Platform::answering([
        (200, FED),
        (200, DONE),
        (200, FED),
        (200, DONE),
        (200, FED),
        (200, DONE),
        (200, "{}"),
    ]);
    platform.wsk("trigger get t -s").printed(RECORD);
    platform
        .wsk("trigger update t -p a 1")
        .printed(&format!("{RECORD}ok: updated trigger t\n"));
    platform
        .wsk("trigger delete t")
        .printed(&format!("{RECORD}ok: deleted trigger t\n"));
    let get = "GET /api/v1/namespaces/_/triggers/t".to_owned();
    assert_eq!(
        platform.requests(),
        [
            get.clone(),
            feed_call("READ", ""),
            get.clone(),
            feed_call("UPDATE", r#""a":1,"#),
            get,
            feed_call("DELETE", ""),
            "DELETE /api/v1/namespaces/_/triggers/t".to_owned(),
        ]
    );
}

#[test]
fn a_feed_that_is_missing_takes_the_trigger_back() {
    let platform = Platform::answering([(200, FED), MISSING, (200, FED), MISSING, (200, "{}")]);
    let run = platform.wsk("trigger create t --feed echo -p a 1");
    assert_eq!((run.code, run.out.as_str()), (148, "ok: deleted trigger t\n"));
    let last = run.err.lines().last().unwrap();
    assert!(
        last.starts_with("error: Unable to create trigger 't': Unable to configure feed '/_/echo': "),
        "{}",
        run.err
    );
    assert_eq!(platform.requests()[3], feed_call("DELETE", r#""a":1,"#));
}

#[test]
fn a_feed_that_fails_says_so_in_its_record() {
    let failed = r#"{"activationId":"ID","response":{"status":"application error","success":false}}"#;
    let platform = Platform::answering([(200, FED), (502, failed), (200, FED), (502, failed), (200, "{}")]);
    let run = platform.wsk("trigger create t --feed echo");
    assert_eq!((run.code, run.out.as_str()), (246, "ok: deleted trigger t\n"));
    assert!(
        run.err.starts_with("ok: invoked /_/echo with id ID\n{\n"),
        "{}",
        run.err
    );
}

#[test]
fn splitting_parameters_by_hand() {
    let platform = Platform::answering([
        (200, FED),
        (200, DONE),
        (200, FED),
        (200, FED),
        (200, PLAIN),
        (200, PLAIN),
    ]);
    platform
        .wsk("trigger create t --feed echo -F a 1 -T b 2")
        .printed(&format!("{RECORD}ok: created trigger t\n"));
    platform
        .wsk("trigger update t -T b 3")
        .printed("ok: updated trigger t\n");
    platform.wsk("trigger update t -F a 1").failed(
        1,
        "error: Unable to configure feed 't': this trigger does not contain a feed\n",
    );
    let requests = platform.requests();
    assert!(
        requests[0]
            .ends_with(r#""annotations":[{"key":"feed","value":"/_/echo"}],"parameters":[{"key":"b","value":2}]}"#)
    );
    assert_eq!(requests[1], feed_call("CREATE", r#""a":1,"#));
    assert!(
        requests[3].ends_with(r#"{"name":"t","parameters":[{"key":"b","value":3}]}"#),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 6, "an update without -F does not call the feed");

    let mixed = "error: Incorrect usage. Cannot combine --feed-param or --trigger-param flag with neither --param nor --param-file flag\n";
    platform
        .wsk("trigger create t --feed echo -F a 1 -p b 2")
        .failed(149, mixed);
    let without = "error: Incorrect usage. Trigger without a feed cannot have feed parameters\n";
    platform.wsk("trigger create t -F a 1").failed(149, without);
}
