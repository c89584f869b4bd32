//! Requests that nobody would write: whatever comes in, a well-formed answer comes out and nothing breaks.
//!
//! Each test is a target of `wsk_fuzz`, which says how long it runs and how a failure is repeated.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wsk_entities::TransactionId;
use wsk_fuzz::proptest;
use wsk_fuzz::proptest::prelude::*;
use wsk_identity::Outcome;

use super::running::{Invoker, echo};
use super::{Api, code};
use crate::api::Request;

/// What broke parsers elsewhere.
const NASTY: &[&str] = &[
    "",
    " ",
    ".",
    "..",
    "/",
    "//",
    "\\",
    "\"",
    "'",
    "\u{0}",
    "a\u{0}b",
    "\r\nx-injected: 1",
    "\u{feff}",
    "\u{202e}",
    "\u{fffd}",
    "😀",
    "ä",
    "%",
    "%zz",
    "%00",
    "%2F",
    "%2e%2e%2f",
    "+",
    "=",
    "&",
    "&&=",
    ";",
    "?",
    "#",
    "[",
    "]",
    "{}",
    "{",
    "null",
    "NaN",
    "-0",
    "1e999",
    "9223372036854775808",
    "__proto__",
    "__ow_user",
    "__ow_headers",
    "__ow_body",
    "__ow_query",
    "a.json.http",
    "_",
    "default",
    "\\ud800",
];

fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(NASTY).prop_map(str::to_owned),
        3 => ".{0,20}",
        1 => "[a-z]{1,8}",
        1 => (proptest::sample::select(NASTY), 0usize..300).prop_map(|(text, n)| text.repeat(n)),
    ]
}

/// JSON that resembles what the API takes, with anything in the places of anything.
fn value() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "nodejs:default",
        "nodejs:18",
        "blackbox",
        "sequence",
        "/_/a",
        "_/p/a",
        "/_/seq",
        "a/b/c/d",
        "//",
        "active",
        "inactive",
        "0.0.2",
        "1e9",
        "ctr/none:v1",
        "UEsDBBQ=",
    ];
    const KEYS: &[&str] = &[
        "exec",
        "kind",
        "code",
        "image",
        "main",
        "binary",
        "components",
        "parameters",
        "annotations",
        "delAnnotations",
        "limits",
        "timeout",
        "memory",
        "logs",
        "concurrency",
        "instances",
        "version",
        "publish",
        "binding",
        "namespace",
        "name",
        "path",
        "trigger",
        "action",
        "status",
        "key",
        "value",
        "init",
        "feed",
        "web-export",
        "final",
        "conductor",
        "__proto__",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number)),
        proptest::sample::select(WORDS).prop_map(Value::from),
        nasty().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let key = prop_oneof![
            9 => proptest::sample::select(KEYS).prop_map(str::to_owned),
            1 => nasty(),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..6)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// JSON, and JSON with a piece of something else in it or its end cut off.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let whole = value().prop_map(|value| value.to_string().into_bytes());
    let spoilt =
        (value(), any::<proptest::sample::Index>(), nasty(), any::<bool>()).prop_map(|(value, at, noise, cut)| {
            let mut text = value.to_string().into_bytes();
            let at = at.index(text.len() + 1);
            if cut {
                text.truncate(at);
            }
            let at = at.min(text.len());
            text.splice(at..at, noise.into_bytes());
            text
        });
    prop_oneof![
        4 => whole,
        3 => spoilt,
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

/// One request and what is sent with it.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    target: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

struct Told {
    status: u16,
    text: String,
}

/// A platform that is made anew now and then, so that what it keeps does not grow with the time that is given.
struct World {
    runtime: Runtime,
    life: RefCell<Option<(Api, Invoker)>>,
    requests: Cell<u32>,
}

impl World {
    fn new() -> World {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        World {
            runtime: runtime.enable_all().start_paused(true).build().unwrap(),
            life: RefCell::new(None),
            requests: Cell::new(0),
        }
    }

    async fn life() -> (Api, Invoker) {
        let api = Api::start().await;
        let key = "k".repeat(64);
        let owner = json!({"subject": "guest-owner", "namespaces": [{"name": "guest", "uuid": "u", "key": key}]});
        api.subject(&owner).await;
        let invoker = Invoker::start(&api, echo).await;
        let client = api.client("guest");
        client.put("packages/p", json!({})).await.ok();
        client.put("triggers/t", json!({})).await.ok();
        for (name, annotations) in [
            ("a", json!([])),
            ("w", json!([{"key": "web-export", "value": true}])),
            (
                "p/raw",
                json!([{"key": "web-export", "value": true}, {"key": "raw-http", "value": true}]),
            ),
        ] {
            let mut action = code();
            action["annotations"] = annotations;
            action["parameters"] = json!([{"key": "bound", "value": 1}]);
            client.put(&format!("actions/{name}"), action).await.ok();
        }
        client
            .put("rules/r", json!({"trigger": "/_/t", "action": "/_/a"}))
            .await
            .ok();
        (api, invoker)
    }

    /// The answer; none when the request cannot be sent at all.
    fn ask(&self, asked: &Asked, caller: &str) -> Option<Told> {
        let mut request = hyper::Request::builder().method(asked.method).uri(&asked.target);
        if let Some(content_type) = &asked.content_type {
            request = request.header("content-type", content_type);
        }
        let (parts, ()) = request.body(()).ok()?.into_parts();
        if self.requests.get().is_multiple_of(5000) {
            self.life.replace(None);
            self.life.replace(Some(self.runtime.block_on(World::life())));
        }
        self.requests.set(self.requests.get() + 1);
        let life = self.life.borrow();
        let (api, _) = life.as_ref().unwrap();
        let request = Request {
            parts,
            body: Bytes::from(asked.body.clone()),
            caller: match caller {
                "" => Outcome::Missing,
                name => Outcome::Known(super::identity(name, wsk_entities::UserLimits::default())),
            },
            transid: TransactionId::new("tid", 1),
        };
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(600), api.app.handle(request))
                .await
                .expect("nothing hangs")
        });
        Some(Told {
            status: answer.status().as_u16(),
            text: String::from_utf8_lossy(answer.body().as_full().unwrap()).into_owned(),
        })
    }
}

