//! `wsk project export`: what belongs to a project, as a manifest and the files it names.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use wsk_client::{Code, Page};

use super::calls::{LifeCycle, Platform, Sort, own_name};
use super::entities::{MANAGED, project_of};
use super::{Flags, locate, refused};
use crate::commands::action::exec::extension_for;
use crate::context::Context;
use crate::failure::Failure;
use crate::json::{items, key_value, text};
use crate::yaml;

/// Annotations that the platform or this program sets.
const NOT_SHOWN: &[&str] = &[
    MANAGED,
    "exec",
    "feed",
    "binding",
    "web-export",
    "raw-http",
    "final",
    "provide-api-key",
];

pub async fn run(cx: &mut Context, flags: &Flags) -> Result<(), Failure> {
    let (client, namespace) = locate::platform(cx, flags, None)?;
    let project = flags.projectname.as_deref().unwrap_or_default();
    if project.is_empty() {
        return Err(refused(
            "ERROR_COMMAND_FAILED",
            "The name of the project is missing: --projectname is required.",
        ));
    }
    let out = flags.manifest.as_deref().unwrap_or("manifest.yaml");
    let platform = Platform {
        client: &client,
        namespace: &namespace,
        auth: cx.auth(),
    };
    let folder = Path::new(out).parent().unwrap_or(Path::new(""));
    let mut packages = packages(&platform, project).await?;
    actions(&platform, project, folder, &mut packages).await?;
    triggers(&platform, project, &mut packages).await?;
    rules(&platform, project, &mut packages).await?;
    let manifest = json!({ "project": { "name": project, "packages": packages } });
    write(Path::new(out), yaml::to_text(&manifest).as_bytes())?;
    cx.out.line(format!("Manifest exported to: {out}"))
}

async fn listed(platform: &Platform<'_>, sort: Sort, project: &str) -> Result<Vec<Value>, Failure> {
    let listed = platform.collection(sort).list(Page::ALL).await;
    let listed = listed.map_err(|error| refused("ERROR_WHISK_CLIENT_ERROR", error))?;
    let is_ours = |document: &Value| project_of(document).is_some_and(|mark| text(mark, "projectName") == project);
    Ok(listed.into_iter().filter(is_ours).collect())
}

/// The project's packages; a binding is a dependency of the first of them.
async fn packages(platform: &Platform<'_>, project: &str) -> Result<Map<String, Value>, Failure> {
    let (mut packages, mut dependencies) = (Map::new(), Map::new());
    for summary in listed(platform, Sort::Package, project).await? {
        let name = text(&summary, "name").to_owned();
        let Some(whole) = platform.get(Sort::Package, &name).await? else {
            continue;
        };
        let mut entry = common(&whole);
        match key_value(whole.get("annotations"), "binding") {
            Some(binding) => {
                let location = format!("/{}/{}", text(binding, "namespace"), text(binding, "name"));
                entry.insert("location".to_owned(), json!(location));
                dependencies.insert(name, Value::Object(entry));
            }
            None => {
                if whole.get("publish") == Some(&Value::Bool(true)) {
                    entry.insert("public".to_owned(), json!(true));
                }
                packages.insert(name, Value::Object(entry));
            }
        }
    }
    if !dependencies.is_empty() {
        let first = packages.keys().next().cloned().unwrap_or_else(|| "default".to_owned());
        member(&mut packages, &first).insert("dependencies".to_owned(), Value::Object(dependencies));
    }
    Ok(packages)
}

async fn actions(
    platform: &Platform<'_>,
    project: &str,
    folder: &Path,
    packages: &mut Map<String, Value>,
) -> Result<(), Failure> {
    for summary in listed(platform, Sort::Action, project).await? {
        let name = own_name(&summary);
        let got = platform.client.action(platform.namespace, &name, Code::With).await;
        let action = got.map_err(|error| refused("ERROR_WHISK_CLIENT_ERROR", error))?;
        let (package, base) = name.rsplit_once('/').unwrap_or(("default", &name));
        let mut entry = common(&action);
        drop_inherited(&mut entry, packages.get(package));
        if let Some(web) = web_of(&action) {
            entry.insert("web".to_owned(), json!(web));
        }
        let exec = action.get("exec").unwrap_or(&Value::Null);
        let group = match text(exec, "kind") {
            "sequence" => {
                entry.remove("inputs");
                let components = items(exec, "components").iter().filter_map(Value::as_str);
                let components: Vec<String> = components.map(|name| portable(name, &action)).collect();
                entry.insert("actions".to_owned(), json!(components.join(", ")));
                "sequences"
            }
            _ => {
                save(exec, package, base, folder, &mut entry)?;
                entry.insert("limits".to_owned(), limits(&action));
                "actions"
            }
        };
        group_of(packages, package, group).insert(base.to_owned(), Value::Object(entry));
    }
    Ok(())
}

/// The platform shows an action's inputs with those of its package; the package has its own in the manifest already.
fn drop_inherited(entry: &mut Map<String, Value>, package: Option<&Value>) {
    let inherited = package
        .and_then(|package| package.get("inputs"))
        .and_then(Value::as_object);
    if let (Some(inherited), Some(inputs)) = (inherited, entry.get_mut("inputs").and_then(Value::as_object_mut)) {
        inputs.retain(|name, value| inherited.get(name) != Some(value));
        if inputs.is_empty() {
            entry.remove("inputs");
        }
    }
}

