//! Firing triggers: every active rule's action, and the trigger's own record, in one write to the bus.
//!
//! Nothing is told to the caller before that write is on disk; it is carried through when the caller hangs up. Each rule is
//! judged as an invocation of its own, charged to the caller and refused with the texts of an invocation; a refusal is a line
//! in the record, not a failure of the fire. So is a message that is too large for the bus: then each is written by itself.
//! Where the bus finds that out only after it took others, the record may be among those: it stands, and what it says was
//! started ends in a record of its own. Upstream behaviour honoured: the record, with one batch in the place of a request to
//! itself per rule.

mod known;
mod story;

use std::sync::Arc;

use indexmap::IndexMap;
use wsk_bus::{Durability, Message};
use wsk_entities::{
    Activation, ActivationId, Collection, FullName, Json, Object, Parameters, RuleLink, RuleStatus, Trigger,
};
use wsk_planted::{Bug, planted};

use super::cache::{Entry, Value};
use super::composition::is_composed;
use super::entitlement::CONFORMANCE;
use super::invoke::{Launch, Ready, arguments, check_final, refused};
use super::owed::Owed;
use super::retry::Policy;
use super::secrets::sealed_of;
use super::throttle::Kind;
use super::underway::to_the_end;
use super::{App, Caller, Error, ResolvedAction, now};
use crate::metrics;
pub use known::Known;
use story::{Line, Story};

/// What a fire is about to publish. Dropped before, by a refusal or a caller who hangs up, it takes back what it has placed.
struct Batch {
    app: Arc<App>,
    /// Each with the place of its line in the record.
    starts: Vec<(usize, Start)>,
}

/// What one rule starts.
struct Start {
    id: ActivationId,
    topic: Arc<str>,
    message: Message,
    /// Whether it holds capacity.
    placed: bool,
    /// What it runs.
    target: Arc<ResolvedAction>,
}

/// What the actions of a trigger are given.
struct Given {
    json: Json,
    /// The trigger's sealed parameters.
    sealed: Parameters,
}

