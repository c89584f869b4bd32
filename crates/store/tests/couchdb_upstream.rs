//! A database of the original is usable as it is: documents in the shapes that the original has written over the years, with
//! design documents of its names, keys and values, put there raw and then read, listed and changed through the store. The server
//! is the one at `FERROWHISK_TEST_COUCHDB`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::hash::{BuildHasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use wsk_entities::{
    Action, Activation, ActivationId, Binding, Code, Collection, Entity, EntityPath, Exec, FullName, Json, Namespace,
    RuleStatus, StatusCode,
};
use wsk_store::contract::samples::{full, key, name, ns, path};
use wsk_store::{ActivationFilter, Config, CouchConfig, Error, Expected, Page, Stores, Visibility, open};

const ALL: Page = Page { skip: 0, limit: 200 };
const UUID: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502";

/// An installation of the original, before we open it.
struct Original {
    client: reqwest::Client,
    config: CouchConfig,
}

impl Original {
    async fn new() -> Original {
        let given = std::env::var("FERROWHISK_TEST_COUCHDB")
            .expect("FERROWHISK_TEST_COUCHDB names no CouchDB; run .ci/test-couchdb");
        let (scheme, rest) = given.split_once("://").unwrap();
        let (credentials, host) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (username, password) = credentials.split_once(':').unwrap_or_default();
        // Which of several a client takes is the process's to say, and this one is made before a store.
        ring::default_provider().install_default().ok();
        let original = Original {
            client: reqwest::Client::new(),
            config: CouchConfig {
                url: format!("{scheme}://{}", host.trim_end_matches('/')),
                username: username.to_owned(),
                password: password.to_owned(),
                prefix: format!("whisk_local_{:016x}_", RandomState::new().hash_one(0)),
                retain_ms: 1_000_000,
                ..CouchConfig::default()
            },
        };
        for database in ["whisks", "activations", "subjects"] {
            let url = original.url(database, "");
            let made = original.authorized(original.client.put(url)).send().await.unwrap();
            assert_eq!(made.status().as_u16(), 201);
        }
        for (database, id, design) in designs() {
            original.put(database, id, design).await;
        }
        original
    }

    fn url(&self, database: &str, id: &str) -> String {
        let id = id.replace('/', "%2F").replace("_design%2F", "_design/");
        format!("{}/{}{database}/{id}", self.config.url, self.config.prefix)
    }

    fn authorized(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &*self.config.username {
            "" => request,
            username => request.basic_auth(username, Some(&self.config.password)),
        }
    }

    async fn put(&self, database: &str, id: &str, document: Value) {
        let request = self.client.put(self.url(database, id));
        let request = request
            .header("content-type", "application/json")
            .body(document.to_string());
        let answer = self.authorized(request).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201, "{id}: {}", answer.text().await.unwrap());
    }

    async fn get(&self, database: &str, id: &str) -> Value {
        let request = self.client.get(self.url(database, id));
        let answer = self.authorized(request).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn opened(&self) -> Stores {
        open(&Config::Couchdb(self.config.clone())).await.unwrap()
    }
}

