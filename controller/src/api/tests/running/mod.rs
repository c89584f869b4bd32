//! What runs, as a client sees it: a controller with an invoker that does what it is told, on a paused clock.

mod asking;
mod blocking;
mod cancel;
mod compositions;
mod events;
mod faulty;
mod fires;
mod hang_ups;
mod keeping;
mod lost;
mod takeover;
mod web;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use wsk_bus::messages::{Acknowledgement, ActivationMessage, Completed, HEALTH, InvokerInstance, Ping, read};
use wsk_bus::{Durability, Key, Message, MessageBus, TopicConfig};
use wsk_entities::{Activation, Json, Parameters, Response, StatusCode};
use wsk_store::ActivationStore;

use super::{Answer, Api, Client, code, sequence};

/// What the invoker does with an activation.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with this, and stores the record.
    Answer(Response),
    /// The same, so much later.
    After(Duration, Response),
    /// Stores the record, and acknowledges with the id alone.
    Id(Response),
    /// Stores the record so much later, and says nothing.
    Store(Duration, Response),
    /// Says that the slot is free, without a record.
    Free,
    /// Holds it until the invoker dies.
    Ignore,
}

type Behaviour = Arc<dyn Fn(&ActivationMessage) -> Act + Send + Sync>;

/// An invoker that pings every second and does what `behaviour` says.
pub struct Invoker {
    seen: Arc<Mutex<Vec<Arc<ActivationMessage>>>>,
    redelivered: Arc<Mutex<Vec<bool>>>,
    tasks: Vec<JoinHandle<()>>,
}

struct Worker {
    bus: Arc<dyn MessageBus>,
    activations: Arc<dyn ActivationStore>,
    behaviour: Behaviour,
}

impl Invoker {
    pub async fn start(api: &Api, behaviour: impl Fn(&ActivationMessage) -> Act + Send + Sync + 'static) -> Invoker {
        wsk_service::clock::simulate(Duration::from_secs(1_700_000_000));
        let (bus, seen) = (api.app.bus.clone(), Arc::new(Mutex::new(Vec::new())));
        bus.ensure_topic(&TopicConfig::queue("invoker0")).await.unwrap();
        let worker = Worker {
            bus: bus.clone(),
            activations: api.app.activations.clone(),
            behaviour: Arc::new(behaviour),
        };
        let mut work = bus.subscribe("invoker0", "invoker0", 1000).await.unwrap();
        let (messages, redelivered) = (seen.clone(), Arc::new(Mutex::new(Vec::new())));
        let again = redelivered.clone();
        let worker = Arc::new(worker);
        let running = tokio::spawn(async move {
            while let Some(delivery) = work.next().await {
                let message = read::<ActivationMessage>(&delivery).unwrap();
                messages.lock().unwrap().push(message.clone());
                again.lock().unwrap().push(delivery.redelivered());
                let worker = worker.clone();
                tokio::spawn(async move {
                    worker.act(message).await;
                    delivery.commit();
                });
            }
        });
        let pinging = tokio::spawn(async move {
            loop {
                let ping = Ping {
                    name: InvokerInstance::new(0, 2048),
                    is_enabled: true,
                    node: None,
                };
                bus.publish(HEALTH, Message::local(Key::None, Arc::new(ping)), Durability::Volatile)
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        while api.app.invokers().is_empty() {
            tokio::task::yield_now().await;
        }
        Invoker {
            seen,
            redelivered,
            tasks: vec![running, pinging],
        }
    }

    /// Every activation that came, in order.
    pub fn seen(&self) -> Vec<Arc<ActivationMessage>> {
        self.seen.lock().unwrap().clone()
    }

    /// Whether each of them may have been seen by another invoker.
    pub fn redelivered(&self) -> Vec<bool> {
        self.redelivered.lock().unwrap().clone()
    }
}

impl Drop for Invoker {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Worker {
    async fn act(&self, message: Arc<ActivationMessage>) {
        match (self.behaviour)(&message) {
            Act::Answer(response) => self.answer(&message, response).await,
            Act::After(pause, response) => {
                tokio::time::sleep(pause).await;
                self.answer(&message, response).await;
            }
            Act::Id(response) => {
                self.store(&message, response).await;
                let id = Completed::Id(message.activation_id);
                self.acknowledge(
                    &message,
                    Acknowledgement::Combined {
                        transid: message.transid.clone(),
                        response: id,
                        is_system_error: false,
                        instance: InvokerInstance::new(0, 2048),
                    },
                )
                .await;
            }
            Act::Store(pause, response) => {
                tokio::time::sleep(pause).await;
                self.store(&message, response).await;
            }
            Act::Free => self.free(&message).await,
            Act::Ignore => std::future::pending().await,
        }
    }

    async fn answer(&self, message: &ActivationMessage, response: Response) {
        let record = self.store(message, response).await;
        self.acknowledge(
            message,
            Acknowledgement::Result {
                transid: message.transid.clone(),
                response: Completed::Record(record),
            },
        )
        .await;
        self.free(message).await;
    }

    async fn free(&self, message: &ActivationMessage) {
        self.acknowledge(
            message,
            Acknowledgement::Completion {
                transid: message.transid.clone(),
                activation_id: message.activation_id,
                is_system_error: false,
                instance: InvokerInstance::new(0, 2048),
            },
        )
        .await;
    }

    async fn acknowledge(&self, message: &ActivationMessage, ack: Acknowledgement) {
        let topic = format!("completed{}", message.root_controller_index.as_string);
        self.bus
            .publish(&topic, Message::local(Key::None, Arc::new(ack)), Durability::Volatile)
            .await
            .unwrap();
    }

    async fn store(&self, message: &ActivationMessage, response: Response) -> Arc<Activation> {
        let now = wsk_service::clock::now();
        let mut annotations = Parameters::new();
        annotations.set("path", Json::of(&message.action.full_name().to_string()));
        let record = Arc::new(Activation {
            namespace: message.user.namespace.name.clone(),
            name: message.action.name.clone(),
            version: message.action.version,
            subject: message.user.subject.clone(),
            activation_id: message.activation_id,
            cause: message.cause,
            start: now,
            end: now + 7,
            duration: Some(7),
            response,
            logs: vec!["a line".into()],
            annotations,
            publish: false,
        });
        self.activations.store(vec![record.clone()]).await.unwrap();
        record
    }
}

pub fn success(result: &str) -> Response {
    Response::success(Json::parse(result).unwrap(), None)
}

pub fn failure(status: StatusCode, error: &str) -> Response {
    Response::failure(status, &Json::from(error), None)
}

/// Answers every activation with its own arguments.
pub fn echo(message: &ActivationMessage) -> Act {
    Act::Answer(Response::success(
        message.content.clone().unwrap_or_else(Json::empty_object),
        None,
    ))
}

/// The id of the activation that an answer names.
#[track_caller]
pub fn id(answer: &Answer) -> String {
    answer
        .header("x-openwhisk-activation-id")
        .expect("an activation was started")
        .to_owned()
}

/// The record of an activation, waiting for it to appear.
pub async fn record(client: &Client<'_>, id: &str) -> serde_json::Value {
    for _ in 0..1000 {
        let answer = client.get(&format!("activations/{id}")).await;
        if answer.status == 200 {
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no record of {id} appeared");
}
