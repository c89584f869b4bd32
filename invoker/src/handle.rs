//! Starting and stopping an invoker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wsk_bus::messages::{CACHE_INVALIDATION, CONTROL, ELSEWHERE, EVENTS, HEALTH, InvokerInstance, invoker_topic};
use wsk_bus::{MessageBus, TopicConfig};
use wsk_containers::ContainerFactory;
use wsk_entities::Manifest;
use wsk_secrets::Vault;
use wsk_service::{Boxed, clock};
use wsk_store::{ActivationStore, EntityStore};

use crate::ack::Acks;
use crate::changes;
use crate::config::Config;
use crate::control::{self, Orders};
use crate::error::Error;
use crate::fetch::Actions;
use crate::health::{self, Heart};
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::pool::{Command, Pool, Shared, Stem};
use crate::records::{self, Open};

/// How long a drain whose time is over waits yet for the records of what has ended: without them it would all run again.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// Starts invokers.
#[derive(Debug)]
pub struct Invoker;

/// A running invoker. Dropping it stops everything at once, as a crash would: what was not recorded goes back to the bus.
pub struct Handle {
    heart: Heart,
    factory: Arc<dyn ContainerFactory>,
    open: Arc<Open>,
    commands: mpsc::Sender<Command>,
    pool: Task,
    records: Task,
    beat: Task,
    control: Task,
    changes: Task,
}

/// Takes an invoker out of service and back: controllers are told at once and send it nothing meanwhile. What it has
/// already is finished either way.
#[derive(Clone)]
pub struct Switch(Heart);