/// With the names, keys and values of the original's; ours say more in places, and these must do.
fn designs() -> Vec<(&'static str, &'static str, Value)> {
    let packaged = "if (doc.namespace.indexOf('/') > 0) emit([doc.namespace.split('/')[0], doc.updated], v);";
    let summary = "var v = { namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish,
        annotations: doc.annotations, updated: doc.updated };";
    let entity = |kind: &str, more: &str| {
        let map = format!(
            "function (doc) {{ if ({kind}) {{ {summary} {more} emit([doc.namespace, doc.updated], v); {packaged} }} }}"
        );
        json!({ "map": map, "reduce": "_count" })
    };
    let record = "if (doc.activationId === undefined) return; var e = doc.end !== 0 ? doc.end : undefined;
        var v = { namespace: doc.namespace, name: doc.name, version: doc.version, publish: doc.publish,
        annotations: doc.annotations, activationId: doc.activationId, start: doc.start, end: e, cause: doc.cause,
        duration: e === undefined ? undefined : e - doc.start, statusCode: e === undefined ? undefined : doc.response.statusCode };";
    let by_name = "var n = doc.name; (doc.annotations || []).forEach(function (a) {
        var p = String(a.value).split('/'); if (a.key === 'path' && p.length === 3) n = p[1] + '/' + doc.name; });
        (doc.annotations || []).forEach(function (a) { if (a.key === 'binding') n = a.value.split('/')[1] + '/' + doc.name; });";
    vec![
        (
            "whisks",
            "_design/whisks.v2.1.0",
            json!({ "language": "javascript", "indexes": {}, "views": {
                "actions": entity("doc.exec !== undefined", "v.limits = doc.limits; v.exec = { binary: doc.exec.binary || false };"),
                "packages": entity("doc.binding !== undefined", "v.binding = Object.keys(doc.binding).length > 0 ? doc.binding : false;"),
                "packages-public": entity("doc.binding !== undefined && Object.keys(doc.binding).length === 0 && doc.publish", "v.binding = false;"),
                "triggers": entity("doc.exec === undefined && doc.binding === undefined && doc.parameters !== undefined", ""),
                "rules": entity("doc.trigger !== undefined", "v = 1;"),
                "action-versions": { "map": "function (doc) { if (doc.exec) emit([doc.namespace + '/' + doc.name], doc.version); }" },
            }}),
        ),
        (
            "activations",
            "_design/whisks.v2.1.0",
            json!({ "language": "javascript", "views": { "activations": {
            "map": format!("function (doc) {{ {record} emit([doc.namespace, doc.start], v); }}"), "reduce": "_count" } } }),
        ),
        (
            "activations",
            "_design/whisks-filters.v2.1.1",
            json!({ "language": "javascript", "views": { "activations": {
            "map": format!("function (doc) {{ {record} {by_name} emit([doc.namespace + '/' + n, doc.start], v); }}"), "reduce": "_count" } } }),
        ),
        (
            "activations",
            "_design/activations",
            json!({ "language": "javascript", "views": { "byDate": {
            "map": "function (doc) { if (doc.activationId !== undefined) emit(doc.start, [doc._id, doc._rev]); }" } } }),
        ),
        (
            "subjects",
            "_design/subjects.v2.0.0",
            json!({ "language": "javascript", "indexes": {}, "views": { "identities": {
            "map": "function (doc) { if (doc.namespaces && !doc.blocked) doc.namespaces.forEach(function (n) {
                var v = { _id: n.name + '/limits', namespace: n.name, uuid: n.uuid, key: n.key };
                emit([n.name], v); emit([n.uuid, n.key], v); }); }" } } }),
        ),
    ]
}

/// An action's document with this `exec`.
fn action(at: &str, updated: u64, exec: Value) -> Value {
    let (namespace, name) = at.rsplit_once('/').unwrap();
    json!({ "_id": at, "entityType": "action", "namespace": namespace, "name": name, "version": "0.0.3", "publish": false,
        "updated": updated, "exec": exec, "parameters": [{ "key": "p", "value": 1 }, { "key": "i", "value": "x", "init": true }],
        "annotations": [{ "key": "provide-api-key", "value": false }, { "key": "exec", "value": "nodejs:20" }],
        "limits": { "timeout": 60000, "memory": 256, "logs": 10 } })
}

fn attached(name: &str, content_type: &str, length: usize) -> Value {
    json!({ "attachmentName": name, "attachmentType": content_type, "length": length, "digest": "sha256-0123" })
}

async fn read_action(stores: &Stores, at: &str) -> (Action, wsk_store::Revision) {
    let stored = stores.entities.get(&full(at)).await.unwrap().unwrap();
    let Entity::Action(action) = stored.value else {
        panic!("{at} is no action")
    };
    (action, stored.revision)
}

async fn code_of(stores: &Stores, action: &Action) -> String {
    match action.exec.code().unwrap() {
        Code::Inline(text) => text.to_string(),
        Code::Attached(attachment) => {
            let code = stores.entities.code(&action.full_name(), attachment).await;
            code.unwrap().to_string()
        }
    }
}

