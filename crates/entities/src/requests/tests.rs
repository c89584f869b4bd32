use super::*;
use crate::{ActionLimits, LimitBounds, Namespace, RuleStatus};

fn manifest() -> Manifest {
    Manifest::parse(
        r#"{"runtimes":{
            "nodejs":[{"kind":"nodejs:18","image":{"name":"n18"},"deprecated":true},
                      {"kind":"nodejs:20","image":{"name":"n20"},"default":true}],
            "java":[{"kind":"java:8","image":{"name":"j8"},"default":true,"requireMain":true}]}}"#,
    )
    .unwrap()
}

fn sized(json: &str) -> Result<PutBody, Error> {
    PutBody::read(&Json::parse(json).unwrap(), &manifest(), 1_048_576)
}

fn action(json: &str) -> Result<ActionPut, Error> {
    ActionPut::read(sized(json)?)
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result.unwrap_err() {
        Error::Malformed(text) => text,
        other => panic!("not a malformed body: {other:?}"),
    }
}

fn exec(json: &str) -> Result<Exec, Error> {
    action(&format!("{{\"exec\":{json}}}")).map(|put| put.exec.unwrap())
}

#[test]
fn a_bad_exec_says_what_is_wrong() {
    for (json, text) in [
        ("1", "JSON object expected"),
        ("{}", "'kind' must be a string defined in 'exec'"),
        (
            r#"{"kind":null,"code":"x"}"#,
            "'kind' must be a string defined in 'exec'",
        ),
        (
            r#"{"kind":"nodejs","code":"x"}"#,
            "The specified runtime 'nodejs' is not supported by this platform. Valid values are: 'nodejs:18', 'nodejs:20', 'java:8'.",
        ),
        (
            r#"{"kind":"nodejs:20"}"#,
            "'code' must be a string or attachment object defined in 'exec' for 'nodejs:20' actions",
        ),
        (
            r#"{"kind":"nodejs:20","code":null}"#,
            "Could not deserialize as attachment record: null",
        ),
        (
            r#"{"kind":"nodejs:20","code":[ ]}"#,
            "Could not deserialize as attachment record: []",
        ),
        (
            r#"{"kind":"nodejs:20","code":"x","main":{}}"#,
            "if defined, 'main' be a string in 'exec' for 'nodejs:20' actions",
        ),
        (
            r#"{"kind":"java:8","code":"x"}"#,
            "'main' must be a string defined in 'exec' for 'java:8' actions",
        ),
        (
            r#"{"kind":"blackbox"}"#,
            "'image' must be a string defined in 'exec' for 'blackbox' actions",
        ),
        (r#"{"kind":"blackbox","image":"A b"}"#, "could not parse image name"),
        (
            r#"{"kind":"sequence"}"#,
            "'components' must be defined for sequence kind",
        ),
        (
            r#"{"kind":"sequence","components":"x"}"#,
            "'components' must be an array",
        ),
        (
            r#"{"kind":"sequence","components":[1]}"#,
            "fully qualified name malformed",
        ),
        (
            r#"{"kind":"sequence","components":[""]}"#,
            "requirement failed: path undefined",
        ),
        (
            r#"{"kind":"sequence","components":["a"]}"#,
            "requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.",
        ),
    ] {
        assert_eq!(refusal(exec(json)), text, "{json}");
    }
    assert_eq!(refusal(sized("[]")), "Object expected in field 'exec'");
}

#[test]
fn kinds_are_resolved_and_code_is_judged() {
    let Exec::Code {
        kind,
        code,
        main,
        binary,
    } = exec(r#"{"kind":" NodeJS:default ","jar":" YWJjZA==\n","main":" "}"#).unwrap()
    else {
        panic!("a managed kind")
    };
    assert_eq!(&*kind, "nodejs:20");
    assert_eq!(code.inline().unwrap().as_ref(), " YWJjZA==\n");
    assert_eq!(main.as_deref(), Some(" "));
    assert!(binary);
    let Exec::Blackbox { code, binary, .. } = exec(r#"{"kind":"blackbox","image":"a/b","code":"  "}"#).unwrap() else {
        panic!("a blackbox")
    };
    assert!(code.is_none() && !binary, "blank code of a blackbox counts as none");
}

/// What a tree of JSON cannot hold, a client may still send.
#[test]
fn lone_surrogates_in_code_become_question_marks() {
    let exec = exec(r#"{"kind":"nodejs:20","code":"'\ud83d'"}"#).unwrap();
    assert_eq!(exec.code().unwrap().inline().unwrap().as_ref(), "'?'");
}

#[test]
fn components_take_the_namespace_of_the_caller() {
    let put = action(
        r#"{"exec":{"kind":"sequence","components":["_/a","/whisk.system/utils/echo",{"path":"_/p","name":"b"}]}}"#,
    );
    let Some(Exec::Sequence { components }) = put.unwrap().resolved(&Namespace::new("guest").unwrap()).exec else {
        panic!("a sequence")
    };
    let names: Vec<String> = components.iter().map(crate::FullName::slashed).collect();
    assert_eq!(names, ["/guest/a", "/whisk.system/utils/echo", "/guest/p/b"]);
}

#[test]
fn parameters_and_annotations_are_arrays_of_key_and_value() {
    for bad in [
        r#"{"a":1}"#,
        r#""x""#,
        r#"[{"key":"a"}]"#,
        r#"[{"value":1}]"#,
        r#"[{"key":1,"value":1}]"#,
        r#"[null]"#,
        r#"["a"]"#,
        r#"[["a",1]]"#,
        r#"[{"key":"a","value":1,"init":null}]"#,
        r#"[{"key":"a","value":1,"init":"true"}]"#,
    ] {
        for field in ["parameters", "annotations"] {
            assert_eq!(
                refusal(sized(&format!("{{\"{field}\":{bad}}}"))),
                "parameters malformed!",
                "{bad}"
            );
        }
    }
    let put =
        action(r#"{"parameters":[{"key":"a","value":1},{"key":"a","value":null,"x":1}],"annotations":null}"#).unwrap();
    assert!(
        put.parameters.unwrap().get("a").unwrap().is_null(),
        "the last of a repeated key counts"
    );
    assert!(put.annotations.is_none());
}

#[test]
fn sizes_are_judged_before_the_rest() {
    let big = "x".repeat(1_048_576 - 2);
    let error = sized(&format!(
        r#"{{"publish":"bad","parameters":[{{"key":"a","value":"{big}"}}]}}"#
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "parameters larger than allowed: 1048577 > 1048576 bytes."
    );
    let fits = &big[1..];
    assert!(sized(&format!(r#"{{"annotations":[{{"key":"a","value":"{fits}"}}]}}"#)).is_ok());
}

#[test]
fn scalars_are_not_converted() {
    assert_eq!(refusal(action(r#"{"publish":1}"#)), "Expected JsBoolean, but got 1");
    assert_eq!(
        refusal(action(r#"{"publish":"x"}"#)),
        "Expected JsBoolean, but got \"x\""
    );
    for version in [
        "1",
        "\"\"",
        "\"a\"",
        "\"0.0.0\"",
        "\"-1.0.0\"",
        "\" 1.0.0\"",
        "\"99999999999.0.0\"",
    ] {
        assert_eq!(
            refusal(action(&format!("{{\"version\":{version}}}"))),
            "semantic version malformed",
            "{version}"
        );
    }
    assert_eq!(
        action(r#"{"version":"01.2.3.4"}"#)
            .unwrap()
            .version
            .unwrap()
            .to_string(),
        "1.2.3"
    );
    assert_eq!(
        refusal(action(r#"{"delAnnotations":"x"}"#)),
        "Expected Array as JsArray, but got \"x\""
    );
}

#[test]
fn limits_are_read_first_and_judged_after() {
    let limits = |json: &str| action(&format!("{{\"limits\":{json}}}")).map(|put| put.limits.unwrap());
    for (json, text) in [
        ("1", "Object expected in field 'timeout'"),
        (
            r#"{"timeout":1.5}"#,
            "requirement failed: time limit must be whole number",
        ),
        (r#"{"timeout":[]}"#, "time limit malformed"),
        (r#"{"memory":"256"}"#, "memory limit malformed"),
        (r#"{"logs":1.5}"#, "requirement failed: log limit must be whole number"),
        (
            r#"{"concurrency":1.5}"#,
            "requirement failed: intra concurrency limit must be whole number",
        ),
        (r#"{"concurrency":"1"}"#, "concurrency limit malformed"),
        (r#"{"instances":"1"}"#, "instance concurrency limit malformed"),
        (
            r#"{"instances":-1}"#,
            "requirement failed: Action container concurrency must be greater than or equal to 0.",
        ),
    ] {
        assert_eq!(refusal(limits(json)), text, "{json}");
    }
    for (json, text) in [
        (
            r#"{"timeout":99}"#,
            "duration 99 milliseconds below allowed threshold of 100 milliseconds",
        ),
        (
            r#"{"timeout":2147483648}"#,
            "duration 2147483648 milliseconds exceeds allowed threshold of 300000 milliseconds",
        ),
        (
            r#"{"timeout":1,"memory":1}"#,
            "memory size 1 MB below allowed threshold of 128 MB",
        ),
        (r#"{"logs":11}"#, "log size 11 MB exceeds allowed threshold of 10 MB"),
        (r#"{"concurrency":2}"#, "concurrency 2 exceeds allowed threshold of 1"),
    ] {
        let error = limits(json).unwrap().check(&LimitBounds::default()).unwrap_err();
        assert_eq!(error, Error::Rejected(format!("requirement failed: {text}")), "{json}");
    }
    let given = limits(r#"{"memory":512,"timeout":null,"instances":3}"#).unwrap();
    given.check(&LimitBounds::default()).unwrap();
    let merged = given.over(ActionLimits {
        timeout: 5_000,
        ..ActionLimits::default()
    });
    assert_eq!(
        merged,
        ActionLimits {
            timeout: 5_000,
            memory: 512,
            instances: Some(3),
            ..ActionLimits::default()
        }
    );
}

#[test]
fn bindings_are_whole_or_not_there() {
    let guest = Namespace::new("guest").unwrap();
    let package = |json: &str| PackagePut::read(sized(json)?, &guest);
    for (json, text) in [
        (r#"{"binding":"x"}"#, "Object expected in field 'namespace'"),
        (
            r#"{"binding":{"name":"p"}}"#,
            "Object is missing required member 'namespace'",
        ),
        (
            r#"{"binding":{"namespace":"_"}}"#,
            "Object is missing required member 'name'",
        ),
        (r#"{"binding":{"namespace":"_","name":"a#b"}}"#, "entity name malformed"),
        (
            r#"{"exec":{"kind":"x"}}"#,
            "The specified runtime 'x' is not supported by this platform. Valid values are: 'nodejs:18', 'nodejs:20', 'java:8'.",
        ),
    ] {
        assert_eq!(refusal(package(json)), text, "{json}");
    }
    assert!(package(r#"{"binding":{}}"#).unwrap().binding.is_none());
    let binding = package(r#"{"binding":{"namespace":"_","name":"p","x":1}}"#)
        .unwrap()
        .binding
        .unwrap();
    assert_eq!(binding.full_name().to_string(), "guest/p");
}

#[test]
fn triggers_and_rules() {
    assert_eq!(
        refusal(TriggerPut::read(sized(r#"{"limits":"x"}"#).unwrap())),
        "Object expected"
    );
    TriggerPut::read(sized(r#"{"limits":{"timeout":1},"rules":{"x":1}}"#).unwrap()).unwrap();
    let guest = Namespace::new("guest").unwrap();
    let rule = |json: &str| RulePut::read(sized(json).unwrap(), &guest);
    assert_eq!(refusal(rule(r#"{"trigger":1}"#)), "fully qualified name malformed");
    assert_eq!(
        refusal(rule(r#"{"trigger":{"name":"t"}}"#)),
        "fully qualified name malformed"
    );
    let put = rule(r#"{"trigger":"/_/t","action":{"path":"_/p","name":"a"},"status":"inactive"}"#).unwrap();
    assert_eq!(put.trigger.unwrap().to_string(), "guest/t");
    assert_eq!(put.action.unwrap().to_string(), "guest/p/a");
}

#[test]
fn a_status_is_one_of_two_words() {
    let status = |json: &str| read_rule_status(&Json::parse(json).unwrap());
    assert_eq!(
        status(r#"{"status":"inactive","trigger":null}"#),
        Ok(RuleStatus::Inactive)
    );
    assert_eq!(refusal(status("{}")), "key not found: status");
    assert_eq!(
        refusal(status(r#"{"status":"ACTIVE"}"#)),
        "requirement failed: ACTIVE is not a recognized rule state"
    );
}
