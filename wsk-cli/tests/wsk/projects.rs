//! `wsk project`.

use crate::platform::{AUTH, MISSING, Platform};

const INFORMATION: &str = r#"{"runtimes":{"nodejs":[{"kind":"nodejs:20","default":true,"deprecated":false}]}}"#;
const CONFLICT: (u16, &str) = (
    409,
    r#"{"error":"Concurrent modification to resource detected.","code":"T"}"#,
);
const MANIFEST: &str = "
packages:
  demo:
    inputs: {p: $VALUE}
    actions: {hello: {function: hello.js, web: yes}}
    sequences: {seq: {actions: 'hello, hello'}}
    triggers: {tr: {feed: /_/feed, inputs: {cron: x}}}
    rules: {ru: {trigger: tr, action: hello}}
";
const ACTIONS: &str = "/api/v1/namespaces/_/actions";

fn project(replies: &[(u16, &'static str)]) -> Platform {
    let platform = Platform::answering(replies.iter().copied());
    platform.file("manifest.yaml", MANIFEST);
    platform.file("hello.js", "code");
    platform
}

fn feed(event: &str, parameters: &str) -> String {
    format!(
        "POST {ACTIONS}/feed?blocking=true&result=false \
         {{{parameters}\"lifecycleEvent\":\"{event}\",\"triggerName\":\"/_/tr\",\"authKey\":\"{AUTH}\"}}"
    )
}

#[test]
fn deploy_writes_what_others_need_first() {
    let done = r#"{"activationId":"ID","response":{"status":"success","success":true,"result":{}}}"#;
    let platform = project(&[
        (200, INFORMATION),
        CONFLICT,
        (200, "{}"),
        (200, "{}"),
        (200, "{}"),
        MISSING,
        (200, "{}"),
        (200, done),
        (200, "{}"),
        (200, "{}"),
    ]);
    let run = platform.run(["project", "deploy"], &[("VALUE", "v")]);
    run.printed("Success: Deployment completed successfully.\n");
    let base = "/api/v1/namespaces/_";
    let package = r#"{"publish":false,"parameters":[{"key":"p","value":"v"}]}"#;
    let web = r#"{"key":"web-export","value":true},{"key":"raw-http","value":false},{"key":"final","value":true}"#;
    let trigger = r#"{"publish":true,"annotations":[{"key":"feed","value":"/_/feed"}]}"#;
    let rule = r#"{"publish":false,"name":"ru","status":"","trigger":"/_/tr","action":"/_/demo/hello"}"#;
    assert_eq!(
        platform.requests(),
        [
            "GET /".to_owned(),
            format!("PUT {base}/packages/demo?overwrite=true {package}"),
            format!("PUT {base}/packages/demo?overwrite=true {package}"),
            format!(
                r#"PUT {ACTIONS}/demo/hello?overwrite=true {{"publish":false,"annotations":[{web}],"exec":{{"kind":"nodejs:default","code":"code"}}}}"#
            ),
            format!(
                r#"PUT {ACTIONS}/demo/seq?overwrite=true {{"publish":false,"exec":{{"kind":"sequence","components":["/_/demo/hello","/_/demo/hello"]}}}}"#
            ),
            format!("GET {base}/triggers/tr"),
            format!("PUT {base}/triggers/tr?overwrite=true {trigger}"),
            feed("CREATE", "\"cron\":\"x\","),
            format!("PUT {base}/rules/ru?overwrite=true {rule}"),
            format!(r#"POST {base}/rules/ru {{"status":"active","trigger":null,"action":null}}"#),
        ]
    );
}

#[test]
fn a_failure_in_the_middle_says_so_and_what_it_was() {
    let platform = project(&[(200, INFORMATION), (403, r#"{"error":"no","code":"T"}"#)]);
    let text = "Error: Deployment did not complete successfully. Run `wskdeploy undeploy` to remove partially deployed \
                assets.\n[ERROR_WHISK_CLIENT_ERROR]: Unable to create package 'demo': no (code T)\n";
    platform.wsk("project deploy").failed(1, text);
    // What cannot be read is found out before anything is written.
    let platform = project(&[(200, INFORMATION)]);
    std::fs::remove_file(platform.path("hello.js")).unwrap();
    let run = platform.wsk("project deploy");
    assert!(
        run.code == 1 && run.err.contains("[ERROR_FILE_READ_ERROR]: File: [./hello.js]"),
        "{run:?}"
    );
    assert_eq!(platform.requests(), ["GET /"]);
}

#[test]
fn undeploy_takes_away_what_is_there() {
    let fed = r#"{"name":"tr","annotations":[{"key":"feed","value":"/_/feed"}]}"#;
    let platform = project(&[
        MISSING,
        (200, fed),
        (200, fed),
        (
            502,
            r#"{"activationId":"ID","response":{"status":"application error","result":{"error":"x"}}}"#,
        ),
        (200, "{}"),
        MISSING,
        (200, "{}"),
        (200, "{}"),
        MISSING,
    ]);
    platform
        .wsk("project undeploy")
        .printed("Success: Undeployment completed successfully.\n");
    let base = "/api/v1/namespaces/_";
    assert_eq!(
        platform.requests(),
        [
            format!("GET {base}/rules/ru"),
            format!("GET {base}/triggers/tr"),
            format!("GET {base}/triggers/tr"),
            feed("DELETE", ""),
            format!("DELETE {base}/triggers/tr"),
            format!("GET {ACTIONS}/demo/seq?code=false"),
            format!("GET {ACTIONS}/demo/hello?code=false"),
            format!("DELETE {ACTIONS}/demo/hello"),
            format!("GET {base}/packages/demo"),
        ]
    );
}

#[test]
fn undeploy_says_which_routes_stay() {
    const GONE: (u16, &str) = (502, r#"{"error":"API deletion failure: API '/b' does not exist."}"#);
    let refused = (
        502,
        r#"{"error":"API deletion failure: Unable to delete the API Gateway (status code 503): away"}"#,
    );
    let platform = Platform::answering([GONE, (200, "{}"), MISSING, GONE, refused, (200, "{}"), (200, "{}")]);
    let routes = "
packages:
  default:
    actions: {hello: {function: hello.js, web: yes}}
    apis: {club: {b: {one: {hello: {method: get}}, two: {hello: {method: get}}}}}
";
    platform.file("manifest.yaml", routes);
    platform.file("hello.js", "code");
    platform
        .wsk("project undeploy")
        .printed("Success: Undeployment completed successfully.\n");
    platform.requests();
    let text = "Error: Undeployment did not complete successfully.\n[ERROR_WHISK_CLIENT_ERROR]: Unable to delete API \
                [GET /b/two]: API deletion failure: Unable to delete the API Gateway (status code 503): away\n";
    platform.wsk("project undeploy").failed(1, text);
    let requests = platform.requests();
    let last = format!("DELETE {ACTIONS}/hello");
    assert_eq!(requests.last(), Some(&last), "the rest is removed: {requests:?}");
}

#[test]
fn the_api_of_a_file_comes_and_goes_as_a_whole() {
    let description = r#"{"swagger":"2.0","info":{"title":"Club"},"basePath":"/club","paths":{"/a":{}}}"#;
    let platform = Platform::answering([(200, INFORMATION), (200, "{}"), (200, "{}")]);
    platform.file("manifest.yaml", "project: {name: P, config: api.json}\n");
    platform.file("api.json", description);
    platform
        .wsk("project deploy")
        .printed("Success: Deployment completed successfully.\n");
    platform.wsk("project undeploy -v").printed(
        "Info: api [/club] has been successfully undeployed.\nSuccess: Undeployment completed successfully.\n",
    );
    let tenant = AUTH.split(':').next().unwrap();
    let (apimgmt, quoted) = ("/api/v1/web/whisk.system/apimgmt", description.replace('"', "\\\""));
    assert_eq!(
        platform.requests(),
        [
            "GET /".to_owned(),
            format!(
                r#"POST {apimgmt}/createApi.http?accesstoken=DUMMY+TOKEN&spaceguid={tenant} {{"apidoc":{{"namespace":"_","swagger":"{quoted}"}}}}"#
            ),
            format!("DELETE {apimgmt}/deleteApi.http?accesstoken=DUMMY+TOKEN&basepath=%2Fclub&spaceguid={tenant}"),
        ]
    );
}

#[test]
fn a_file_of_an_api_that_is_not_there() {
    let missing = "Unable to parse swagger file: Error reading swagger file './api.json'";
    let manifest = "project: {name: P, config: api.json}\npackages: {demo: {}}\n";
    let platform = Platform::answering([(200, INFORMATION)]);
    platform.file("manifest.yaml", manifest);
    let run = platform.wsk("project deploy");
    assert!(run.code == 1 && run.err.contains(missing), "{run:?}");
    assert_eq!(platform.requests(), ["GET /"], "nothing is half deployed");

    let platform = Platform::answering([(200, "{}"), (200, "{}")]);
    platform.file("manifest.yaml", manifest);
    let run = platform.wsk("project undeploy");
    assert!(run.code == 1 && run.err.contains(missing), "{run:?}");
    let requests = platform.requests();
    assert_eq!(
        requests.last().map(String::as_str),
        Some("DELETE /api/v1/namespaces/_/packages/demo"),
        "the rest is removed: {requests:?}"
    );
}

#[test]
fn a_deployment_file_has_only_inputs_and_annotations() {
    let platform = Platform::answering([(200, INFORMATION), (200, "{}"), (200, "{}")]);
    platform.file(
        "manifest.yaml",
        "packages: {demo: {actions: {hello: {function: hello.js, inputs: {k: v}}}}}",
    );
    platform.file("hello.js", "code");
    platform.file(
        "deployment.yaml",
        "project: {packages: {demo: {actions: {hello: {inputs: {k: over}}}}}}",
    );
    platform
        .wsk("project deploy")
        .printed("Success: Deployment completed successfully.\n");
    let requests = platform.requests();
    let action = requests.last().unwrap();
    assert!(
        action.contains(r#""parameters":[{"key":"k","value":"over"}]"#),
        "{action}"
    );
}

#[test]
fn code_at_an_address_is_fetched_without_the_key() {
    let elsewhere = Platform::answering([(200, "code"), MISSING]);
    let platform = Platform::answering([(200, INFORMATION), (200, "{}"), (200, "{}"), (200, INFORMATION)]);
    let manifest = format!(
        "packages: {{demo: {{actions: {{hello: {{function: '{}/x/hello.js?raw=1'}}}}}}}}",
        elsewhere.address()
    );
    platform.file("manifest.yaml", &manifest);
    platform
        .wsk("project deploy")
        .printed("Success: Deployment completed successfully.\n");
    assert_eq!(elsewhere.requests(), ["GET /x/hello.js?raw=1"]);
    let headers = elsewhere.headers();
    assert!(
        !headers
            .iter()
            .any(|line| line.to_lowercase().starts_with("authorization")),
        "{headers:?}"
    );
    let requests = platform.requests();
    let put = requests.last().unwrap();
    assert!(
        put.contains(r#""exec":{"kind":"nodejs:default","code":"code"}"#),
        "{put}"
    );
    let run = platform.wsk("project deploy");
    let text = format!(
        "[ERROR_FILE_READ_ERROR]: Action [hello]: File: [{}/x/hello.js?raw=1]: ",
        elsewhere.address()
    );
    assert!(run.code == 1 && run.err.contains(&text), "{run:?}");
    assert_eq!(platform.requests(), ["GET /"], "nothing is half deployed");
}

#[test]
fn sync_removes_what_left_the_project() {
    let platform = Platform::answering([
        (200, INFORMATION),
        (200, "{}"),
        (200, "[]"),
        (200, "[]"),
        (
            200,
            r#"[{"namespace":"guest/demo","name":"old","annotations":[{"key":"whisk-managed","value":{"projectName":"P","projectHash":"h"}}]},
                {"namespace":"guest","name":"other","annotations":[{"key":"whisk-managed","value":{"projectName":"Q","projectHash":"h"}}]},
                {"namespace":"guest","name":"free","annotations":[]}]"#,
        ),
        (200, "{}"),
        (200, "[]"),
    ]);
    platform.file("manifest.yaml", "project: {name: P}\npackages: {demo: {}}\n");
    let run = platform.wsk("project sync -v");
    let told = "Warning: Deleting action [demo/old] which was removed from the current managed project [P] as part of \
                undeployment.\n";
    assert!(run.code == 0 && run.out.ends_with(told), "{run:?}");
    let requests = platform.requests();
    assert!(requests[1].contains(r#"{"key":"whisk-managed","value":{"file":"./manifest.yaml","projectDeps":[],"#));
    assert_eq!(requests[5], format!("DELETE {ACTIONS}/demo/old"));
    assert_eq!(requests.len(), 7);
}

#[test]
fn files_that_are_not_there() {
    let platform = Platform::answering([]);
    platform
        .wsk("project deploy")
        .printed("Manifest file not found at path [.].\nUsage:\n  wsk project deploy [flags]\n");
    platform.wsk("project deploy --manifest m.yaml").failed(
        1,
        "error: [ERROR_MANIFEST_FILE_NOT_FOUND]: File: [m.yaml]: Manifest file not found at path [m.yaml].\n",
    );
    platform.file("manifest.yaml", "packages: {p: {nope: 1}}");
    let text =
        "error: [ERROR_YAML_PARSER_ERROR]: File: [./manifest.yaml]: packages.p: the key 'nope' is not known here.\n";
    platform.wsk("project deploy").failed(1, text);
    assert!(platform.requests().is_empty());
}

#[test]
fn the_manifest_may_name_the_platform() {
    let platform = Platform::answering([(200, INFORMATION), (200, "{}")]);
    platform.file("props", "");
    platform.file("manifest.yaml", "packages: {demo: {}}");
    platform.wsk("project deploy").failed(
        1,
        "error: [ERROR_WHISK_CLIENT_INVALID_CONFIG]: The API host is not configured.\n",
    );
    let named = format!(
        "project: {{apiHost: '{}', credential: '{AUTH}', namespace: ns}}\npackages: {{demo: {{}}}}",
        platform.address()
    );
    platform.file("manifest.yaml", &named);
    platform
        .wsk("project deploy")
        .printed("Success: Deployment completed successfully.\n");
    assert!(platform.requests()[1].starts_with("PUT /api/v1/namespaces/ns/packages/demo?"));
}
