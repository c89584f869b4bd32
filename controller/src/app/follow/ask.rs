//! How far an activation is, for a client that asks; an opt-in of ours.
//!
//! Nothing is told by itself: the question goes to everybody, the invoker whose container runs the code says so, another
//! controller of which it is says what that one knows, and whoever says nothing in time has nothing to say. Each question is
//! work for everybody, so a namespace may ask so many at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};
use wsk_bus::messages::{BEYOND, CONTROL, Control, Printed, Seen, printed_topic, read};
use wsk_bus::{Durability, Key, Message, Subscription, TopicConfig};
use wsk_entities::{ActivationId, FullName, Namespace};

use super::{ELSEWHERE, Ear, Purpose, Seat};
use crate::app::{App, Error, UnderWay};

/// How long an invoker may take to say that it runs something.
const WAIT: Duration = Duration::from_secs(1);

/// What was heard of all who spoke.
#[derive(Default)]
struct Heard {
    /// None while only invokers of a version that does not say have spoken.
    action: Option<FullName>,
    running: bool,
}

impl App {
    /// What is known of an activation without record, here or by whoever has it.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the namespace asks too many at a time.
    pub(in crate::app) async fn seen(
        self: &Arc<App>,
        namespace: &Namespace,
        id: ActivationId,
    ) -> Result<Option<UnderWay>, Error> {
        let Some(seen) = self.seen_here(namespace, id) else {
            let heard = self.ask(namespace, id, ELSEWHERE).await?;
            return Ok(heard.and_then(|heard| Some(UnderWay::of(heard.action?, heard.running))));
        };
        if seen.running {
            return Ok(Some(UnderWay::of(seen.action, true)));
        }
        let heard = self.ask(namespace, id, WAIT).await?;
        let running = heard.is_some_and(|heard| heard.running);
        // It may have ended meanwhile.
        Ok((running || self.has(namespace, id)).then(|| UnderWay::of(seen.action, running)))
    }

    /// What this controller knows of an activation of its own.
    fn seen_here(&self, namespace: &Namespace, id: ActivationId) -> Option<Seen> {
        let work = &self.work;
        if let Some(action) = work.flights.action_of(namespace, id) {
            return Some(Seen { action, running: false });
        }
        let composition = work.cancels.action_of(namespace, id);
        let action = composition.or_else(|| work.ledger.action_of(namespace, id))?;
        Some(Seen { action, running: true })
    }

    /// Asks whoever has it how far an activation is.
    async fn ask(
        self: &Arc<App>,
        namespace: &Namespace,
        id: ActivationId,
        limit: Duration,
    ) -> Result<Option<Heard>, Error> {
        let _seat = Seat::take(self, namespace, Purpose::Ask)?;
        let deadline = Instant::now() + limit;
        let mut ear = Ear::new(self, namespace, id);
        let question = Control::Follow {
            activation_id: id,
            namespace: namespace.clone(),
            from: BEYOND,
            controller: self.config.id.as_str().into(),
            only_state: true,
        };
        let question = Message::local(Key::Id(id.bits()), Arc::new(question));
        if let Err(error) = self.bus.publish(CONTROL, question, Durability::Volatile).await {
            tracing::debug!(activation_id = %id, %error, "nobody can be asked about an activation");
            return Ok(None);
        }
        let mut heard: Option<Heard> = None;
        while let Ok(told) = timeout_at(deadline, ear.hear()).await {
            let printed = match told {
                Ok(printed) => printed,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => break,
            };
            let (action, running) = match &printed.state {
                Some(Seen { action, running }) => (Some(action.clone()), *running),
                // Lines, which only running code prints; or what an older invoker answers.
                None => (None, true),
            };
            // A controller may speak before the invoker or after it, and knows the action where an older invoker does not say.
            let all = heard.get_or_insert_default();
            all.action = action.or(all.action.take());
            all.running |= running;
            if all.running && all.action.is_some() {
                break;
            }
        }
        Ok(heard)
    }

    /// Answers another controller that asks about an activation of this one.
    async fn answer_question(&self, question: &Control) {
        let Control::Follow {
            activation_id: id,
            namespace,
            controller,
            only_state: true,
            ..
        } = question
        else {
            return;
        };
        if **controller == *self.config.id {
            return;
        }
        let Some(state) = self.seen_here(namespace, *id) else {
            return;
        };
        let answer = Arc::new(Printed {
            activation_id: *id,
            namespace: Some(namespace.clone()),
            first: 0,
            lines: Vec::new(),
            state: Some(state),
        });
        let (topic, answer) = (printed_topic(controller), Message::local(Key::Id(id.bits()), answer));
        if let Err(error) = self.tell_controller(&topic, answer).await {
            tracing::debug!(activation_id = %id, %error, "another controller cannot be answered");
        }
    }

    /// Publishes to a controller that this process may not have met.
    async fn tell_controller(&self, topic: &str, answer: Message) -> Result<(), wsk_bus::Error> {
        match self.bus.publish(topic, answer.clone(), Durability::Volatile).await {
            Err(wsk_bus::Error::UnknownTopic { .. }) => {
                self.bus.ensure_topic(&TopicConfig::broadcast(topic)).await?;
                self.bus.publish(topic, answer, Durability::Volatile).await.map(drop)
            }
            sent => sent.map(drop),
        }
    }
}

/// Answers what other controllers ask.
pub async fn hear_questions(app: Arc<App>, mut questions: Box<dyn Subscription>) {
    while let Some(delivery) = questions.next().await {
        match read::<Control>(&delivery) {
            Ok(question) => app.answer_question(&question).await,
            Err(error) => tracing::debug!(%error, "an order to invokers is skipped"),
        }
        delivery.commit();
    }
}