impl App {
    /// Counts a fire against the caller's throttle.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub fn charge_fire(&self, caller: &Caller) -> Result<(), Error> {
        let identity = &caller.identity;
        let charged = self
            .work
            .throttle
            .charge(&identity.namespace.uuid, &identity.limits, Kind::Fire, now());
        charged.inspect_err(|_| self.refused_timed(caller))
    }

    /// Fires a trigger of the caller's; none when no rule of it is active.
    ///
    /// # Errors
    /// 404 and 409 for the name, [`Error::Unavailable`] when the bus refuses the batch: then nothing was started, unless the
    /// bus says otherwise.
    pub async fn fire(
        self: &Arc<App>,
        caller: &Caller,
        name: &FullName,
        payload: Option<Json>,
        headers: Json,
    ) -> Result<Option<ActivationId>, Error> {
        let entry = self.trigger(name).await?;
        let trigger = trigger_in(&entry)?;
        let Some(rules) = trigger.rules.as_ref().filter(|_| is_armed(&trigger)) else {
            return Ok(None);
        };
        let start = now();
        let payload = payload.unwrap_or_else(Json::empty_object);
        let given = given(&trigger, headers, &payload);
        let known = entry.rules.get_or_init(|| Known::of(rules)).clone();
        let (batch, lines) = self.set_off_all(caller, rules, &known, &given).await;
        let id = self.chance.activation_id();
        let story = Story {
            caller: caller.clone(),
            trigger: trigger.clone(),
            known,
            id,
            start,
            payload,
            lines,
            policy: self.config.store_non_blocking,
        };
        to_the_end(batch.publish(story)).await.map(|()| Some(id))
    }

    async fn set_off_all(
        self: &Arc<App>,
        caller: &Caller,
        rules: &IndexMap<String, RuleLink>,
        known: &[Known],
        given: &Given,
    ) -> (Batch, Vec<Line>) {
        let mut lines = Vec::with_capacity(rules.len());
        let mut batch = Batch {
            app: self.clone(),
            starts: Vec::new(),
        };
        for ((rule, link), known) in rules.iter().zip(known) {
            let outcome = self.set_off(caller, rule, link, known, given).await;
            let line = batch.add(lines.len(), outcome);
            let stop = !line.success && planted(Bug::StopsFiring);
            lines.push(line);
            if stop {
                break;
            }
        }
        (batch, lines)
    }

    /// Puts a record on the ledger; stores it without when that does not take it.
    async fn owe(self: &Arc<App>, record: Arc<Activation>) {
        let (topic, message) = (self.work.ledger.topic(), Owed::Record(record.clone()).message());
        if let Err(error) = self.bus.publish(topic, message, Durability::Durable).await {
            tracing::warn!(activation_id = %record.activation_id, %error, "the ledger does not take a record; it is stored without");
            let app = self.clone();
            self.work.spawn(async move { app.keep(record).await });
        }
    }

    async fn publish_start(&self, start: Start) -> Result<(), Error> {
        let placed = if start.placed { &[start.id][..] } else { &[] };
        self.publish_batch(placed, vec![(start.topic, start.message)]).await
    }

    /// Ends what cannot begin.
    async fn end_too_large(self: &Arc<App>, story: &Story, id: ActivationId, target: &ResolvedAction) {
        let (record, kept) = story.too_large(id, target);
        self.work.events.ended(&story.caller.identity, &record);
        if kept {
            self.owe(Arc::new(record)).await;
        }
    }

    async fn trigger(&self, name: &FullName) -> Result<Arc<Entry>, Error> {
        let known = self.find(name).await?.ok_or(Error::Missing)?;
        let trigger = trigger_in(&known)?;
        if self.config.cluster_size <= 1 || is_armed(&trigger) {
            return Ok(known);
        }
        // A rule may have been made through another controller a moment ago. A fire that starts nothing has the time to look.
        match self.fresh(Collection::Triggers, name).await {
            Ok(found) => found.ok_or(Error::Missing),
            Err(Error::Unavailable(_)) => Ok(known),
            Err(error) => Err(error),
        }
    }

    async fn set_off(
        self: &Arc<App>,
        caller: &Caller,
        rule: &str,
        link: &RuleLink,
        known: &Known,
        given: &Given,
    ) -> Result<Start, Error> {
        match link.status {
            RuleStatus::Active => {
                let policy = self.policy_of_rule(known).await;
                self.set_off_action(caller, &link.action, given, policy).await
            }
            RuleStatus::Inactive => Err(Error::Rejected(format!(
                "Rule '{rule}' is inactive, action '{}' was not activated.",
                link.action
            ))),
        }
    }

    /// How often a rule wants its action to be run again; the rule's own document says so.
    async fn policy_of_rule(&self, rule: &Known) -> Option<Policy> {
        let entry = self.find(rule.name.as_ref()?).await.ok()??;
        match &entry.value {
            Value::Rule(rule) => Policy::of(&rule.annotations),
            Value::Action(_) | Value::Trigger(_) | Value::Package(_) => None,
        }
    }

    async fn set_off_action(
        self: &Arc<App>,
        caller: &Caller,
        name: &FullName,
        given: &Given,
        policy: Option<Policy>,
    ) -> Result<Start, Error> {
        self.charge_invocation(caller)?;
        let target = self.resolve_action(caller, name).await?;
        self.check_runnable(&target)?;
        check_final(&target, &given.json)?;
        let policy = policy.or_else(|| Policy::of(&target.action.annotations));
        if policy.is_some() || is_composed(&target.action) {
            let mut progress = self.begin(caller, &target, Some(given.json.clone()), policy).await?;
            progress.sealed = given.sealed.clone();
            return Ok(Start {
                id: progress.machine.id(),
                topic: self.work.ledger.topic().clone(),
                message: Owed::Composition(Box::new(progress)).message(),
                placed: false,
                target,
            });
        }
        let arguments = arguments(&target, Some(given.json.clone()));
        let Ready { id, topic, message, .. } = self.prepare(&Launch {
            caller,
            target: &target,
            arguments,
            sealed: &given.sealed,
            cause: None,
            blocking: false,
        })?;
        Ok(Start {
            id,
            topic,
            message,
            placed: true,
            target,
        })
    }
}