/// An error body is complete, and nothing in it is the platform's own fault.
fn judge_refusal(asked: &Asked, told: &Told) -> Result<(), TestCaseError> {
    let body: Option<Value> = serde_json::from_str(&told.text).ok();
    let fields = body.as_ref().and_then(Value::as_object);
    prop_assert!(
        fields.is_some_and(|f| f.len() == 2 && f["code"] == "tid" && f["error"].is_string()),
        "{asked:?}: {} {}",
        told.status,
        told.text
    );
    Ok(())
}

#[test]
fn bodies_of_entities() {
    let world = World::new();
    let paths = &[
        "actions/a",
        "actions/p/b",
        "packages/p",
        "packages/b",
        "triggers/t",
        "rules/r",
    ];
    let requests = (
        prop_oneof![8 => Just("PUT"), 2 => Just("POST"), 1 => Just("GET"), 1 => Just("DELETE")],
        proptest::sample::select(paths),
        any::<bool>(),
        prop_oneof![9 => Just(Some("application/json".to_owned())), 1 => proptest::option::of("[ -~]{0,20}")],
        body(),
    );
    let requests = requests.prop_map(|(method, path, overwrite, content_type, body)| Asked {
        method,
        target: format!("/api/v1/namespaces/_/{path}?overwrite={overwrite}"),
        content_type,
        body,
    });
    let corpus = NASTY.iter().flat_map(|text| {
        [
            format!("\"{text}\""),
            format!("{{\"{text}\":{text}}}"),
            (*text).to_owned(),
        ]
        .map(|body| Asked {
            method: "PUT",
            target: "/api/v1/namespaces/_/actions/a?overwrite=true".to_owned(),
            content_type: Some("application/json".to_owned()),
            body: body.into_bytes(),
        })
    });
    wsk_fuzz::run("bodies of entities", corpus, &requests, |asked| {
        let Some(told) = world.ask(&asked, "guest") else {
            return Ok(());
        };
        match told.status {
            200 | 202 | 204 | 502 => {}
            400 | 403 | 404 | 409 | 413 | 415 => judge_refusal(&asked, &told)?,
            other => prop_assert!(false, "{other} for {asked:?}: {}", told.text),
        }
        let read = Asked {
            method: "GET",
            body: Vec::new(),
            ..asked
        };
        let status = world.ask(&read, "guest").unwrap().status;
        prop_assert!(
            matches!(status, 200 | 404 | 409),
            "what was accepted can be read, not {status}: {asked:?}",
            asked = read
        );
        Ok(())
    });
}

/// A piece of a path or query as it may stand in a target.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => nasty().prop_map(|text| percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()),
        1 => "[!$&'()*+,;=:@a-zA-Z0-9._~%\\[\\]-]{0,12}",
        1 => proptest::sample::select(NASTY).prop_map(str::to_owned),
    ]
}