#[tokio::test]
async fn subjects_limits_and_keys_are_known() {
    let original = Original::new().await;
    let owned = |name: &str, uuid: &str, letter| json!({ "name": name, "uuid": uuid, "key": key(letter) });
    for document in [
        json!({ "_id": "guest", "subject": "guest", "namespaces": [owned("guest", UUID, 'g'), owned("shared", UUID, 's')] }),
        json!({ "_id": "gone1", "subject": "gone1", "blocked": true, "namespaces": [owned("gone1", UUID, 'x')] }),
        json!({ "_id": "back1", "subject": "back1", "blocked": false, "namespaces": [owned("back1", UUID, 'b')] }),
        json!({ "_id": "shared/limits", "invocationsPerMinute": 7, "firesPerMinute": 3, "concurrentInvocations": 2,
            "allowedKinds": ["nodejs:20", "blackbox"], "storeActivations": false, "maxActionMemory": 512,
            "maxParameterSize": "2 MB", "warmedContainerKeepingTimeout": "24 hours" }),
    ] {
        original
            .put("subjects", document["_id"].as_str().unwrap(), document.clone())
            .await;
    }
    let subjects = original.opened().await.subjects;
    let guest = subjects.by_key(UUID, &key('g')).await.unwrap().unwrap();
    assert_eq!((&*guest.subject, guest.namespace.name.as_str()), ("guest", "guest"));
    assert_eq!(guest.limits, Default::default());
    let shared = subjects.by_key(UUID, &key('s')).await.unwrap().unwrap();
    assert_eq!(
        (&*shared.subject, shared.limits.invocations_per_minute),
        ("guest", Some(7))
    );
    assert_eq!(shared.limits.store_activations, Some(false));
    assert_eq!(shared.limits.max_parameter_size.as_deref(), Some("2 MB"));
    assert!(subjects.by_key(UUID, &key('x')).await.unwrap().is_none(), "blocked");
    assert!(subjects.by_namespace(&ns("gone1")).await.unwrap().is_none(), "blocked");
    assert!(subjects.by_namespace(&ns("back1")).await.unwrap().is_some());
    let mut listed: Vec<_> = subjects
        .subjects()
        .await
        .unwrap()
        .into_iter()
        .map(|s| s.subject)
        .collect();
    listed.sort();
    assert_eq!(listed, ["back1", "gone1", "guest"]);
    // And the other way: what we write is the original's document again.
    let mut document = subjects.subject("guest").await.unwrap().unwrap();
    document.blocked = true;
    subjects.put_subject(&document).await.unwrap();
    assert!(subjects.by_key(UUID, &key('g')).await.unwrap().is_none());
    let raw = original.get("subjects", "guest").await;
    assert_eq!(
        (&raw["blocked"], &raw["namespaces"][1]),
        (&json!(true), &owned("shared", UUID, 's'))
    );
}

