//! `--preview`: the plan, on standard output.

use serde_json::Value;

use super::manifest::{Manifest, Package, annotate};
use super::values::key_values;
use crate::context::Context;
use crate::failure::Failure;
use crate::json::text;

pub fn show(cx: &mut Context, manifest: &Manifest) -> Result<(), Failure> {
    cx.out.text(&render(manifest))
}

fn render(manifest: &Manifest) -> String {
    let mut out = "Packages:\n".to_owned();
    for package in &manifest.packages {
        render_package(package, &mut out);
    }
    out += "Triggers:\n";
    for trigger in manifest.packages.iter().flat_map(|package| &package.triggers) {
        out += &format!("* trigger: {}\n", trigger.name);
        let mut annotations = trigger.annotations.clone();
        let feed = trigger
            .feed
            .iter()
            .map(|feed| serde_json::json!({ "key": "feed", "value": feed }));
        annotate(&mut annotations, feed.collect());
        render_values("annotation", &annotations, &mut out);
    }
    out += "\nRules\n";
    for package in &manifest.packages {
        for rule in &package.rules {
            out += &format!("* rule: {}\n", rule.name);
            render_values("annotation", &rule.annotations, &mut out);
            out += &format!("    - trigger: {}\n", rule.trigger);
            let action = match rule.action.contains('/') {
                true => rule.action.clone(),
                false => package.qualified(&rule.action),
            };
            out += &format!("    - action: {action}\n");
        }
    }
    out
}

fn render_package(package: &Package, out: &mut String) {
    *out += &format!("Name: {}\n", package.name);
    render_values("bindings", &key_values(&package.inputs), out);
    render_values("annotation", &package.annotations, out);
    for dependency in &package.dependencies {
        *out += &format!("  * dependency: {}\n", dependency.label);
    }
    for action in &package.actions {
        *out += &format!("  * action: {}\n", action.name);
        render_values("annotation", &action.annotations, out);
    }
    for sequence in &package.sequences {
        *out += &format!("  * sequence: {}\n", sequence.name);
        render_values("annotation", &sequence.annotations, out);
    }
}

fn render_values(title: &str, values: &[Value], out: &mut String) {
    *out += &format!("    {title}: \n");
    for value in values {
        *out += &format!("        - {} : {}\n", text(value, "key"), value["value"]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::Role;
    use super::*;

    #[test]
    fn the_plan_as_upstream_prints_it() {
        let text = "packages:\n  demo:\n    inputs: {k: json}\n    dependencies: {l: {location: /whisk.system/utils}}\n    \
                    actions: {a: {function: a.js}}\n    sequences: {s: {actions: 'a, a'}}\n    triggers: {t: {}}\n    \
                    rules: {r: {trigger: t, action: a}}\n";
        let manifest = Manifest::parse(text, "m", Role::Manifest, &|_| None).unwrap();
        let expected = "Packages:\nName: demo\n    bindings: \n        - k : {}\n    annotation: \n  * dependency: l\n  * action: a\n    \
                        annotation: \n  * sequence: s\n    annotation: \nTriggers:\n* trigger: t\n    annotation: \n\nRules\n* rule: r\n    \
                        annotation: \n    - trigger: t\n    - action: demo/a\n";
        assert_eq!(render(&manifest), expected);
    }
}
