//! Which records a deployment keeps.

use std::time::Duration;

use wsk_containers::scripted::Reply;
use wsk_entities::StorePolicy;

use super::world::{World, config};
use crate::Config;

const MANIFEST: &str = r#"{"runtimes":{"nodejs":[{"kind":"nodejs:20","default":true,
    "image":{"prefix":"openwhisk","name":"action-nodejs-v20"}}]}}"#;

#[tokio::test(start_paused = true)]
async fn blocking_and_other_activations_have_a_policy_each() {
    let choosy = Config {
        store_blocking: StorePolicy::StoreFailures,
        store_non_blocking: StorePolicy::StoreFailuresNotApplicationErrors,
        ..config()
    };
    let mut world = World::with(choosy, MANIFEST).await;
    let revision = world.put("hello", |_| ()).await;
    let (fine, refused) = (Reply::ok("{}"), Reply::ok(r#"{"error":"no"}"#));
    for (blocking, reply, insists, kept) in [
        (true, fine.clone(), false, false),
        (true, refused.clone(), false, true),
        (true, fine.clone(), true, true),
        (false, fine, false, false),
        (false, refused, false, false),
        (false, Reply::status(500, r#"{"error":"broken"}"#), false, true),
    ] {
        world.containers.next_run(reply);
        let mut message = world.message("hello", &revision);
        message.blocking = blocking;
        message.transid.extra_logging = insists;
        let id = world.send(message).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.invoker().open(), 0, "it has ended");
        assert_eq!(
            world.has_record(id).await,
            kept,
            "blocking: {blocking}, insists: {insists}"
        );
    }
}