#[tokio::test]
async fn code_is_found_wherever_the_original_has_put_it() {
    let (source, zip) = (
        "function main() { return {} } // ü",
        b"PK\x03\x04\xff\xfe\x00".as_slice(),
    );
    let (source64, zip64) = (STANDARD.encode(source), STANDARD.encode(zip));
    let (plain, binary) = ("text/plain; charset=UTF-8", "application/octet-stream");
    let original = Original::new().await;
    let kind = "nodejs:20";
    for (name, exec, stub, expected) in [
        (
            "inline",
            json!({ "kind": kind, "binary": false, "code": source }),
            None,
            source,
        ),
        (
            "inline-zip",
            json!({ "kind": kind, "code": zip64, "main": "x" }),
            None,
            &*zip64,
        ),
        (
            "jar-member",
            json!({ "kind": "java", "main": "Main", "jar": zip64 }),
            None,
            &zip64,
        ),
        (
            "text",
            json!({ "kind": kind, "binary": false, "code": attached("couch:a-b-c", plain, source.len()) }),
            Some(("a-b-c", plain, &source64)),
            source,
        ),
        (
            "zip",
            json!({ "kind": kind, "binary": true, "code": attached("couch:d-e-f", binary, zip.len()) }),
            Some(("d-e-f", binary, &zip64)),
            &zip64,
        ),
        (
            "codefile",
            json!({ "kind": kind, "binary": false, "code": { "attachmentName": "codefile", "attachmentType": "text/plain" } }),
            Some(("codefile", "text/plain", &source64)),
            source,
        ),
        (
            "jarfile",
            json!({ "kind": "java:8", "main": "Main", "binary": true,
            "code": { "attachmentName": "jarfile", "attachmentType": "application/java-archive" } }),
            Some(("jarfile", "application/java-archive", &zip64)),
            &zip64,
        ),
        (
            "blackbox",
            json!({ "kind": "blackbox", "image": "me/it:1", "binary": false, "code": attached("couch:g", plain, 1) }),
            Some(("g", plain, &source64)),
            source,
        ),
        (
            "mem",
            json!({ "kind": kind, "binary": true,
            "code": attached(&format!("mem:{}", URL_SAFE.encode(zip)), binary, zip.len()) }),
            None,
            &zip64,
        ),
    ] {
        let at = format!("guest/{name}");
        let mut document = action(&at, 1_600_000_000_000, exec);
        if let Some((name, content_type, data)) = stub {
            document["_attachments"] = json!({ name: { "content_type": content_type, "data": data } });
        }
        original.put("whisks", &at, document).await;
        let stores = original.opened().await;
        let (mut found, revision) = read_action(&stores, &at).await;
        assert_eq!(code_of(&stores, &found).await, expected, "{name}");
        assert_eq!(found.exec.binary(), expected == zip64, "{name}");
        assert_eq!(
            (found.limits.concurrency, found.parameters.entry("i").unwrap().init),
            (1, true)
        );
        // An update of something else keeps it.
        found.parameters.set("p", Json::of(&2));
        let put = stores
            .entities
            .put(&Entity::Action(found), Expected::Revision(revision))
            .await;
        put.unwrap();
        let (found, _) = read_action(&stores, &at).await;
        assert_eq!(found.parameters.get("p"), Some(&Json::of(&2)), "{name}");
        assert_eq!(code_of(&stores, &found).await, expected, "{name}, after an update");
    }
}

#[tokio::test]
async fn code_in_an_object_store_is_named() {
    let original = Original::new().await;
    let exec = json!({ "kind": "nodejs:20", "binary": false, "code": attached("s3:a-b-c", "text/plain", 3) });
    original.put("whisks", "guest/far", action("guest/far", 1, exec)).await;
    let stores = original.opened().await;
    let (far, _) = read_action(&stores, "guest/far").await;
    let Some(Code::Attached(attachment)) = far.exec.code() else {
        panic!("it is attached")
    };
    let error = stores.entities.code(&far.full_name(), attachment).await.unwrap_err();
    assert!(
        matches!(error, Error::Unusable(_)) && error.to_string().contains("s3:a-b-c"),
        "{error}"
    );
}

async fn old_entities() -> Original {
    let original = Original::new().await;
    let common = |at: &str, kind: &str, updated: u64| {
        let (namespace, name) = at.rsplit_once('/').unwrap();
        json!({ "_id": at, "entityType": kind, "namespace": namespace, "name": name, "version": "0.0.1", "publish": false,
            "updated": updated, "annotations": [] })
    };
    let with = |mut document: Value, more: Value| {
        let members = document.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        document
    };
    let reference = |namespace: &str, name: &str| json!({ "path": namespace, "name": name });
    let code = json!({ "kind": "nodejs:20", "binary": false, "code": "x" });
    for document in [
        with(
            common("guest/pkg", "package", 10),
            json!({ "binding": {}, "parameters": [{ "key": "k", "value": "v" }], "publish": true }),
        ),
        with(
            common("guest/private", "package", 11),
            json!({ "binding": {}, "parameters": [] }),
        ),
        with(
            common("guest/bound", "package", 12),
            json!({ "binding": { "namespace": "whisk.system", "name": "utils" }, "parameters": [],
            "annotations": [{ "key": "binding", "value": { "namespace": "whisk.system", "name": "utils" } }] }),
        ),
        action("guest/plain", 20, code.clone()),
        action("guest/pkg/inner", 21, code),
        action(
            "guest/chain",
            22,
            json!({ "kind": "sequence", "components": ["/guest/plain", "/guest/pkg/inner"] }),
        ),
        with(
            common("guest/tick", "trigger", 30),
            json!({ "parameters": [], "limits": {},
            "annotations": [{ "key": "feed", "value": "/whisk.system/alarms/alarm" }],
            "rules": { "guest/rule": { "action": reference("guest/pkg", "inner"), "status": "active" },
                "guest/off": { "action": reference("guest", "plain"), "status": "inactive" } } }),
        ),
        with(
            common("guest/bare", "trigger", 31),
            json!({ "parameters": [], "limits": {} }),
        ),
        with(
            common("guest/rule", "rule", 40),
            json!({ "action": reference("guest/pkg", "inner"), "trigger": reference("guest", "tick") }),
        ),
        with(
            common("guest/off", "rule", 41),
            json!({ "action": with(reference("guest", "plain"), json!({ "version": "0.0.1" })),
            "trigger": reference("guest", "tick") }),
        ),
    ] {
        original
            .put("whisks", document["_id"].as_str().unwrap(), document.clone())
            .await;
    }
    original
}

