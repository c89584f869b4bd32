//! The heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use wsk_bus::messages::{HEALTH, InvokerInstance, Ping};
use wsk_bus::{Durability, Key, Message, MessageBus};

const INTERVAL: Duration = Duration::from_secs(1);

/// Says every second that this invoker is there, and whether it takes work.
pub(crate) async fn beat(bus: Arc<dyn MessageBus>, instance: InvokerInstance, enabled: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pings = [false, true].map(|is_enabled| {
        Arc::new(Ping {
            name: instance.clone(),
            is_enabled,
        })
    });
    loop {
        ticks.tick().await;
        let ping = pings[usize::from(enabled.load(Ordering::Relaxed))].clone();
        if let Err(error) = bus
            .publish(HEALTH, Message::local(Key::None, ping), Durability::Volatile)
            .await
        {
            tracing::warn!(%error, "heartbeat not sent");
        }
    }
}
