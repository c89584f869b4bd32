//! Creating, showing and removing APIs.

use super::*;
use crate::apis::v2::{self, Route};

const NO_KEY: &str = "Invalid authentication.";

#[tokio::test]
async fn create_show_remove() {
    let edge = start().await;
    let created = edge.create("/club", "/books/{isbn}", "GET", "getBooks", "http").await;
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(created.headers["access-control-allow-origin"], "*");
    let (created, host) = (created.json(), edge.address);
    assert_eq!(created["gwApiUrl"], format!("http://{host}/api/{ALICE}/club"));
    for (member, value) in [
        ("namespace", json!("Not Used")),
        ("gwApiActivated", json!(true)),
        ("tenantId", json!("Not Used")),
    ] {
        assert_eq!(created[member], value);
    }
    let operation = &created["apidoc"]["paths"]["/books/{isbn}"]["get"];
    let action = json!({"url": format!("http://{host}/api/v1/web/alice/default/getBooks.http"), "namespace": "alice", "package": "", "action": "getBooks"});
    assert_eq!(operation["x-openwhisk"], action);
    // A second route keeps the first; the name of an API stays what it was.
    let mut second = route(&host.to_string(), "/club", "/members", "post", "join");
    second["apidoc"]["apiName"] = json!("Late Name");
    let second = edge.manage("POST", "createApi", ALICE, &second).await.json();
    assert_eq!(second["apidoc"]["info"]["title"], "/club");
    assert_eq!(second["apidoc"]["paths"].as_object().unwrap().len(), 2);
    let listed = edge
        .manage("GET", "getApi.http?limit=30&skip=0", ALICE, &Value::Null)
        .await
        .json();
    assert_eq!(
        listed,
        json!({"apis": [{"id": "Not Used", "key": "Not Used", "value": second}]})
    );

    let delete = async |query: &str| {
        edge.manage("DELETE", &format!("deleteApi.http?{query}"), ALICE, &Value::Null)
            .await
    };
    assert_eq!(
        delete("basepath=/club&relpath=/members&operation=POST").await.text(),
        "{}"
    );
    let refused = "API deletion failure: path '/members' does not exist in the API";
    assert_eq!(
        delete("basepath=/club&relpath=/members").await.refusal(),
        (502, refused.into())
    );
    let refused = "API deletion failure: path '/books/{isbn}' with operation 'put' does not exist in the API";
    assert_eq!(
        delete("basepath=/club&relpath=/books/{isbn}&operation=PUT")
            .await
            .refusal(),
        (502, refused.into())
    );
    assert_eq!(delete("basepath=/club&relpath=/books/{isbn}").await.text(), "{}");
    let refused = "API deletion failure: API '/club' does not exist.";
    assert_eq!(
        delete("basepath=/club").await.refusal(),
        (502, refused.into()),
        "the last path took the API along"
    );
}

