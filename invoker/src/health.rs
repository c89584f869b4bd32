//! The heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use wsk_bus::messages::{HEALTH, InvokerInstance, Ping};
use wsk_bus::{Durability, Key, Message, MessageBus};
use wsk_service::clock;

use crate::machine::Machine;

const INTERVAL: Duration = Duration::from_secs(1);

/// Who says it is there.
#[derive(Clone)]
pub(crate) struct Heart {
    pub bus: Arc<dyn MessageBus>,
    pub instance: InvokerInstance,
    pub machine: Arc<Machine>,
    pub enabled: Arc<AtomicBool>,
}

impl Heart {
    /// Says once that this invoker is there, whether it takes work, and what it can run.
    ///
    /// # Errors
    /// Those of the bus.
    pub async fn say(&self) -> Result<(), wsk_bus::Error> {
        let ping = Arc::new(Ping {
            name: self.instance.clone(),
            is_enabled: self.enabled.load(Ordering::Relaxed),
            node: Some(self.machine.node(clock::now())),
        });
        let message = Message::local(Key::None, ping);
        self.bus.publish(HEALTH, message, Durability::Volatile).await.map(drop)
    }
}

/// Says it every second.
pub(crate) async fn beat(heart: Heart) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = heart.say().await {
            tracing::warn!(%error, "heartbeat not sent");
        }
    }
}
