//! `/whisk.system/github/webhook`, and the feed protocol with it, against a GitHub of our own.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use hyper::Method;
use serde_json::{Value, json};
use wsk_demo::{Reply, Seen, Server};

use super::{error, says, start, wsk};
use crate::harness::Platform;

/// Hooks by number.
type Hooks = Arc<Mutex<Vec<(usize, Value)>>>;

struct GitHub {
    server: Server,
    hooks: Hooks,
}

impl GitHub {
    async fn start() -> GitHub {
        let hooks = Hooks::default();
        let state = hooks.clone();
        let server = Server::start(move |seen| answer(seen, &mut state.lock().expect("the hooks"))).await;
        GitHub {
            server: server.expect("a server"),
            hooks,
        }
    }

    /// The parameters of a feed on this GitHub.
    fn parameters<'a>(&'a self, base: &'a str, repository: &'a str) -> [&'a str; 15] {
        [
            "-p",
            "username",
            "ada",
            "-p",
            "accessToken",
            "secret",
            "-p",
            "repository",
            repository,
            "-p",
            "events",
            "push,delete",
            "-p",
            "baseUrl",
            base,
        ]
    }

    fn asked(&self) -> Vec<String> {
        self.server.seen().iter().map(Seen::line).collect()
    }
}

fn answer(seen: &Seen, hooks: &mut Vec<(usize, Value)>) -> Reply {
    let credentials = base64::engine::general_purpose::STANDARD.encode("ada:secret");
    if seen.header("authorization") != format!("Basic {credentials}") || seen.header("user-agent") != "whisk" {
        return Reply::new(401, r#"{"message":"Bad credentials"}"#);
    }
    let path = seen.uri.path();
    let host = seen.header("host");
    match (&seen.method, path) {
        (&Method::POST, "/repos/ada/engine/hooks" | "/repos/acme/engine/hooks") => {
            let number = hooks.len() + 1;
            let hook: Value = serde_json::from_slice(&seen.body).expect("a hook");
            hooks.push((number, hook.clone()));
            Reply::new(201, json!({"id": number, "config": hook["config"]}).to_string())
        }
        (&Method::GET, "/repos/ada/engine/hooks") => {
            let shown = |(number, hook): &(usize, Value)| {
                let url = format!("http://{host}{path}/{number}");
                json!({"id": number, "url": url, "config": hook["config"]})
            };
            Reply::new(200, Value::from_iter(hooks.iter().map(shown)).to_string())
        }
        (&Method::DELETE, _) => {
            let number: usize = path.rsplit('/').next().expect("a number").parse().expect("a number");
            hooks.retain(|(n, _)| *n != number);
            Reply::new(204, "")
        }
        _ => Reply::new(404, r#"{"message":"Not Found"}"#),
    }
}

fn trigger(platform: &Platform, namespace: &str, name: &str) -> String {
    format!(
        "http://{}@{}/api/v1/namespaces/{namespace}/triggers/{name}",
        platform.key(),
        platform.address
    )
}

#[tokio::test]
async fn a_trigger_follows_a_repository() {
    needs_interpreters!();
    let p = &start().await;
    let github = GitHub::start().await;
    let base = github.server.url("");
    let foreign = json!({"config": {"url": "http://elsewhere/%zz"}});
    github.hooks.lock().expect("the hooks").push((1, foreign));
    let create = ["trigger", "create", "t", "--feed", "/whisk.system/github/webhook"];
    let said = says(p, &[&create[..], &github.parameters(&base, "engine")].concat()).await;
    assert!(
        said.starts_with("ok: invoked /whisk.system/github/webhook with id "),
        "{said}"
    );
    assert!(said.ends_with("ok: created trigger t\n"), "{said}");
    assert_eq!(github.asked(), ["POST /repos/ada/engine/hooks"]);
    let hook = github.hooks.lock().expect("the hooks")[1].1.clone();
    let url = trigger(p, "guest", "t");
    assert_eq!(
        hook,
        json!({
            "name": "web", "active": true, "events": ["push", "delete"],
            "config": {"url": url, "content_type": "json"},
        })
    );
    let stored = p.get("/triggers/t").await;
    let feed = json!([{"key": "feed", "value": "/whisk.system/github/webhook"}]);
    assert_eq!((&stored["annotations"], &stored["parameters"]), (&feed, &json!([])));

    // GitHub calls what it was told to call.
    says(p, &["rule", "create", "r", "t", "/whisk.system/utils/echo"]).await;
    let push = json!({"ref": "refs/heads/main"});
    let fired = p.call(Method::POST, "/triggers/t", Some(&push)).await;
    assert_eq!(fired.status, 202, "{fired:?}");

    let deleted = says(p, &["trigger", "delete", "t"]).await;
    assert!(deleted.ends_with("ok: deleted trigger t\n"), "{deleted}");
    let left = github.hooks.lock().expect("the hooks").len();
    assert_eq!(left, 2, "without its parameters a feed finds nothing");
    assert_eq!(
        p.call(Method::GET, "/triggers/t", None).await.status,
        404,
        "the trigger goes all the same"
    );
}

#[tokio::test]
async fn with_a_binding_the_hook_goes_with_the_trigger() {
    needs_interpreters!();
    let p = &start().await;
    let github = GitHub::start().await;
    let base = github.server.url("");
    let bind = ["package", "bind", "/whisk.system/github", "mine"];
    says(p, &[&bind[..], &github.parameters(&base, "engine")].concat()).await;
    let create = [
        "trigger",
        "create",
        "t",
        "--feed",
        "mine/webhook",
        "-p",
        "events",
        "issues",
    ];
    says(p, &create).await;
    let hook = github.hooks.lock().expect("the hooks")[0].1.clone();
    assert_eq!(
        (&hook["events"], &hook["config"]["url"]),
        (&json!(["issues"]), &json!(trigger(p, "guest", "t")))
    );
    says(p, &["trigger", "delete", "t"]).await;
    assert!(github.hooks.lock().expect("the hooks").is_empty());
}

#[tokio::test]
async fn the_feed_finds_its_hook_again() {
    needs_interpreters!();
    let p = &start().await;
    let github = GitHub::start().await;
    let base = github.server.url("");
    let call = |event: &str| {
        json!({
            "lifecycleEvent": event, "triggerName": "/_/my trigger", "authKey": p.key(), "username": "ada",
            "accessToken": "secret", "repository": "engine", "events": "push", "baseUrl": base,
        })
    };
    let created = super::result(p, "github/webhook", &call("CREATE")).await;
    let url = trigger(p, "guest", "my%20trigger");
    assert_eq!(created["response"]["config"]["url"], url);
    assert_eq!(super::result(p, "github/webhook", &call("DELETE")).await, json!({}));
    assert_eq!(
        github.asked(),
        [
            "POST /repos/ada/engine/hooks",
            "GET /repos/ada/engine/hooks",
            "DELETE /repos/ada/engine/hooks/1"
        ]
    );
    let none = error(p, "github/webhook", &call("DELETE")).await;
    assert_eq!(none, format!("Found no existing webhooks for trigger URL {url}"));
    let mut organisation = call("CREATE");
    organisation["repository"] = json!("acme/engine");
    super::result(p, "github/webhook", &organisation).await;
    assert!(github.asked().contains(&"POST /repos/acme/engine/hooks".to_owned()));
}

#[tokio::test]
async fn when_github_refuses_the_trigger_is_taken_back() {
    needs_interpreters!();
    let p = &start().await;
    let github = GitHub::start().await;
    let base = github.server.url("");
    let create = ["trigger", "create", "t", "--feed", "/whisk.system/github/webhook"];
    let output = wsk(p, &[&create[..], &github.parameters(&base, "nothing")].concat()).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(246), "{said}");
    let failure = first_object(&said);
    let error = json!({"statusCode": 404, "response": {"message": "Not Found"}});
    assert_eq!(failure["response"]["result"]["error"], error, "{said}");
    assert_eq!(p.call(Method::GET, "/triggers/t", None).await.status, 404);
    assert_eq!(
        github.asked(),
        ["POST /repos/ada/nothing/hooks", "GET /repos/ada/nothing/hooks"]
    );
}

/// The first JSON object of a text.
fn first_object(text: &str) -> Value {
    let start = text.find('{').expect("an object");
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    values.next().expect("an object").expect("JSON")
}

#[tokio::test]
async fn missing_parameters_are_named() {
    needs_interpreters!();
    let p = &start().await;
    let mut call = json!({"lifecycleEvent": "CREATE", "triggerName": "/_/t", "username": "ada", "accessToken": "s"});
    assert_eq!(
        error(p, "github/webhook", &call).await,
        "You must specify a repository parameter."
    );
    call["repository"] = json!("engine");
    assert_eq!(
        error(p, "github/webhook", &call).await,
        "You must specify a events parameter."
    );
    call["lifecycleEvent"] = json!("READ");
    let text = "The feed does not support the lifecycleEvent READ.";
    assert_eq!(error(p, "github/webhook", &call).await, text);
}
