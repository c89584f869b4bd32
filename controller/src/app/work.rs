//! What this controller has set in motion, and the tasks that keep it moving.
//!
//! [`App::take_up_duties`] declares the controller's topics and runs one task per duty: hearing acknowledgements, hearing invokers'
//! pings, freeing what is overdue, and settling what the controller owes (see [`super::owed`]). Each duty calls straight
//! into whoever waits; nothing is polled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use wsk_bus::messages::{
    Acknowledgement, CACHE_INVALIDATION, CONTROL, ControllerIndex, ELSEWHERE, EVENTS, HEALTH, Ping, completed_topic,
    invoker_topic, read,
};
use wsk_bus::{Subscription, TopicConfig};
use wsk_service::telemetry::trace;
use wsk_service::{Boxed, clock};

use super::acks::Flights;
use super::balancer::Health;
use super::cancel::Cancels;
use super::changes::Unannounced;
use super::events::Events;
use super::follow::Feeds;
use super::owed::Ledger;
use super::throttle::Throttle;
use super::{App, Error, now};
use crate::{Config, metrics};

/// Acknowledgements handed to this controller at a time.
const ACKS_IN_FLIGHT: usize = 1024;
/// How often overdue activations are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// What is in motion.
pub struct Work {
    pub throttle: Throttle,
    pub flights: Flights,
    pub ledger: Ledger,
    pub events: Events,
    pub cancels: Cancels,
    pub unannounced: Unannounced,
    pub feeds: Feeds,
    pub index: ControllerIndex,
    /// The compositions under way, a task each.
    tasks: Mutex<JoinSet<()>>,
}

/// The controller's tasks; dropping it stops them, the compositions under way included: what was promised is handed back
/// to the bus for the next life.
pub struct Duties {
    tasks: Vec<JoinHandle<()>>,
    app: Arc<App>,
}

impl Work {
    pub fn new(config: &Config) -> Work {
        Work {
            throttle: Throttle::new(config),
            flights: Flights::new(config.cluster_size),
            ledger: Ledger::new(config),
            events: Events::new(config),
            cancels: Cancels::new(config),
            unannounced: Unannounced::default(),
            feeds: Feeds::new(config),
            index: ControllerIndex::new(&config.id),
            tasks: Mutex::default(),
        }
    }

    /// Runs a task that ends with the controller's duties.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().expect("no panic under this lock");
        while tasks.try_join_next().is_some() {}
        clock::spawn_into(&mut tasks, trace::inherit(task));
    }

    fn stop(&self) {
        self.tasks.lock().expect("no panic under this lock").abort_all();
        self.ledger.let_go();
    }
}

