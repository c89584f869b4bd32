//! What controllers ask about single activations: to end one, to tell what it prints while it runs, or that it runs.
//!
//! **Invariant.** An activation that nobody asks about pays one look at a flag. An order for an activation that is not here
//! (it may still be on the bus, or on another invoker) is kept for a while; controllers say again what they still want. A
//! question is about now, and kept for a moment.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wsk_bus::messages::{ActivationMessage, Control, Printed, Seen, printed_topic, read};
use wsk_bus::{Durability, Error, Key, Message, MessageBus, Subscription, TopicConfig};
use wsk_containers::{Container, LogLine};
use wsk_entities::{ActionLimits, ActivationId, Namespace};

use crate::logs;
use crate::pool::{Command, Shared};

/// How long an order holds after it was last given.
const HELD: Duration = Duration::from_secs(30);
/// How long a question is worth an answer.
const MOMENT: Duration = Duration::from_secs(1);
/// Most activations with orders; beyond it the oldest are forgotten, and said again by those who still want them.
const MOST: usize = 4096;
/// Most controllers that may ask about an activation within a [`MOMENT`]; beyond it the first are not answered.
const ASKERS: usize = 16;
/// Between two looks at what a followed activation prints.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most lines told at a time, and most bytes of them beyond the first.
const LINES: usize = 256;
const BYTES: usize = 128 << 10;

/// Which activation is meant.
type Meant = (ActivationId, Namespace);

/// The orders of the last while.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    any: AtomicBool,
    given: Mutex<Given>,
}

/// By activation, those given longest ago first.
#[derive(Debug, Default)]
struct Given {
    orders: IndexMap<Meant, Order>,
    questions: IndexMap<Meant, Question>,
}

/// Some want to know whether it runs.
#[derive(Debug)]
struct Question {
    /// When the last of them no longer does.
    until: Instant,
    /// Where each is answered, and until when; who asked last is last.
    askers: Vec<(Arc<str>, Instant)>,
}

#[derive(Debug)]
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

/// What may be told of an activation at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Its code has not begun.
    Nothing,
    /// That it runs.
    Running,
    /// That, and what it prints: so many bytes of it at most.
    Lines(u64),
}

/// Something about to be told.
type Telling<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl Tells {
    /// Of an activation whose code runs.
    pub fn of(limits: &ActionLimits) -> Tells {
        match limits.concurrency {
            0 | 1 => Tells::Lines(logs::limit_bytes(limits.logs)),
            // What several print at a time cannot be told apart.
            2.. => Tells::Running,
        }
    }
}

impl Orders {
    /// Keeps an order.
    pub fn take(&self, control: &Control) {
        let mut given = self.given.lock().expect("no panic under this lock");
        let meant = (control.activation_id(), control.namespace().clone());
        match control {
            Control::Cancel { .. } => given.order(meant, |order| order.cancelled = true),
            Control::Follow {
                controller,
                only_state: true,
                ..
            } => given.ask(meant, printed_topic(controller).into()),
            Control::Follow { from, controller, .. } => given.order(meant, |order| {
                let turn = order.follow.as_ref().map_or(0, |follow| follow.turn + 1);
                let (topic, from) = (printed_topic(controller).into(), *from);
                order.follow = Some(Follow { topic, from, turn });
            }),
        }
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether this activation is to end.
    pub fn cancelled(&self, message: &ActivationMessage) -> bool {
        self.look(message, |given, meant| given.orders.get(meant)?.cancelled.then_some(()))
            .is_some()
    }

    fn followed(&self, message: &ActivationMessage) -> Option<Follow> {
        self.look(message, |given, meant| given.orders.get(meant)?.follow.clone())
    }

    /// The topics of those who want to know whether this activation runs, to be answered now.
    fn asked(&self, message: &ActivationMessage) -> Option<Vec<Arc<str>>> {
        let question = self.look(message, |given, meant| given.questions.shift_remove(meant))?;
        Some(question.askers.into_iter().map(|(topic, _)| topic).collect())
    }

    fn is_any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn look<T>(&self, message: &ActivationMessage, of: impl FnOnce(&mut Given, &Meant) -> Option<T>) -> Option<T> {
        if !self.is_any() {
            return None;
        }
        let mut given = self.given.lock().expect("no panic under this lock");
        given.forget(Instant::now());
        if given.orders.is_empty() && given.questions.is_empty() {
            self.any.store(false, Ordering::Relaxed);
            return None;
        }
        of(
            &mut given,
            &(message.activation_id, message.user.namespace.name.clone()),
        )
    }
}

impl Given {
    fn order(&mut self, meant: Meant, change: impl FnOnce(&mut Order)) {
        let until = Instant::now() + HELD;
        let mut order = self.orders.shift_remove(&meant).unwrap_or(Order {
            until,
            cancelled: false,
            follow: None,
        });
        change(&mut order);
        order.until = until;
        if self.orders.len() >= MOST {
            self.orders.shift_remove_index(0);
        }
        self.orders.insert(meant, order);
    }

