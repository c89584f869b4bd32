//! Cancelling and following, as far as the controller goes: who may, what is answered, what is given back.

use super::*;
use crate::api::tests::new_bus;
use tokio::sync::Semaphore;
use wsk_bus::messages::{CONTROL, Control};
use wsk_bus::{Error, Receipt, Subscription};

/// A bus that lets work for the invoker wait, and then takes it or does not.
struct Hesitant {
    bus: Arc<dyn MessageBus>,
    takes: bool,
    decides: Semaphore,
}

#[async_trait::async_trait]
impl MessageBus for Hesitant {
    async fn ensure_topic(&self, topic: &TopicConfig) -> Result<(), Error> {
        self.bus.ensure_topic(topic).await
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, Error> {
        if topic == "invoker0" {
            let _ = self.decides.acquire().await.unwrap();
            if !self.takes {
                return Err(Error::TopicFull {
                    topic: topic.to_owned(),
                    messages: 0,
                    bytes: 0,
                });
            }
        }
        self.bus.publish(topic, message, durability).await
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        self.bus.publish_all(batch).await
    }

    async fn subscribe(&self, topic: &str, group: &str, max: usize) -> Result<Box<dyn Subscription>, Error> {
        self.bus.subscribe(topic, group, max).await
    }

    fn depth(&self, topic: &str) -> u64 {
        self.bus.depth(topic)
    }

    async fn close(&self) -> Result<(), Error> {
        self.bus.close().await
    }
}

async fn ready(behaviour: impl Fn(&ActivationMessage) -> Act + Send + Sync + 'static) -> (Api, Invoker) {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, behaviour).await;
    api.client("guest").put("actions/a", code()).await.ok();
    (api, invoker)
}

async fn orders(api: &Api) -> Box<dyn Subscription> {
    api.app.bus.subscribe(CONTROL, "test", 1000).await.unwrap()
}

async fn cancel(client: &Client<'_>, id: &str) -> Answer {
    let path = format!("/api/v1/namespaces/_/activations/{id}");
    client.send("DELETE", &path, None, &[]).await
}

/// The invoker is told again and again, and when it does nothing the record is written all the same, once.
#[tokio::test(start_paused = true)]
async fn an_invoker_that_does_nothing_cannot_keep_an_activation_alive() {
    let (api, invoker) = ready(|_| Act::Ignore).await;
    let mut orders = orders(&api).await;
    let client = api.client("guest");
    let id = id(&client.post("actions/a", serde_json::json!({})).await);
    let answer = cancel(&client, &id).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["state"]),
        (202, &"cancelling".into())
    );
    let order = orders.next().await.unwrap();
    let Control::Cancel {
        activation_id,
        namespace,
    } = &*read::<Control>(&order).unwrap()
    else {
        panic!("something else was ordered")
    };
    assert_eq!((activation_id.to_string(), namespace.as_str()), (id.clone(), "guest"));
    let record = record(&client, &id).await;
    assert_eq!(record["response"]["status"], "action developer error");
    let mark = serde_json::json!({"key": "cancelled", "value": true});
    assert!(record["annotations"].as_array().unwrap().contains(&mark), "{record}");
    assert_eq!(
        api.app.in_flight_count(),
        1,
        "its slot is the invoker's until it says so"
    );
    assert_eq!(cancel(&client, &id).await.status, 200);
    drop(invoker);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_told() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let client = api.client("guest");
    let waits = async { client.post("actions/a?blocking=true", serde_json::json!({})).await };
    let cancels = async {
        while api.app.in_flight_count() == 0 {
            tokio::task::yield_now().await;
        }
        let (id, _) = api.app.in_flight().pop().unwrap();
        cancel(&client, &id.to_string()).await
    };
    let (told, _) = tokio::join!(waits, cancels);
    assert_eq!(told.status, 502);
    assert_eq!(
        told.json()["response"]["result"]["error"],
        "The activation was cancelled."
    );
}

/// An id of somebody else's is answered as one that nobody has.
#[tokio::test(start_paused = true)]
async fn foreign_ids_are_unknown_ids() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let theirs = id(&api.client("guest").post("actions/a", serde_json::json!({})).await);
    let other = api.client("other");
    for id in [theirs.as_str(), "00000000000000000000000000000000"] {
        let no_route = (404, "The requested resource could not be found.".to_owned());
        assert_eq!(cancel(&other, id).await.refusal(), no_route, "{id}");
        let logs = format!("/api/v1/namespaces/_/activations/{id}/logs?follow=true");
        let answer = other.send("GET", &logs, None, &[("accept", "text/event-stream")]).await;
        assert_eq!(answer.refusal(), super::super::missing(), "{id}");
    }
    assert_eq!(api.app.in_flight_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_names_its_end() {
    let (api, _invoker) = ready(|_| Act::Answer(failure(StatusCode::ApplicationError, "x"))).await;
    let client = api.client("guest");
    let id = id(&client.post("actions/a", serde_json::json!({})).await);
    record(&client, &id).await;
    let text = "The activation has already ended (application error) and cannot be cancelled.";
    assert_eq!(cancel(&client, &id).await.refusal(), (409, text.into()));
    let logs = format!("/api/v1/namespaces/_/activations/{id}/logs?follow=true");
    let bad = client.send("GET", &logs, None, &[("last-event-id", "x")]).await;
    assert_eq!(bad.refusal().0, 400);
}

/// What the bus may still refuse has been accepted by nobody: its cancellation is no promise either, which would be one of a
/// record that is never made. Once the bus has it, it is.
#[tokio::test(start_paused = true)]
async fn nothing_is_promised_of_what_the_bus_has_not_taken() {
    for (takes, told, afterwards) in [(false, 503, 404), (true, 202, 202)] {
        let bus = Arc::new(Hesitant {
            bus: new_bus(),
            takes,
            decides: Semaphore::new(0),
        });
        let api = Api::over_bus(bus.clone()).await;
        let _invoker = Invoker::start(&api, |_| Act::Ignore).await;
        let client = api.client("guest");
        client.put("actions/a", code()).await.ok();
        let asks = async { client.post("actions/a", serde_json::json!({})).await };
        let cancels = async {
            while api.app.in_flight_count() == 0 {
                tokio::task::yield_now().await;
            }
            let (id, _) = api.app.in_flight().pop().unwrap();
            let early = cancel(&client, &id.to_string()).await;
            bus.decides.add_permits(1);
            (id, early)
        };
        let (asked, (id, early)) = tokio::join!(asks, cancels);
        assert_eq!(early.status, 404, "takes: {takes}");
        assert_eq!((asked.status.as_u16(), takes), (told, takes));
        assert_eq!(cancel(&client, &id.to_string()).await.status, afterwards);
    }
}

/// The action may have been changed since, or be gone.
#[tokio::test(start_paused = true)]
async fn the_record_names_the_version_that_was_accepted() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let client = api.client("guest");
    client.put("actions/a?overwrite=true", code()).await.ok();
    let mut accepted = Vec::new();
    for _ in 0..2 {
        accepted.push(id(&client.post("actions/a", serde_json::json!({})).await));
    }
    client.put("actions/a?overwrite=true", code()).await.ok();
    assert_eq!(cancel(&client, &accepted[0]).await.status, 202);
    client.send("DELETE", "actions/a", None, &[]).await.ok();
    assert_eq!(cancel(&client, &accepted[1]).await.status, 202);
    for id in &accepted {
        assert_eq!(record(&client, id).await["version"], "0.0.2");
    }
}
