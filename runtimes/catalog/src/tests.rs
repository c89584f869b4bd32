//! Against a platform of entities in memory, and the folders of this crate against each other.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::{Answer, Api, RECORD, Report, catalog, install, keep};

/// Keeps entities by path, and counts writes and reads of code.
#[derive(Default)]
struct Platform {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entities: BTreeMap<String, Value>,
    writes: Vec<String>,
    code_reads: usize,
    kind: Option<&'static str>,
    healthy: bool,
    /// Answers of PUT that fail before the next one works.
    failing: usize,
}

impl Platform {
    fn new() -> Platform {
        let platform = Platform::default();
        platform.with(|state| (state.kind, state.healthy) = (Some("nodejs:20"), true));
        platform
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// What was written since the last look.
    fn writes(&self) -> Vec<String> {
        self.with(|state| std::mem::take(&mut state.writes))
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        self.with(|state| change(state.entities.get_mut(path).unwrap()));
    }
}

const POST: &str = "actions/slack/post";
const SLACK: &str = "packages/slack";

impl State {
    fn get(&mut self, path: &str) -> Answer {
        let (name, query) = path.split_once('?').unwrap_or((path, ""));
        self.code_reads += usize::from(query == "code=true");
        let Some(mut found) = self.entities.get(name).cloned() else {
            return Answer {
                status: 404,
                body: json!({ "error": "The requested resource does not exist." }),
            };
        };
        if let Some(package) = name.strip_prefix("packages/") {
            let within = format!("actions/{package}/");
            let actions = self.entities.keys().filter_map(|key| key.strip_prefix(&within));
            found["actions"] = actions.map(|name| json!({ "name": name })).collect();
        }
        Answer {
            status: 200,
            body: found,
        }
    }

    fn put(&mut self, path: &str, body: &Value) -> Answer {
        if self.failing > 0 {
            self.failing -= 1;
            return Answer {
                status: 503,
                body: Value::Null,
            };
        }
        let (name, query) = path.split_once('?').unwrap_or((path, ""));
        assert!(
            query == "overwrite=true" || !self.entities.contains_key(name),
            "{path} is there"
        );
        let entity = self.entities.entry(name.to_owned()).or_insert_with(|| json!({}));
        for (field, value) in body.as_object().unwrap() {
            entity[field] = value.clone();
        }
        self.writes.push(path.to_owned());
        Answer {
            status: 200,
            body: entity.clone(),
        }
    }
}

impl Api for Platform {
    async fn call(&self, method: &'static str, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let ok = |body| Ok(Answer { status: 200, body });
        let entity = path.strip_prefix("/api/v1/namespaces/whisk.system/");
        self.with(|state| match (method, path, entity) {
            ("GET", "/", None) => {
                let kinds = state
                    .kind
                    .map(|kind| json!([{ "kind": "nodejs:1" }, { "kind": kind, "default": true }]));
                ok(json!({ "runtimes": { "nodejs": kinds } }))
            }
            ("GET", "/invokers/healthy/count", None) => {
                // The next look finds one.
                ok(json!(u32::from(std::mem::replace(&mut state.healthy, true))))
            }
            ("GET", _, Some(path)) => Ok(state.get(path)),
            ("PUT", _, Some(path)) => Ok(state.put(path, body.unwrap())),
            other => panic!("{other:?}"),
        })
    }
}

async fn installed(platform: &Platform) -> Report {
    install(platform, &catalog()).await.unwrap()
}

#[test]
fn every_source_is_in_its_manifest_and_every_folder_in_the_catalog() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(manifest) = std::fs::read_to_string(folder.join("manifest.json")) else {
            continue;
        };
        let package = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let mut named: Vec<String> = manifest["actions"].as_object().unwrap().keys().cloned().collect();
        let sources = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let sources = sources.filter(|path| path.extension().is_some_and(|e| e == "js"));
        let mut sources: Vec<String> = sources
            .map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let defined = catalog().into_iter().find(|d| d.name == package).unwrap();
        let mut defined: Vec<String> = defined.actions.iter().map(|a| a.name.to_owned()).collect();
        for list in [&mut named, &mut sources, &mut defined] {
            list.sort();
        }
        assert_eq!((&named, &sources), (&defined, &defined), "{package}");
        found.push(package);
    }
    assert_eq!(found.len(), catalog().len());
}

