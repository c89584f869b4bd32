//! Following the log of an activation while it runs; an opt-in of ours.
//!
//! Whoever follows asks the invokers for the lines from the next one it wants; the one that runs the activation sends them on
//! this controller's own topic as long as it is asked again. The record is the truth: once it is there, what is still missing
//! is taken from it. So nothing is kept here for a follower, one that is slow or was told too much at once loses nothing that
//! the record has, and nobody else waits for it.
//!
//! **Left to others.** How it is sent to a client (`api`).

mod ask;
mod ear;
mod seat;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};
use wsk_bus::messages::{CONTROL, Control, Printed, printed_topic, read};
use wsk_bus::{Durability, Key, Message, Subscription, TopicConfig};
use wsk_entities::{Activation, ActivationId, Namespace};

use super::{App, Caller, Error};
use crate::Config;
pub(super) use ask::hear_questions;
use ear::Ear;
use seat::{Purpose, Seat, Seats};

/// How long anybody may take to say that there is an activation that this controller does not know.
const ELSEWHERE: Duration = Duration::from_millis(500);
/// Messages that wait for one follower; beyond it the oldest go, and are asked for again.
const WAITING: usize = 64;
/// Bytes of lines that wait on this controller's topic; beyond it the oldest go likewise.
const WAITING_BYTES: usize = 16 << 20;
/// How often the order to tell is given again.
const RENEW: Duration = Duration::from_secs(5);
/// The least time between two such orders.
const AGAIN: Duration = Duration::from_millis(200);
/// How often it is looked whether the activation is still under way.
const LOOK: Duration = Duration::from_millis(100);
/// How often its record is looked for although it seems to be.
const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// How long a record may take after its activation was acknowledged.
const SETTLING: Duration = Duration::from_secs(10);
/// How often a silent follower is told that it is still followed.
const QUIET: Duration = Duration::from_secs(15);

/// Who follows, or asks about, what on this controller.
pub struct Feeds {
    topic: String,
    table: DashMap<ActivationId, broadcast::Sender<Arc<Printed>>>,
    seats: Seats,
    over: watch::Sender<bool>,
}

/// What a follower is told next.
#[derive(Debug)]
pub enum Told {
    /// A line of the log as the record has it, with its number, counted from 1.
    Line { number: u64, text: String },
    /// Nothing has happened for a while.
    Quiet,
    /// It has ended so; the last that is told.
    End(Box<Activation>),
    /// It has ended, and nothing is known of how: its namespace keeps no records. The last that is told.
    Lost,
}

/// One who follows the log of one activation.
pub struct Follower {
    app: Arc<App>,
    _seat: Seat,
    namespace: Namespace,
    id: ActivationId,
    /// Lines told so far.
    told: u64,
    lines: VecDeque<String>,
    ear: Ear,
    record: Option<Box<Activation>>,
    state: State,
    over: watch::Receiver<bool>,
}

/// When what was done last.
#[derive(Debug)]
struct State {
    ended: bool,
    /// When lines were last asked for, and whether some were missed since.
    asked: Option<Instant>,
    missed: bool,
    looked: Option<Instant>,
    gone: Option<Instant>,
    /// Whether the store did not answer then.
    blind: bool,
    spoke: Instant,
}

impl Feeds {
    pub fn new(config: &Config) -> Feeds {
        Feeds {
            topic: printed_topic(&config.id),
            table: DashMap::new(),
            seats: Seats::new(),
            over: watch::Sender::new(false),
        }
    }

    /// The topic on which lines come.
    pub fn topic(&self) -> TopicConfig {
        TopicConfig {
            max_bytes: WAITING_BYTES,
            ..TopicConfig::broadcast(self.topic.clone())
        }
    }
}

impl App {
    /// Follows the log of an activation of the caller's, after so many lines that it has already.
    ///
    /// # Errors
    /// 403 for a foreign namespace, 404 where nothing is known of it, 429 for too many followers at a time,
    /// [`Error::Unavailable`] when the store does not say.
    pub async fn follow(
        self: &Arc<App>,
        caller: &Caller,
        namespace: &Namespace,
        id: ActivationId,
        after: u64,
    ) -> Result<Follower, Error> {
        let record = match self.activation(caller, namespace, id).await {
            Ok(record) => Some(Box::new(record)),
            Err(Error::Missing) => None,
            Err(error) => return Err(error),
        };
        let known = record.is_some() || self.has(namespace, id);
        let seat = Seat::take(self, namespace, Purpose::Follow)?;
        let mut follower = Follower {
            app: self.clone(),
            _seat: seat,
            namespace: namespace.clone(),
            id,
            told: after,
            lines: VecDeque::new(),
            ear: Ear::new(self, namespace, id),
            record,
            state: State {
                ended: false,
                asked: None,
                missed: false,
                looked: None,
                gone: None,
                blind: false,
                spoke: Instant::now(),
            },
            over: self.work.feeds.over.subscribe(),
        };
        if known || follower.is_elsewhere().await? {
            Ok(follower)
        } else {
            Err(Error::Missing)
        }
    }

    /// Ends all followers, as this process is about to. They may go on elsewhere from where they are.
    pub fn end_followers(&self) {
        self.work.feeds.over.send_replace(true);
    }
}