/// The judge of everything that goes to a web action which answers with its arguments.
fn judge_web(asked: &Asked, told: &Told) -> Result<(), TestCaseError> {
    for own_fault in ["internal server error", "currently unavailable", "not yet ready"] {
        prop_assert!(
            !told.text.contains(own_fault),
            "{asked:?}: {} {}",
            told.status,
            told.text
        );
    }
    let body: Value = serde_json::from_str(&told.text).unwrap_or_default();
    if told.status == 200 && body.get("__ow_headers").is_some_and(Value::is_object) {
        let method = asked.method.to_lowercase();
        prop_assert_eq!(body["__ow_method"].as_str(), Some(&*method), "{:?}", asked);
        prop_assert_eq!(body.get("__ow_user"), None, "nobody is known: {:?}", asked);
    }
    Ok(())
}

#[test]
fn paths_and_queries_of_web_actions() {
    let world = World::new();
    let segment = prop_oneof![
        6 => proptest::sample::select(&["w", "w.json", "w.http", "w.text", "w.html", "w.svg"][..]).prop_map(str::to_owned),
        1 => piece(),
    ];
    let package = prop_oneof![4 => Just("default".to_owned()), 1 => Just("p".to_owned()), 1 => piece()];
    let requests = (
        proptest::sample::select(&["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"][..]),
        (package, segment),
        proptest::collection::vec(piece(), 0..4),
        proptest::option::of(proptest::collection::vec(
            (piece(), proptest::option::of(piece())),
            0..5,
        )),
    );
    let requests = requests.prop_map(|(method, (package, action), rest, query)| {
        let rest: String = rest.iter().map(|part| format!("/{part}")).collect();
        let query = query.map_or_else(String::new, |pairs| {
            let pairs: Vec<String> = pairs
                .into_iter()
                .map(|(name, value)| value.map_or(name.clone(), |value| format!("{name}={value}")))
                .collect();
            format!("?{}", pairs.join("&"))
        });
        Asked {
            method,
            target: format!("/api/v1/web/guest/{package}/{action}{rest}{query}"),
            content_type: None,
            body: Vec::new(),
        }
    });
    let corpus = NASTY.iter().flat_map(|text| {
        [
            "w.json/{}",
            "w.json?{}",
            "w.json?{}=1&a={}",
            "{}",
            "w.http?statusCode={}&body={}",
        ]
        .map(|path| Asked {
            method: "GET",
            target: format!("/api/v1/web/guest/default/{}", path.replace("{}", text)),
            content_type: None,
            body: Vec::new(),
        })
    });
    let plain = Asked {
        method: "GET",
        target: "/api/v1/web/guest/default/w.json/x?a=1".to_owned(),
        content_type: None,
        body: Vec::new(),
    };
    let told = world.ask(&plain, "").unwrap();
    assert!(
        told.status == 200 && told.text.contains("__ow_headers"),
        "the action is reached: {}",
        told.text
    );
    wsk_fuzz::run("paths and queries of web actions", corpus, &requests, |asked| {
        world.ask(&asked, "").map_or(Ok(()), |told| judge_web(&asked, &told))
    });
}

#[test]
fn bodies_of_web_requests() {
    let world = World::new();
    let form = proptest::collection::vec((piece(), piece()), 0..6).prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("&")
    });
    let multipart = proptest::collection::vec((nasty(), nasty()), 0..4).prop_map(|parts| {
        let part = |(name, value): (String, String)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        parts.into_iter().map(part).collect::<String>() + "--b--\r\n"
    });
    let known = &[
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=iso-8859-1",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
        "multipart/mixed; boundary=\"b\"",
        "application/json",
        "application/vnd.x+json",
        "text/plain; charset=utf-8",
        "text/plain; charset=x",
        "image/png",
        "foo/bar",
        "*/*",
    ][..];
    let requests = (
        proptest::sample::select(&["w.json", "w.http", "w.text", "raw.json"][..]),
        prop_oneof![6 => proptest::sample::select(known).prop_map(|t| Some(t.to_owned())), 1 => proptest::option::of("[ -~]{0,30}")],
        prop_oneof![
            3 => form.prop_map(String::into_bytes),
            3 => multipart.prop_map(String::into_bytes),
            3 => body(),
        ],
    );
    let requests = requests.prop_map(|(action, content_type, body)| web_body(action, content_type, body));
    let corpus = NASTY.iter().flat_map(|text| {
        known
            .iter()
            .map(|t| web_body("w.json", Some((*t).to_owned()), text.as_bytes().to_vec()))
    });
    wsk_fuzz::run("bodies of web requests", corpus, &requests, |asked| {
        world.ask(&asked, "").map_or(Ok(()), |told| judge_web(&asked, &told))
    });
}

fn web_body(action: &str, content_type: Option<String>, body: Vec<u8>) -> Asked {
    let package = if action.starts_with("raw") { "p" } else { "default" };
    Asked {
        method: "POST",
        target: format!("/api/v1/web/guest/{package}/{action}"),
        content_type,
        body,
    }
}