impl Batch {
    /// Publishes what was started, and the record of it: all of it or nothing, but for what is too large for the bus.
    async fn publish(mut self, mut story: Story) -> Result<(), Error> {
        match self.publish_together(story.record()).await {
            Ok(()) => return Ok(()),
            Err(wsk_bus::Error::TooLarge { .. }) => self.publish_one_by_one(&mut story.lines).await,
            Err(wsk_bus::Error::TornApart { .. }) => self.publish_again(&story).await?,
            Err(error) => return Err(refused(error)),
        }
        if let Some(record) = story.record() {
            self.app.owe(Arc::new(record)).await;
        }
        Ok(())
    }

    /// Publishes everything in one group write.
    async fn publish_together(&mut self, record: Option<Activation>) -> Result<(), wsk_bus::Error> {
        let work = &self.app.work;
        let started = self.starts.iter();
        let started = started.map(|(_, start)| (start.topic.clone(), start.message.clone()));
        let owed = record.map(|record| Owed::Record(Arc::new(record)).message());
        let owed = owed.map(|message| (work.ledger.topic().clone(), message));
        self.app.bus.publish_all(started.chain(owed).collect()).await?;
        for (_, start) in self.starts.drain(..).filter(|(_, start)| start.placed) {
            metrics::ACTIVATIONS.inc();
            work.flights.depart(start.id);
        }
        Ok(())
    }

    /// Publishes each by itself; what the bus refuses is a refusal of its rule.
    async fn publish_one_by_one(&mut self, lines: &mut [Line]) {
        self.starts.reverse();
        while let Some((line, start)) = self.starts.pop() {
            if let Err(error) = self.app.publish_start(start).await {
                lines[line].refuse(&error);
            }
        }
    }

    /// Publishes each by itself after any of them may have been taken, so that it is looked for, before it runs, whether it
    /// has run. The story may have been taken, too, and stands.
    async fn publish_again(&mut self, story: &Story) -> Result<(), Error> {
        self.starts.reverse();
        while let Some((_, mut start)) = self.starts.pop() {
            let (id, target) = (start.id, start.target.clone());
            start.message = start.message.again();
            match self.app.publish_start(start).await {
                Err(Error::TooLarge) => self.app.end_too_large(story, id, &target).await,
                published => published?,
            }
        }
        Ok(())
    }

    /// Takes in what became of a rule; gives its line, which has this place in the record.
    fn add(&mut self, at: usize, outcome: Result<Start, Error>) -> Line {
        let mut line = Line {
            status_code: 0,
            success: true,
            activation_id: None,
            error: None,
        };
        match outcome {
            Ok(start) => {
                line.activation_id = Some(start.id);
                self.starts.push((at, start));
            }
            Err(error) => line.refuse(&error),
        }
        line
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let placed = self.starts.iter().filter(|(_, start)| start.placed);
        placed.for_each(|(_, start)| self.app.work.flights.cancel(start.id));
    }
}

fn trigger_in(entry: &Entry) -> Result<Arc<Trigger>, Error> {
    match &entry.value {
        Value::Trigger(trigger) => Ok(trigger.clone()),
        Value::Action(_) | Value::Rule(_) | Value::Package(_) => Err(Error::Conflict(CONFORMANCE.into())),
    }
}

/// Whether a fire starts anything.
fn is_armed(trigger: &Trigger) -> bool {
    let rules = trigger.rules.as_ref();
    rules.is_some_and(|rules| rules.values().any(|rule| rule.status == RuleStatus::Active))
}

/// What the actions are given: the trigger's parameters, then the request's headers, then the body; later wins.
fn given(trigger: &Trigger, headers: Json, payload: &Json) -> Given {
    let mut given: Object = trigger.parameters.to_object();
    given.insert("__ow_headers".to_owned(), headers);
    given.extend(payload.object().unwrap_or_default());
    Given {
        json: Json::from(&given),
        sealed: sealed_of(trigger),
    }
}
