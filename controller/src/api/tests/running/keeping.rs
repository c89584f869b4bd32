//! Which records of the controller's own making a deployment keeps.

use super::*;
use crate::Config;
use serde_json::json;
use wsk_entities::StorePolicy;

#[tokio::test(start_paused = true)]
async fn a_deployment_may_keep_failures_alone() {
    let config = Config {
        store_blocking: StorePolicy::StoreFailures,
        store_non_blocking: StorePolicy::StoreFailuresNotApplicationErrors,
        ..Config::default()
    };
    let api = Api::configured(config).await;
    let _invoker = Invoker::start(&api, |message| {
        let wants = |text: &str| {
            message
                .content
                .as_ref()
                .is_some_and(|content| content.as_str().contains(text))
        };
        match (wants("apply"), wants("crash")) {
            (true, _) => Act::Answer(failure(StatusCode::ApplicationError, "no")),
            (_, true) => Act::Answer(failure(StatusCode::DeveloperError, "no")),
            (false, false) => echo(message),
        }
    })
    .await;
    let client = api.client("guest");
    client.put("actions/a", code()).await.ok();
    client.put("actions/s", sequence(&["/_/a"])).await.ok();
    for (path, body, kept) in [
        ("actions/s?blocking=true", json!({}), false),
        ("actions/s?blocking=true", json!({"apply": 1}), true),
        ("actions/s", json!({}), false),
        ("actions/s", json!({"apply": 1}), false),
        ("actions/s", json!({"crash": 1}), true),
    ] {
        let answer = client.post(path, body.clone()).await;
        let id = id(&answer);
        while api.app.in_flight_count() > 0 || api.app.bus.depth("owed0") > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = client.get(&format!("activations/{id}")).await.status == 200;
        assert_eq!(found, kept, "{path} {body}");
    }
}
