use std::collections::BTreeSet;

use super::*;

const OPENAPI: &str = include_str!("../../../openapi/openapi.json");
const UPSTREAM: &str = include_str!("../../../openapi/upstream.json");
const DIFFERENCES: &str = include_str!("../../../openapi/differences.txt");

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .map(|o| o.keys().cloned().collect())
        .unwrap_or_default()
}

/// Writes the kept file anew when asked to, so that a change is one command and one review.
fn kept(name: &str, kept: &str, made: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("openapi")
            .join(name);
        std::fs::write(path, made).unwrap();
        return;
    }
    assert_eq!(
        kept, made,
        "openapi/{name} is not what is served; run the test with UPDATE_GOLDEN=1 and review the change"
    );
}

#[test]
fn the_kept_description_is_the_served_one() {
    let made = serde_json::to_string_pretty(&render(Dialect::OpenApi3)).unwrap();
    kept("openapi.json", OPENAPI, &format!("{made}\n"));
}

#[test]
fn old_clients_find_the_paths_and_definitions_they_know() {
    let upstream: Value = serde_json::from_str(UPSTREAM).unwrap();
    let ours = render(Dialect::Swagger2);
    assert_eq!(keys(&ours["definitions"]), keys(&upstream["definitions"]));
    assert_eq!(keys(&ours["paths"]), keys(&upstream["paths"]));
    for (path, methods) in upstream["paths"].as_object().unwrap() {
        let mut served = keys(&ours["paths"][path]);
        assert_eq!(served.remove("parameters"), path.contains("{actionName}"), "{path}");
        assert_eq!(served, keys(methods), "{path}");
    }
}

#[test]
fn every_difference_from_upstreams_description_is_listed() {
    let upstream: Value = serde_json::from_str(UPSTREAM).unwrap();
    let ours = render(Dialect::OpenApi3);
    let mut lines =
        String::from("# What our description says otherwise than OpenWhisk's: + ours alone, - theirs alone.\n");
    let mut note = |at: &str, theirs: &BTreeSet<String>, ours: &BTreeSet<String>| {
        ours.difference(theirs)
            .for_each(|item| lines.push_str(&format!("+ {at} {item}\n")));
        theirs
            .difference(ours)
            .for_each(|item| lines.push_str(&format!("- {at} {item}\n")));
    };
    let (their_paths, our_paths) = (&upstream["paths"], &ours["paths"]);
    note("path", &keys(their_paths), &keys(our_paths));
    for path in keys(their_paths).intersection(&keys(our_paths)) {
        for method in keys(&their_paths[path]) {
            let (theirs, ours) = (&their_paths[path][&method], &our_paths[path][&method]);
            let at = format!("{method} {path}");
            let listed = |value: &Value| {
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap().to_owned())
                    .collect()
            };
            let named = |value: &Value| -> Vec<String> {
                let list = value.as_array().cloned().unwrap_or_default();
                list.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
            };
            let mut parameters: BTreeSet<String> = named(&ours["parameters"]).into_iter().collect();
            parameters.extend(named(&our_paths[path]["parameters"]));
            note(
                &format!("parameter of {at}:"),
                &listed(&theirs["parameters"]),
                &parameters,
            );
            note(
                &format!("response of {at}:"),
                &listed(&theirs["responses"]),
                &keys(&ours["responses"]),
            );
            let body = |there: bool| there.then(|| "body".to_owned()).into_iter().collect();
            note(
                &format!("{at}:"),
                &body(theirs["body"] == true),
                &body(ours.get("requestBody").is_some()),
            );
        }
    }
    let (theirs, ours) = (&upstream["definitions"], &ours["components"]["schemas"]);
    note("schema", &keys(theirs), &keys(ours));
    for schema in keys(theirs).intersection(&keys(ours)) {
        let listed = |value: &Value| {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_str().unwrap().to_owned())
                .collect()
        };
        note(
            &format!("property of {schema}:"),
            &listed(&theirs[schema]["properties"]),
            &keys(&ours[schema]["properties"]),
        );
    }
    kept("differences.txt", DIFFERENCES, &lines);
}

/// Every route that wants a key is described, with an id of its own.
#[test]
fn nothing_served_is_left_out() {
    let mut ids = BTreeSet::new();
    let document = render(Dialect::OpenApi3);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(m, _)| *m != "parameters") {
            let id = operation["operationId"].as_str().unwrap();
            assert!(
                !id.is_empty() && ids.insert(id.to_owned()),
                "{method} {path} has no id of its own"
            );
            assert!(
                !operation["summary"].as_str().unwrap().is_empty(),
                "{method} {path} has no summary"
            );
        }
    }
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "{name} is not defined"
        );
    }
}
