//! `wsk rule`.

use crate::platform::{MISSING, Platform, USAGE};

const RULE: &str = r#"{"namespace":"guest","name":"r","version":"0.0.1","status":"active","annotations":[],
    "trigger":{"path":"guest","name":"t"},"action":{"path":"guest","name":"a"},"publish":false}"#;

#[test]
fn create_and_update() {
    let platform = Platform::answering([(200, RULE), (200, RULE)]);
    platform.wsk("rule create r t pkg/a").printed("ok: created rule r\n");
    platform
        .wsk("rule update /ns/r /ns/t a")
        .printed("ok: updated rule r\n");
    assert_eq!(
        platform.requests(),
        [
            r#"PUT /api/v1/namespaces/_/rules/r?overwrite=false {"name":"r","status":"","trigger":"/_/t","action":"/_/pkg/a"}"#,
            r#"PUT /api/v1/namespaces/ns/rules/r?overwrite=true {"name":"r","status":"","trigger":"/ns/t","action":"/_/a"}"#
        ]
    );
    let text = format!("error: Invalid argument(s). A rule, trigger and action name are required.\n{USAGE}");
    platform.wsk("rule create r t").failed(1, &text);
}

#[test]
fn switching_and_status() {
    let platform = Platform::answering([(200, "OK"), (200, "OK"), (200, RULE), (200, "OK"), (200, RULE)]);
    platform.wsk("rule enable r").printed("ok: enabled rule r\n");
    platform.wsk("rule disable r").printed("ok: disabled rule r\n");
    platform.wsk("rule status r").printed("ok: rule r is active\n");
    platform.wsk("rule delete r --disable").printed("ok: deleted rule r\n");
    let post = |status: &str| {
        format!(r#"POST /api/v1/namespaces/_/rules/r {{"status":"{status}","trigger":null,"action":null}}"#)
    };
    assert_eq!(
        platform.requests(),
        [
            post("active"),
            post("inactive"),
            "GET /api/v1/namespaces/_/rules/r".to_owned(),
            post("inactive"),
            "DELETE /api/v1/namespaces/_/rules/r".to_owned(),
        ]
    );
}

#[test]
fn get() {
    let platform = Platform::answering([(200, RULE), (200, RULE), (200, RULE), MISSING, MISSING, MISSING]);
    let whole = platform.wsk("rule get r");
    assert!(
        whole
            .out
            .starts_with("ok: got rule r\n{\n    \"namespace\": \"guest\",\n"),
        "{}",
        whole.out
    );
    assert!(
        whole
            .out
            .contains("    \"trigger\": {\n        \"name\": \"t\",\n        \"path\": \"guest\"\n    },\n")
    );
    platform
        .wsk("rule get r STATUS")
        .printed("ok: got rule r, displaying field STATUS\n\"active\"\n");
    platform
        .wsk("rule get r -s")
        .printed("rule /guest/r\n   (status: active)\n");
    let text = |what: &str| format!("error: Unable to {what} 'x': The requested resource does not exist. (code T)\n");
    platform.wsk("rule get x").failed(148, &(text("get rule") + USAGE));
    platform
        .wsk("rule status x")
        .failed(148, &(text("get status of rule") + USAGE));
    platform.wsk("rule delete x").failed(148, &text("delete rule"));
}

#[test]
fn list_asks_for_each_status() {
    let page = r#"[{"namespace":"guest","name":"r"},{"namespace":"guest","name":"A"}]"#;
    let platform = Platform::answering([(200, page), (200, RULE), (200, r#"{"status":"inactive"}"#)]);
    let row = |name: &str, status: &str| format!("{:<70} {:<20} {status}\n", format!("/guest/{name}"), "private");
    platform
        .wsk("rule list -n")
        .printed(&format!("rules\n{}{}", row("A", "inactive"), row("r", "active")));
}
