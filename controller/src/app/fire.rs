//! Firing triggers: every active rule's action, and the trigger's own record, in one write to the bus.
//!
//! Nothing is told to the caller before that write is on disk. Each rule is judged as an invocation of its own, charged
//! to the caller and refused with the texts of an invocation; a refusal is a line in the record, not a failure of the
//! fire. Upstream behaviour honoured: the record, with one batch in the place of a request to itself per rule.

use std::sync::Arc;

use serde::Serialize;
use wsk_bus::Message;
use wsk_entities::{
    Activation, ActivationId, FullName, Json, Object, Parameters, Response, RuleLink, RuleStatus, StatusCode, Trigger,
};
use wsk_planted::{Bug, planted};

use super::cache::Value;
use super::composition::{is_composed, is_kept};
use super::entitlement::CONFORMANCE;
use super::invoke::{Launch, Ready, arguments, check_final};
use super::owed::Owed;
use super::retry::Policy;
use super::secrets::sealed_of;
use super::throttle::Kind;
use super::{App, Caller, Error, now};

/// What a fire is about to publish.
#[derive(Default)]
struct Batch {
    messages: Vec<(Arc<str>, Message)>,
    /// What holds capacity until it was published.
    placed: Vec<ActivationId>,
}

/// What the actions of a trigger are given.
struct Given {
    json: Json,
    /// The trigger's sealed parameters.
    sealed: Parameters,
}

/// One line of a trigger's record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    rule: &'a str,
    action: String,
    status_code: u8,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation_id: Option<ActivationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
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
    /// 404 and 409 for the name, [`Error::Unavailable`] when the bus refuses the batch: then nothing was started.
    pub async fn fire(
        self: &Arc<App>,
        caller: &Caller,
        name: &FullName,
        payload: Option<Json>,
        headers: Json,
    ) -> Result<Option<ActivationId>, Error> {
        let trigger = self.trigger(name).await?;
        let rules = trigger
            .rules
            .as_ref()
            .filter(|rules| rules.values().any(|rule| rule.status == RuleStatus::Active));
        let Some(rules) = rules else { return Ok(None) };
        let start = now();
        let payload = payload.unwrap_or_else(Json::empty_object);
        let given = given(&trigger, headers, &payload);
        let (mut batch, mut logs) = (Batch::default(), Vec::with_capacity(rules.len()));
        for (rule, link) in rules {
            let line = self.set_off(caller, rule, link, &given, &mut batch).await;
            logs.push(serde_json::to_string(&line).expect("a line serialises"));
            if !line.success && planted(Bug::StopsFiring) {
                break;
            }
        }
        let record = record(caller, &trigger, self.chance.activation_id(), start, payload, logs);
        let (id, policy) = (record.activation_id, self.config.store_non_blocking);
        if is_kept(&caller.identity, &caller.transid, policy, StatusCode::Success) {
            let owed = Owed::Record(Arc::new(record)).message();
            batch.messages.push((self.work.ledger.topic().clone(), owed));
        }
        self.publish_batch(&batch.placed, batch.messages).await?;
        Ok(Some(id))
    }

    async fn trigger(&self, name: &FullName) -> Result<Arc<Trigger>, Error> {
        let entry = self.find(name).await?.ok_or(Error::Missing)?;
        match &entry.value {
            Value::Trigger(trigger) => Ok(trigger.clone()),
            Value::Action(_) | Value::Rule(_) | Value::Package(_) => Err(Error::Conflict(CONFORMANCE.into())),
        }
    }

    async fn set_off<'a>(
        self: &Arc<App>,
        caller: &Caller,
        rule: &'a str,
        link: &RuleLink,
        given: &Given,
        batch: &mut Batch,
    ) -> Line<'a> {
        let action = link.action.to_string();
        let outcome = match link.status {
            RuleStatus::Active => {
                let policy = self.policy_of_rule(rule).await;
                self.set_off_action(caller, &link.action, given, policy, batch).await
            }
            RuleStatus::Inactive => {
                let text = format!("Rule '{rule}' is inactive, action '{action}' was not activated.");
                Err(Error::Rejected(text))
            }
        };
        let (id, error) = match outcome {
            Ok(id) => (Some(id), None),
            Err(error) => (None, Some(error)),
        };
        let status_code = error.as_ref().map_or(0, |error| if error.is_ours() { 3 } else { 1 });
        let error = error.map(|error| error.to_string());
        Line {
            rule,
            action,
            status_code,
            success: error.is_none(),
            activation_id: id,
            error,
        }
    }

    /// How often a rule wants its action to be run again; the rule's own document says so.
    async fn policy_of_rule(&self, rule: &str) -> Option<Policy> {
        let entry = self.find(&rule.parse().ok()?).await.ok()??;
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
        batch: &mut Batch,
    ) -> Result<ActivationId, Error> {
        self.charge_invocation(caller)?;
        let target = self.resolve_action(caller, name).await?;
        self.check_runnable(&target)?;
        check_final(&target, &given.json)?;
        let policy = policy.or_else(|| Policy::of(&target.action.annotations));
        if policy.is_some() || is_composed(&target.action) {
            let mut progress = self.begin(caller, &target, Some(given.json.clone()), policy).await?;
            progress.sealed = given.sealed.clone();
            let id = progress.machine.id();
            let message = Owed::Composition(Box::new(progress)).message();
            batch.messages.push((self.work.ledger.topic().clone(), message));
            return Ok(id);
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
        batch.placed.push(id);
        batch.messages.push((topic, message));
        Ok(id)
    }
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

fn record(
    caller: &Caller,
    trigger: &Trigger,
    id: ActivationId,
    start: u64,
    payload: Json,
    logs: Vec<String>,
) -> Activation {
    Activation {
        namespace: caller.namespace().clone(),
        name: trigger.name.clone(),
        version: trigger.version,
        subject: caller.identity.subject.clone(),
        activation_id: id,
        cause: None,
        start,
        end: 0,
        duration: None,
        response: Response::success(payload, None),
        logs,
        annotations: Parameters::new(),
        publish: false,
    }
}
