use serde_json::json;

use super::super::reader::Role;
use super::super::values::key_values;
use super::*;

fn lookup(name: &str) -> Option<String> {
    (name == "TOKEN").then(|| "secret".to_owned())
}

fn parse(text: &str) -> Manifest {
    Manifest::parse(text, "manifest.yaml", Role::Manifest, &lookup).unwrap()
}

fn deployment(text: &str) -> Manifest {
    Manifest::parse(text, "deployment.yaml", Role::Deployment, &lookup).unwrap()
}

fn refusal(text: &str) -> String {
    match Manifest::parse(text, "manifest.yaml", Role::Manifest, &lookup) {
        Err(Failure::Said { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

const WHOLE: &str = "
project:
  name: MyProj
  namespace: ns
  inputs: {shared: project, own: project}
packages:
  demo:
    version: 1.0
    license: Apache-2.0
    public: true
    inputs:
      own: package
      token: $TOKEN
    annotations: {k: v}
    dependencies:
      utils: {location: /whisk.system/utils, inputs: {p: 1}}
    actions:
      hello:
        function: src/hello.js
        web: true
        limits: {timeout: 1000, memorySize: 128}
        inputs: {name: {type: string, required: true, value: me}}
        conductor: true
      inline:
        code: |
          function main() {}
        runtime: nodejs:20
    sequences:
      seq: {actions: 'hello, inline , /whisk.system/utils/echo', web: raw}
    triggers:
      tr: {source: /whisk.system/alarms/alarm, inputs: {cron: '* * * * *'}}
    rules:
      ru: {trigger: tr, action: hello}
    apis:
      my-api:
        hello:
          world/{id}:
            hello: {method: get, response: json}
          plain:
            hello: POST
";

#[test]
fn everything_that_can_be_said() {
    let manifest = parse(WHOLE);
    assert_eq!(
        (manifest.name.as_deref(), manifest.namespace.as_deref()),
        (Some("MyProj"), Some("ns"))
    );
    let package = &manifest.packages[0];
    assert!(package.public);
    let inputs = key_values(&package.inputs);
    let expected = [("shared", "project"), ("own", "package"), ("token", "secret")];
    assert_eq!(inputs, expected.map(|(key, value)| json!({"key": key, "value": value})));
    assert_eq!(package.dependencies[0].location, "/whisk.system/utils");
    let [hello, inline] = &package.actions[..] else {
        panic!()
    };
    assert_eq!(
        (hello.function.as_deref(), hello.web),
        (Some("src/hello.js"), Some(Web::Yes))
    );
    assert_eq!(hello.limits["memorySize"], 128);
    assert_eq!(hello.annotations, [json!({"key": "conductor", "value": true})]);
    assert_eq!(inline.code.as_deref(), Some("function main() {}\n"));
    assert_eq!(
        package.sequences[0].actions,
        ["hello", "inline", "/whisk.system/utils/echo"]
    );
    assert_eq!(package.sequences[0].web, Some(Web::Raw));
    assert_eq!(package.triggers[0].feed.as_deref(), Some("/whisk.system/alarms/alarm"));
    let apis: Vec<_> = package
        .apis
        .iter()
        .map(|a| (&*a.base, &*a.path, &*a.verb, &*a.response))
        .collect();
    assert_eq!(
        apis,
        [
            ("/hello", "/world/{id}", "GET", "http"),
            ("/hello", "/plain", "POST", "json")
        ]
    );
    manifest.check_required().unwrap();
}

#[test]
fn what_is_wrong_is_named() {
    for (text, expected) in [
        ("packages: [", "[ERROR_YAML_PARSER_ERROR]: File: [manifest.yaml]: "),
        ("nope: 1", "the manifest: the key 'nope' is not known here."),
        (
            "packages: {p: {actions: {a: {fun: x}}}}",
            "actions.a: the key 'fun' is not known here.",
        ),
        ("packages: {p: {actions: {a: {}}}}", "actions.a: 'function' is missing."),
        (
            "packages: {p: {actions: {a: {code: x}}}}",
            "actions.a: 'code' needs a 'runtime'.",
        ),
        (
            "packages: {p: {actions: []}}",
            "packages.p: 'actions' must be a mapping.",
        ),
        (
            "packages: {p: {rules: {r: {trigger: t}}}}",
            "rules.r: 'action' is missing.",
        ),
        (
            "packages: {p: {actions: {a: {function: x, web: maybe}}}}",
            "[ERROR_YAML_INVALID_WEB_EXPORT]: ",
        ),
        (
            "packages: {p: {apis: {n: {b: {r: {a: {method: fetch}}}}}}}",
            "[ERROR_YAML_INVALID_API_GATEWAY_METHOD]: ",
        ),
    ] {
        let message = refusal(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn a_deployment_file_and_the_command_line_come_first() {
    let mut manifest = parse(WHOLE);
    let over = "project: {name: MyProj, credential: u:k}\npackages: {demo: {inputs: {own: over}, actions: {hello: \
                {inputs: {name: you}, annotations: {a: 1}}}, triggers: {tr: {inputs: {cron: never}}}, rules: {ru: {}}}, other: {}}";
    manifest.overlay(deployment(over), "m", "d").unwrap();
    manifest.set_inputs(json!({"shared": 5}).as_object().unwrap());
    assert_eq!(manifest.credential.as_deref(), Some("u:k"));
    assert_eq!(manifest.packages.len(), 1, "a deployment file adds nothing");
    let package = &manifest.packages[0];
    let value = |inputs: &[Input], name: &str| inputs.iter().find(|i| i.name == name).unwrap().value.clone().unwrap();
    assert_eq!(value(&package.inputs, "own"), "over");
    assert_eq!(value(&package.inputs, "shared"), 5);
    assert_eq!(value(&package.actions[0].inputs, "name"), "you");
    assert_eq!(package.actions[0].function.as_deref(), Some("src/hello.js"));
    assert_eq!(package.actions[0].annotations.len(), 2);
    assert_eq!(value(&package.triggers[0].inputs, "cron"), "never");
    let other = deployment("project: {name: Other}\npackages: {}");
    let Err(Failure::Said { message, .. }) = manifest.overlay(other, "m", "d") else {
        panic!()
    };
    assert!(
        message.starts_with("[ERROR_YAML_FILE_FORMAT_ERROR]: File: [d]: The name of the project"),
        "{message}"
    );
}

#[test]
fn required_inputs_need_a_value() {
    let text = "packages: {p: {actions: {a: {function: x, inputs: {i: {type: string, required: true}}}}}}";
    let Err(Failure::Said { message, .. }) = parse(text).check_required() else {
        panic!()
    };
    assert!(
        message.contains("Required inputs are missing values even after applying interpolation"),
        "{message}"
    );
}