/// How an invoker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Activations that were not finished in time and went back to the bus.
    pub handed_back: usize,
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Task {
    async fn ended(&mut self) {
        if !self.0.is_finished() {
            // How it ended is in the log.
            let _ = (&mut self.0).await;
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Invoker {
    /// Removes what an earlier life left, joins its topic and takes work from then on.
    ///
    /// # Errors
    /// [`Error`] when the bus, the containers or the manifest are not fit for it.
    pub fn start(
        config: Config,
        manifest: Arc<Manifest>,
        bus: Arc<dyn MessageBus>,
        entities: Arc<dyn EntityStore>,
        activations: Arc<dyn ActivationStore>,
        factory: Arc<dyn ContainerFactory>,
        secrets: Arc<Vault>,
    ) -> Boxed<'static, Result<Handle, Error>> {
        Box::pin(async move {
            let machine = Arc::new(Machine::new(&config, &manifest));
            let stems = if config.prewarm {
                Stem::of(&manifest, &machine.architecture)?
            } else {
                Vec::new()
            };
            let instance = InvokerInstance {
                unique_name: Some(config.name.as_str().into()),
                tags: config.labels.clone().into(),
                dedicated_namespaces: config.dedicated_namespaces.iter().map(ToString::to_string).collect(),
                ..InvokerInstance::new(config.id, config.memory_mb)
            };
            let topic = invoker_topic(config.id);
            bus.ensure_topic(&TopicConfig::queue(&topic)).await?;
            bus.ensure_topic(&TopicConfig::broadcast(HEALTH)).await?;
            bus.ensure_topic(&TopicConfig::queue(ELSEWHERE)).await?;
            bus.ensure_topic(&TopicConfig::broadcast(CONTROL)).await?;
            bus.ensure_topic(&TopicConfig::broadcast(CACHE_INVALIDATION)).await?;
            if config.user_events {
                bus.ensure_topic(&TopicConfig::broadcast(EVENTS)).await?;
            }
            let left = factory.sweep().await.map_err(Error::Sweep)?;
            if left > 0 {
                tracing::warn!(containers = left, "removed containers of an earlier life");
            }
            machine.check(factory.architecture().await.map_err(Error::Engine)?.as_deref())?;
            // Joined first: an order that comes with the activation is not missed.
            let control_orders = bus.subscribe(CONTROL, &topic, 64).await?;
            let changes = bus.subscribe(CACHE_INVALIDATION, &topic, 1024).await?;
            // Whoever stood in for an earlier life may still hold what would come here as well.
            bus.vacated(&topic).await;
            let deliveries = bus.subscribe(&topic, &topic, config.max_in_flight.max(1)).await?;
            let metrics = Metrics::get();
            let (sender, writer) = records::channel(&config, activations.clone(), metrics);
            let open = Arc::new(Open::default());
            let heart = Heart {
                bus: bus.clone(),
                instance: instance.clone(),
                machine: machine.clone(),
                enabled: Arc::new(AtomicBool::new(true)),
            };
            let (commands, inbox) = mpsc::channel(1);
            let shared = Arc::new(Shared {
                actions: Actions::new(entities, manifest, machine.clone(), config.code_cache_bytes),
                machine,
                acks: Acks::new(bus.clone(), instance, config.ack_attempts, metrics),
                bus,
                orders: Orders::default(),
                starts: Semaphore::new(config.parallel_starts.max(1)),
                factory: factory.clone(),
                secrets,
                records: sender,
                open: open.clone(),
                activations,
                metrics,
                config,
            });
            Ok(Handle {
                records: Task(clock::spawn(writer.run())),
                control: Task(clock::spawn(control::listen(control_orders, commands.clone()))),
                changes: Task(clock::spawn(changes::follow(changes, commands.clone()))),
                pool: Task(clock::spawn(Pool::new(shared, stems).run(deliveries, inbox))),
                beat: Task(clock::spawn(health::beat(heart.clone()))),
                heart,
                factory,
                open,
                commands,
            })
        })
    }
}

impl Switch {
    pub fn is_enabled(&self) -> bool {
        self.0.enabled.load(Ordering::Relaxed)
    }

    /// Says from now on that the invoker takes work, or that it does not.
    ///
    /// # Errors
    /// Those of the bus; the next heartbeat says it again.
    pub fn set(&self, enabled: bool) -> Boxed<'_, Result<(), wsk_bus::Error>> {
        Box::pin(async move {
            self.0.enabled.store(enabled, Ordering::Relaxed);
            self.0.say().await
        })
    }
}

impl Handle {
    pub fn switch(&self) -> Switch {
        Switch(self.heart.clone())
    }

    /// Activations taken from the bus and not recorded yet.
    pub fn open(&self) -> usize {
        self.open.count()
    }

    /// Waits until the invoker has stopped by itself, which takes a fault of ours: the process should end, and be started
    /// again. Cancel-safe.
    pub async fn failed(&mut self) {
        tokio::select! {
            biased;
            () = self.pool.ended() => {}
            () = self.records.ended() => {}
        }
    }

    /// Tells controllers to send no more, takes no more, finishes and records what was taken and removes the containers; at
    /// the latest when `limit` is over, then handing back to the bus what has not ended, or cannot be recorded in a moment.
    pub fn drain(mut self, limit: Duration) -> Boxed<'static, Drained> {
        Box::pin(async move {
            let deadline = Instant::now() + limit;
            if let Err(error) = self.switch().set(false).await {
                tracing::warn!(%error, "controllers do not know of the end of this invoker");
            }
            let (done, drained) = oneshot::channel();
            // Where the pool has ended already there is nothing to finish.
            let _ = self.commands.send(Command::Drain { deadline, done }).await;
            let handed_back = drained.await.unwrap_or_else(|_| self.open.count());
            // The pool is gone or about to be; with it go the last senders of records, and so does their writer.
            self.pool.ended().await;
            let ended = self.open.count();
            let in_time = tokio::time::timeout(LAST_RECORDS, self.records.ended()).await.is_ok();
            let recorded = ended.saturating_sub(self.open.count());
            if !in_time {
                self.records.0.abort();
            }
            self.records.ended().await;
            self.beat.0.abort();
            self.control.0.abort();
            self.changes.0.abort();
            if let Err(error) = self.factory.shutdown().await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "containers could not be removed"
                );
            }
            Drained {
                handed_back: handed_back.saturating_sub(recorded),
            }
        })
    }
}
