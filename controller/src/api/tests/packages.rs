//! Packages, bindings, and what others see of them.

use serde_json::{Value, json};

use super::{Api, code, missing, refused};

fn binding(namespace: &str, name: &str) -> Value {
    json!({"binding": {"namespace": namespace, "name": name}})
}

#[tokio::test]
async fn a_package_and_a_binding_to_it() {
    let api = Api::start().await;
    let client = api.client("guest");
    let parameters = json!([{"key": "a", "value": "pkg"}, {"key": "b", "value": "pkg"}, {"key": "c", "value": "pkg"}]);
    let created = client.put("packages/p", json!({"parameters": parameters})).await.ok();
    assert_eq!(created["binding"], json!({}));
    let mut action = code();
    action["parameters"] = json!([{"key": "b", "value": "act"}]);
    let put = client.put("actions/p/act", action).await.ok();
    assert_eq!(
        put["parameters"],
        json!([{"key": "b", "value": "act"}]),
        "what was written is shown unmerged"
    );
    let mut feed = code();
    feed["annotations"] = json!([{"key": "feed", "value": false}]);
    client.put("actions/p/feed", feed).await.ok();
    let body = json!({"binding": {"namespace": "_", "name": "p"}, "parameters": [{"key": "c", "value": "bind"}],
                      "annotations": [{"key": "binding", "value": "lie"}]});
    let bound = client.put("packages/b", body).await.ok();
    assert_eq!(
        bound["annotations"],
        json!([{"key": "binding", "value": {"name": "p", "namespace": "guest"}}])
    );

    let shown = client.get("packages/b").await.ok();
    assert_eq!(shown["binding"], json!({"namespace": "guest", "name": "p"}));
    assert_eq!(shown["actions"][0]["name"], "act");
    assert_eq!(shown["feeds"][0]["name"], "feed");
    assert_eq!(shown["parameters"][2], json!({"key": "c", "value": "bind"}));
    let merged = client.get("actions/b/act").await.ok();
    assert_eq!(merged["namespace"], "guest/p");
    let values: Vec<&Value> = merged["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["value"])
        .collect();
    assert_eq!(values, ["pkg", "act", "bind"]);
    let summaries = client.get("packages").await.ok();
    let mut bindings: Vec<String> = summaries
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["binding"].to_string())
        .collect();
    bindings.sort();
    assert_eq!(bindings, ["false", r#"{"namespace":"guest","name":"p"}"#]);

    let refusal = (400, "Operation not permitted on package binding.".to_owned());
    assert_eq!(client.put("actions/b/new", code()).await.refusal(), refusal);
    assert_eq!(client.delete("actions/b/act").await.refusal(), refusal);
}

/// What was resolved for an invoke must not outlive a change of anything it was made from.
#[tokio::test]
async fn resolved_actions_follow_their_sources() {
    let api = Api::start().await;
    let client = api.client("guest");
    let one = |value: &str| json!({"parameters": [{"key": "v", "value": value}]});
    client.put("packages/p", one("package")).await.ok();
    client.put("actions/p/a", code()).await.ok();
    client.put("packages/b", binding("_", "p")).await.ok();
    let value = || async { client.get("actions/b/a").await.ok()["parameters"][0]["value"].clone() };
    assert_eq!(value().await, "package");
    client.put("packages/b?overwrite=true", one("binding")).await.ok();
    assert_eq!(value().await, "binding");
    client.put("actions/p/a?overwrite=true", one("action")).await.ok();
    assert_eq!(value().await, "action");
    client.put("packages/q", one("other")).await.ok();
    client.put("packages/b?overwrite=true", binding("_", "q")).await.ok();
    assert_eq!(client.get("actions/b/a").await.refusal(), missing());
    client.delete("packages/q").await.ok();
    assert_eq!(client.get("actions/b/a").await.refusal(), missing());
    assert_eq!(client.get("packages/b").await.status, 404);
}

#[tokio::test]
async fn bindings_are_judged() {
    let api = Api::start().await;
    let client = api.client("guest");
    for name in ["p", "q"] {
        client.put(&format!("packages/{name}"), json!({})).await.ok();
    }
    client.put("packages/b", binding("_", "p")).await.ok();
    client.put("actions/a", code()).await.ok();
    for (path, body, status, text) in [
        (
            "packages/x",
            binding("_", "b"),
            400,
            "Cannot bind to another package binding.",
        ),
        (
            "packages/x",
            binding("_", "none"),
            400,
            "Binding references a package that does not exist.",
        ),
        (
            "packages/x",
            binding("_", "x"),
            400,
            "Binding references a package that does not exist.",
        ),
        (
            "packages/x",
            binding("_", "a"),
            409,
            "Cannot bind to a resource that is not a package.",
        ),
        (
            "packages/x",
            binding("o", "p"),
            403,
            "The supplied authentication is not authorized to access 'o/p'.",
        ),
        (
            "packages/p?overwrite=true",
            binding("_", "q"),
            409,
            "Resource is a package and cannot be converted into a binding.",
        ),
        (
            "packages/default",
            json!({}),
            400,
            "Package name 'default' is reserved.",
        ),
    ] {
        assert_eq!(client.put(path, body).await.refusal(), (status, text.into()), "{path}");
    }
    let retargeted = client
        .put("packages/b?overwrite=true", binding("guest", "q"))
        .await
        .ok();
    assert_eq!(
        retargeted["annotations"],
        json!([{"key": "binding", "value": {"name": "q", "namespace": "guest"}}])
    );
    let kept = client
        .put("packages/b?overwrite=true", json!({"binding": {}}))
        .await
        .ok();
    assert_eq!(kept["binding"], json!({"namespace": "guest", "name": "q"}));
}

#[tokio::test]
async fn a_package_goes_with_its_contents_or_not_at_all() {
    let api = Api::start().await;
    let client = api.client("guest");
    client.put("packages/p", json!({})).await.ok();
    client.put("actions/p/a", code()).await.ok();
    let text = "Package not empty (contains 1 entity). Set force param or delete package contents.";
    assert_eq!(client.delete("packages/p").await.refusal(), (409, text.into()));
    client.put("actions/p/b", code()).await.ok();
    let text = "Package not empty (contains 2 entities). Set force param or delete package contents.";
    assert_eq!(
        client.delete("packages/p?force=false").await.refusal(),
        (409, text.into())
    );
    client.delete("packages/p?force=true").await.ok();
    assert_eq!(client.get("actions/p/a").await.refusal(), missing());
    let gone = "The requested resource 'guest/p' does not exist.";
    assert_eq!(client.get("packages/p").await.refusal(), (404, gone.into()));
    assert_eq!(client.put("actions/p/a", code()).await.refusal(), missing());
    assert_eq!(client.get("actions").await.ok(), json!([]), "nothing is left behind");
}

#[tokio::test]
async fn others_see_what_is_public_and_nothing_else() {
    let api = Api::start().await;
    let (owner, other) = (api.client("owner"), api.client("other"));
    owner.put("packages/pub", json!({"publish": true})).await.ok();
    owner.put("packages/priv", json!({})).await.ok();
    owner
        .put(
            "packages/bind",
            json!({"publish": true, "binding": {"namespace": "_", "name": "pub"}}),
        )
        .await
        .ok();
    for package in ["pub", "priv"] {
        owner.put(&format!("actions/{package}/a"), code()).await.ok();
    }
    owner.put("actions/loose", code()).await.ok();
    let foreign = |path: &str| format!("/api/v1/namespaces/owner/{path}");
    let listed = other.get(&foreign("packages")).await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        other.get(&foreign("packages?count=true")).await.ok(),
        json!({"packages": 1})
    );
    assert_eq!(other.get("/api/v1/namespaces/nobody/packages").await.ok(), json!([]));
    for path in ["packages/pub", "actions/pub/a", "actions/pub/"] {
        other.get(&foreign(path)).await.ok();
    }
    for (path, named) in [
        ("packages/priv", "owner/priv"),
        ("packages/none", "owner/none"),
        ("packages/bind", "owner/bind"),
        ("actions/priv/a", "owner/priv"),
        ("actions/bind/a", "owner/bind"),
        ("actions/loose", "owner/loose"),
        ("actions/none", "owner/none"),
    ] {
        assert_eq!(other.get(&foreign(path)).await.refusal(), refused(named), "{path}");
    }
    assert_eq!(other.get(&foreign("actions/pub/none")).await.refusal(), missing());
    assert_eq!(
        other.delete(&foreign("actions/pub/a")).await.refusal(),
        refused("owner/pub/a")
    );

    // A binding of one's own to a foreign package follows what its owner makes of it, also after it was in use.
    other.put("packages/mine", binding("owner", "pub")).await.ok();
    assert_eq!(other.get("actions/mine/a").await.ok()["namespace"], "owner/pub");
    owner
        .put("packages/pub?overwrite=true", json!({"publish": false}))
        .await
        .ok();
    for path in ["actions/mine/a", "packages/mine", "actions/mine/"] {
        assert_eq!(other.get(path).await.refusal(), refused("other/mine"), "{path}");
    }
    owner.delete("packages/pub?force=true").await.ok();
    assert_eq!(other.get("actions/mine/a").await.refusal(), refused("other/mine"));
    other.delete("packages/mine").await.ok();
}
