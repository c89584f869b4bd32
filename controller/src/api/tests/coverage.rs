//! Every route without a key, with a wrong one, with a foreign one, and with malformed input. The test walks the table, so
//! a new route is judged without anybody remembering it.

use hyper::Method;
use wsk_identity::Outcome;

use super::{Api, Client, refused};
use crate::api::router::{self, Matched, Open, ROUTES, Resource, Route};

/// The path of a row in the namespace `owner`, with names that are there for no one.
fn path_of(pattern: &str) -> String {
    let path = pattern
        .replace("{ns}", "owner")
        .replace("{package}", "pkg")
        .replace("{name}", "thing");
    format!("/{}", path.replace("{id}", "00000000000000000000000000000000"))
}

async fn send(client: &Client<'_>, method: &str, path: &str, body: &str) -> super::Answer {
    let body = (!matches!(method, "GET" | "DELETE")).then_some(body);
    client.send(method, path, body, &[]).await
}

#[tokio::test]
async fn without_a_key_only_the_open_routes_answer() {
    let api = Api::start().await;
    for row in ROUTES {
        let answer = send(&api.stranger(Outcome::Missing), row.method, &path_of(row.path), "{}").await;
        match row.route {
            // Whether invokers are ready is told by a 500, and there are none here.
            Route::Open(Open::ReadyInvokers) => assert_eq!(answer.status, 500),
            Route::Open(Open::ApiViewer | Open::InfoViewer) => assert_eq!(answer.status, 308),
            Route::Open(_) => assert_eq!(answer.status, 200, "{} {}", row.method, row.path),
            Route::Start(_) | Route::Resource(_) => {
                let text = "The resource requires authentication, which was not supplied with the request";
                assert_eq!(answer.refusal(), (401, text.into()), "{} {}", row.method, row.path);
                let realm = "Basic realm=\"OpenWhisk secure realm\",charset=UTF-8";
                assert_eq!(answer.header("www-authenticate"), Some(realm));
                assert_eq!(answer.header("access-control-allow-origin"), None);
            }
        }
        assert_eq!(
            answer.header("x-request-id"),
            Some("tid"),
            "{} {}",
            row.method,
            row.path
        );
    }
}

#[tokio::test]
async fn with_a_wrong_key_too() {
    let api = Api::start().await;
    for row in ROUTES {
        let answer = send(&api.stranger(Outcome::Invalid), row.method, &path_of(row.path), "{}").await;
        if !matches!(row.route, Route::Open(_)) {
            assert_eq!(
                answer.refusal(),
                (401, "The supplied authentication is invalid".into()),
                "{}",
                row.path
            );
        }
    }
}

/// Nothing foreign can be seen, whether it is there or not, and a body is not even read.
#[tokio::test]
async fn with_a_foreign_key_nothing_is_told() {
    let api = Api::start().await;
    let owner = api.client("owner");
    owner.put("packages/pkg", serde_json::json!({})).await.ok();
    owner.put("actions/pkg/thing", super::code()).await.ok();
    for with_thing in [false, true] {
        if with_thing {
            owner.put("triggers/thing", serde_json::json!({})).await.ok();
        }
        for row in ROUTES {
            let named = match row.route {
                Route::Open(_) => continue,
                Route::Resource(Resource::Namespaces | Resource::LimitsEntity) => continue,
                // Foreign packages can be listed: those that are public.
                Route::Resource(Resource::List(wsk_entities::Collection::Packages)) => continue,
                Route::Resource(Resource::PackageActions | Resource::GetPackaged)
                | Route::Start(router::Start::PackagedAction) => "owner/pkg",
                Route::Resource(Resource::PutPackaged | Resource::DeletePackaged) => "owner/pkg/thing",
                Route::Resource(
                    Resource::Limits
                    | Resource::List(_)
                    | Resource::Activations
                    | Resource::Activation
                    | Resource::CancelActivation
                    | Resource::ActivationResult
                    | Resource::ActivationLogs,
                ) => "owner",
                Route::Start(_) | Route::Resource(_) => "owner/thing",
            };
            let answer = send(&api.client("other"), row.method, &path_of(row.path), "{").await;
            let (status, text) = answer.refusal();
            if named == "owner" && row.path.contains("{id}") {
                assert_eq!(status, 403, "{} {}: {text}", row.method, row.path);
            } else {
                assert_eq!((status, text), refused(named), "{} {}", row.method, row.path);
            }
        }
    }
}

