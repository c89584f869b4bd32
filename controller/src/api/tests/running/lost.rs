//! Activations that the bus does not take, at once or as it turns out later: what is answered, what is given back.

use super::*;
use crate::api::tests::new_bus;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use wsk_bus::{Error, Receipt, Subscription};
use wsk_entities::UserLimits;
use wsk_identity::Outcome;

const BLOCKING: &str = "actions/a?blocking=true";
const TOO_LARGE: &str = "The request content is larger than the server is willing or able to process.";

type Word = Option<Result<(), Error>>;

/// A bus that says later whether the work for the invoker has arrived, and until then keeps it from the invoker; also a
/// durable publish returns only then.
struct Late {
    bus: Arc<dyn MessageBus>,
    decides: Mutex<Vec<watch::Sender<Word>>>,
    mood: Mutex<Mood>,
}

/// What a bus does with batches.
#[derive(Clone, Copy)]
enum Mood {
    /// It says later whether they have arrived.
    Waits,
    /// It takes the first message alone, and nothing is kept from the invoker.
    Tears,
    /// It takes what is not too large.
    Picks,
    /// It says of so many that it does not know, and takes all or nothing of them; it takes the rest.
    Doubts { count: u32, takes: bool },
}

#[async_trait::async_trait]
impl MessageBus for Late {
    async fn ensure_topic(&self, topic: &TopicConfig) -> Result<(), Error> {
        self.bus.ensure_topic(topic).await
    }

    async fn publish(&self, topic: &str, message: Message, durability: Durability) -> Result<Receipt, Error> {
        if topic != "invoker0" {
            return self.bus.publish(topic, message, durability).await;
        }
        let receipt = self.undecided();
        if durability == Durability::Durable {
            receipt.arrived().await?;
        }
        Ok(receipt)
    }

    async fn publish_all(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Picks if batch.len() > 1 => self.pick(batch).await,
            Mood::Tears if batch.len() > 1 => {
                let mut taken = vec![false; batch.len()];
                taken[0] = true;
                self.bus.publish_all(batch.into_iter().take(1).collect()).await?;
                let topic = "owed0".to_owned();
                Err(Error::TornApart { topic, taken })
            }
            Mood::Doubts { count: 1.., takes } => {
                self.doubt_less();
                if takes {
                    self.bus.publish_all(batch).await?;
                }
                sleep(Duration::from_secs(10)).await;
                Err(silence())
            }
            Mood::Waits if batch.iter().any(|(topic, _)| **topic == *"invoker0") => self.undecided().arrived().await,
            Mood::Picks | Mood::Tears | Mood::Doubts { count: 0, .. } | Mood::Waits => {
                self.bus.publish_all(batch).await
            }
        }
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

impl Late {
    fn new() -> Arc<Late> {
        Arc::new(Late {
            bus: new_bus(),
            decides: Mutex::default(),
            mood: Mutex::new(Mood::Waits),
        })
    }

    fn undecided(&self) -> Receipt {
        let (decides, decided) = watch::channel(None);
        self.decides.lock().unwrap().push(decides);
        Receipt::undecided(decided)
    }

    async fn pick(&self, batch: Vec<(Arc<str>, Message)>) -> Result<(), Error> {
        let (mut taken, mut refused) = (Vec::new(), None);
        for (topic, message) in batch {
            let published = self.bus.publish_all(vec![(topic.clone(), message)]).await;
            taken.push(published.is_ok());
            if let Err(Error::TooLarge { topic, .. }) = published {
                refused = Some(topic);
            }
        }
        match refused {
            Some(topic) => Err(Error::TornApart { topic, taken }),
            None => Ok(()),
        }
    }