/// Writes an action's code to a file of its package's folder.
fn save(exec: &Value, package: &str, base: &str, folder: &Path, entry: &mut Map<String, Value>) -> Result<(), Failure> {
    let (kind, code) = (text(exec, "kind"), text(exec, "code"));
    match kind {
        "blackbox" => entry.insert("docker".to_owned(), json!(text(exec, "image"))),
        kind => entry.insert("runtime".to_owned(), json!(kind)),
    };
    if !text(exec, "main").is_empty() {
        entry.insert("main".to_owned(), json!(text(exec, "main")));
    }
    if code.is_empty() {
        return Ok(());
    }
    let binary = exec.get("binary") == Some(&Value::Bool(true));
    let content = match binary {
        true => STANDARD
            .decode(code.trim())
            .map_err(|error| refused("ERROR_FILE_READ_ERROR", format!("The code of action [{base}]: {error}")))?,
        false => code.as_bytes().to_vec(),
    };
    let file = format!("{package}/{base}{}", extension_for(kind, binary));
    write(&folder.join(&file), &content)?;
    entry.insert("function".to_owned(), json!(file));
    Ok(())
}

async fn triggers(platform: &Platform<'_>, project: &str, packages: &mut Map<String, Value>) -> Result<(), Failure> {
    for summary in listed(platform, Sort::Trigger, project).await? {
        let name = text(&summary, "name");
        let Some(trigger) = platform.get(Sort::Trigger, name).await? else {
            continue;
        };
        let mut entry = common(&trigger);
        if let Some(feed) = key_value(trigger.get("annotations"), "feed").and_then(Value::as_str) {
            entry.insert("feed".to_owned(), json!(feed));
            // What the feed was told, where it tells.
            let read = platform.feed(feed, LifeCycle::Read, name, &Map::new()).await;
            if let Some(config) = read.ok().and_then(|result| result.get("config").cloned()) {
                entry.insert("inputs".to_owned(), config);
            }
        }
        let first = first(packages);
        group_of(packages, &first, "triggers").insert(name.to_owned(), Value::Object(entry));
    }
    Ok(())
}

async fn rules(platform: &Platform<'_>, project: &str, packages: &mut Map<String, Value>) -> Result<(), Failure> {
    for rule in listed(platform, Sort::Rule, project).await? {
        let action = format!("/{}/{}", text(&rule["action"], "path"), text(&rule["action"], "name"));
        let mut entry = common(&rule);
        entry.insert("trigger".to_owned(), json!(text(&rule["trigger"], "name")));
        entry.insert("action".to_owned(), json!(portable(&action, &rule)));
        let first = first(packages);
        group_of(packages, &first, "rules").insert(text(&rule, "name").to_owned(), Value::Object(entry));
    }
    Ok(())
}

/// Inputs and annotations, as a manifest writes them.
fn common(document: &Value) -> Map<String, Value> {
    let mut entry = Map::new();
    let of = |name: &str, shown: &dyn Fn(&str) -> bool| -> Map<String, Value> {
        items(document, name)
            .iter()
            .filter(|item| shown(text(item, "key")))
            .map(|item| (text(item, "key").to_owned(), item["value"].clone()))
            .collect()
    };
    // A value in an object of its own is never taken for a description of one.
    let inputs: Map<String, Value> = of("parameters", &|_| true)
        .into_iter()
        .map(|(name, value)| (name, json!({ "value": value })))
        .collect();
    for (name, members) in [
        ("inputs", inputs),
        ("annotations", of("annotations", &|key| !NOT_SHOWN.contains(&key))),
    ] {
        if !members.is_empty() {
            entry.insert(name.to_owned(), Value::Object(members));
        }
    }
    entry
}

/// A full name that is good in any namespace, when it names something in the one `document` is in.
fn portable(name: &str, document: &Value) -> String {
    let own = text(document, "namespace").split('/').next().unwrap_or_default();
    match name.strip_prefix(&format!("/{own}/")) {
        Some(rest) => format!("/_/{rest}"),
        None => name.to_owned(),
    }
}

fn web_of(action: &Value) -> Option<&'static str> {
    let is = |key| key_value(action.get("annotations"), key) == Some(&Value::Bool(true));
    match (is("web-export"), is("raw-http")) {
        (false, _) => None,
        (true, false) => Some("yes"),
        (true, true) => Some("raw"),
    }
}

fn limits(action: &Value) -> Value {
    let limits = action.get("limits").unwrap_or(&Value::Null);
    json!({ "timeout": limits["timeout"], "memorySize": limits["memory"], "logSize": limits["logs"] })
}

fn first(packages: &Map<String, Value>) -> String {
    packages.keys().next().cloned().unwrap_or_else(|| "default".to_owned())
}

fn member<'a>(of: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let member = of.entry(name).or_insert_with(|| json!({}));
    if !member.is_object() {
        *member = json!({});
    }
    member.as_object_mut().expect("it was made an object just now")
}

fn group_of<'a>(packages: &'a mut Map<String, Value>, package: &str, group: &str) -> &'a mut Map<String, Value> {
    member(member(packages, package), group)
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| refused("ERROR_FILE_WRITE_ERROR", format!("File: [{}]: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, content).map_err(failed)
}