#[tokio::test]
async fn malformed_bodies_are_refused_by_whatever_reads_one() {
    let api = Api::start().await;
    let owner = api.client("owner");
    owner.put("packages/pkg", serde_json::json!({})).await.ok();
    for path in ["actions/thing", "actions/pkg/thing"] {
        owner.put(path, super::code()).await.ok();
    }
    for row in ROUTES
        .iter()
        .filter(|row| super::super::takes_body(&row.method.parse().unwrap()))
    {
        let path = path_of(row.path);
        for (body, content_type, status) in [
            ("{", "application/json", 400),
            ("{}", "text/plain", 415),
            ("[]", "application/json", 400),
        ] {
            let answer = owner
                .send(row.method, &path, Some(body), &[("content-type", content_type)])
                .await;
            assert_eq!(
                answer.refusal().0,
                status,
                "{} {path} with {body}: {}",
                row.method,
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn malformed_names_are_refused_by_whatever_names_something() {
    let api = Api::start().await;
    for row in ROUTES.iter().filter(|row| row.path.contains("{ns}")) {
        let answer = send(
            &api.client("owner"),
            row.method,
            &path_of(row.path).replace("owner", "a%20"),
            "{}",
        )
        .await;
        assert_eq!(
            answer.refusal(),
            (400, "The namespace contains illegal characters.".into()),
            "{}",
            row.path
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
        for name in ["{name}", "{package}", "{id}"] {
            if !row.path.contains(name) || matches!(row.route, Route::Resource(Resource::LimitsEntity)) {
                continue;
            }
            let path = path_of(&row.path.replace(name, "a%23"));
            let answer = send(&api.client("owner"), row.method, &path, "{}").await;
            assert_eq!(answer.status, 400, "{} {path}: {}", row.method, answer.text);
        }
    }
}

#[tokio::test]
async fn malformed_queries_are_refused_by_every_list() {
    let api = Api::start().await;
    let owner = api.client("owner");
    owner.put("packages/pkg", serde_json::json!({})).await.ok();
    for row in ROUTES {
        if !matches!(
            row.route,
            Route::Resource(Resource::List(_) | Resource::PackageActions | Resource::Activations)
        ) {
            continue;
        }
        for query in ["limit=x", "limit=201", "skip=-1", "count=maybe"] {
            let answer = owner.get(&format!("{}?{query}", path_of(row.path))).await;
            let (status, text) = answer.refusal();
            assert_eq!(status, 400, "{} {query}", row.path);
            assert!(text.starts_with("The query parameter '"), "{text}");
        }
    }
}

/// What a query asks for beyond OpenWhisk is guarded as the row it is asked of.
#[tokio::test]
async fn pending_and_followed_activations_are_nobody_elses() {
    let api = Api::start().await;
    for row in ROUTES {
        let query = match row.route {
            Route::Resource(Resource::Activation) => "pending",
            Route::Resource(Resource::ActivationLogs) => "follow",
            Route::Resource(_) | Route::Open(_) | Route::Start(_) => continue,
        };
        let path = path_of(row.path);
        let status = async |client: Client<'_>, value: &str| {
            let answer = client.get(&format!("{path}?{query}={value}")).await;
            answer.refusal().0
        };
        assert_eq!(status(api.stranger(Outcome::Missing), "true").await, 401, "{path}");
        assert_eq!(status(api.stranger(Outcome::Invalid), "true").await, 401, "{path}");
        assert_eq!(status(api.client("other"), "true").await, 403, "{path}");
        assert_eq!(status(api.client("owner"), "true").await, 404, "{path}");
        assert_eq!(status(api.client("owner"), "maybe").await, 400, "{path}");
    }
}

/// Verbs that a path does not know end as a route that is not there, not as 405.
#[tokio::test]
async fn verbs_that_a_path_does_not_know() {
    let api = Api::start().await;
    for row in ROUTES {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"] {
            let path = path_of(row.path);
            let verb: Method = method.parse().unwrap();
            if matches!(router::classify(&verb, &path), Matched::Known { .. }) {
                continue;
            }
            let answer = api.client("owner").send(method, &path, None, &[]).await;
            if path.starts_with("/api/v1") {
                assert_eq!(
                    answer.refusal(),
                    (404, "The requested resource could not be found.".into()),
                    "{method} {path}"
                );
            } else {
                let text = "HTTP method not allowed, supported methods: GET, OPTIONS";
                assert_eq!(answer.refusal(), (405, text.into()), "{method} {path}");
                assert_eq!(answer.header("allow"), Some("GET, OPTIONS"));
            }
        }
    }
}

/// The one family of paths that the table does not hold: whoever asks is told the same, and malformed input is refused.
#[tokio::test]
async fn web_actions_without_a_key_with_a_wrong_one_and_with_a_foreign_one() {
    let api = Api::start().await;
    let key = "k".repeat(64);
    let owner = serde_json::json!({"subject": "the-owner", "namespaces": [{"name": "owner", "uuid": "u", "key": key}]});
    api.subject(&owner).await;
    let mut exported = super::code();
    exported["annotations"] = serde_json::json!([{"key": "web-export", "value": true}]);
    api.client("owner").put("actions/open", exported).await.ok();
    api.client("owner").put("actions/closed", super::code()).await.ok();
    let callers = [
        (api.stranger(Outcome::Missing), 401),
        (api.stranger(Outcome::Invalid), 401),
        (api.client("other"), 404),
        (api.client("owner"), 404),
    ];
    for (caller, unknown) in &callers {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
            for hidden in ["owner/default/closed", "owner/default/none.json", "nobody/p/open"] {
                let answer = caller.send(method, &format!("/api/v1/web/{hidden}"), None, &[]).await;
                let text = "The requested resource does not exist.";
                assert_eq!(answer.refusal(), (404, text.into()), "{method} {hidden}");
            }
            let answer = caller.send(method, "/api/v1/web/owner/a%23/open", None, &[]).await;
            assert_eq!(
                answer.refusal().0,
                *unknown,
                "{method}: a name that cannot be one is no route"
            );
        }
        let answer = caller.send("TRACE", "/api/v1/web/owner/default/open", None, &[]).await;
        assert_eq!(answer.refusal().0, 405);
        for (target, body) in [
            ("open.json", "{"),
            ("open.json?__ow_user=x", "{}"),
            ("open.json", r#"{"__ow_body":1}"#),
        ] {
            let path = format!("/api/v1/web/owner/default/{target}");
            let answer = caller.send("POST", &path, Some(body), &[]).await;
            assert_eq!(answer.refusal().0, 400, "{target} with {body}: {}", answer.text);
        }
    }
}