    fn ask(&mut self, meant: Meant, topic: Arc<str>) {
        let now = Instant::now();
        let until = now + MOMENT;
        let question = self.questions.shift_remove(&meant);
        let mut askers = question.map_or_else(Vec::new, |question| question.askers);
        askers.retain(|(asker, until)| *asker != topic && *until > now);
        if askers.len() >= ASKERS {
            askers.remove(0);
        }
        askers.push((topic, until));
        if self.questions.len() >= MOST {
            self.questions.shift_remove_index(0);
        }
        self.questions.insert(meant, Question { until, askers });
    }

    fn forget(&mut self, now: Instant) {
        while self.orders.first().is_some_and(|(_, order)| order.until <= now) {
            self.orders.shift_remove_index(0);
        }
        while self
            .questions
            .first()
            .is_some_and(|(_, question)| question.until <= now)
        {
            self.questions.shift_remove_index(0);
        }
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

/// Awaits the work of an activation, and tells meanwhile that it runs and what it prints if somebody wants to know; none as
/// soon as it was ordered to end, with the work left as it is. The pool has all work looked at again after each order.
pub(crate) async fn attend<F: Future + Unpin>(
    shared: &Shared,
    message: &ActivationMessage,
    container: &dyn Container,
    tells: Tells,
    work: &mut F,
) -> Option<F::Output> {
    let mut tale: Option<Telling<'_>> = None;
    let mut answer: Option<Telling<'_>> = None;
    std::future::poll_fn(|cx| {
        let orders = &shared.orders;
        if orders.is_any() {
            if orders.cancelled(message) {
                return Poll::Ready(None);
            }
            if tells != Tells::Nothing
                && answer.is_none()
                && let Some(topics) = orders.asked(message)
            {
                answer = Some(Box::pin(say(shared, message, topics)));
            }
            if let Tells::Lines(limit) = tells
                && tale.is_none()
                && orders.followed(message).is_some()
            {
                tale = Some(Box::pin(tell(shared, message, container, limit)));
            }
        }
        for told in [&mut answer, &mut tale] {
            if let Some(telling) = told
                && telling.as_mut().poll(cx).is_ready()
            {
                *told = None;
            }
        }
        Pin::new(&mut *work).poll(cx).map(Some)
    })
    .await
}

/// Tells who asked that an activation runs, and who asks meanwhile.
async fn say(shared: &Shared, message: &ActivationMessage, topics: Vec<Arc<str>>) {
    let id = message.activation_id;
    let printed = Printed {
        activation_id: id,
        namespace: Some(message.user.namespace.name.clone()),
        first: 0,
        lines: Vec::new(),
        state: Some(Seen {
            action: message.action.full_name(),
            running: true,
        }),
    };
    let answer = Message::local(Key::Id(id.bits()), Arc::new(printed));
    let mut asked = Some(topics);
    while let Some(topics) = asked {
        for topic in topics {
            if let Err(error) = publish(&*shared.bus, &topic, answer.clone()).await {
                tracing::debug!(activation_id = %id, %error, "that an activation runs cannot be told");
            }
        }
        asked = shared.orders.asked(message);
    }
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
                namespace: Some(message.user.namespace.name.clone()),
                first: next,
                lines: lines.iter().map(logs::line).collect(),
                state: None,
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