impl Follower {
    /// What comes next; none after the end.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(told) = self.ready() {
                self.state.spoke = Instant::now();
                return Some(told);
            }
            if self.state.ended || *self.over.borrow() {
                return None;
            }
            if self.look().await {
                continue;
            }
            self.ask().await;
            tokio::select! {
                heard = timeout(LOOK, self.ear.hear()) => match heard {
                    Ok(Ok(printed)) => self.hear(&printed),
                    Ok(Err(_)) => self.state.missed = true,
                    Err(_) => {}
                },
                _ = self.over.changed() => return None,
            }
        }
    }

    /// Whether an invoker runs it, although this controller knows nothing of it: a former life or another controller may have
    /// started it. Or it has ended between two looks.
    async fn is_elsewhere(&mut self) -> Result<bool, Error> {
        self.ask().await;
        match timeout(ELSEWHERE, self.ear.hear()).await {
            Ok(Ok(printed)) => self.hear(&printed),
            Ok(Err(_)) | Err(_) => {
                let record = self.app.activations.get(&self.namespace, self.id).await;
                let record = record.inspect_err(|error| self.cannot_look(error))?;
                self.record = record.map(Box::new);
                return Ok(self.record.is_some());
            }
        }
        Ok(true)
    }

    /// What can be told without waiting.
    fn ready(&mut self) -> Option<Told> {
        if let Some(text) = self.lines.pop_front() {
            return Some(self.line(text));
        }
        if let Some(record) = &self.record {
            let next = usize::try_from(self.told).ok().and_then(|at| record.logs.get(at));
            if let Some(text) = next.cloned() {
                return Some(self.line(text));
            }
            self.state.ended = true;
            return self.record.take().map(Told::End);
        }
        let now = Instant::now();
        if self.state.ended {
            return None;
        }
        if self.state.gone.is_some_and(|gone| now - gone >= SETTLING) {
            self.state.ended = true;
            return Some(Told::Lost);
        }
        (now - self.state.spoke >= QUIET).then_some(Told::Quiet)
    }

    fn line(&mut self, text: String) -> Told {
        self.told += 1;
        Told::Line {
            number: self.told,
            text,
        }
    }

    /// Looks for the record, now and then; whether there is something to tell.
    async fn look(&mut self) -> bool {
        let now = Instant::now();
        if self.state.looked.is_some_and(|looked| now - looked < LOOK) {
            return false;
        }
        if self.app.has(&self.namespace, self.id) {
            self.state.gone = None;
            let looked = *self.state.looked.get_or_insert(now);
            if now - looked < LOOK_ANYWAY {
                return false;
            }
        } else {
            self.state.gone.get_or_insert(now);
        }
        self.state.looked = Some(now);
        match self.app.activations.get(&self.namespace, self.id).await {
            Ok(record) => {
                self.state.blind = false;
                self.record = record.map(Box::new);
                self.record.is_some() || self.state.gone.is_some_and(|gone| now - gone >= SETTLING)
            }
            Err(error) => {
                // That there is no record is for the store to say.
                self.state.gone = None;
                if !std::mem::replace(&mut self.state.blind, true) {
                    self.cannot_look(&error);
                }
                false
            }
        }
    }

    fn cannot_look(&self, error: &wsk_store::Error) {
        tracing::warn!(activation_id = %self.id, %error, "cannot look for the record of a followed activation");
    }

    /// Asks for the lines from the next one on, where that is due.
    async fn ask(&mut self) {
        let due = if self.state.missed { AGAIN } else { RENEW };
        if self.state.asked.is_some_and(|asked| asked.elapsed() < due) {
            return;
        }
        (self.state.asked, self.state.missed) = (Some(Instant::now()), false);
        let order = Control::Follow {
            activation_id: self.id,
            namespace: self.namespace.clone(),
            from: self.told + self.lines.len() as u64,
            controller: self.app.config.id.as_str().into(),
            only_state: false,
        };
        let order = Message::local(Key::Id(self.id.bits()), Arc::new(order));
        if let Err(error) = self.app.bus.publish(CONTROL, order, Durability::Volatile).await {
            tracing::debug!(activation_id = %self.id, %error, "lines cannot be asked for");
        }
    }

    /// Takes in those lines that are next.
    fn hear(&mut self, printed: &Printed) {
        self.state.gone = None;
        let have = self.told + self.lines.len() as u64;
        let Some(known) = have.checked_sub(printed.first) else {
            // Some are between, or somebody else has asked for others.
            self.state.missed = true;
            return;
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        self.lines.extend(printed.lines.iter().skip(known).cloned());
    }
}

/// Hands lines to those who follow.
pub async fn hear_lines(app: Arc<App>, mut lines: Box<dyn Subscription>) {
    while let Some(delivery) = lines.next().await {
        match read::<Printed>(&delivery) {
            Ok(printed) => {
                if let Some(feed) = app.work.feeds.table.get(&printed.activation_id) {
                    // They may all have gone.
                    let _ = feed.send(printed);
                }
            }
            Err(error) => tracing::error!(%error, "lines of a followed activation are skipped"),
        }
        delivery.commit();
    }
}
