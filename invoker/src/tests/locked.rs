//! Locked arguments: opened for the action alone, and a key that is not there costs nobody a container.

use std::sync::{Arc, Mutex};

use wsk_bus::messages::ActivationMessage;
use wsk_containers::scripted::Reply;
use wsk_entities::Json;
use wsk_secrets::{Keys, Vault};
use wsk_store::Revision;

use super::world::World;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn vault() -> Arc<Vault> {
    Arc::new(Vault::open_with(Keys::Given(KEY.to_owned().into())).unwrap())
}

/// A message whose argument `token`, and init parameter `born`, are locked.
fn locked(world: &mut World, revision: &Revision) -> ActivationMessage {
    let seal = |json: &str| vault().seal(json).unwrap().text;
    let (token, born) = (seal(r#"{"deep":"\"hidden\""}"#), seal(r#""hidden\n""#));
    let content = format!(r#"{{"plain":1.50,"token":"{token}","born":"{born}"}}"#);
    let algorithm = || "aes-256".to_owned();
    ActivationMessage {
        content: Some(Json::parse(&content).unwrap()),
        init_args: vec!["born".into()],
        locked_args: [("token".into(), algorithm()), ("born".into(), algorithm())].into(),
        ..world.message("hello", revision)
    }
}

#[tokio::test(start_paused = true)]
async fn the_action_gets_its_secrets() {
    let mut world = World::new().await;
    world.secrets = vault();
    world.kill().await;
    world.start().await;
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let noted = bodies.clone();
    world.containers.behave(move |seen| {
        let body = String::from_utf8(seen.body.to_vec()).unwrap();
        noted
            .lock()
            .unwrap()
            .push(serde_json::from_str::<serde_json::Value>(&body).unwrap());
        Reply::ok("{}")
    });
    let revision = world.put("hello", |_| ()).await;
    let message = locked(&mut world, &revision);
    assert_eq!(world.invoke(message).await.status(), 0);
    let bodies = bodies.lock().unwrap().clone();
    assert_eq!(bodies[0]["value"]["env"]["born"], "hidden\n");
    let arguments = bodies[1]["value"].to_string();
    assert_eq!(arguments, r#"{"plain":1.50,"token":{"deep":"\"hidden\""}}"#);
    world.clean();
}

#[tokio::test(start_paused = true)]
async fn a_missing_key_is_told_and_the_container_stays() {
    let mut world = World::new().await;
    let revision = world.put("hello", |_| ()).await;
    let message = world.message("hello", &revision);
    world.invoke(message).await;
    let mut message = locked(&mut world, &revision);
    message.init_args.clear();
    let seen = world.invoke(message).await;
    assert_eq!(seen.status(), 3);
    let text = seen.error();
    assert!(
        text.starts_with("The action was not run: the parameter '") && text.contains("secrets.keys"),
        "{text}"
    );
    assert!(!text.contains("hidden"));
    let message = world.message("hello", &revision);
    assert_eq!(world.invoke(message).await.status(), 0);
    assert_eq!(
        (world.containers.counts().created, world.containers.counts().destroyed),
        (1, 0)
    );
    world.clean();
}