impl Duties {
    /// Resolves when a task has ended, which none does while the bus is open: by a fault of its own.
    pub async fn failed(&mut self) {
        std::future::poll_fn(|cx| {
            let ended = self
                .tasks
                .iter_mut()
                .any(|task| std::pin::Pin::new(task).poll(cx).is_ready());
            if ended {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Duties {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.app.work.stop();
    }
}

impl App {
    /// Takes up the controller's duties on the bus. Until then nothing that is invoked is placed or answered.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the bus refuses the controller's topics for now, [`Error::Internal`] when for good.
    pub fn take_up_duties(self: &Arc<App>) -> Boxed<'_, Result<Duties, Error>> {
        Box::pin(async move {
            let completed = completed_topic(&self.config.id);
            let group = format!("controller{}", self.config.id);
            self.declare(TopicConfig::queue(completed.clone())).await?;
            self.declare(TopicConfig::broadcast(HEALTH)).await?;
            self.declare(TopicConfig::broadcast(CACHE_INVALIDATION)).await?;
            self.declare(TopicConfig {
                max_messages: 100_000,
                ..TopicConfig::queue(&**self.work.ledger.topic())
            })
            .await?;
            self.declare(TopicConfig::broadcast(CONTROL)).await?;
            self.declare(TopicConfig::queue(ELSEWHERE)).await?;
            self.declare(TopicConfig::queue(&**self.work.cancels.topic())).await?;
            let printed = self.work.feeds.topic();
            self.declare(printed.clone()).await?;
            self.bus.vacated(self.work.ledger.topic()).await;
            self.bus.vacated(self.work.cancels.topic()).await;
            let acks = self.subscribe(&completed, &group, ACKS_IN_FLIGHT).await?;
            let pings = self.subscribe(HEALTH, &group, ACKS_IN_FLIGHT).await?;
            let changes = self.subscribe(CACHE_INVALIDATION, &group, ACKS_IN_FLIGHT).await?;
            let owed = self
                .subscribe(self.work.ledger.topic(), &group, self.config.compositions.max(1))
                .await?;
            let cancels = self
                .subscribe(self.work.cancels.topic(), &group, ACKS_IN_FLIGHT)
                .await?;
            let elsewhere = self
                .subscribe(ELSEWHERE, super::elsewhere::GROUP, ACKS_IN_FLIGHT)
                .await?;
            let lines = self.subscribe(&printed.name, &group, ACKS_IN_FLIGHT).await?;
            let questions = self.subscribe(CONTROL, &group, ACKS_IN_FLIGHT).await?;
            let mut tasks = vec![
                clock::spawn(self.take_up_cancels(cancels).await),
                clock::spawn(hear_acknowledgements(self.clone(), acks)),
                clock::spawn(hear_pings(self.clone(), pings)),
                clock::spawn(super::follow::hear_lines(self.clone(), lines)),
                clock::spawn(super::follow::hear_questions(self.clone(), questions)),
                clock::spawn(sweep(self.clone())),
                clock::spawn(super::changes::follow(self.clone(), changes)),
                clock::spawn(super::changes::announce_again(self.clone())),
                clock::spawn(super::owed::settle(self.clone(), owed)),
                clock::spawn(super::elsewhere::place(self.clone(), elsewhere)),
            ];
            if let Some(after) = self.config.takeover_after_ms {
                let after = Duration::from_millis(after);
                tasks.push(clock::spawn(super::takeover::watch(self.clone(), after)));
            }
            if let Some(waiting) = self.work.events.take() {
                self.declare(TopicConfig::broadcast(EVENTS)).await?;
                tasks.push(clock::spawn(super::events::publish(self.clone(), waiting)));
            }
            Ok(Duties {
                tasks,
                app: self.clone(),
            })
        })
    }

    async fn declare(&self, topic: TopicConfig) -> Result<(), Error> {
        self.bus.ensure_topic(&topic).await.map_err(unavailable)
    }

    async fn subscribe(&self, topic: &str, group: &str, max_in_flight: usize) -> Result<Box<dyn Subscription>, Error> {
        self.bus
            .subscribe(topic, group, max_in_flight)
            .await
            .map_err(unavailable)
    }

    /// Every invoker's name and state.
    pub fn invokers(&self) -> Vec<(String, Health)> {
        self.work.flights.balancer().states(now())
    }

    /// Ids and action names of what is in flight.
    pub fn in_flight(&self) -> Vec<(wsk_entities::ActivationId, wsk_entities::FullName)> {
        self.work.flights.list()
    }

    /// How much is in flight.
    pub fn in_flight_count(&self) -> usize {
        self.work.flights.len()
    }

    /// How many activations the throttle counts against a namespace's concurrency, by the namespace's id.
    pub fn counted_in_flight(&self, namespace: &str) -> u32 {
        self.work.throttle.in_flight(namespace)
    }

    /// MB of memory that this controller's activations hold on the invokers of each pool, managed and blackbox. An invoker
    /// may be in both.
    pub fn memory_held(&self) -> [i64; 2] {
        let balancer = self.work.flights.balancer();
        [balancer.memory(false).0, balancer.memory(true).0]
    }
}

async fn hear_acknowledgements(app: Arc<App>, mut acks: Box<dyn Subscription>) {
    while let Some(delivery) = acks.next().await {
        match read::<Acknowledgement>(&delivery) {
            Ok(ack) => app.work.flights.acknowledge(&ack),
            Err(error) => tracing::error!(%error, "an acknowledgement is skipped"),
        }
        delivery.commit();
    }
}

async fn hear_pings(app: Arc<App>, mut pings: Box<dyn Subscription>) {
    let mut declared = std::collections::HashSet::new();
    while let Some(delivery) = pings.next().await {
        match read::<Ping>(&delivery) {
            Ok(ping) => {
                let number = ping.name.instance;
                if !declared.contains(&number) {
                    match app.declare(TopicConfig::queue(invoker_topic(number))).await {
                        Ok(()) => drop(declared.insert(number)),
                        Err(error) => tracing::warn!(invoker = number, ?error, "an invoker's topic cannot be declared"),
                    }
                }
                app.work.flights.ping(&ping, now());
            }
            Err(error) => tracing::error!(%error, "a ping is skipped"),
        }
        delivery.commit();
    }
}

async fn sweep(app: Arc<App>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        app.work.flights.force_overdue(now());
        app.work.throttle.forget_idle(now());
        app.show_balance();
    }
}

impl App {
    /// Brings the balancer's gauges up to date.
    fn show_balance(&self) {
        let states = self.invokers();
        for health in [Health::Up, Health::Unhealthy, Health::Unresponsive, Health::Down] {
            metrics::invokers(health.text(), states.iter().filter(|(_, h)| *h == health).count());
        }
        let balancer = self.work.flights.balancer();
        let (managed, blackbox) = (balancer.memory(false), balancer.memory(true));
        metrics::memory("managed", managed.0);
        metrics::memory("blackbox", blackbox.0);
        metrics::capacity([managed.1, blackbox.1]);
    }
}

fn unavailable(error: wsk_bus::Error) -> Error {
    if error.retryable() {
        Error::Unavailable(error.to_string())
    } else {
        Error::Internal(error.to_string())
    }
}
