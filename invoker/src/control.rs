//! What controllers ask about single activations: to end one, or to tell what it prints while it runs.
//!
//! **Invariant.** An activation that nobody asks about pays one look at a flag. An order for an activation that is not here
//! (it may still be on the bus, or on another invoker) is kept for a while; controllers say again what they still want.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wsk_bus::messages::{ActivationMessage, Control, Printed, printed_topic, read};
use wsk_bus::{Durability, Error, Key, Message, MessageBus, Subscription, TopicConfig};
use wsk_containers::{Container, LogLine};
use wsk_entities::{ActivationId, Namespace};

use crate::logs;
use crate::pool::{Command, Shared};

/// How long an order holds after it was last given.
const HELD: Duration = Duration::from_secs(30);
/// Most activations with orders; beyond it the oldest are forgotten, and said again by those who still want them.
const MOST: usize = 4096;
/// Between two looks at what a followed activation prints.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most lines told at a time, and most bytes of them beyond the first.
const LINES: usize = 256;
const BYTES: usize = 128 << 10;

/// The orders of the last while, by activation, those given longest ago first.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    any: AtomicBool,
    list: Mutex<IndexMap<(ActivationId, Namespace), Order>>,
}

#[derive(Debug, Clone)]
struct Order {
    until: Instant,
    cancelled: bool,
    follow: Option<Follow>,
}

/// Who wants to know what an activation prints.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    topic: Arc<str>,
    /// The line to begin with.
    from: u64,
    /// Tells one such order from the next.
    turn: u64,
}

impl Orders {
    /// Keeps an order.
    pub fn take(&self, control: &Control) {
        let mut list = self.list.lock().expect("no panic under this lock");
        let meant = (control.activation_id(), control.namespace().clone());
        let mut order = list.shift_remove(&meant).unwrap_or(Order {
            until: Instant::now(),
            cancelled: false,
            follow: None,
        });
        match control {
            Control::Cancel { .. } => order.cancelled = true,
            Control::Follow { from, controller, .. } => {
                let turn = order.follow.map_or(0, |follow| follow.turn + 1);
                let (topic, from) = (printed_topic(controller).into(), *from);
                order.follow = Some(Follow { topic, from, turn });
            }
        }
        order.until = Instant::now() + HELD;
        if list.len() >= MOST {
            list.shift_remove_index(0);
        }
        list.insert(meant, order);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether this activation is to end.
    pub fn cancelled(&self, message: &ActivationMessage) -> bool {
        self.look(message, |order| order.cancelled.then_some(())).is_some()
    }

    fn followed(&self, message: &ActivationMessage) -> Option<Follow> {
        self.look(message, |order| order.follow.clone())
    }

    fn look<T>(&self, message: &ActivationMessage, of: impl FnOnce(&Order) -> Option<T>) -> Option<T> {
        if !self.any.load(Ordering::Relaxed) {
            return None;
        }
        let mut list = self.list.lock().expect("no panic under this lock");
        let now = Instant::now();
        while list.first().is_some_and(|(_, order)| order.until <= now) {
            list.shift_remove_index(0);
        }
        if list.is_empty() {
            self.any.store(false, Ordering::Relaxed);
        }
        list.get(&(message.activation_id, message.user.namespace.name.clone()))
            .and_then(of)
    }
}

/// Hands what controllers ask to the pool. Nothing here outlives the subscription or the pool.
pub(crate) async fn listen(mut control: Box<dyn Subscription>, pool: mpsc::Sender<Command>) {
    while let Some(delivery) = control.next().await {
        match read::<Control>(&delivery) {
            Ok(control) => {
                if pool.send(Command::Control((*control).clone())).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!(%error, "an order is skipped"),
        }
        delivery.commit();
    }
}

/// Awaits the work of an activation, and tells meanwhile what it prints if somebody wants to know; none as soon as it was
/// ordered to end, with the work left as it is. The pool has all work looked at again after each order.
pub(crate) async fn attend<F: Future + Unpin>(
    shared: &Shared,
    message: &ActivationMessage,
    container: &dyn Container,
    limit_bytes: Option<u64>,
    work: &mut F,
) -> Option<F::Output> {
    let mut tale: Option<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = None;
    std::future::poll_fn(|cx| {
        let orders = &shared.orders;
        if orders.cancelled(message) {
            return Poll::Ready(None);
        }
        if let Some(limit) = limit_bytes
            && tale.is_none()
            && orders.followed(message).is_some()
        {
            tale = Some(Box::pin(tell(shared, message, container, limit)));
        }
        if let Some(telling) = &mut tale
            && telling.as_mut().poll(cx).is_ready()
        {
            tale = None;
        }
        Pin::new(&mut *work).poll(cx).map(Some)
    })
    .await
}

/// Tells whoever follows what an activation prints, as long as somebody does.
async fn tell(shared: &Shared, message: &ActivationMessage, container: &dyn Container, limit_bytes: u64) {
    let id = message.activation_id;
    let (mut next, mut turn) = (0, None);
    while let Some(follow) = shared.orders.followed(message) {
        // That it runs here is told in any case.
        let is_new = turn != Some(follow.turn);
        if is_new {
            turn = Some(follow.turn);
            next = follow.from;
        }
        let mut lines = container.printed(usize::try_from(next).unwrap_or(usize::MAX), limit_bytes);
        let full = shorten(&mut lines);
        let count = lines.len() as u64;
        if count > 0 || is_new {
            let printed = Arc::new(Printed {
                activation_id: id,
                first: next,
                lines: lines.iter().map(logs::line).collect(),
            });
            next += count;
            shared.metrics.lines_followed.inc_by(count);
            let message = Message::local(Key::Id(id.bits()), printed);
            // A line that is lost on the way is asked for again, or found in the record.
            if let Err(error) = publish(&*shared.bus, &follow.topic, message).await {
                tracing::debug!(%error, "lines of a followed activation cannot be told");
            }
        }
        if full {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Publishes to a controller that this process may not have met.
async fn publish(bus: &dyn MessageBus, topic: &str, message: Message) -> Result<(), Error> {
    match bus.publish(topic, message.clone(), Durability::Volatile).await {
        Err(Error::UnknownTopic { .. }) => {
            bus.ensure_topic(&TopicConfig::broadcast(topic)).await?;
            bus.publish(topic, message, Durability::Volatile).await.map(drop)
        }
        sent => sent.map(drop),
    }
}

/// Keeps as much as is told at a time; whether that is not all.
fn shorten(lines: &mut Vec<LogLine>) -> bool {
    let mut room = BYTES;
    let kept = lines.iter().take(LINES).take_while(|line| {
        let fits = room > 0;
        room = room.saturating_sub(line.text.len());
        fits
    });
    let kept = kept.count();
    let more = kept < lines.len();
    lines.truncate(kept);
    more
}