    fn doubt_less(&self) {
        if let Mood::Doubts { count, .. } = &mut *self.mood.lock().unwrap() {
            *count -= 1;
        }
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn decide(&self, word: &Result<(), Error>) {
        for decides in self.decides.lock().unwrap().drain(..) {
            let _ = decides.send(Some(word.clone()));
        }
    }
}

fn silence() -> Error {
    Error::Broker {
        brokers: "nowhere:9092".to_owned(),
        operation: "take a message for",
        topic: "invoker0".to_owned(),
        reason: "silence".to_owned(),
        transient: true,
    }
}

async fn late() -> (Api, Invoker, Arc<Late>) {
    let bus = Late::new();
    let api = Api::over_bus(bus.clone()).await;
    let invoker = Invoker::start(&api, echo).await;
    api.client("guest").put("actions/a", code()).await.ok();
    (api, invoker, bus)
}

/// A caller who may have one activation at a time, so that one that keeps its place is noticed.
fn lonely(api: &Api) -> Client<'_> {
    let limits = UserLimits {
        concurrent_invocations: Some(1),
        ..UserLimits::default()
    };
    api.limited("guest", limits)
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_on_its_way_is_answered_as_soon_as_that_is_known() {
    let (api, _invoker, bus) = late().await;
    let too_large = Error::TooLarge {
        topic: "invoker0".to_owned(),
        size: 2,
        limit: 1,
    };
    for (error, status) in [(silence(), 503), (too_large, 413), (silence(), 503)] {
        let began = Instant::now();
        let client = lonely(&api);
        let (answer, ()) = tokio::join!(client.post(BLOCKING, json!({})), async {
            sleep(Duration::from_secs(7)).await;
            bus.decide(&Err(error));
        });
        assert_eq!(
            (answer.status.as_u16(), began.elapsed().as_secs()),
            (status, 7),
            "{}",
            answer.text
        );
        assert_eq!(answer.header("x-openwhisk-activation-id"), None);
        assert_eq!(api.app.in_flight_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_after_its_caller_hung_up_gives_back_what_it_held() {
    let (api, _invoker, bus) = late().await;
    let client = lonely(&api);
    let hung_up = timeout(Duration::from_secs(1), client.post(BLOCKING, json!({}))).await;
    assert!(hung_up.is_err());
    assert_eq!(api.app.in_flight_count(), 1);
    bus.decide(&Err(silence()));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(api.app.in_flight_count(), 0);
    let (answer, ()) = tokio::join!(client.post(BLOCKING, json!({})), async {
        sleep(Duration::from_secs(1)).await;
        bus.decide(&Err(silence()));
    });
    assert_eq!(answer.status, 503, "its place is free: {}", answer.text);
}

/// Whoever waits for a sequence is not held to the end of the wait by a component that no invoker has.
#[tokio::test(start_paused = true)]
async fn a_component_that_is_lost_on_its_way_ends_its_sequence() {
    let (api, invoker, bus) = late().await;
    let client = api.client("guest");
    client.put("actions/s", sequence(&["/_/a", "/_/a"])).await.ok();
    let began = Instant::now();
    let (answer, ()) = tokio::join!(client.post("actions/s?blocking=true", json!({})), async {
        sleep(Duration::from_secs(7)).await;
        bus.decide(&Err(silence()));
    });
    let result = &answer.json()["response"]["result"];
    assert_eq!(
        (began.elapsed().as_secs(), &result["error"]),
        (7, &json!("Sequence failed."))
    );
    assert_eq!((api.app.in_flight_count(), invoker.seen().len()), (0, 0));
    record(&client, &id(&answer)).await;
}

/// Whoever begins to write something down ends that, so that it is known what became of it.
#[tokio::test(start_paused = true)]
async fn a_durable_publish_is_seen_through_though_its_caller_hung_up() {
    let (api, _invoker, bus) = late().await;
    let client = api.client("guest");
    client.put("triggers/t", json!({})).await.ok();
    let rule = json!({"trigger": "/_/t", "action": "/_/a"});
    client.put("rules/r", rule).await.ok();
    for path in ["actions/a", "triggers/t"] {
        let client = lonely(&api);
        let hung_up = timeout(Duration::from_secs(1), client.post(path, json!({}))).await;
        assert!(hung_up.is_err());
        assert_eq!(api.app.in_flight_count(), 1, "{path}");
        bus.decide(&Err(silence()));
        sleep(Duration::from_millis(1)).await;
        assert_eq!(api.app.in_flight_count(), 0, "{path}");
    }
}

/// What has arrived is waited for, and accepted when that takes too long.
#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_waited_for() {
    let (api, _invoker, bus) = late().await;
    let client = api.client("guest");
    let path = format!("{BLOCKING}&timeout=3000");
    let (answer, ()) = tokio::join!(client.post(&path, json!({})), async {
        sleep(Duration::from_secs(1)).await;
        bus.decide(&Ok(()));
    });
    assert_eq!(answer.status, 202);
    assert_eq!(api.app.in_flight_count(), 1);
}

/// What comes a second time is known by its mark, so that its invoker looks whether it has run.
#[tokio::test(start_paused = true)]
async fn a_fire_that_the_brokers_took_in_part_repeats_nothing_unmarked() {
    let (api, invoker, bus) = late().await;
    let client = api.client("guest");
    client.put("triggers/t", json!({})).await.ok();
    for rule in ["r", "s"] {
        let body = json!({"trigger": "/_/t", "action": "/_/a"});
        client.put(&format!("rules/{rule}"), body).await.ok();
    }
    bus.turn(Mood::Tears);
    let answer = client.post("triggers/t", json!({})).await;
    assert_eq!(answer.status, 202);
    record(&client, &id(&answer)).await;
    sleep(Duration::from_secs(1)).await;
    let seen: Vec<_> = invoker.seen().iter().map(|message| message.activation_id).collect();
    assert_eq!(invoker.redelivered(), [false, true, true]);
    assert!(seen[0] == seen[1] && seen[1] != seen[2], "{seen:?}");
    assert_eq!(api.app.in_flight_count(), 0);
}

/// The record is out by then, and says of each rule that it started something.
#[tokio::test(start_paused = true)]
async fn what_a_fire_that_was_taken_in_part_could_not_start_ends_in_a_record() {
    let (api, invoker, bus) = late().await;
    let client = api.client("guest");
    put_large(&client).await;
    client.put("triggers/t", json!({})).await.ok();
    for (rule, action) in [("r", "a"), ("s", "large")] {
        let body = json!({"trigger": "/_/t", "action": format!("/_/{action}")});
        client.put(&format!("rules/{rule}"), body).await.ok();
    }
    narrow(&api).await;
    bus.turn(Mood::Picks);
    let answer = client.post("triggers/t", json!({})).await;
    assert_eq!(answer.status, 202);
    let fired = record(&client, &id(&answer)).await;
    for (line, success) in fired["logs"].as_array().unwrap().iter().zip([true, false]) {
        let line: serde_json::Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
        assert_eq!(line["success"], true);
        let started = record(&client, line["activationId"].as_str().unwrap()).await;
        assert_eq!(started["response"]["success"], success, "{started}");
        if !success {
            assert_eq!(
                (&started["name"], &started["response"]["result"]["error"]),
                (&json!("large"), &json!(TOO_LARGE))
            );
        }
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(invoker.redelivered(), [false, true]);
    assert_eq!((api.app.in_flight_count(), api.app.bus.depth("owed0")), (0, 0));
}

/// An action whose message the bus finds too large once its topic is narrow.
async fn put_large(client: &Client<'_>) {
    let mut large = code();
    large["parameters"] = json!([{"key": "large", "value": "x".repeat(100_000)}]);
    client.put("actions/large", large).await.ok();
}

async fn narrow(api: &Api) {
    let bounds = TopicConfig {
        max_bytes: 50_000,
        ..TopicConfig::queue("invoker0")
    };
    api.app.bus.ensure_topic(&bounds).await.unwrap();
}

/// What the record of an activation names, and what an invoker was given, in order.
async fn named_and_seen(client: &Client<'_>, id: &str, invoker: &Invoker) -> (Vec<String>, Vec<String>) {
    let record = record(client, id).await;
    let named = record["logs"].as_array().unwrap().iter();
    let seen = invoker.seen();
    let seen = seen.iter().map(|message| message.activation_id.to_string());
    (
        named.map(|id| id.as_str().unwrap().to_owned()).collect(),
        seen.collect(),
    )
}

/// Its state, too large for the brokers, is not what decides.
#[tokio::test(start_paused = true)]
async fn a_component_that_the_brokers_took_without_its_state_is_waited_for() {
    let (api, invoker, bus) = late().await;
    let client = api.client("guest");
    client.put("actions/s", sequence(&["/_/a", "/_/a"])).await.ok();
    bus.turn(Mood::Tears);
    let answer = client.post("actions/s", json!({"x": 1})).await;
    let (named, seen) = named_and_seen(&client, &id(&answer), &invoker).await;
    assert_eq!((named.len(), &named), (2, &seen));
    let ended = record(&client, &id(&answer)).await;
    assert_eq!(ended["response"]["result"], json!({"x": 1}));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((api.app.in_flight_count(), api.app.bus.depth("owed0")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_component_that_the_brokers_did_not_take_is_not_waited_for_though_they_took_its_state() {
    let (api, invoker, bus) = late().await;
    let client = api.client("guest");
    put_large(&client).await;
    client.put("actions/s", sequence(&["/_/large", "/_/a"])).await.ok();
    narrow(&api).await;
    bus.turn(Mood::Picks);
    let began = Instant::now();
    let answer = client.post("actions/s", json!({})).await;
    let ended = record(&client, &id(&answer)).await;
    assert_eq!(ended["response"]["result"]["error"], "Sequence failed.");
    assert!(began.elapsed() < Duration::from_secs(1), "nothing was waited for");
    sleep(Duration::from_secs(1)).await;
    assert_eq!((api.app.in_flight_count(), api.app.bus.depth("owed0")), (0, 0));
    assert!(invoker.seen().is_empty());
}

/// Under the same id, and known by its mark: whether it was taken the first time is for its invoker to find out, unless its
/// answer says so.
#[tokio::test(start_paused = true)]
async fn a_component_that_may_have_been_taken_is_published_again_and_no_other_in_its_place() {
    for (takes, runs_for, redelivered) in [
        (true, 15, &[false, true, false][..]),
        (true, 0, &[false, false]),
        (false, 0, &[true, false]),
    ] {
        let bus = Late::new();
        let api = Api::over_bus(bus.clone()).await;
        let answer = move |message: &ActivationMessage| match echo(message) {
            Act::Answer(response) => Act::After(Duration::from_secs(runs_for), response),
            other => other,
        };
        let invoker = Invoker::start(&api, answer).await;
        let client = api.client("guest");
        client.put("actions/a", code()).await.ok();
        client.put("actions/s", sequence(&["/_/a", "/_/a"])).await.ok();
        bus.turn(Mood::Doubts { count: 2, takes });
        let answer = client.post("actions/s", json!({"x": 1})).await;
        let (named, mut seen) = named_and_seen(&client, &id(&answer), &invoker).await;
        assert_eq!(invoker.redelivered(), redelivered, "{seen:?}");
        seen.dedup();
        assert_eq!((named.len(), named), (2, seen));
        let ended = record(&client, &id(&answer)).await;
        assert_eq!(ended["response"]["result"], json!({"x": 1}));
        sleep(Duration::from_secs(1)).await;
        assert_eq!((api.app.in_flight_count(), api.app.bus.depth("owed0")), (0, 0));
    }
}

/// What may be under way is told to end; then the composition does, whether or not there was anything.
#[tokio::test(start_paused = true)]
async fn a_composition_that_is_cancelled_does_not_wait_for_a_bus_that_does_not_know() {
    let (api, _invoker, bus) = late().await;
    let client = api.client("guest");
    client.put("actions/s", sequence(&["/_/a", "/_/a"])).await.ok();
    bus.turn(Mood::Doubts {
        count: u32::MAX,
        takes: false,
    });
    let accepted = id(&client.post("actions/s", json!({})).await);
    sleep(Duration::from_secs(40)).await;
    let began = Instant::now();
    let path = format!("activations/{accepted}");
    client.send("DELETE", &path, None, &[]).await;
    let ended = record(&client, &accepted).await;
    assert_eq!(ended["response"]["result"]["error"], "The activation was cancelled.");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// Bytes that are within the limit of a request, and in their text form above that of a message.
#[tokio::test(start_paused = true)]
async fn a_web_request_that_makes_too_large_a_message_is_refused_at_once() {
    let api = Api::start().await;
    let owner =
        json!({"subject": "guest-owner", "namespaces": [{"name": "guest", "uuid": "u", "key": "k".repeat(64)}]});
    api.subject(&owner).await;
    let _invoker = Invoker::start(&api, echo).await;
    let bounds = TopicConfig {
        max_bytes: 1_048_576 + 6_068,
        ..TopicConfig::queue("invoker0")
    };
    api.app.bus.ensure_topic(&bounds).await.unwrap();
    let mut body = code();
    body["annotations"] = json!([{"key": "raw-http", "value": true}, {"key": "web-export", "value": true}]);
    api.client("guest").put("actions/w", body).await.ok();
    let began = Instant::now();
    let answer = api
        .stranger(Outcome::Missing)
        .send(
            "POST",
            "/api/v1/web/guest/default/w",
            Some(&"x".repeat(900_000)),
            &[("content-type", "application/octet-stream")],
        )
        .await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!(answer.json()["error"], TOO_LARGE);
    assert_eq!((began.elapsed(), api.app.in_flight_count()), (Duration::ZERO, 0));
}