#[tokio::test]
async fn entities_are_listed_counted_and_read() {
    let original = old_entities().await;
    let entities = original.opened().await.entities;
    let (guest, package): (EntityPath, EntityPath) = (path("guest"), path("guest/pkg"));
    for (collection, path, visibility, expected) in [
        (
            Collection::Actions,
            &guest,
            Visibility::All,
            &["guest/chain", "guest/pkg/inner", "guest/plain"][..],
        ),
        (Collection::Actions, &package, Visibility::All, &["guest/pkg/inner"]),
        (
            Collection::Packages,
            &guest,
            Visibility::All,
            &["guest/bound", "guest/private", "guest/pkg"],
        ),
        (Collection::Packages, &guest, Visibility::Public, &["guest/pkg"]),
        (
            Collection::Triggers,
            &guest,
            Visibility::All,
            &["guest/bare", "guest/tick"],
        ),
        (Collection::Rules, &guest, Visibility::All, &["guest/off", "guest/rule"]),
    ] {
        let listed = entities.list(collection, path, visibility, ALL).await.unwrap();
        let names: Vec<_> = listed.iter().map(|entity| entity.full_name().to_string()).collect();
        assert_eq!(names, expected, "{collection:?} of {path}");
        let counted = entities.count(collection, path, visibility).await.unwrap();
        assert_eq!(counted, expected.len() as u64, "{collection:?} of {path}");
    }
    let utils = Binding {
        namespace: ns("whisk.system"),
        name: name("utils"),
    };
    assert_eq!(entities.bindings_to(&utils).await.unwrap(), [full("guest/bound")]);
    let get = async |at: &str| entities.get(&full(at)).await.unwrap().unwrap().value;
    let Entity::Package(bound) = get("guest/bound").await else {
        panic!("a package")
    };
    assert_eq!(bound.binding, Some(utils));
    let Entity::Trigger(tick) = get("guest/tick").await else {
        panic!("a trigger")
    };
    let rules = tick.rules.unwrap();
    assert_eq!(
        (&rules["guest/rule"].action, rules["guest/rule"].status),
        (&full("guest/pkg/inner"), RuleStatus::Active)
    );
    assert_eq!(rules["guest/off"].status, RuleStatus::Inactive);
    let Entity::Rule(rule) = get("guest/off").await else {
        panic!("a rule")
    };
    assert_eq!((rule.trigger, rule.action), (full("guest/tick"), full("guest/plain")));
    let Entity::Action(chain) = get("guest/chain").await else {
        panic!("an action")
    };
    let components: Vec<FullName> = vec![full("guest/plain"), full("guest/pkg/inner")];
    assert_eq!(chain.exec, Exec::Sequence { components });
}

/// A record's document; `more` replaces and adds members, `null` takes one away.
fn activation(id: u128, at: &str, start: u64, more: Value) -> Value {
    let at = full(at);
    let id = ActivationId::from_bits(id).to_string();
    let mut document = json!({ "_id": format!("guest/{id}"), "entityType": "activation", "activationId": id, "namespace": "guest",
        "name": at.name.to_string(), "subject": "guest", "version": "0.0.1", "publish": false, "start": start, "end": start + 5,
        "duration": 4, "updated": start + 6, "logs": ["2020-01-01T00:00:00.0Z stdout: hello"],
        "annotations": [{ "key": "path", "value": at.to_string() }, { "key": "kind", "value": "nodejs:20" }],
        "response": { "statusCode": 0, "result": { "n": 1 }, "size": 7 } });
    let members = document.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    document
}