#[tokio::test]
async fn names_titles_and_pages() {
    let edge = start().await;
    let host = edge.address.to_string();
    let mut named = route(&host, "/b", "/x", "get", "a");
    named["apidoc"]["apiName"] = json!("Book Club");
    edge.manage("POST", "createApi", ALICE, &named).await.json();
    edge.create("/a", "/x", "get", "a", "json").await.json();
    let by_title = route(&host, "Book Club", "/y", "get", "a");
    let added = edge.manage("POST", "createApi", ALICE, &by_title).await.json();
    assert_eq!(
        (
            &added["apidoc"]["basePath"],
            added["apidoc"]["paths"].as_object().unwrap().len()
        ),
        (&json!("/b"), 2)
    );
    let unknown = edge
        .manage("POST", "createApi", ALICE, &route(&host, "No Club", "/y", "get", "a"))
        .await;
    assert_eq!(
        unknown.refusal(),
        (502, "API creation failure: API 'No Club' does not exist.".into())
    );
    let bases = async |query: &str| -> Vec<String> {
        let listed = edge
            .manage("GET", &format!("getApi.http?{query}"), ALICE, &Value::Null)
            .await
            .json();
        let apis = listed["apis"].as_array().unwrap();
        apis.iter()
            .map(|api| api["value"]["apidoc"]["basePath"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(bases("").await, ["/a", "/b"]);
    assert_eq!(bases("basepath=Book+Club").await, ["/b"]);
    assert_eq!(bases("basepath=/b/").await, ["/b"]);
    assert_eq!(bases("basepath=/none").await, [""; 0]);
    assert_eq!(bases("limit=1&skip=1").await, ["/b"]);
    let format = edge
        .manage("GET", "getApi.http?outputFormat=xml", ALICE, &Value::Null)
        .await;
    assert_eq!(
        format.refusal(),
        (
            502,
            "Invalid outputFormat value. Valid values are: apigw, swagger".into()
        )
    );
}

#[tokio::test]
async fn a_description_replaces_the_api_of_its_base_path() {
    let edge = start().await;
    edge.create("/club", "/old", "get", "a", "json").await.json();
    let document = leading_to("/club/", "http://backend.example");
    let imported = edge.import(&document).await.json();
    assert_eq!(imported["apidoc"], document, "it comes back as it was given");
    assert_eq!(
        imported["gwApiUrl"],
        format!("http://{}/api/{ALICE}/club", edge.address)
    );
    let listed = edge.manage("GET", "getApi", ALICE, &Value::Null).await.json();
    assert_eq!(listed["apis"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let edge = start().await;
    let create = async |body: &Value| edge.manage("POST", "createApi.http", ALICE, body).await.refusal();
    assert_eq!(create(&json!({})).await, (502, "apidoc is required.".into()));
    let mut oauth = leading_to("/a", "http://h");
    oauth["securityDefinitions"] = json!({"g": {"type": "oauth2"}});
    let body = |swagger: &Value| json!({"apidoc": {"namespace": "_", "swagger": swagger}});
    let refused = "API creation failure: the security definition 'g' names the provider 'g'; offered are google, github, facebook, app-id";
    assert_eq!(create(&body(&oauth)).await, (502, refused.into()));
    let mut bare = leading_to("/a", "http://h");
    bare["paths"] = json!({"/a": {}});
    let refused = "API creation failure: the description has no operations";
    assert_eq!(create(&body(&bare)).await, (502, refused.into()));
    let parameters = route(&edge.address.to_string(), "/a", "/{id}", "get", "a");
    let refused =
        "API creation failure: The action must use a response type of '.http' in order to receive the path parameters.";
    assert_eq!(create(&parameters).await, (502, refused.into()));
    let delete = async |query: &str| {
        edge.manage("DELETE", &format!("deleteApi.http?{query}"), ALICE, &Value::Null)
            .await
            .refusal()
    };
    assert_eq!(delete("").await, (502, "basepath is required.".into()));
    let refused = "When specifying an operation, the path is required.";
    assert_eq!(delete("basepath=/a&operation=get").await, (502, refused.into()));
}

#[tokio::test]
async fn sizes_and_depths_have_ends() {
    let edge = start().await;
    let mut huge = leading_to("/huge", "http://h");
    huge["info"]["description"] = json!("x".repeat(1_100_000));
    let refused = "API creation failure: the description is larger than 1 MB";
    let body = json!({"apidoc": {"namespace": "_", "swagger": huge}});
    assert_eq!(
        edge.manage("POST", "createApi", ALICE, &body).await.refusal(),
        (502, refused.into())
    );
    huge["info"]["description"] = json!("x".repeat(3_000_000));
    let body = json!({"apidoc": {"namespace": "_", "swagger": huge}});
    let refused = edge.manage("POST", "createApi", ALICE, &body).await.refusal();
    assert_eq!(refused, (502, "the description is larger than allowed".into()));
    for deep in ["[".repeat(100_000), r#"{"apidoc":"#.repeat(10_000)] {
        let target = "/api/v1/web/whisk.system/apimgmt/createApi.http";
        let answer = edge
            .send("POST", target, &[("authorization", &key_of(ALICE))], deep)
            .await;
        assert_eq!(answer.refusal(), (502, "apidoc is required.".into()));
    }
    let text = json!({"apidoc": "[".repeat(100_000)});
    let refused = edge.manage("POST", "createApi", ALICE, &text).await.refusal();
    assert_eq!(refused.1, "apidoc field cannot be parsed. Ensure it is valid JSON.");
    let data = Data::new().await;
    let mut config = Config::default();
    config.apis.per_namespace = 1;
    let edge = data.serve(config).await;
    edge.create("/a", "/x", "get", "a", "json").await.json();
    edge.create("/a", "/y", "get", "a", "json").await.json();
    let refused = "API creation failure: a namespace may have 1 APIs; delete one first";
    assert_eq!(
        edge.create("/b", "/x", "get", "a", "json").await.refusal(),
        (502, refused.into())
    );
}

/// Every path that the gateway answers itself: without a key, with a wrong one, with a foreign one, with nonsense.
#[tokio::test]
async fn nobody_reaches_anothers_apis() {
    let edge = start().await;
    edge.create("/club", "/x", "get", "a", "json").await.json();
    let wrong = key_of("00000000-71f6-4ed5-8c54-816aa4f8c502");
    for (method, action, text) in [
        ("POST", "createApi.http", "A valid auth key is required."),
        ("GET", "getApi.http", NO_KEY),
        ("DELETE", "deleteApi.http?basepath=/club", NO_KEY),
    ] {
        let target = format!("/api/v1/web/whisk.system/apimgmt/{action}");
        for headers in [&[][..], &[("authorization", &*wrong)], &[("authorization", "Bearer x")]] {
            let answer = edge.send(method, &target, headers, "{").await;
            assert_eq!(answer.refusal(), (502, text.into()), "{action}");
        }
    }
    // The space that a query names counts for nothing.
    let listed = edge
        .manage("GET", &format!("getApi.http?spaceguid={ALICE}"), BOB, &Value::Null)
        .await;
    assert_eq!(listed.json(), json!({"apis": []}));
    let deleted = edge
        .manage(
            "DELETE",
            &format!("deleteApi.http?basepath=/club&spaceguid={ALICE}"),
            BOB,
            &Value::Null,
        )
        .await;
    assert_eq!(deleted.refusal().1, "API deletion failure: API '/club' does not exist.");

    for (method, pattern, route) in v2::ROUTES {
        let target = format!("/v2/{ALICE}/{}?artifact_id=x", pattern.replace("{id}", "x"));
        nobody_but_the_owner(&edge, method, &target).await;
        let malformed = edge
            .send(method, &target, &[("authorization", &key_of(ALICE))], "{")
            .await;
        let expected = match route {
            Route::Search => 200,
            Route::Create | Route::Replace | Route::Subscribe => 400,
            Route::Show | Route::Delete | Route::Subscribers | Route::Unsubscribe => 404,
        };
        assert_eq!(malformed.status.as_u16(), expected, "{method} {target}: {malformed:?}");
    }
    for (method, path) in [
        ("GET", "nonsense"),
        ("PATCH", "apis"),
        ("GET", "apis/x/y"),
        ("POST", "apis/x"),
        ("GET", ""),
    ] {
        let target = format!("/v2/{ALICE}/{path}");
        nobody_but_the_owner(&edge, method, &target).await;
        let unknown = edge
            .send(method, &target, &[("authorization", &key_of(ALICE))], "{")
            .await;
        let text = r#"{"status":404,"message":"Error: Not found."}"#;
        assert_eq!(unknown.text(), text, "{method} {target}");
    }
}

async fn nobody_but_the_owner(edge: &Edge, method: &str, target: &str) {
    let (bob, wrong) = (key_of(BOB), key_of("00000000-71f6-4ed5-8c54-816aa4f8c502"));
    for authorization in ["", &bob, &wrong, "Bearer ", "Bearer x"] {
        let answer = edge
            .send(method, target, &[("authorization", authorization)], "{")
            .await;
        assert_eq!(
            answer.text(),
            r#"{"status":401,"message":"Error: Unauthorized"}"#,
            "{method} {target} {authorization}"
        );
    }
}

#[tokio::test]
async fn the_interface_of_gateways() {
    let data = Data::new().await;
    let mut config = Config::default();
    config.apis.management_secret = wsk_service::config::Secret::new("s3cret");
    config.apis.public_url = "https://api.example.org/".to_owned();
    let edge = data.serve(config).await;
    let bearer = async |method: &str, path: &str, body: Value| {
        edge.send(
            method,
            &format!("/v2/{ALICE}/{path}"),
            &[("authorization", "Bearer s3cret")],
            body.to_string(),
        )
        .await
    };
    let document = leading_to("/a", "http://h");
    let made = bearer("POST", "apis", document.clone()).await.json();
    assert_eq!(made["managed_url"], format!("https://api.example.org/api/{ALICE}/a"));
    assert_eq!(made["open_api_doc"], document);
    let id = made["artifact_id"].as_str().unwrap().to_owned();
    let mut changed = document.clone();
    changed["info"]["title"] = json!("New");
    let put = bearer("PUT", &format!("apis/{id}"), changed.clone()).await.json();
    assert_eq!((&put["artifact_id"], &put["open_api_doc"]), (&json!(id), &changed));
    assert_eq!(
        bearer("PUT", &format!("apis/{id}"), leading_to("/b", "http://h"))
            .await
            .status,
        400
    );
    assert_eq!(bearer("GET", "apis?title=New", Value::Null).await.json(), json!([put]));
    assert_eq!(bearer("GET", "apis?basePath=/b", Value::Null).await.json(), json!([]));
    assert_eq!(bearer("GET", &format!("apis/{id}"), Value::Null).await.json(), put);
    let subscribed = bearer(
        "POST",
        "subscriptions",
        json!({"artifact_id": id, "client_id": "c", "client_secret": "s"}),
    )
    .await;
    assert_eq!(
        subscribed.json(),
        json!({"message": format!("Subscription 'c' created for API '{id}'")})
    );
    assert_eq!(
        bearer("GET", &format!("subscriptions?artifact_id={id}"), Value::Null)
            .await
            .json(),
        json!(["c"])
    );
    assert_eq!(
        bearer("DELETE", &format!("subscriptions/c?artifact_id={id}"), Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        bearer("DELETE", &format!("subscriptions/c?artifact_id={id}"), Value::Null)
            .await
            .status,
        404
    );
    assert_eq!(bearer("DELETE", &format!("apis/{id}"), Value::Null).await.status, 204);
    assert_eq!(bearer("GET", &format!("apis/{id}"), Value::Null).await.status, 404);
    assert_eq!(
        bearer("POST", "subscriptions", json!({"artifact_id": id, "client_id": "c"}))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn concurrent_creations_lose_nothing() {
    let edge = Arc::new(start().await);
    let creating: Vec<_> = (0..8)
        .map(|n| {
            let edge = edge.clone();
            tokio::spawn(async move { edge.create("/club", &format!("/p{n}"), "get", "a", "json").await.status })
        })
        .collect();
    for created in creating {
        assert_eq!(created.await.unwrap(), 200);
    }
    let listed = edge.manage("GET", "getApi", ALICE, &Value::Null).await.json();
    let paths = listed["apis"][0]["value"]["apidoc"]["paths"].as_object().unwrap().len();
    assert_eq!(paths, 8);
}