#[tokio::test]
async fn what_is_current_is_neither_written_nor_read() {
    let platform = Platform::new();
    let report = installed(&platform).await;
    assert_eq!(report.installed.len(), 5 + 23);
    assert_eq!(platform.writes().len(), 5 + 23, "each entity once");
    let post = platform.with(|state| state.entities[POST].clone());
    assert_eq!(post["exec"]["kind"], "nodejs:20");
    assert_eq!(installed(&platform).await, Report::default());
    assert_eq!(platform.writes(), [""; 0]);
    assert_eq!(platform.with(|state| state.code_reads), 0);
}

#[tokio::test]
async fn what_is_outdated_is_brought_up_to_date() {
    let platform = Platform::new();
    installed(&platform).await;
    platform.writes();
    platform.with(|state| state.kind = Some("nodejs:22"));
    let report = installed(&platform).await;
    assert_eq!((report.updated.len(), report.kept.len()), (23, 0));
    assert_eq!(installed(&platform).await, Report::default());
}

#[tokio::test]
async fn what_an_operator_changed_is_left_alone() {
    let platform = Platform::new();
    installed(&platform).await;
    platform.change(POST, |post| post["exec"]["code"] = json!("function main() {}"));
    platform.change(SLACK, |slack| {
        slack["parameters"] = json!([{ "key": "url", "value": "u" }])
    });
    platform.writes();
    assert_eq!(
        installed(&platform).await,
        Report::default(),
        "nothing newer, nothing to say"
    );
    platform.with(|state| state.kind = Some("nodejs:22"));
    let report = installed(&platform).await;
    assert_eq!((report.kept, report.updated.len()), (vec!["slack/post".to_owned()], 22));
    platform.change(POST, |post| assert_eq!(post["exec"]["code"], "function main() {}"));
    platform.change(SLACK, |slack| assert_eq!(slack["parameters"][0]["value"], "u"));
    platform.writes();
    assert_eq!(installed(&platform).await.kept, ["slack/post"], "it is said again");
    assert_eq!(platform.writes(), [""; 0]);
}

#[tokio::test]
async fn what_an_operator_deleted_comes_back() {
    let platform = Platform::new();
    installed(&platform).await;
    platform.with(|state| state.entities.remove(POST));
    platform.writes();
    assert_eq!(installed(&platform).await.installed, ["slack/post"]);
    assert_eq!(platform.writes(), [POST]);
}

#[tokio::test]
async fn a_changed_package_keeps_its_own_and_is_updated_where_it_was_not_changed() {
    let platform = Platform::new();
    installed(&platform).await;
    let record = |slack: &mut Value, digest: &str| {
        let list = slack["annotations"].as_array_mut().unwrap();
        let record = list.iter_mut().find(|a| a["key"] == RECORD).unwrap();
        record["value"]["package"] = json!(digest);
    };
    // Of an earlier catalog, and untouched since.
    platform.change(SLACK, |slack| {
        slack["annotations"][0]["value"] = json!("an earlier text");
        let digest = crate::PackageDefinition::digest_of(slack, RECORD);
        record(slack, &digest);
    });
    assert_eq!(installed(&platform).await.updated, ["slack"]);
    // The same, but hidden by the operator.
    platform.change(SLACK, |slack| {
        record(slack, "earlier");
        slack["publish"] = json!(false);
    });
    assert_eq!(installed(&platform).await.kept, ["slack"]);
    platform.change(SLACK, |slack| assert_eq!(slack["publish"], false));
}

#[tokio::test]
async fn without_the_kind_packages_stand_empty_until_there_is_one() {
    let platform = Platform::new();
    platform.with(|state| state.kind = None);
    let report = installed(&platform).await;
    assert_eq!((report.installed.len(), report.unsupported.len()), (5, 23));
    platform.with(|state| state.kind = Some("nodejs:20"));
    assert_eq!(installed(&platform).await.installed.len(), 23);
    assert_eq!(installed(&platform).await, Report::default());
    platform.with(|state| state.kind = None);
    assert_eq!(installed(&platform).await, Report::default(), "what is there stays");
}

#[tokio::test(start_paused = true)]
async fn it_waits_for_an_invoker_and_goes_on_after_a_failure() {
    let platform = Platform::new();
    platform.with(|state| (state.healthy, state.failing) = (false, 1));
    let start = tokio::time::Instant::now();
    keep(&platform, catalog()).await;
    assert!(
        start.elapsed() >= std::time::Duration::from_secs(10),
        "there was a failure"
    );
    assert_eq!(platform.with(|state| state.entities.len()), 5 + 23);
}