#[tokio::test]
async fn records_are_listed_read_and_retained() {
    let original = Original::new().await;
    let bound =
        json!([{ "key": "path", "value": "whisk.system/utils/echo" }, { "key": "binding", "value": "guest/bound" }]);
    for document in [
        activation(1, "guest/a", 1_000, json!({})),
        activation(
            2,
            "guest/pkg/a",
            2_000,
            json!({ "cause": ActivationId::from_bits(1).to_string(),
            "response": { "statusCode": 2, "result": { "error": "x" } } }),
        ),
        activation(3, "guest/echo", 3_000, json!({ "annotations": bound })),
        activation(
            4,
            "guest/tick",
            4_000,
            json!({ "end": 0, "duration": null, "logs": [], "annotations": [] }),
        ),
        activation(
            5,
            "guest/a",
            5_000,
            json!({ "duration": null, "response": { "statusCode": 0 } }),
        ),
    ] {
        original
            .put("activations", document["_id"].as_str().unwrap(), document.clone())
            .await;
    }
    let records = original.opened().await.activations;
    let guest = ns("guest");
    let named = |name: &str| ActivationFilter {
        name: Some(name.to_owned()),
        ..ActivationFilter::default()
    };
    for (filter, expected) in [
        (ActivationFilter::default(), &[5, 4, 3, 2, 1][..]),
        (named("a"), &[5, 1]),
        (named("pkg/a"), &[2]),
        (named("bound/echo"), &[3]),
        (
            ActivationFilter {
                since: Some(2_000),
                upto: Some(4_000),
                ..ActivationFilter::default()
            },
            &[4, 3, 2],
        ),
    ] {
        let full = records.records(&guest, &filter, ALL).await.unwrap();
        let summaries = records.summaries(&guest, &filter, ALL).await.unwrap();
        assert_eq!(
            summaries,
            full.iter().map(Activation::summary).collect::<Vec<_>>(),
            "{filter:?}"
        );
        let ids: Vec<_> = full.iter().map(|record| record.activation_id.bits()).collect();
        assert_eq!(ids, expected, "{filter:?}");
        assert_eq!(
            records.count(&guest, &filter).await.unwrap(),
            expected.len() as u64,
            "{filter:?}"
        );
    }
    let get = async |id| -> Option<Activation> { records.get(&guest, ActivationId::from_bits(id)).await.unwrap() };
    let failed = get(2).await.unwrap();
    assert_eq!(
        (failed.response.status_code, failed.cause),
        (StatusCode::DeveloperError, Some(ActivationId::from_bits(1)))
    );
    assert!(get(4).await.unwrap().is_endless());
    assert!(get(5).await.unwrap().response.result.is_null());
    assert!(records.exists(&guest, ActivationId::from_bits(1)).await.unwrap());
    assert_eq!(
        records.retain(1_003_000).await.unwrap(),
        2,
        "those that began before 3000"
    );
    assert!(get(2).await.is_none() && get(3).await.is_some());
}

/// What the original's tools and services look for is theirs to change.
#[tokio::test]
async fn design_documents_of_the_original_are_left_alone() {
    let original = old_entities().await;
    let stores = original.opened().await;
    stores
        .entities
        .delete(
            &full("guest/bare"),
            &stores
                .entities
                .get(&full("guest/bare"))
                .await
                .unwrap()
                .unwrap()
                .revision,
        )
        .await
        .unwrap();
    original.opened().await;
    for (database, id, design) in designs() {
        let found = original.get(database, id).await;
        assert!(
            found["_rev"].as_str().unwrap().starts_with("1-"),
            "{database}/{id}: {}",
            found["_rev"]
        );
        assert_eq!(found["views"], design["views"], "{database}/{id}");
    }
    let raw = original.get("whisks", "guest/tick").await;
    assert!(
        raw["_rev"].as_str().unwrap().starts_with("1-"),
        "reading changes nothing: {raw}"
    );
    let namespace: Namespace = ns("guest");
    assert_eq!(
        stores
            .activations
            .count(&namespace, &ActivationFilter::default())
            .await
            .unwrap(),
        0
    );
}
