use serde_json::json;

use super::super::reader::Role;
use super::*;

fn manifest() -> Manifest {
    let text = "
packages:
  demo:
    inputs: {a: 1}
    annotations: {k: v}
    dependencies: {utils: {location: /whisk.system/utils, inputs: {p: x}}}
    actions:
      hello: {function: h.js, web: true, version: 1.2, inputs: {n: 5}, limits: {timeout: 100, memorySize: 128, codeSize: 1}}
      plain: {function: h.js}
    sequences: {seq: {actions: 'hello, other/x, /ns/p/y'}}
    triggers: {bare: {inputs: {t: 1}}, fed: {feed: alarm, inputs: {cron: x}}}
    rules: {r: {trigger: bare, action: hello}}
    apis: {my-api: {base: {'rel/{id}': {plain: {method: GET}}}}}
  default:
    actions: {loose: {function: h.js, web: raw}}
    rules: {d: {trigger: /ns/t, action: loose}}
";
    Manifest::parse(text, "m", Role::Manifest, &|_| None).unwrap()
}

#[test]
fn packages_and_bindings() {
    let manifest = manifest();
    let demo = &manifest.packages[0];
    let expected = json!({"publish": false, "annotations": [{"key": "k", "value": "v"}], "parameters": [{"key": "a", "value": 1}]});
    assert_eq!((&*package(demo).name, package(demo).body), ("demo", expected));
    let bound = dependency(&demo.dependencies[0]).unwrap();
    assert_eq!(
        bound.body["binding"],
        json!({"namespace": "whisk.system", "name": "utils"})
    );
    assert_eq!(bound.body["parameters"], json!([{"key": "p", "value": "x"}]));
    let elsewhere = Dependency {
        label: "l".into(),
        location: "github.com/org/repo".into(),
        ..Dependency::default()
    };
    assert!(dependency(&elsewhere).is_err());
}

#[test]
fn actions_and_sequences() {
    let manifest = manifest();
    let demo = &manifest.packages[0];
    let put = action(demo, &demo.actions[0], json!({"kind": "nodejs:default"}), None);
    let expected = json!({
        "publish": false,
        "annotations": [{"key": "web-export", "value": true}, {"key": "raw-http", "value": false}, {"key": "final", "value": true}],
        "parameters": [{"key": "n", "value": 5}],
        "exec": {"kind": "nodejs:default"},
        "limits": {"timeout": 100, "memory": 128},
        "version": "1.2",
    });
    assert_eq!((&*put.name, put.body), ("demo/hello", expected));
    let put = sequence("_", demo, &demo.sequences[0], None);
    let components = json!(["/_/demo/hello", "/_/other/x", "/ns/p/y"]);
    assert_eq!(put.body["exec"], json!({"kind": "sequence", "components": components}));
    let loose = &manifest.packages[1];
    assert_eq!(action(loose, &loose.actions[0], json!({}), None).name, "loose");
}

#[test]
fn triggers_and_rules() {
    let manifest = manifest();
    let demo = &manifest.packages[0];
    let bare = json!({"publish": false, "parameters": [{"key": "t", "value": 1}]});
    assert_eq!(trigger("_", &demo.triggers[0]).body, bare);
    let fed = json!({"publish": true, "annotations": [{"key": "feed", "value": "/_/alarm"}]});
    assert_eq!(trigger("_", &demo.triggers[1]).body, fed, "its inputs are the feed's");
    let expected =
        json!({"publish": false, "name": "r", "status": "", "trigger": "/_/bare", "action": "/_/demo/hello"});
    assert_eq!(rule("_", demo, &demo.rules[0]).body, expected);
    let loose = &manifest.packages[1];
    let put = rule("_", loose, &loose.rules[0]);
    assert_eq!(
        (&put.body["trigger"], &put.body["action"]),
        (&json!("/ns/t"), &json!("/_/loose"))
    );
}

#[test]
fn what_an_api_uses_is_exported_unless_that_must_be_said() {
    let manifest = manifest();
    let demo = &manifest.packages[0];
    assert_eq!(web_for_apis(demo, "plain", None, false).unwrap(), Some(Web::Yes));
    assert!(web_for_apis(demo, "plain", None, true).is_err());
    assert_eq!(web_for_apis(demo, "hello", Some(Web::Yes), true).unwrap(), None);
    assert_eq!(web_for_apis(demo, "other", None, true).unwrap(), None);
    let secret = json!(7);
    let backend = Backend {
        namespace: "_",
        origin: "https://h",
        auth: "u:k",
        secret: Some(&secret),
    };
    let body = api(demo, &demo.apis[0], &backend);
    let document = &body["apidoc"];
    assert_eq!(document["id"], "API:_:/base");
    assert_eq!(document["gatewayPath"], "/rel/{id}");
    assert_eq!(
        document["action"]["backendUrl"],
        "https://h/api/v1/web/_/demo/plain.http"
    );
    assert_eq!(document["action"]["secureKey"], 7);
    assert_eq!(document["pathParameters"][0]["name"], "id");
}

#[test]
fn a_mark_replaces_another() {
    let mut marked = put("x".into(), body(false, &[json!({"key": MANAGED, "value": 1})], None));
    mark(&mut marked, Some(&json!({"projectName": "p"})));
    assert_eq!(project_of(&marked.body), Some(&json!({"projectName": "p"})));
    assert_eq!(marked.body["annotations"].as_array().unwrap().len(), 1);
}
