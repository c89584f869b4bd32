//! How far an activation is, for who asks: what invokers and other controllers say, and what is asked of this one.

use super::*;
use serde_json::json;
use std::task::Poll;
use wsk_bus::Subscription;
use wsk_bus::messages::{CONTROL, Control, Printed, Seen, printed_topic};
use wsk_entities::{ActivationId, Namespace};

const NOBODYS: &str = "00000000000000000000000000000001";

async fn ready(behaviour: impl Fn(&ActivationMessage) -> Act + Send + Sync + 'static) -> (Api, Invoker) {
    let api = Api::start().await;
    let invoker = Invoker::start(&api, behaviour).await;
    api.client("guest").put("actions/a", code()).await.ok();
    (api, invoker)
}

async fn publish(api: &Api, topic: &str, message: impl wsk_bus::Payload) {
    let message = Message::local(Key::None, Arc::new(message));
    api.app.bus.publish(topic, message, Durability::Volatile).await.unwrap();
}

/// What somebody says about an activation of `guest`'s.
fn said(id: &str, running: bool) -> Printed {
    Printed {
        activation_id: id.parse().unwrap(),
        namespace: Some(Namespace::new("guest").unwrap()),
        first: 0,
        lines: Vec::new(),
        state: Some(Seen {
            action: "guest/a".parse().unwrap(),
            running,
        }),
    }
}

/// What an invoker of the version before says of what it runs.
fn before(id: &str) -> Printed {
    Printed {
        namespace: None,
        first: wsk_bus::messages::BEYOND,
        state: None,
        ..said(id, true)
    }
}

/// Answers the next question.
async fn answer(api: &Api, questions: &mut Box<dyn Subscription>, answers: Vec<Printed>) {
    let question = questions.next().await.unwrap();
    let Control::Follow {
        controller,
        only_state: true,
        ..
    } = &*read::<Control>(&question).unwrap()
    else {
        panic!("something else was asked")
    };
    assert_eq!(**controller, *api.app.config.id);
    for answer in answers {
        publish(api, &printed_topic(controller), answer).await;
    }
}

async fn asked(api: &Api, namespace: &str, id: &str, answers: Vec<Printed>) -> Answer {
    let mut questions = api.app.bus.subscribe(CONTROL, "test", 1000).await.unwrap();
    let (client, path) = (api.client(namespace), format!("activations/{id}?pending=true"));
    tokio::join!(client.get(&path), answer(api, &mut questions, answers)).0
}

/// An invoker of the version before answers as to any follower.
#[tokio::test(start_paused = true)]
async fn what_an_invoker_says_it_runs_is_running() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let id = id(&api.client("guest").post("actions/a", json!({})).await);
    let before = before(&id);
    let other = Printed {
        namespace: Some(Namespace::new("other").unwrap()),
        ..said(&id, true)
    };
    for (answers, state) in [
        (vec![said(&id, true)], "running"),
        (vec![before], "running"),
        (vec![other], "pending"),
        (vec![], "pending"),
    ] {
        let shown = asked(&api, "guest", &id, answers).await.ok();
        assert_eq!((&shown["state"], &shown["path"]), (&json!(state), &json!("guest/a")));
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_controller_has_is_shown_to_its_owner() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    for (answers, state) in [
        (vec![said(NOBODYS, false), said(NOBODYS, true)], "running"),
        (vec![said(NOBODYS, false)], "pending"),
        (vec![before(NOBODYS), said(NOBODYS, false)], "running"),
        (vec![said(NOBODYS, false), before(NOBODYS)], "running"),
    ] {
        let shown = asked(&api, "guest", NOBODYS, answers).await.ok();
        assert_eq!((&shown["state"], &shown["name"]), (&json!(state), &json!("a")));
    }
    for namespace in ["guest", "other"] {
        let answers = if namespace == "other" {
            vec![said(NOBODYS, true)]
        } else {
            vec![]
        };
        assert_eq!(
            asked(&api, namespace, NOBODYS, answers).await.status,
            404,
            "{namespace}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_clients_that_do_not_ask() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let client = api.client("guest");
    let mut questions = api.app.bus.subscribe(CONTROL, "test", 1000).await.unwrap();
    let id = id(&client.post("actions/a", json!({})).await);
    assert_eq!(client.get(&format!("activations/{id}")).await.status, 404);
    let asked = tokio::time::timeout(Duration::from_secs(5), questions.next()).await;
    assert!(asked.is_err());
}

/// Each question goes to everybody.
#[tokio::test(start_paused = true)]
async fn a_namespace_asks_so_many_at_a_time() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let (client, other) = (api.client("guest"), api.client("other"));
    let ask = async |client: &Client<'_>, n: u32| client.get(&format!("activations/{n:032x}?pending=true")).await;
    let many = (0..66).map(|n| ask(if n == 65 { &other } else { &client }, n));
    let answers = together(many).await;
    let (refused, unknown): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 429);
    let texts: Vec<_> = refused.iter().map(|answer| answer.refusal().1).collect();
    assert_eq!(
        texts,
        ["Too many activations are being asked about in the namespace (limit: 64)."]
    );
    assert!(unknown.iter().all(|answer| answer.status == 404));
    assert_eq!(ask(&client, 0).await.status, 404, "the seats are free again");
}

/// What all of them come to, each begun before any has ended.
async fn together<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let (mut open, mut ended): (Vec<_>, _) = (futures.map(Box::pin).collect(), Vec::new());
    std::future::poll_fn(|context| {
        open.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(value) => {
                ended.push(value);
                false
            }
            Poll::Pending => true,
        });
        if open.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    ended
}

#[tokio::test(start_paused = true)]
async fn another_controller_hears_what_this_one_knows() {
    let (api, _invoker) = ready(|_| Act::Ignore).await;
    let client = api.client("guest");
    client.put("actions/s", sequence(&["/_/a"])).await.ok();
    let topic = TopicConfig::broadcast(printed_topic("other"));
    api.app.bus.ensure_topic(&topic).await.unwrap();
    let mut answers = api.app.bus.subscribe(&topic.name, "other", 100).await.unwrap();
    for (action, running) in [("a", false), ("s", true)] {
        let id: ActivationId = id(&client.post(&format!("actions/{action}"), json!({})).await)
            .parse()
            .unwrap();
        // Of the same id in another namespace nothing is known.
        for namespace in ["other", "guest"] {
            let question = Control::Follow {
                activation_id: id,
                namespace: Namespace::new(namespace).unwrap(),
                from: wsk_bus::messages::BEYOND,
                controller: "other".into(),
                only_state: true,
            };
            publish(&api, CONTROL, question).await;
        }
        let delivery = answers.next().await.unwrap();
        let told = read::<Printed>(&delivery).unwrap();
        delivery.commit();
        assert_eq!(told.namespace, Some(Namespace::new("guest").unwrap()));
        let seen = told.state.as_ref().unwrap();
        assert_eq!(
            (seen.action.to_string(), seen.running),
            (format!("guest/{action}"), running)
        );
    }
    let more = tokio::time::timeout(Duration::from_secs(5), answers.next()).await;
    assert!(more.is_err());
}
